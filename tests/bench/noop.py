#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a check costs when nothing is new: requests, bytes on the wire, CPU.

    tests/bench/noop.py [BUILD] [RUNS]

Publishes a small repository, serves it, installs it, and then checks RUNS times through a relay that
counts the bytes of both directions. CPU is user and system time of the whole process, compared with
`defupd --version` in the same run; medians. Prints each figure beside its goal, and whether it is met; the
exit status stays 0 either way, since times of busy machines prove nothing.
"""
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
RUNS = int(sys.argv[2]) if len(sys.argv) > 2 else 21
DEFUPD = os.path.join(BUILD, "agent", "defupd")
PUBLISH = os.path.join(BUILD, "agent", "defupd-publish")


class Relay:
    """Passes connections on to a port and counts bytes, connections and request lines."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.up = self.down = self.connections = self.requests = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, False), daemon=True).start()

    def pump(self, source, sink, up):
        while True:
            data = source.recv(65536)
            if not data:
                break
            if up:
                self.up += len(data)
                self.requests += data.count(b"GET ")
            else:
                self.down += len(data)
            sink.sendall(data)
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def cpu_ms(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def say(what, figure, unit, goal=None):
    line = f"  {what:16} {figure:8.1f} {unit:2}"
    if goal is not None:
        line += f"   goal at most {goal}: {'PASS' if figure <= goal else 'over'}"
    print(line.rstrip())


def main():
    with tempfile.TemporaryDirectory(prefix="defupd-bench-") as top:
        tree = os.path.join(top, "tree")
        os.mkdir(tree)
        for i in range(100):
            with open(os.path.join(tree, f"rule{i}"), "w", encoding="ascii") as file:
                file.write(f"rule {i}\n" * 50)
        repo = os.path.join(top, "repo")
        quiet = {"check": True, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run([PUBLISH, "--repo", repo, "init"], **quiet)
        for name in ("alpha", "beta"):
            subprocess.run([PUBLISH, "--repo", repo, "--level", "3", "add-release", name, "1", tree],
                           **quiet)
        with subprocess.Popen([PUBLISH, "--repo", repo, "serve", "--listen", "127.0.0.1:0"],
                              stdout=subprocess.PIPE, text=True) as server:
            try:
                port = int(server.stdout.readline().rstrip("/\n").rsplit(":", 1)[1])
                relay = Relay(port)
                client = [DEFUPD, "--state-dir", os.path.join(top, "state"),
                          "--source", f"http://127.0.0.1:{relay.port}"]
                subprocess.run(client + ["--trusted-root", repo + "/metadata/1.root.json", "update"],
                               **quiet)
                relay.up = relay.down = relay.connections = relay.requests = 0
                check = [cpu_ms(client + ["check"]) for _ in range(RUNS)]
                version = [cpu_ms([DEFUPD, "--version"]) for _ in range(RUNS)]
            finally:
                server.terminate()
        print(f"a check with nothing new, median of {RUNS} runs, 2 components")
        say("connections", relay.connections / RUNS, "", 1)
        say("requests", relay.requests / RUNS, "", 2)
        say("bytes sent", relay.up / RUNS, "")
        say("bytes received", relay.down / RUNS, "")
        say("bytes both ways", (relay.up + relay.down) / RUNS, "", 2048)
        say("CPU", statistics.median(check), "ms")
        say("CPU of --version", statistics.median(version), "ms")
        say("the difference", statistics.median(check) - statistics.median(version), "ms", 10)


main()
