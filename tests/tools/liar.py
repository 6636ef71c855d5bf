#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A web server over a directory that lies on demand.

    liar.py --dir DIR [--listen ADDR:PORT] [--log FILE] [--rules FILE] [--rule PATTERN=BEHAVIOUR]...

Prints its port as the first line. A rule says how to answer requests whose path (decoded, without
the leading slash) matches PATTERN (fnmatch: * also matches '/'); the first that matches counts, and
without one the answer is honest: GET and HEAD, one range, ETag, If-None-Match, keep-alive. --rules
names a file of rules, one a line, which is read again for every request and comes before --rule.

The body of a POST becomes a line of the file "posts" in DIR; the answer is 204, or the rule's.

BEHAVIOUR is NAME[:ARGUMENT][@N]; with @N it is for the first N matching requests only.

    truncate:N     the file ends after N bytes; everything about it is consistent
    append:N       the file has N more bytes; everything about it is consistent
    flip:N         bit 0 of byte N of the file is flipped
    other:PATH     another file's content
    cut:N          announces everything, closes after N bytes of the body
    reset:N        the same with a TCP reset
    length:N       states Content-Length N, sends the true body, closes
    more:N         sends N bytes too many without stating a length, closes
    unstated       states no length: chunked
    unended        the same, and closes before the last chunk that says so
    endless        bytes without end, chunked
    slow:N/MS      N bytes of the body every MS milliseconds
    stall:N        stops after N bytes of the body and keeps the connection open
    gate:FILE      makes FILE.met, waits until FILE exists, then answers honestly
    silent         reads the request and never answers
    close          closes instead of answering
    garbage        answers something that is not HTTP
    longheader     a header line of 200 kB
    status:CODE[:RETRY-AFTER]   an error page; Retry-After as given
    bigerror:CODE  an error page without end
    redirect:URL   302 to URL; "{path}" in it is the request's
    loop           302 to itself
    norange        ignores ranges
    wrongrange     206 that starts one byte too early
    nobytes        416 without Content-Range for every range
    gzip           sends the body with Content-Encoding: gzip
    tegzip         sends the body with Transfer-Encoding: gzip, chunked; tegzip:bad is no gzip
    header:LINE    adds a header line
    bare           no ETag

One line is logged for each request, before the last bytes of its answer are sent:

    conn=N METHOD PATH range=SPEC status=CODE bytes=N coding=ACCEPT-ENCODING auth=yes|no ifrange=TAG

conn counts connections from 1; "-" stands for what was not sent.
"""
import argparse
import ctypes
import fnmatch
import gzip
import hashlib
import os
import re
import signal
import socket
import struct
import sys
import threading
import time
import urllib.parse


class Hangup(Exception):
    """The connection is to be closed now."""


class Rules:
    def __init__(self, given, file):
        self.given, self.file, self.used = given, file, {}
        self.lock = threading.Lock()

    def find(self, path):
        rules = list(self.given)
        if self.file and os.path.exists(self.file):
            with open(self.file) as lines:
                rules = [line.rstrip("\n") for line in lines if line.strip()] + rules
        for rule in rules:
            pattern, _, behaviour = rule.partition("=")
            if not fnmatch.fnmatchcase(path, pattern):
                continue
            behaviour, times = re.fullmatch(r"(.*?)(?:@(\d+))?", behaviour).groups()
            with self.lock:
                used = self.used.get(rule, 0)
                if times and used >= int(times):
                    continue
                self.used[rule] = used + 1
            name, _, argument = behaviour.partition(":")
            return name, argument
        return "", ""


class Connection:
    def __init__(self, server, sock, number):
        self.server, self.sock, self.number = server, sock, number
        self.input = sock.makefile("rb")
        self.keep = True

    def run(self):
        try:
            while self.keep and self.request():
                pass
        except (Hangup, OSError, ValueError):
            pass
        finally:
            self.input.close()
            self.sock.close()

    def request(self):
        line = self.input.readline(65536).decode("latin-1").strip()
        if not line:
            return False
        self.method, target, _ = line.split(" ", 2)
        self.headers = {}
        while True:
            line = self.input.readline(65536).decode("latin-1").strip()
            if not line:
                break
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self.target = target
        if "://" in target:  # as proxies are asked
            target = "/" + target.split("://", 1)[1].partition("/")[2]
        self.path = urllib.parse.unquote(target.partition("?")[0]).lstrip("/")
        self.name, self.argument = self.server.rules.find(self.path)
        self.logged = False
        if self.method == "POST":
            body = self.input.read(int(self.headers.get("content-length", "0")))
            with open(os.path.join(self.server.dir, "posts"), "ab") as posts:
                posts.write(body + b"\n")
        self.answer()
        return True

    def log(self, status, count):
        if self.logged:
            return
        self.logged = True
        text = "conn=%d %s %s range=%s status=%s bytes=%d coding=%s auth=%s ifrange=%s\n" % (
            self.number, self.method, self.target, self.headers.get("range", "-").replace(" ", ""),
            status, count, self.headers.get("accept-encoding", "-").replace(" ", ""),
            "yes" if "authorization" in self.headers else "no",
            self.headers.get("if-range", "-").replace(" ", ""))
        self.server.log(text)

    def head(self, status, headers, body_length):
        reason = {200: "OK", 206: "Partial Content", 302: "Found", 304: "Not Modified",
                  404: "Not Found"}.get(status, "Status")
        lines = ["HTTP/1.1 %d %s" % (status, reason),
                 "Date: " + time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime())]
        lines += headers
        if body_length is not None:
            lines.append("Content-Length: %d" % body_length)
        if self.name == "header":
            lines.append(self.argument)
        if not self.keep:
            lines.append("Connection: close")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def send(self, status, headers, body, length="true"):
        """An answer whose body goes out as it is."""
        head = self.head(status, headers, len(body) if length == "true" else length)
        if self.method == "HEAD":
            body = b""
        self.log(status, len(body))
        self.sock.sendall(head + body)

    def page(self, status, headers=()):
        self.send(status, ["Content-Type: text/plain"] + list(headers), b"status %d\n" % status)

    def hold(self):
        """Until the other side goes away."""
        self.sock.settimeout(None)
        while self.sock.recv(4096):
            pass
        raise Hangup

    def answer(self):
        if self.name == "gate":
            open(self.argument + ".met", "w").close()
            while not os.path.exists(self.argument):
                time.sleep(0.02)
        simple = getattr(self, "do_" + self.name, None)
        if simple:
            return simple()
        if self.method == "POST":
            return self.send(204, [], b"")
        if self.method not in ("GET", "HEAD"):
            return self.page(405)
        content = self.content()
        if content is None:
            return self.page(404)
        return self.serve(content)

    # Behaviours that need no file.

    def do_silent(self):
        self.log("-", 0)
        self.hold()

    def do_close(self):
        self.log("-", 0)
        raise Hangup

    def do_garbage(self):
        self.log("-", 0)
        self.sock.sendall(b"This is not HTTP.\r\nNot at all.\r\n\r\n")
        raise Hangup

    def do_longheader(self):
        self.log(200, 0)
        self.sock.sendall(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * 200000 + b"\r\n\r\n")
        raise Hangup

    def do_status(self):
        code, _, retry = self.argument.partition(":")
        self.page(int(code), ["Retry-After: " + retry] if retry else [])

    def do_bigerror(self):
        self.log(self.argument, -1)
        self.sock.sendall(self.head(int(self.argument), ["Transfer-Encoding: chunked"], None))
        self.endless()

    def do_redirect(self):
        self.page(302, ["Location: " + self.argument.replace("{path}", self.path)])

    def do_loop(self):
        self.page(302, ["Location: " + self.target])

    def do_endless(self):
        self.log(200, -1)
        self.sock.sendall(self.head(200, ["Transfer-Encoding: chunked"], None))
        self.endless()

    def endless(self):
        while True:
            self.sock.sendall(b"1000\r\n" + b"e" * 4096 + b"\r\n")

    # Behaviours over a file.

    def content(self):
        path = self.argument if self.name == "other" else self.path
        top = os.path.realpath(self.server.dir)
        full = os.path.realpath(os.path.join(top, path))
        if not full.startswith(top + os.sep) or not os.path.isfile(full):
            return None
        with open(full, "rb") as file:
            content = file.read()
        if self.name == "truncate":
            content = content[:int(self.argument)]
        elif self.name == "append":
            content += b"+" * int(self.argument)
        elif self.name == "flip":
            at = int(self.argument)
            content = content[:at] + bytes([content[at] ^ 1]) + content[at + 1:]
        return content

    def wanted_range(self, size):
        """(first, last) or None without one; "bad" when it cannot be had."""
        spec = self.headers.get("range", "")
        if not spec.startswith("bytes=") or self.name == "norange":
            return None
        first, _, last = spec[6:].partition("-")
        if first == "":
            first, last = max(0, size - int(last)), size - 1
        first, last = int(first), min(int(last) if last != "" else size - 1, size - 1)
        return (first, last) if first <= last else "bad"

    def serve(self, content):
        tag = '"' + hashlib.sha256(content).hexdigest()[:24] + '"'
        headers = ["Accept-Ranges: bytes"]
        if self.name != "bare":
            headers.append("ETag: " + tag)
            if self.headers.get("if-none-match") == tag:
                return self.send(304, headers, b"", None)
        wanted = self.wanted_range(len(content))
        if self.headers.get("if-range", tag) != tag:
            wanted = None
        if self.name == "nobytes" and wanted is not None:
            return self.page(416)
        if wanted == "bad":
            return self.page(416, ["Content-Range: bytes */%d" % len(content)])
        if wanted is None:
            return self.body(200, headers, content)
        first, last = wanted
        if self.name == "wrongrange":
            first -= 1
        headers.append("Content-Range: bytes %d-%d/%d" % (first, last, len(content)))
        return self.body(206, headers, content[first:last + 1])

    def body(self, status, headers, body):
        special = getattr(self, "body_" + self.name, None)
        return special(status, headers, body) if special else self.send(status, headers, body)

    def body_cut(self, status, headers, body):
        body, length = body[:int(self.argument)], len(body)
        self.send(status, headers, body, length)
        raise Hangup

    def body_reset(self, status, headers, body):
        body, length = body[:int(self.argument)], len(body)
        self.send(status, headers, body, length)
        time.sleep(0.1)  # a reset overtakes what has not been read
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Hangup

    def body_length(self, status, headers, body):
        self.keep = False
        self.send(status, headers, body, int(self.argument))

    def body_more(self, status, headers, body):
        self.keep = False
        self.send(status, headers, body + b"+" * int(self.argument), None)

    def chunked(self, status, headers, body):
        self.log(status, len(body))
        self.sock.sendall(self.head(status, headers, None))
        for at in range(0, len(body), 1000):
            piece = body[at:at + 1000]
            self.sock.sendall(b"%x\r\n" % len(piece) + piece + b"\r\n")
        if self.name == "unended":
            raise Hangup
        self.sock.sendall(b"0\r\n\r\n")

    def body_unstated(self, status, headers, body):
        self.chunked(status, headers + ["Transfer-Encoding: chunked"], body)

    body_unended = body_unstated

    def body_tegzip(self, status, headers, body):
        body = b"nonsense" if self.argument == "bad" else gzip.compress(body)
        self.chunked(status, headers + ["Transfer-Encoding: gzip, chunked"], body)

    def body_gzip(self, status, headers, body):
        self.send(status, headers + ["Content-Encoding: gzip"], gzip.compress(body))

    def body_slow(self, status, headers, body):
        count, pause = (int(number) for number in self.argument.split("/"))
        self.sock.sendall(self.head(status, headers, len(body)))
        self.log(status, len(body))
        for at in range(0, len(body), count):
            self.sock.sendall(body[at:at + count])
            time.sleep(pause / 1000)

    def body_stall(self, status, headers, body):
        self.send(status, headers, body[:int(self.argument)], len(body))
        self.hold()


class Server:
    def __init__(self, options):
        self.dir = options.dir
        self.rules = Rules(options.rule, options.rules)
        self.log_fd = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) \
            if options.log else -1
        host, _, port = options.listen.rpartition(":")
        host = host.strip("[]")
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((host, int(port)))
        self.sock.listen(128)

    def log(self, text):
        if self.log_fd >= 0:
            os.write(self.log_fd, text.encode("utf-8", "replace"))

    def run(self):
        print(self.sock.getsockname()[1], flush=True)
        number = 0
        while True:
            sock, _ = self.sock.accept()
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            number += 1
            threading.Thread(target=Connection(self, sock, number).run, daemon=True).start()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", default=".")
    parser.add_argument("--listen", default="127.0.0.1:0")
    parser.add_argument("--log")
    parser.add_argument("--rules")
    parser.add_argument("--rule", action="append", default=[])
    parser.add_argument("--with-parent", action="store_true", help="end when the parent does")
    options = parser.parse_args()
    if options.with_parent:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    try:
        Server(options).run()
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
