#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What publishing a large database costs, with deltas from ten old releases.

    tests/bench/publish.py [OPTION]...

Makes a hash list of 200 MB and eleven releases of it, 1 % of churn each (synth.py), publishes ten,
and measures the publication of the last: `defupd-publish add-release` with its deltas, in parallel as
it does by itself. Then one delta alone (delta_tool make), for its time and memory; and `zstd --ultra
-22 --long=31 --patch-from` between the same releases, which a delta may not exceed in time.
"""
import argparse
import json
import os
import random
import sys
import tempfile

import synth
from delta import tell
from measure import machine, middle, mib, run
from wire import Repository

COMPONENT = "db"
GOAL_ALL = 4 << 30
GOAL_BYTE = 6


def make_releases(options, top):
    """The folders of all releases, oldest first."""
    rnd = random.Random(options.seed)
    lines = synth.hash_list(rnd, synth.DB_BYTES * options.scale)
    number, trees = len(lines), []
    for release in range(options.old + 1):
        if release > 0:
            lines, number = synth.churn(rnd, lines, 0.01, number)
        trees.append(os.path.join(top, f"release-{release + 1}"))
        synth.write(os.path.join(trees[-1], "daily.hdb"), "".join(lines).encode())
    return trees


def publish(options, trees, top):
    """The cost of the last release, and what became of each of its deltas."""
    repository = Repository(options.build, os.path.join(top, "repo"))
    for release, tree in enumerate(trees[:-1], 1):
        tell(f"release {release} of {len(trees)}")
        repository.run("--level", "3", "--deltas", "0", "add-release", COMPONENT, release, tree)
    tell(f"release {len(trees)} of {len(trees)}, with deltas")
    out = os.path.join(top, "added.json")
    with open(out, "wb") as file:
        cost = run(repository.argv("--json", "--deltas", min(options.old, 12), "add-release",
                                   COMPONENT, len(trees), trees[-1]), stdout=file)
    with open(out, encoding="utf-8") as file:
        added = json.load(file)
    return cost, added


def compare(options, trees, source, top):
    """One delta alone, ours and zstd's, from a release."""
    new, old = trees[-1], trees[source - 1]
    tool = os.path.join(options.build, "tests", "bench", "delta_tool")
    for tree in (old, new):
        if not os.path.exists(tree + ".index"):
            run([tool, "index", tree])
    ours, theirs = os.path.join(top, "ours"), os.path.join(top, "theirs")
    tell(f"one delta from {source}")
    mine = run([tool, "make", old, new, ours])
    tell(f"zstd from {source}")
    other = run(["zstd", "-q", "-f", "--ultra", "-22", "--long=31",
                 f"--patch-from={old}/daily.hdb", f"{new}/daily.hdb", "-o", theirs])
    size = os.path.getsize(old + "/daily.hdb")
    return {"from": source, "old_bytes": size,
            "ours": middle([mine]) | {"bytes": os.path.getsize(ours)},
            "zstd": middle([other]) | {"bytes": os.path.getsize(theirs)},
            "wall_ratio": round(mine.wall / other.wall, 3),
            "cpu_ratio": round(mine.cpu / other.cpu, 3),
            "bytes_per_old_byte": round(mine.anon / size, 2)}


def show(figures):
    all_of, added = figures["publish"], figures["deltas"]
    print(f"publishing {figures['bytes']:,} bytes with {len(added)} deltas: "
          f"{all_of['wall_s']:.1f} s, CPU {all_of['cpu_s']:.1f} s, RssAnon "
          f"{mib(all_of['rss_anon'])} MiB (goal at most {mib(GOAL_ALL)})")
    for delta in added:
        print(f"  from {delta['from']:4}  {delta['bytes']:12,} bytes  {delta['ms'] / 1000:8.1f} s  "
              f"{delta['state']}")
    for one in figures["alone"]:
        print(f"  alone, from {one['from']}: {one['ours']['wall_s']:.1f} s, CPU "
              f"{one['ours']['cpu_s']:.1f} s, {one['ours']['bytes']:,} bytes, "
              f"{one['bytes_per_old_byte']:.2f} bytes of memory per old byte (goal at most "
              f"{GOAL_BYTE})")
        print(f"    zstd: {one['zstd']['wall_s']:.1f} s, CPU {one['zstd']['cpu_s']:.1f} s, "
              f"{one['zstd']['bytes']:,} bytes; ours takes {one['wall_ratio']:.2f} of its time, "
              f"{one['cpu_ratio']:.2f} of its CPU (goal at most 1)")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", help="the build folder (default build)")
    parser.add_argument("--scale", type=float, default=1.0, help="of 200 MB")
    parser.add_argument("--old", type=int, default=10, metavar="N", help="how many old releases")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--alone", type=int, default=2, metavar="N",
                        help="releases from which one delta alone is compared: the nearest, the "
                             "farthest, then those between (default 2)")
    parser.add_argument("--work", help="where to work (default: the system's temporary folder)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")
    options = parser.parse_args(argv)
    options.build = os.path.abspath(options.build)
    with tempfile.TemporaryDirectory(prefix="defupd-bench-", dir=options.work) as top:
        figures = {"machine": machine(top)}
        trees = make_releases(options, top)
        figures["bytes"] = os.path.getsize(trees[-1] + "/daily.hdb")
        cost, added = publish(options, trees, top)
        figures["publish"], figures["deltas"] = middle([cost]), added["deltas"]
        sources = [options.old, 1, *range(2, options.old)][:options.alone]
        figures["alone"] = [compare(options, trees, source, top) for source in sources]
    show(figures)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
            file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
