#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Deltas of ours and of other programs, on the same pairs, in the same run.

    tests/bench/delta.py [OPTION]... [NAME OLD NEW]...

OLD and NEW are two trees (or files). Without any, the synthetic pairs of synth.py are taken:
rules, binary, db, db-sorted (200 MB each) and many (100,000 files).

For each pair and program: bytes to transfer, and what making and applying cost (measure.py says how
that is measured). Programs for one file get the file of a tree that has but one, else its tar
(sorted, without times and owners), made and taken apart outside of the measurement. Results are
compared with the new tree. Applying is repeated in rounds over all programs, and medians are given.
Programs that are not here are listed as absent; `tests/tools/install-packages bench` has them.

Beside these, the bounds: "rewrite" reads, hashes with our digest, writes and syncs those files that
are new or changed; "cp -al" links the tree; "hash" is what the peers' results lack, the digest of
all that came out, and "tar -x" what most of them lack for a tree, taking their tar apart.
"""
import argparse
import hashlib
import json
import math
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

import peers
import synth
from measure import Failed, machine, middle, mib, run, size_text

MANY = 5000  # trees with more files: goal of "at most twice cp -al"


class Pair:
    """Two trees, and the two files that programs for one file get."""

    def __init__(self, name, about, old, new, work):
        self.name, self.about, self.work = name, about, work
        os.makedirs(work, exist_ok=True)
        self.old_tree, self.new_tree = self.take(old, "old"), self.take(new, "new")
        self.old_files, self.new_files = each_tree_file(self.old_tree), each_tree_file(self.new_tree)
        self.single = len(self.old_files) == 1 and list(self.old_files) == list(self.new_files)
        self.old, self.new = self.one_file("old"), self.one_file("new")
        known = {digest for digest, _, _ in self.old_files.values()}
        self.changed = [path for path, (digest, _, _) in self.new_files.items()
                        if digest not in known]

    def take(self, path, name):
        """A copy of our own, with the modes that trees have."""
        tree = os.path.join(self.work, name)
        if os.path.isdir(path):
            shutil.copytree(path, tree, symlinks=True)
        else:
            os.mkdir(tree)
            shutil.copy(path, os.path.join(tree, "file"))
        for folder, _, names in os.walk(tree):
            os.chmod(folder, 0o755)
            for entry in names:
                entry = os.path.join(folder, entry)
                os.chmod(entry, 0o755 if os.stat(entry).st_mode & 0o100 else 0o644)
        return tree

    def one_file(self, name):
        tree = os.path.join(self.work, name)
        if self.single:
            return os.path.join(tree, next(iter(self.old_files)))
        path = os.path.join(self.work, name + ".tar")
        with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
            for entry in sorted(each_tree_file(tree), key=os.fsencode):
                info = archive.gettarinfo(os.path.join(tree, entry), entry)
                info.uid = info.gid = info.mtime = 0
                info.uname = info.gname = ""
                info.type = tarfile.REGTYPE
                with open(os.path.join(tree, entry), "rb") as file:
                    archive.addfile(info, file)
        return path

    def plain(self):
        return {"name": self.name, "about": self.about,
                "old": {"files": len(self.old_files),
                        "bytes": sum(size for _, size, _ in self.old_files.values())},
                "new": {"files": len(self.new_files),
                        "bytes": sum(size for _, size, _ in self.new_files.values())},
                "changed": {"files": len(self.changed),
                            "bytes": sum(self.new_files[path][1] for path in self.changed)},
                "as_file": {"kind": "file" if self.single else "tar",
                            "old": os.path.getsize(self.old), "new": os.path.getsize(self.new)}}


def each_tree_file(tree):
    """path -> digest, size, executable."""
    found = {}
    for folder, _, names in os.walk(tree):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").digest()
            found[os.path.relpath(path, tree)] = (digest, os.path.getsize(path),
                                                  os.access(path, os.X_OK))
    return found


class Bounds:
    """What nobody can be below."""

    def __init__(self, pair, build):
        self.pair = pair
        self.digest = os.path.join(build, "tests", "bench", "digest")
        self.rewrite = os.path.join(build, "tests", "bench_rewrite")
        self.list = os.path.join(pair.work, "changed.list")
        with open(self.list, "wb") as file:
            file.write(b"".join(os.fsencode(path) + b"\n" for path in sorted(pair.changed)))
        self.costs = {"hash": [], "rewrite": [], "cp_al": []} | ({} if pair.single else {"untar": []})

    def round(self):
        out = os.path.join(self.pair.work, "bound.out")
        steps = {"hash": [self.digest, self.pair.new],
                 "rewrite": [self.rewrite, self.pair.new_tree, out],
                 "cp_al": ["cp", "-al", self.pair.old_tree, out],
                 "untar": ["tar", "-xf", self.pair.new, "-C", out]}
        for name, costs in self.costs.items():
            shutil.rmtree(out, ignore_errors=True)
            if name in ("rewrite", "untar"):
                os.mkdir(out)
            os.sync()
            costs.append(run(steps[name], stdin=self.list))
        shutil.rmtree(out, ignore_errors=True)

    def plain(self):
        return {name: middle(costs) for name, costs in self.costs.items()}


def quick(cost):
    """Is it worth doing again, to know it better?"""
    return cost.wall < 2.0


def make_all(pair, options, results):
    """One of each program, with its delta made and checked. Failures are results too."""
    ready = []
    for kind in peers.ALL:
        result = {"tool": kind.name, "how": kind.how, "whole": kind.whole,
                  "makes_tree": kind.makes_tree}
        if options.peers is not None and kind.name not in options.peers:
            continue
        results.append(result)
        absent = kind.absent()
        if absent:
            result["absent"] = ", ".join(absent)
            continue
        result["version"] = kind.version()
        unfit = kind.unfit(pair)
        if unfit:
            result["unfit"] = unfit
            continue
        tell(f"  {pair.name}: {kind.name} ...")
        try:
            peer = kind(pair, os.path.join(pair.work, kind.name), options.limit)
            costs = [peer.create()]
            while quick(costs[0]) and len(costs) < options.repeat:
                costs.append(peer.create())
            result["bytes"], result["create"] = peer.size(), middle(costs)
            if kind.applies:
                peer.ready()
                peer.apply()
                if not peer.check():
                    raise Failed("what came out is not the new release")
                ready.append((peer, result))
        except (Failed, OSError, subprocess.CalledProcessError) as error:
            result["failed"] = str(error)
    return ready


def measure_pair(pair, options):
    """Everything about one pair."""
    found = pair.plain()
    results = found["results"] = []
    ready = make_all(pair, options, results)
    bounds = Bounds(pair, options.build)
    costs = {result["tool"]: [] for _, result in ready}
    for _ in range(options.repeat):
        bounds.round()
        for peer, result in ready:
            peer.ready()
            costs[result["tool"]].append(peer.apply())
    found["bounds"] = bounds.plain()
    for peer, result in ready:
        result["apply"] = middle(costs[result["tool"]])
        if not peer.check():
            result["failed"] = "what came out is not the new release"
    judge(found)
    return found


def judge(found):
    """Ratios of ours to the best of the others, and to the bounds."""
    done = {r["tool"]: r for r in found["results"] if "bytes" in r and "failed" not in r}
    others = {name: r for name, r in done.items() if name != "defupd" and not r["whole"]}
    ours, verdict = done.get("defupd"), {}
    hashing = found["bounds"]["hash"]
    for result in done.values():
        if "apply" in result:
            wall, cpu = result["apply"]["wall_s"], result["apply"]["cpu_s"]
            extra = result["tool"] != "defupd"
            result["apply_proven_s"] = round(wall + extra * hashing["wall_s"], 5)
            result["apply_proven_cpu_s"] = round(cpu + extra * hashing["cpu_s"], 5)
            apart = None if result["makes_tree"] else found["bounds"].get("untar")
            result["apply_ready_s"] = round(
                result["apply_proven_s"] + (apart["wall_s"] if apart else 0), 5)
            result["apply_bytes_per_s"] = round(found["new"]["bytes"] / max(wall, 1e-6))
    if others:
        best = min(others, key=lambda name: others[name]["bytes"])
        verdict["best_peer"], verdict["best_bytes"] = best, others[best]["bytes"]
        if ours:
            verdict["bytes_ratio"] = round(ours["bytes"] / max(1, others[best]["bytes"]), 4)
        timed = {name: r for name, r in others.items() if "apply" in r}
        if timed:
            fastest = min(timed, key=lambda name: timed[name]["apply_proven_s"])
            verdict["fastest_peer"] = fastest
            verdict["fastest_s"] = timed[fastest]["apply_proven_s"]
            if ours:
                verdict["apply_ratio"] = round(
                    ours["apply_proven_s"] / timed[fastest]["apply_proven_s"], 4)
                verdict["ready_ratio"] = round(
                    ours["apply_ready_s"] / min(r["apply_ready_s"] for r in timed.values()), 4)
    if ours:
        rewrite, links = found["bounds"]["rewrite"], found["bounds"]["cp_al"]
        # Changed files at 0.8 of the bound's speed; the rest, where there is one, at twice cp -al.
        rest = 2 * links["wall_s"] if found["changed"]["files"] < found["new"]["files"] else 0.0
        verdict["bound_s"] = round(rewrite["wall_s"] / 0.8 + rest, 5)
        verdict["of_bound"] = round(ours["apply"]["wall_s"] / verdict["bound_s"], 4)
        if found["new"]["files"] > MANY:
            verdict["of_cp_al"] = round(ours["apply"]["wall_s"] / links["wall_s"], 4)
    found["verdict"] = verdict


def show(found):
    """One pair, for people."""
    new, changed, verdict = found["new"], found["changed"], found["verdict"]
    print(f"\n{found['name']}: {found['about']}")
    print(f"  {size_text(new['files'])} files, {size_text(new['bytes'])} bytes; new or changed: "
          f"{size_text(changed['files'])} files, {size_text(changed['bytes'])} bytes")
    print(f"  {'':13}{'bytes':>12} {'/ best':>7} {'create':>9} {'CPU':>8} {'RssAnon':>8}"
          f" {'apply':>9} {'CPU':>8} {'+hash':>8} {'MB/s':>7} {'RssAnon':>8}")
    best = verdict.get("best_bytes")
    for result in found["results"]:
        line = f"  {result['tool']:13}"
        reason = next((f"{word}: {result[word]}" for word in ("absent", "unfit", "failed")
                       if word in result), None)
        if reason is not None:
            print(line + reason)
            continue
        made = result["create"]
        line += f"{size_text(result['bytes']):>12} "
        line += f"{result['bytes'] / best:7.3f} " if best else " " * 8
        line += (f"{made['wall_s']:9.3f} {made['cpu_s']:8.2f} {mib(made['rss_anon']):>8}")
        if "apply" in result:
            done = result["apply"]
            line += (f" {done['wall_s']:9.3f} {done['cpu_s']:8.3f} {result['apply_proven_s']:8.3f} "
                     f"{result['apply_bytes_per_s'] / 1e6:7.0f} {mib(done['rss_anon']):>8}")
        print(line)
    for name, what in (("rewrite", "read, hash, write, sync"), ("cp_al", "cp -al"),
                       ("hash", "hash of all"), ("untar", "tar -x of all")):
        cost = found["bounds"].get(name)
        if cost is not None:
            print(f"  {what:56}{cost['wall_s']:9.3f} {cost['cpu_s']:8.3f}")
    if "bytes_ratio" in verdict:
        print(f"  size {verdict['bytes_ratio']:.3f} of {verdict['best_peer']} (goal 1.00)")
    if "apply_ratio" in verdict:
        print(f"  apply {verdict['apply_ratio']:.3f} of {verdict['fastest_peer']} + hash (goal 1.00), "
              f"{verdict['ready_ratio']:.3f} of the fastest whose tree can be used")
    if "of_bound" in verdict:
        print(f"  apply {verdict['of_bound']:.3f} of the bound {verdict['bound_s']:.3f} s (goal 1.00)")
    if "of_cp_al" in verdict:
        print(f"  apply {verdict['of_cp_al']:.2f} of cp -al (goal 2.00)")
    sys.stdout.flush()


def show_all(pairs):
    """Geometric means over pairs."""
    sizes = [p["verdict"]["bytes_ratio"] for p in pairs if "bytes_ratio" in p["verdict"]]
    if len(sizes) > 1:
        mean = math.exp(sum(map(math.log, sizes)) / len(sizes))
        print(f"\nsize over {len(sizes)} pairs: geometric mean {mean:.3f} of the best peer "
              f"(goal 0.93), worst {max(sizes):.3f} (goal 1.00)")


def tell(line):
    print(line, file=sys.stderr, flush=True)


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="*", metavar="NAME OLD NEW")
    parser.add_argument("--build", default="build", help="the build folder (default build)")
    parser.add_argument("--synthetic", metavar="NAMES", help="of synth.py, separated by commas")
    parser.add_argument("--scale", type=float, default=1.0, help="size of the synthetic pairs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--about", nargs=2, action="append", default=[], metavar=("NAME", "TEXT"))
    parser.add_argument("--peers", metavar="NAMES", help="of " + ", ".join(peers.NAMES))
    parser.add_argument("--repeat", type=int, default=5, metavar="N")
    parser.add_argument("--limit", type=float, default=3600, metavar="S", help="for one program")
    parser.add_argument("--work", help="where to work (default: the system's temporary folder)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    parser.add_argument("--add", action="store_true",
                        help="keep what FILE says of other pairs (the machine is that of this run)")
    options = parser.parse_args(argv)
    if len(options.pairs) % 3 != 0:
        parser.error("pairs are given as NAME OLD NEW")
    options.given = [options.pairs[i:i + 3] for i in range(0, len(options.pairs), 3)]
    names = options.synthetic.split(",") if options.synthetic else []
    if not options.given and options.synthetic is None:
        names = list(synth.PAIRS)
    for name in names:
        if name not in synth.PAIRS:
            parser.error(f"no synthetic pair {name}; there are {', '.join(synth.PAIRS)}")
    options.names = names
    if options.peers is not None:
        options.peers = options.peers.split(",")
        for name in options.peers:
            if name not in peers.NAMES:
                parser.error(f"no peer {name}; there are {', '.join(peers.NAMES)}")
    options.build = os.path.abspath(options.build)
    peers.Ours.tool = os.path.join(options.build, "tests", "bench", "delta_tool")
    return options


def each_pair(options, top):
    about = dict(options.about)
    for name, old, new in options.given:
        yield Pair(name, about.get(name, "given"), old, new, os.path.join(top, name))
    for name in options.names:
        made = os.path.join(top, name + ".made")
        text = synth.make(name, made, options.scale, options.seed)
        pair = Pair(name, text, os.path.join(made, "old"), os.path.join(made, "new"),
                    os.path.join(top, name))
        shutil.rmtree(made)
        yield pair


def write_figures(options, run_of):
    """Also into a file that has some, pair by pair."""
    if options.add and os.path.exists(options.json):
        with open(options.json, encoding="utf-8") as file:
            fresh = {pair["name"]: pair for pair in run_of["pairs"]}
            kept = [fresh.pop(pair["name"], pair) for pair in json.load(file)["pairs"]]
            run_of["pairs"] = kept + list(fresh.values())
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump(run_of, file, indent=1)
        file.write("\n")


def main(argv=None):
    options = parse(argv)
    if not os.access(peers.Ours.tool, os.X_OK):
        sys.exit(f"{peers.Ours.tool} is not there: ninja -C {options.build}")
    with tempfile.TemporaryDirectory(prefix="defupd-bench-", dir=options.work) as top:
        run_of = {"machine": machine(top), "repeat": options.repeat, "pairs": []}
        for pair in each_pair(options, top):
            found = measure_pair(pair, options)
            run_of["pairs"].append(found)
            show(found)
            shutil.rmtree(pair.work)
    show_all(run_of["pairs"])
    if options.json:
        write_figures(options, run_of)
    failed = [f"{pair['name']}: {result['tool']}: {result['failed']}"
              for pair in run_of["pairs"] for result in pair["results"] if "failed" in result]
    for line in failed:
        tell(line)
    return 1 if any(": defupd: " in line for line in failed) else 0


if __name__ == "__main__":
    sys.exit(main())
