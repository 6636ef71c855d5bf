# SPDX-License-Identifier: Apache-2.0
"""A repository, a server, and a relay that counts what passes. For the scripts of this folder."""
import os
import re
import socket
import subprocess
import threading

GET = re.compile(rb"GET (\S+) HTTP/1\.[01]\r\n")


class Relay:
    """Passes connections on to a port. Counts requests and the bytes of each answer, with its
    header; clients that send a request before the last is answered would confuse it."""

    def __init__(self, port):
        self.target = port
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.forget()
        threading.Thread(target=self.accept, daemon=True).start()

    def forget(self):
        """Count from here."""
        self.gets, self.up, self.connections = [], 0, 0  # [path, bytes of the answer]

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.pump, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, False), daemon=True).start()

    def pump(self, source, sink, up):
        while True:
            try:
                data = source.recv(1 << 16)
            except OSError:
                data = b""
            if not data:
                break
            if up:
                self.up += len(data)
                for path in GET.findall(data):
                    self.gets.append([path.decode(), 0])
            else:
                self.gets[-1][1] += len(data)
            try:
                sink.sendall(data)
            except OSError:
                break
        try:
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def objects(self):
        return [get for get in self.gets if get[0].startswith("/objects/")]

    def metadata(self):
        return [get for get in self.gets if not get[0].startswith("/objects/")]


class Repository:
    """defupd-publish over a folder."""

    def __init__(self, build, folder):
        self.tool = os.path.join(build, "agent", "defupd-publish")
        self.folder = folder
        self.server = None
        self.run("init")

    def argv(self, *words):
        return [self.tool, "--repo", self.folder, *(str(word) for word in words)]

    def run(self, *words):
        done = subprocess.run(self.argv(*words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
        if done.returncode != 0:
            raise RuntimeError(" ".join(self.argv(*words)) + "\n" + done.stdout.decode())
        return done.stdout.decode()

    def serve(self):
        """The port of a server over it, until end()."""
        self.server = subprocess.Popen(self.argv("serve", "--listen", "127.0.0.1:0"),
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        return int(self.server.stdout.readline().rstrip("/\n").rsplit(":", 1)[1])

    def end(self):
        if self.server is not None:
            self.server.terminate()
            self.server.wait()
            self.server.stdout.close()
            self.server = None

    def object_bytes(self, path):
        return os.path.getsize(self.folder + path)
