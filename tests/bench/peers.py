# SPDX-License-Identifier: Apache-2.0
"""Other programs that bring a file or a tree from one release to the next. For delta.py.

Each has a folder of its own, `create` and `apply` (both measured), a size in bytes that a client
transfers, and a check that what came out is the new release. Archives are made before, and taken
apart after, what is measured; nothing is synced.
"""
import filecmp
import glob
import http.server
import os
import re
import shutil
import subprocess
import threading

from measure import Failed, package_version, run


class Peer:
    """One way to transfer a release."""
    name = ""
    package = ""
    programs = ()
    how = ""
    applies = True
    whole = False  # no delta: what it costs to send everything
    makes_tree = False  # what comes out is a tree, not its tar

    def __init__(self, pair, work, limit):
        self.pair, self.work, self.limit = pair, work, limit
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)

    @classmethod
    def absent(cls):
        """The programs that are not here."""
        return [program for program in cls.programs if shutil.which(program) is None]

    @classmethod
    def version(cls):
        return f"{cls.package} {package_version(cls.package)}".strip()

    @classmethod
    def unfit(cls, _pair):
        """Why this pair is none for it, or ""."""
        return ""

    def path(self, name):
        return os.path.join(self.work, name)

    def run(self, *argv, **options):
        return run([str(word) for word in argv], limit=self.limit, **options)

    def drop(self, *names):
        for name in names:
            path = self.path(name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.unlink(path)

    # --- what a peer is ---

    def create(self):
        """Make the delta, again if there is one; its Cost."""
        raise NotImplementedError

    def size(self):
        return os.path.getsize(self.path("delta"))

    def ready(self):
        """Before each apply, not measured."""
        self.drop("out")

    def apply(self):
        """Make the new release of the old one; its Cost."""
        raise NotImplementedError

    def check(self):
        """Is what apply made the new release?"""
        return filecmp.cmp(self.path("out"), self.pair.new, shallow=False)


def same_tree(a, b):
    """Same paths, contents and execute bits."""
    def files(top):
        found = {}
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                found[os.path.relpath(path, top)] = os.access(path, os.X_OK)
        return found

    names = files(a)
    return names == files(b) and all(
        filecmp.cmp(os.path.join(a, name), os.path.join(b, name), shallow=False) for name in names)


class Full(Peer):
    name, package, programs = "full", "zstd", ("zstd",)
    how = "zstd -19: the whole new release, for comparison"
    whole = True

    def create(self):
        return self.run("zstd", "-q", "-f", "-19", self.pair.new, "-o", self.path("delta"))

    def apply(self):
        return self.run("zstd", "-q", "-f", "-d", self.path("delta"), "-o", self.path("out"))


class ZstdPatch(Peer):
    package, programs = "zstd", ("zstd",)
    level = ()

    def create(self):
        return self.run("zstd", "-q", "-f", *self.level, "--long=31",
                        f"--patch-from={self.pair.old}", self.pair.new, "-o", self.path("delta"))

    def apply(self):
        return self.run("zstd", "-q", "-f", "-d", "--long=31", f"--patch-from={self.pair.old}",
                        self.path("delta"), "-o", self.path("out"))


class Zstd19(ZstdPatch):
    name, level = "zstd-19", ("-19",)
    how = "zstd -19 --long=31 --patch-from=OLD"


class Zstd22(ZstdPatch):
    name, level = "zstd-22", ("--ultra", "-22")
    how = "zstd --ultra -22 --long=31 --patch-from=OLD"


class Xdelta(Peer):
    name, package, programs = "xdelta3", "xdelta3", ("xdelta3",)
    how = "xdelta3 -e -s OLD, its defaults"

    def options(self):
        return ()

    def create(self):
        return self.run("xdelta3", "-e", "-f", *self.options(), "-s", self.pair.old, self.pair.new,
                        self.path("delta"))

    def apply(self):
        return self.run("xdelta3", "-d", "-f", *self.options(), "-s", self.pair.old,
                        self.path("delta"), self.path("out"))


class XdeltaLzma(Xdelta):
    name = "xdelta3-lzma"
    how = "xdelta3 -9 -S lzma -B (at least the old file) -e -s OLD"

    def options(self):
        window = 1 << max(26, (os.path.getsize(self.pair.old) - 1).bit_length())
        return ("-9", "-S", "lzma", "-B", window)


class Bsdiff(Peer):
    name, package, programs = "bsdiff", "bsdiff", ("bsdiff", "bspatch")
    how = "bsdiff OLD NEW, bspatch"

    def create(self):
        return self.run("bsdiff", self.pair.old, self.pair.new, self.path("delta"))

    def apply(self):
        return self.run("bspatch", self.pair.old, self.path("out"), self.path("delta"))


class Hdiff(Peer):
    name, package, programs = "hdiff", "hdiffpatch", ("hdiffz", "hpatchz")
    how = "hdiffz -m-6 -SD -c-lzma2-9-16m -d, hpatchz (no Debian package: only where it is installed)"

    def create(self):
        return self.run("hdiffz", "-f", "-m-6", "-SD", "-d", "-c-lzma2-9-16m", self.pair.old,
                        self.pair.new, self.path("delta"))

    def apply(self):
        return self.run("hpatchz", "-f", self.pair.old, self.path("delta"), self.path("out"))


class Rdiff(Peer):
    name, package, programs = "rdiff", "rdiff", ("rdiff", "zstd")
    how = ("rdiff -b 2048, signature and delta made by the server, the delta through zstd -19; "
           "zstd -d and rdiff patch")

    def create(self):
        self.drop("signature", "plain", "delta")
        return (self.run("rdiff", "signature", "-b", 2048, self.pair.old, self.path("signature"))
                .then(self.run("rdiff", "delta", self.path("signature"), self.pair.new,
                               self.path("plain")))
                .then(self.run("zstd", "-q", "-f", "-19", self.path("plain"), "-o",
                               self.path("delta"))))

    def ready(self):
        self.drop("out", "unpacked")

    def apply(self):
        return (self.run("zstd", "-q", "-f", "-d", self.path("delta"), "-o", self.path("unpacked"))
                .then(self.run("rdiff", "patch", self.pair.old, self.path("unpacked"),
                               self.path("out"))))


class Lines(Peer):
    name, package, programs = "diff-n", "diffutils", ("diff", "xz")
    how = "diff -a -n OLD NEW through xz -9e: a line edit script as ClamAV's cdiff; size only"
    applies = False

    @classmethod
    def unfit(cls, pair):
        with open(pair.old, "rb") as file:
            head = file.read(1 << 16)
        return "no lines of text" if head.count(b"\n") * 400 < len(head) else ""

    def create(self):
        with open(self.path("plain"), "wb") as file:
            cost = self.run("diff", "-a", "-n", "--speed-large-files", self.pair.old, self.pair.new,
                            stdout=file, accept=(0, 1))
        with open(self.path("delta"), "wb") as file:
            return cost.then(self.run("xz", "-9e", "-T1", "-c", self.path("plain"), stdout=file))


class Sigtool(Peer):
    name, package, programs = "sigtool", "clamav", ("sigtool", "gzip")
    how = ("sigtool --compare (cdiff commands), gzip -9 as in a .cdiff; size only: to run a script "
           "it wants ClamAV's signature over it")
    applies = False
    BYTES = 8 << 20

    @classmethod
    def unfit(cls, pair):
        if not pair.single or Lines.unfit(pair):
            return "compares one list of lines"
        if os.path.getsize(pair.old) > cls.BYTES:
            return f"takes minutes per megabyte, and is not tried above {cls.BYTES >> 20} MiB"
        return ""

    def create(self):
        with open(self.path("plain"), "wb") as file:
            cost = self.run("sigtool", "--stdout", "--compare", self.pair.old, self.pair.new,
                            stdout=file, accept=(0, 1))
        if os.path.getsize(self.path("plain")) == 0:
            raise Failed("sigtool said nothing")
        with open(self.path("delta"), "wb") as file:
            return cost.then(self.run("gzip", "-9", "-n", "-c", self.path("plain"), stdout=file))


class Casync(Peer):
    name, package, programs = "casync", "casync", ("casync",)
    how = ("casync make of both files, chunks of 4 to 64 KB; transferred: the new index and the "
           "chunks that the old store has not; casync extract with the old file as seed")

    def make(self, name, path):
        return self.run("casync", "make", "--chunk-size=4096:16384:65536",
                        f"--store={self.path(name + '.castr')}", self.path(name + ".caibx"), path)

    def create(self):
        if not os.path.exists(self.path("old.caibx")):
            self.make("old", self.pair.old)
        self.drop("new.castr", "new.caibx")
        return self.make("new", self.pair.new)

    def size(self):
        def chunks(store):
            return {os.path.relpath(path, store): os.path.getsize(path)
                    for path in glob.glob(store + "/*/*.cacnk")}
        old, new = chunks(self.path("old.castr")), chunks(self.path("new.castr"))
        return os.path.getsize(self.path("new.caibx")) + sum(
            size for name, size in new.items() if name not in old)

    def apply(self):
        return self.run("casync", "extract", f"--store={self.path('new.castr')}",
                        f"--seed={self.pair.old}", self.path("new.caibx"), self.path("out"))


class Ostree(Peer):
    name, package, programs = "ostree", "ostree", ("ostree",)
    makes_tree = True
    how = ("ostree static-delta generate --inline, no fallback objects; apply-offline into a "
           "bare-user-only repository that has the old commit, then checkout by hard links")

    def ostree(self, repo, *argv):
        return self.run("ostree", f"--repo={self.path(repo)}", *argv)

    def commit(self, branch, tree):
        self.ostree("server", "commit", "-b", branch, f"--tree=dir={tree}", "--owner-uid=0",
                    "--owner-gid=0", "--no-xattrs", "--canonical-permissions",
                    "--timestamp=@0", "-s", branch)
        out = subprocess.run(["ostree", f"--repo={self.path('server')}", "rev-parse", branch],
                             check=True, stdout=subprocess.PIPE).stdout
        return out.decode().strip()

    def create(self):
        if not os.path.exists(self.path("server")):
            self.ostree("server", "init", "--mode=archive")
            self.old = self.commit("old", self.pair.old_tree)
            self.new = self.commit("new", self.pair.new_tree)
            self.ostree("installed", "init", "--mode=bare-user-only")
            self.ostree("installed", "pull-local", self.path("server"), self.old)
        self.drop("delta")
        return self.ostree("server", "static-delta", "generate", f"--from={self.old}",
                           f"--to={self.new}", "--inline", "--min-fallback-size=0",
                           "--max-bsdiff-size=1024", f"--filename={self.path('delta')}")

    def ready(self):
        self.drop("out", "client")
        subprocess.run(["cp", "-a", self.path("installed"), self.path("client")], check=True)

    def apply(self):
        return (self.ostree("client", "static-delta", "apply-offline", self.path("delta"))
                .then(self.ostree("client", "checkout", "-H", "-U", self.new, self.path("out"))))

    def check(self):
        return same_tree(self.path("out"), self.pair.new_tree)


class _Ranges(http.server.BaseHTTPRequestHandler):
    """Files below a folder, with ranges, also several in one request."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        with open(os.path.join(self.server.folder, os.path.basename(self.path)), "rb") as file:
            data = file.read()
        ranges = re.findall(r"(\d+)-(\d+)", self.headers.get("Range", ""))
        ranges = [(int(a), min(int(b), len(data) - 1)) for a, b in ranges]
        if not ranges:
            self.answer(200, "application/octet-stream", data)
        elif len(ranges) == 1:
            begin, end = ranges[0]
            self.answer(206, "application/octet-stream", data[begin:end + 1],
                        f"bytes {begin}-{end}/{len(data)}")
        else:
            parts = []
            for begin, end in ranges:
                parts += [b"\r\n--defupdbench\r\nContent-Type: application/octet-stream\r\n"
                          b"Content-Range: bytes %d-%d/%d\r\n\r\n" % (begin, end, len(data)),
                          data[begin:end + 1]]
            self.answer(206, "multipart/byteranges; boundary=defupdbench",
                        b"".join(parts) + b"\r\n--defupdbench--\r\n")

    def answer(self, status, kind, body, where=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        if where is not None:
            self.send_header("Content-Range", where)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Zchunk(Peer):
    name, package, programs = "zchunk", "zchunk", ("zck", "zckdl", "unzck", "zck_delta_size")
    how = ("zck of both; transferred: what zck_delta_size says; zckdl -s OLD from a local server "
           "with ranges, then unzck")

    def create(self):
        if not os.path.exists(self.path("old.zck")):
            self.run("zck", "-o", self.path("old.zck"), self.pair.old)
        self.drop("new.zck")
        return self.run("zck", "-o", self.path("new.zck"), self.pair.new)

    def size(self):
        out = subprocess.run(["zck_delta_size", self.path("old.zck"), self.path("new.zck")],
                             check=True, stdout=subprocess.PIPE).stdout.decode()
        found = re.search(r"Would download (\d+) of", out)
        if found is None:
            raise Failed("zck_delta_size said: " + out.strip())
        return int(found.group(1))

    def ready(self):
        self.drop("get")
        os.mkdir(self.path("get"))

    def apply(self):
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Ranges) as server:
            server.folder = self.work
            threading.Thread(target=server.serve_forever, daemon=True).start()
            try:
                return (self.run("zckdl", "-s", self.path("old.zck"),
                                 f"http://127.0.0.1:{server.server_port}/new.zck",
                                 cwd=self.path("get"))
                        .then(self.run("unzck", "new.zck", cwd=self.path("get"))))
            finally:
                server.shutdown()

    def check(self):
        return filecmp.cmp(self.path("get/new"), self.pair.new, shallow=False)


class Ours(Peer):
    name, package = "defupd", ""
    makes_tree = True
    how = ("du_delta_make of two trees with known indexes; delta_tool apply: the object's digest, "
           "the tree built beside the old one and proven by its digest, syncfs")
    tool = ""

    @classmethod
    def absent(cls):
        return [] if os.access(cls.tool, os.X_OK) else ["delta_tool"]

    @classmethod
    def version(cls):
        return "defupd"

    def create(self):
        for tree in (self.pair.old_tree, self.pair.new_tree):
            if not os.path.exists(tree + ".index"):
                self.run(self.tool, "index", tree)
        self.drop("delta")
        return self.run(self.tool, "make", self.pair.old_tree, self.pair.new_tree,
                        self.path("delta"))

    def ready(self):
        self.drop("out")
        os.sync()

    def apply(self):
        return self.run(self.tool, "apply", self.pair.old_tree, self.path("delta"),
                        self.path("out"))

    def check(self):
        return same_tree(self.path("out"), self.pair.new_tree)


ALL = (Ours, Full, Zstd19, Zstd22, Xdelta, XdeltaLzma, Bsdiff, Hdiff, Rdiff, Lines, Sigtool, Casync,
       Ostree, Zchunk)
NAMES = [peer.name for peer in ALL]
