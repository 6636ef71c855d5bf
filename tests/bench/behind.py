#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a host costs that missed 30 releases.

    tests/bench/behind.py [OPTION]... [NAME OLD NEW]...

Makes daily releases that lead from one tree to another (each file that differs changes on a day that
a seed chooses; every release also holds its number), or, with --synthetic, of a hash list that has
0.1 % of churn a day. Publishes them, installs the oldest, lets the real client update to the newest
through a relay that counts, and compares with one delta made directly between the two.

Deltas are made for the last two releases only: those of earlier ones would be gone by then.
"""
import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

import synth
from delta import Pair, each_tree_file, tell
from measure import machine
from wire import Relay, Repository

COMPONENT = "rules"


class FromPair:
    """Releases between two trees."""

    def __init__(self, pair, days, rnd):
        self.pair, self.tree = pair, os.path.join(pair.work, "daily")
        shutil.copytree(pair.old_tree, self.tree)
        differing = [path for path in {**pair.old_files, **pair.new_files}
                     if pair.old_files.get(path) != pair.new_files.get(path)]
        self.day = {path: rnd.randint(2, days) for path in sorted(differing)}
        self.stamp(1)

    def stamp(self, day):
        with open(os.path.join(self.tree, "release.txt"), "w", encoding="ascii") as file:
            file.write(f"release {day}\n")

    def go_to(self, day):
        for path, when in self.day.items():
            if when != day:
                continue
            mine = os.path.join(self.tree, path)
            if os.path.exists(mine):
                os.unlink(mine)
            if path in self.pair.new_files:
                os.makedirs(os.path.dirname(mine), exist_ok=True)
                shutil.copy2(os.path.join(self.pair.new_tree, path), mine)
            else:
                remove_empty(os.path.dirname(mine))
        self.stamp(day)


def remove_empty(folder):
    while not os.listdir(folder):
        os.rmdir(folder)
        folder = os.path.dirname(folder)


class HashList:
    """Releases of one list of hashes."""

    def __init__(self, size, work, rnd):
        self.tree, self.rnd = os.path.join(work, "daily"), rnd
        self.lines = synth.hash_list(rnd, size)
        self.number = len(self.lines)
        self.write()

    def write(self):
        synth.write(os.path.join(self.tree, "daily.hdb"), "".join(self.lines).encode())

    def go_to(self, _day):
        self.lines, self.number = synth.churn(self.rnd, self.lines, 0.001, self.number)
        self.write()


def publish(repository, daily, options, top):
    """All releases; copies of the first and the last tree."""
    quick = ["--level", "3"]
    none = ["--deltas", "0"]
    first = os.path.join(top, "first")
    shutil.copytree(daily.tree, first)
    repository.run(*quick, *none, "add-release", COMPONENT, 1, daily.tree)
    yield first
    for day in range(2, options.releases + 2):
        daily.go_to(day)
        late = day >= options.releases
        tell(f"  release {day} of {options.releases + 1}")
        repository.run(*([] if late else quick), *([] if late else none), "add-release", COMPONENT,
                       day, daily.tree)
    yield daily.tree


def direct_delta(options, first, last, top):
    """Bytes of one delta between the two; None without the tool."""
    tool = os.path.join(options.build, "tests", "bench", "delta_tool")
    if not os.access(tool, os.X_OK):
        return None
    out = os.path.join(top, "direct")
    subprocess.run([tool, "make", first, last, out], check=True)
    return os.path.getsize(out)


def measure(name, about, daily, options, top):
    repository = Repository(options.build, os.path.join(top, "repo"))
    releases = publish(repository, daily, options, top)
    first = next(releases)
    relay = Relay(repository.serve())
    state = os.path.join(top, "state")
    client = [os.path.join(options.build, "agent", "defupd"), "--state-dir", state, "--source",
              relay.url]
    quiet = {"check": True, "stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    try:
        subprocess.run(client + ["--trusted-root", repository.folder + "/metadata/1.root.json",
                                 "update"], **quiet)
        last = next(releases)
        relay.forget()
        subprocess.run(client + ["update"], **quiet)
    finally:
        repository.end()
    installed = os.path.join(state, "current", COMPONENT)
    if each_tree_file(installed) != each_tree_file(last):
        sys.exit(f"{name}: what was installed is not release {options.releases + 1}")

    objects = [repository.object_bytes(path) for path, _ in relay.objects()]
    direct = direct_delta(options, first, last, top)
    return {"name": name, "about": about, "releases_behind": options.releases,
            "requests": len(relay.gets), "connections": relay.connections,
            "objects": len(objects), "object_bytes": sum(objects),
            "metadata": [{"path": path.rsplit("/", 1)[1].split(".", 1)[-1], "bytes": count}
                         for path, count in relay.metadata()],
            "metadata_bytes": sum(count for _, count in relay.metadata()),
            "bytes_sent": relay.up, "direct_bytes": direct,
            "ratio": round(sum(objects) / direct, 4) if direct else None}


def show(found):
    print(f"\n{found['name']}: {found['about']}; {found['releases_behind']} releases behind")
    print(f"  objects         {found['objects']:10}   goal at most 2")
    print(f"  requests        {found['requests']:10}   goal at most 7")
    print(f"  bytes, objects  {found['object_bytes']:10,}")
    if found["direct_bytes"]:
        print(f"  direct delta    {found['direct_bytes']:10,}   ratio {found['ratio']:.3f}, "
              "goal at most 1.100")
    print(f"  bytes, metadata {found['metadata_bytes']:10,}   goal at most 20,480")
    for part in found["metadata"]:
        print(f"    {part['path']:24}{part['bytes']:8,}")
    sys.stdout.flush()


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="*", metavar="NAME OLD NEW")
    parser.add_argument("--build", default="build", help="the build folder (default build)")
    parser.add_argument("--synthetic", metavar="NAMES",
                        help="rules, db or binary, separated by commas (default rules,db)")
    parser.add_argument("--scale", type=float, default=0.1, help="size of the synthetic ones")
    parser.add_argument("--releases", type=int, default=30, metavar="N", help="how many behind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--about", nargs=2, action="append", default=[], metavar=("NAME", "TEXT"))
    parser.add_argument("--work", help="where to work (default: the system's temporary folder)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args(argv)
    if len(options.pairs) % 3 != 0:
        parser.error("pairs are given as NAME OLD NEW")
    options.build = os.path.abspath(options.build)
    options.given = [options.pairs[i:i + 3] for i in range(0, len(options.pairs), 3)]
    options.names = options.synthetic.split(",") if options.synthetic else []
    if not options.given and options.synthetic is None:
        options.names = ["rules", "db"]
    for name in options.names:
        if name not in synth.PAIRS:
            parser.error(f"nothing synthetic is called {name}")
    return options


def each(options, top):
    about = dict(options.about)
    days = options.releases + 1
    for name, old, new in options.given:
        pair = Pair(name, about.get(name, "given"), old, new, os.path.join(top, name))
        yield name, pair.about, FromPair(pair, days, random.Random(options.seed))
    for name in options.names:
        work, rnd = os.path.join(top, name), random.Random(options.seed)
        if name == "db":
            size = synth.DB_BYTES * options.scale
            yield name, (f"synthetic hash list of {size / 1e6:.1f} MB, 0.1 % churn a day"
                         ), HashList(size, work, rnd)
        else:
            text = synth.make(name, work + ".made", options.scale, options.seed)
            pair = Pair(name, text, work + ".made/old", work + ".made/new", work)
            yield name, text, FromPair(pair, days, rnd)


def main(argv=None):
    options = parse(argv)
    with tempfile.TemporaryDirectory(prefix="defupd-bench-", dir=options.work) as top:
        figures = {"machine": machine(top), "hosts": []}
        for name, about, daily in each(options, top):
            tell(f"{name}: {about}")
            room = os.path.join(top, name + ".room")
            os.mkdir(room)
            found = measure(name, about, daily, options, room)
            figures["hosts"].append(found)
            show(found)
            shutil.rmtree(room)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
            file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
