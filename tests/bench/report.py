#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""docs/performance.md and its plots, from the figures of a run.

    tests/bench/report.py [--check] [DOCS]

Reads DOCS/performance/delta.json, behind.json and publish.json as the scripts beside this one write
them (what is not there is left out), and writes DOCS/performance.md and DOCS/performance/*.svg.
Figures of programs that did not run here stand in known.json, by hand. With --check nothing is
written: it ends with 1 when the page is not what the figures make.
"""
import json
import math
import os
import sys

from publish import GOAL_ALL, GOAL_BYTE
from svg import OURS, PEER, WHOLE, chart

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MEMORY_GOAL = 16 << 20


class Page:
    """Lines of text, and plots beside them."""

    def __init__(self):
        self.lines, self.plots, self.goals = [], {}, []

    def say(self, *lines):
        self.lines += [*lines, ""]

    def table(self, head, rows):
        self.lines += ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
        self.lines += ["| " + " | ".join(row) + " |" for row in rows]
        self.lines.append("")

    def plot(self, name, text, title, panels, **options):
        self.plots[name] = chart(title, panels, **options)
        self.say(f"![{text}](performance/{name})")

    def goal(self, what, wanted, got, met):
        """One line of the first table; `got` says the figure."""
        self.goals.append([what, wanted, got, "met" if met else "**missed**"])


def number(count):
    return f"{count:,}"


def seconds(value):
    return f"{value:.3f}" if value < 10 else f"{value:.1f}"


def mebi(count):
    return f"{count / 1048576:.1f}"


def mean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def worked(result):
    return "bytes" in result and "failed" not in result


def ours_of(pair):
    return next((r for r in pair["results"] if r["tool"] == "defupd" and worked(r)), None)


def color(result):
    return OURS if result["tool"] == "defupd" else WHOLE if result["whole"] else PEER


def tools_of(pairs):
    """Programs that did something, in the order of the run."""
    names = []
    for pair in pairs:
        for result in pair["results"]:
            if worked(result) and result["tool"] not in names:
                names.append(result["tool"])
    return names


# --- sections ---

def sizes(page, pairs, known):
    page.say("## Size", "Bytes that one host transfers. Bold: the smallest.")
    tools = tools_of(pairs)
    rows = []
    for pair in pairs:
        found = {r["tool"]: r for r in pair["results"] if worked(r)}
        least = min((r["bytes"] for r in found.values()), default=0)
        row = [pair["name"]]
        for tool in tools:
            text = number(found[tool]["bytes"]) if tool in found else "-"
            row.append(f"**{text}**" if tool in found and found[tool]["bytes"] == least else text)
        verdict = pair["verdict"]
        row.append(f"{verdict['bytes_ratio']:.3f} of {verdict['best_peer']}"
                   if "bytes_ratio" in verdict else "-")
        rows.append(row)
    page.table(["pair", *tools, "ours / best other"], rows)
    ratios = [p["verdict"]["bytes_ratio"] for p in pairs if "bytes_ratio" in p["verdict"]]
    if ratios:
        worst = max((p for p in pairs if "bytes_ratio" in p["verdict"]),
                    key=lambda p: p["verdict"]["bytes_ratio"])
        page.say(f"Over these {len(ratios)} pairs our deltas are {mean(ratios):.3f} of the best other "
                 f"program's in geometric mean, {max(ratios):.3f} at worst ({worst['name']}). The best "
                 "other is a different one from pair to pair.")
        page.goal("delta size, each pair", "at most 1.00 of the best other",
                  f"{max(ratios):.3f} at worst ({worst['name']})", max(ratios) <= 1.0)
        page.goal("delta size, geometric mean", "at most 0.93 of the best other",
                  f"{mean(ratios):.3f}", mean(ratios) <= 0.93)
    also(page, pairs, known)
    page.plot("size.svg", "size of each program's delta", "Bytes to transfer, logarithmic", [
        {"title": pair["name"],
         "bars": [(r["tool"], r["bytes"], number(r["bytes"]), color(r))
                  for r in sorted(filter(worked, pair["results"]), key=lambda r: r["bytes"])]}
        for pair in pairs], log=True)


def also(page, pairs, known):
    """Programs that did not run here."""
    rows = []
    for fact in known:
        pair = next((p for p in pairs if p["name"] == fact["pair"]), None)
        ours = ours_of(pair) if pair else None
        if ours:
            rows.append([fact["pair"], fact["tool"], number(fact["bytes"]),
                         number(ours["bytes"]), f"{ours['bytes'] / fact['bytes']:.3f}"])
    if rows:
        page.say("Not packaged by Debian, and so not in this run; figures from an earlier one, over "
                 "tars made a little differently:")
        page.table(["pair", "program", "bytes", "ours", "ours / it"], rows)


def applying(page, pairs):
    page.say("## Applying",
             "Whole processes, warm cache, medians. *CPU* is user and system time together: on a "
             "busy machine it is the steadier figure. Ours verifies the object, reads what is "
             "needed of the old tree, writes what is new, links the rest, compares the digest of "
             "the whole new tree, and syncs. The others write one file (of a tree: its tar, which "
             "would still have to be taken apart; casync, ostree and zchunk their own ways) and do "
             "not sync; *+ digest* adds the SHA-256 of what they wrote, with our own code; *ready* "
             "also taking the tar apart.")
    rows, panels = [], []
    for pair in pairs:
        done = [r for r in pair["results"] if worked(r) and "apply" in r]
        for r in done:
            rows.append([pair["name"], r["tool"], seconds(r["apply"]["wall_s"]),
                         seconds(r["apply"]["cpu_s"]), seconds(r["apply_proven_s"]),
                         seconds(r["apply_proven_cpu_s"]), seconds(r["apply_ready_s"]),
                         f"{r['apply_bytes_per_s'] / 1e6:,.0f}", mebi(r["apply"]["rss_anon"])])
        bounds = pair["bounds"]
        rows.append([pair["name"], "*read, hash, write, sync*", seconds(bounds["rewrite"]["wall_s"]),
                     seconds(bounds["rewrite"]["cpu_s"]), "", "", "", "",
                     mebi(bounds["rewrite"]["rss_anon"])])
        rows.append([pair["name"], "*cp -al*", seconds(bounds["cp_al"]["wall_s"]),
                     seconds(bounds["cp_al"]["cpu_s"]), "", "", "", "", ""])
        panels.append({"title": pair["name"], "bars": [
            (r["tool"], r["apply_proven_cpu_s"], f"{r['apply_proven_cpu_s']:.3f} s", color(r))
            for r in sorted(done, key=lambda r: r["apply_proven_cpu_s"])]})
    page.table(["pair", "program", "s", "CPU s", "+ digest s", "+ digest CPU s", "ready s",
                "MB/s of new tree", "RssAnon MiB"], rows)
    page.plot("apply.svg", "CPU time to apply and prove", "CPU seconds to apply and prove", panels)
    goals_of_applying(page, pairs)


def goals_of_applying(page, pairs):
    slow, over = [], []
    for pair in pairs:
        verdict = pair["verdict"]
        if "of_bound" not in verdict:
            continue
        over.append((verdict["of_bound"], pair["name"]))
        if "apply_ratio" in verdict:
            slow.append((verdict["apply_ratio"], pair["name"], verdict["fastest_peer"]))
        if "of_cp_al" in verdict:
            page.goal(f"many files ({pair['name']})", "at most twice cp -al",
                      f"{verdict['of_cp_al']:.2f} of it", verdict["of_cp_al"] <= 2.0)
    if over:
        worst = max(over)
        page.goal("apply, prove, sync", "at least 0.8 of read, hash, write, sync of the changed "
                  "files (and links at twice cp -al)",
                  f"at worst {worst[0]:.2f} of the time allowed ({worst[1]})", worst[0] <= 1.0)
    if slow:
        worst = max(slow)
        page.goal("apply against others with the digest added", "at most 1.00 of the fastest",
                  f"at worst {worst[0]:.2f} of {worst[2]} ({worst[1]})", worst[0] <= 1.0)
    most = max(((ours_of(p)["apply"]["rss_anon"], p["name"]) for p in pairs if ours_of(p)),
               default=None)
    if most:
        page.goal("memory while applying", "RssAnon at most 16 MiB, whole process",
                  f"{mebi(most[0])} MiB at most ({most[1]})", most[0] <= MEMORY_GOAL)


def making(page, pairs):
    page.say("## Making", "Once a release, on the publisher's machine; one thread of ours.")
    rows = []
    for pair in pairs:
        for r in filter(worked, pair["results"]):
            made = r["create"]
            rows.append([pair["name"], r["tool"], seconds(made["wall_s"]), seconds(made["cpu_s"]),
                         mebi(made["rss_anon"])])
    page.table(["pair", "program", "s", "CPU s", "RssAnon MiB"], rows)


def behind(page, hosts):
    page.say("## A host 30 releases behind",
             "Daily releases between two trees; a host that has the oldest updates to the newest, "
             "the real client over HTTP, everything that passes counted (headers too).")
    page.table(["releases", "objects", "requests", "object bytes", "direct delta", "ratio",
                "metadata bytes"],
               [[h["name"], str(h["objects"]), str(h["requests"]), number(h["object_bytes"]),
                 number(h["direct_bytes"]), f"{h['ratio']:.3f}", number(h["metadata_bytes"])]
                for h in hosts])
    page.goal("30 releases behind: objects", "at most 2", str(max(h["objects"] for h in hosts)),
              all(h["objects"] <= 2 for h in hosts))
    page.goal("30 releases behind: requests", "at most 7", str(max(h["requests"] for h in hosts)),
              all(h["requests"] <= 7 for h in hosts))
    worst = max(h["ratio"] for h in hosts)
    page.goal("30 releases behind: object bytes", "at most 1.1 of the direct delta",
              f"{worst:.3f} at worst", worst <= 1.1)
    most = max(h["metadata_bytes"] for h in hosts)
    page.goal("30 releases behind: metadata", "at most 20 KB", f"{number(most)} bytes at most",
              most <= 20480)


def publishing(page, figures):
    cost, deltas = figures["publish"], figures["deltas"]
    page.say("## Publishing 200 MB",
             f"A hash list of {number(figures['bytes'])} bytes, {len(deltas)} old releases, 1 % of "
             f"churn from each to the next: `add-release` took {seconds(cost['wall_s'])} s (CPU "
             f"{seconds(cost['cpu_s'])} s) with all its deltas, made in parallel and each proven by "
             f"applying it, and {mebi(cost['rss_anon'])} MiB of memory.")
    page.table(["delta from", "bytes", "s, beside others", "result"],
               [[str(d["from"]), number(d["bytes"]), f"{d['ms'] / 1000:.1f}", d["state"]]
                for d in deltas])
    page.say("One delta alone, and zstd --ultra -22 --long=31 --patch-from between the same releases:")
    page.table(["from", "ours s", "CPU s", "bytes", "bytes of memory per old byte", "zstd s",
                "CPU s", "bytes", "time ours / zstd"],
               [[str(a["from"]), seconds(a["ours"]["wall_s"]), seconds(a["ours"]["cpu_s"]),
                 number(a["ours"]["bytes"]), f"{a['bytes_per_old_byte']:.2f}",
                 seconds(a["zstd"]["wall_s"]), seconds(a["zstd"]["cpu_s"]),
                 number(a["zstd"]["bytes"]), f"{a['wall_ratio']:.2f} (CPU {a['cpu_ratio']:.2f})"]
                for a in figures["alone"]])
    slow = max(a["cpu_ratio"] for a in figures["alone"])
    page.goal("publishing 200 MB, time of a delta", "at most that of zstd -22 --patch-from",
              f"{slow:.2f} of its CPU at worst", slow <= 1.0)
    most = max(a["bytes_per_old_byte"] for a in figures["alone"])
    page.goal("publishing 200 MB, memory of a delta", f"at most {GOAL_BYTE} bytes per old byte",
              f"{most:.2f}", most <= GOAL_BYTE)
    page.goal("publishing 200 MB, memory of all jobs", "at most 4 GiB",
              f"{mebi(cost['rss_anon'])} MiB", cost["rss_anon"] <= GOAL_ALL)


def conditions(page, figures):
    run = figures["machine"]
    page.say("## How it was measured",
             f"{run['date']}, {run['system']}, kernel {run['kernel']}, {run['cpu']}, {run['cores']} "
             f"cores, {mebi(run['memory'])} MiB; work on {run['file_system']}; load {run['load']} "
             f"at the start. Sizes are exact and repeatable. Times only count as ratios within one "
             f"run; applying is done {figures['repeat']} times, in rounds over all programs.")
    page.table(["pair", "what", "files", "bytes", "new or changed files", "bytes of these"],
               [[p["name"], p["about"], number(p["new"]["files"]), number(p["new"]["bytes"]),
                 number(p["changed"]["files"]), number(p["changed"]["bytes"])]
                for p in figures["pairs"]])
    seen, rows = set(), []
    for pair in figures["pairs"]:
        for r in pair["results"]:
            if r["tool"] not in seen and "absent" not in r:
                seen.add(r["tool"])
                rows.append([r["tool"], r.get("version", ""), r["how"]])
    page.table(["program", "version", "how"], rows)
    left = [[p["name"], r["tool"], r.get("unfit") or r.get("failed")] for p in figures["pairs"]
            for r in p["results"] if "unfit" in r or "failed" in r]
    if left:
        page.say("Left out:")
        page.table(["pair", "program", "why"], left)
    page.say("Programs for one file get the one file of a tree, else its tar, sorted, without times "
             "and owners. What comes out is compared with the new release each time. RssAnon is "
             "sampled every 2 ms, the highest of all runs.")


COMMANDS = """Again, on your own machine and pairs:

    tests/tools/install-packages base bench
    meson setup build && ninja -C build
    tests/bench/delta.py --json docs/performance/delta.json [NAME OLD NEW]...
    tests/bench/behind.py --json docs/performance/behind.json [NAME OLD NEW]...
    tests/bench/publish.py --json docs/performance/publish.json
    tests/bench/report.py"""


def build(docs):
    """The page and its plots, as text."""
    figures = {}
    for name in ("delta", "behind", "publish", "known"):
        path = os.path.join(docs, "performance", name + ".json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                figures[name] = json.load(file)
    page = Page()
    if "delta" in figures:
        pairs = figures["delta"]["pairs"]
        sizes(page, pairs, figures.get("known", []))
        applying(page, pairs)
        making(page, pairs)
    if "behind" in figures:
        behind(page, figures["behind"]["hosts"])
    if "publish" in figures:
        publishing(page, figures["publish"])
    if "delta" in figures:
        conditions(page, figures["delta"])
    page.say(COMMANDS)
    head = ["<!-- Made by tests/bench/report.py from the figures in performance/: do not edit. -->",
            "# Performance", "",
            "What an update costs, beside every other way that Debian packages, and beside what we "
            "set out to reach.", ""]
    body, page.lines = page.lines, head
    if page.goals:
        page.table(["what", "goal", "this run", ""], page.goals)
    return "\n".join(page.lines + body).rstrip() + "\n", page.plots


def main(argv):
    check = "--check" in argv
    words = [word for word in argv if word != "--check"]
    docs = os.path.abspath(words[0] if words else os.path.join(TOP, "docs"))
    text, plots = build(docs)
    files = {os.path.join(docs, "performance.md"): text}
    files |= {os.path.join(docs, "performance", name): plot for name, plot in plots.items()}
    stale = []
    for path, content in files.items():
        if check:
            with open(path, encoding="utf-8") as file:
                if file.read() != content:
                    stale.append(path)
        else:
            with open(path, "w", encoding="utf-8") as file:
                file.write(content)
    for path in stale:
        print(f"{path} is not what the figures make: run tests/bench/report.py", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
