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
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

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


def measure(title, relay, client, goals, requests=None):
    """RUNS checks through the relay; `requests` tells how many the server has seen."""
    seen = requests() if requests else 0
    relay.up = relay.down = relay.connections = relay.requests = 0
    check = [cpu_ms(client + ["check"]) for _ in range(RUNS)]
    version = [cpu_ms([DEFUPD, "--version"]) for _ in range(RUNS)]
    count = requests() - seen if requests else relay.requests
    more = statistics.median(check) - statistics.median(version)
    print(title)
    say("connections", relay.connections / RUNS, "", 1)
    say("requests", count / RUNS, "", 2)
    say("bytes sent", relay.up / RUNS, "")
    say("bytes received", relay.down / RUNS, "")
    say("bytes both ways", (relay.up + relay.down) / RUNS, "", goals.get("bytes"))
    say("CPU", statistics.median(check), "ms")
    say("CPU of --version", statistics.median(version), "ms")
    say("the difference", more, "ms", goals.get("cpu"))


def tls(top, repo):
    """nginx over the repository with TLS and HTTP/2, from a CA of its own: process, port, log."""
    make = ("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
            "-keyout ca.key -out ca.pem -subj /CN=CA && "
            "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout s.key "
            "-out s.csr -subj /CN=s && printf subjectAltName=IP:127.0.0.1 >ext && "
            "openssl x509 -req -in s.csr -CA ca.pem -CAkey ca.key -set_serial 1 -days 2 "
            "-extfile ext -out s.pem")
    subprocess.run(make, shell=True, check=True, cwd=top, stderr=subprocess.DEVNULL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = os.path.join(top, "access.log")
    with open(os.path.join(top, "nginx.conf"), "w", encoding="ascii") as conf:
        conf.write(f"""pid nginx.pid; daemon off; master_process off;
events {{ worker_connections 64; }}
http {{
  access_log {log}; client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;
  uwsgi_temp_path t4; scgi_temp_path t5;
  server {{
    listen 127.0.0.1:{port} ssl http2; root {repo}; ssl_protocols TLSv1.2 TLSv1.3;
    ssl_certificate {top}/s.pem; ssl_certificate_key {top}/s.key;
  }}
}}
""")
    server = subprocess.Popen(["nginx", "-p", top, "-c", "nginx.conf", "-e", "error.log"])
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.05)
    return server, port, log


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
        root = ["--trusted-root", repo + "/metadata/1.root.json"]
        with subprocess.Popen([PUBLISH, "--repo", repo, "serve", "--listen", "127.0.0.1:0"],
                              stdout=subprocess.PIPE, text=True) as server:
            try:
                port = int(server.stdout.readline().rstrip("/\n").rsplit(":", 1)[1])
                relay = Relay(port)
                client = [DEFUPD, "--state-dir", os.path.join(top, "state"),
                          "--source", f"http://127.0.0.1:{relay.port}"]
                subprocess.run(client + root + ["update"], **quiet)
                measure(f"a check with nothing new, median of {RUNS} runs, 2 components",
                        relay, client, {"bytes": 2048, "cpu": 10})
            finally:
                server.terminate()
        if shutil.which("nginx") is None:
            return
        server, port, log = tls(top, repo)
        try:
            relay = Relay(port)
            client = [DEFUPD, "--state-dir", os.path.join(top, "state-tls"), "--ca-file",
                      os.path.join(top, "ca.pem"), "--source", f"https://127.0.0.1:{relay.port}"]
            subprocess.run(client + root + ["update"], **quiet)

            def requests():
                with open(log, encoding="ascii") as lines:
                    return sum(1 for _ in lines)

            measure("the same by TLS and HTTP/2 from nginx", relay, client, {}, requests)
        finally:
            server.terminate()
            server.wait()


main()
