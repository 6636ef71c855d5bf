#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The scripts of tests/bench run, on pairs so small that their figures mean nothing."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

BENCH = os.path.join(os.environ["SOURCE"], "tests", "bench")
BUILD = os.environ["BUILD"]
number = failed = 0


def check(wanted, what):
    if not wanted:
        raise AssertionError(what)


def script(name, top, *words):
    """Run one; its figures."""
    out = os.path.join(top, "figures.json")
    done = subprocess.run([sys.executable, os.path.join(BENCH, name), "--build", BUILD, "--work", top,
                           "--json", out, *words], stdout=subprocess.PIPE, check=False,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    check(done.returncode == 0, done.stdout.decode(errors="replace"))
    with open(out, encoding="utf-8") as file:
        return json.load(file)


def every_program_that_is_here_brings_a_tree_and_a_list_to_their_next_release(top):
    wanted = ["rules", "db"] if "DEFUPD_LONG" in os.environ else ["rules"]
    figures = script("delta.py", top, "--synthetic", ",".join(wanted), "--scale", "0.001", "--repeat", "1")
    names = [pair["name"] for pair in figures["pairs"]]
    check(names == wanted, names)
    for pair in figures["pairs"]:
        check(pair["changed"]["bytes"] > 0 and pair["bounds"]["rewrite"]["runs"] == 1, pair["name"])
        done = 0
        for result in pair["results"]:
            check("failed" not in result, f"{pair['name']}: {result}")
            if "absent" in result or "unfit" in result:
                continue
            check(result["bytes"] > 0 and result["create"]["wall_s"] > 0, result["tool"])
            done += 1
        check(done > 0, "no program is here")


def a_pair_can_be_two_files(top):
    for name, text in (("a", "one\ntwo\n" * 500), ("b", "one\ntwo\n" * 500 + "three\n")):
        with open(os.path.join(top, name), "w", encoding="ascii") as file:
            file.write(text)
    figures = script("delta.py", top, "--repeat", "1", "--peers", "full,rdiff", "files",
                     os.path.join(top, "a"), os.path.join(top, "b"))
    check(figures["pairs"][0]["new"] == {"files": 1, "bytes": 4006}, figures["pairs"][0]["new"])


def releases_in_between_are_published_and_a_host_that_missed_them_is_counted(top):
    for name in ("old", "new"):
        os.makedirs(os.path.join(top, name, "sub"))
        for path, text in (("same", "s"), ("sub/changed", name), ("only " + name, name)):
            with open(os.path.join(top, name, path), "w", encoding="ascii") as file:
                file.write(text * 2000)
    figures = script("behind.py", top, "--releases", "4", "files", os.path.join(top, "old"),
                     os.path.join(top, "new"))
    host = figures["hosts"][0]
    check(host["objects"] > 0 and host["object_bytes"] > 0 and host["direct_bytes"] > 0, host)
    check(host["requests"] == len(host["metadata"]) + host["objects"], host)
    check(host["metadata_bytes"] > 1000, host)


def publishing_says_what_each_delta_took(top):
    figures = script("publish.py", top, "--scale", "0.0005", "--old", "2", "--alone", "1")
    check([delta["from"] for delta in figures["deltas"]] == [2, 1], figures)
    check(figures["publish"]["wall_s"] > 0 and figures["publish"]["rss_anon"] > 0, figures)
    check(figures["alone"][0]["ours"]["bytes"] > 0, figures)


def a_relay_stands_beside_nginx_and_serves_many_agents(top):
    rounds = 1 if shutil.which("wrk") and shutil.which("nginx") else 0
    figures = script("relay.py", top, "--rounds", str(rounds), "--seconds", "1", "--large", "300000",
                     "--agents", "20", "--threads", "4")
    check(figures["agents"]["failed"] == 0 and len(figures["agents"]["rss_anon"]) == 21, figures)
    check(len(figures.get("compared", [])) == 5 * rounds, figures)
    for scene in figures.get("compared", []):
        check(scene["relay"] > 0 and scene["nginx"] > 0 and scene["ratio"] > 0, scene)


def t_run(test):
    global number, failed
    number += 1
    with tempfile.TemporaryDirectory(prefix="defupd-test-") as top:
        try:
            test(top)
            print(f"ok {number} - {test.__name__}", flush=True)
        except AssertionError as error:
            failed += 1
            print("\n".join("# " + line for line in str(error).splitlines()[-40:]))
            print(f"not ok {number} - {test.__name__}", flush=True)


for each in (every_program_that_is_here_brings_a_tree_and_a_list_to_their_next_release,
             a_pair_can_be_two_files,
             releases_in_between_are_published_and_a_host_that_missed_them_is_counted,
             publishing_says_what_each_delta_took,
             a_relay_stands_beside_nginx_and_serves_many_agents):
    t_run(each)
print(f"1..{number}")
sys.exit(failed > 0)
