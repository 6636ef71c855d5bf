# SPDX-License-Identifier: Apache-2.0
"""What the tests of this folder share: the public headers as data, a compiler, TAP."""
import glob
import os
import re
import subprocess
import sys

TOP = os.environ["SOURCE"]
BUILD = os.environ["BUILD"]
CC = os.environ["CC"].split()
INCLUDE = os.path.join(TOP, "libdefupd", "include")
HEADERS = sorted(glob.glob(os.path.join(INCLUDE, "defupd", "*.h")))

FUNCTION = re.compile(r"(?P<doc>/\*\*(?:(?!\*/).)*\*/\s*)?(?P<text>DEFUPD_API\b[^;]*?"
                      r"\b(?P<name>defupd_\w+)\s*\([^;]*\));", re.DOTALL)


def text_of(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


class Function:
    def __init__(self, header, match):
        self.header = os.path.basename(header)
        self.name = match.group("name")
        self.doc = match.group("doc") or ""
        self.declaration = " ".join(match.group("text").split())


def functions():
    """Every function that a public header marks DEFUPD_API."""
    found = []
    for header in HEADERS:
        text = text_of(header)
        if os.path.basename(header) == "visibility.h":
            continue
        matches = [Function(header, m) for m in FUNCTION.finditer(text)]
        marks = len(re.findall(r"\bDEFUPD_API\b", text))
        if marks != len(matches):
            print("# %s: %d marks, %d functions understood" % (header, marks, len(matches)))
            sys.exit(1)
        found += matches
    return found


def compile_text(text, *arguments, language="c"):
    """Compiles `text` without linking; what the compiler said, "" when it was content."""
    command = CC + ["-x", language, "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-pedantic",
                    "-I", INCLUDE, *arguments, "-"]
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True, check=False)
    return done.stdout if done.returncode != 0 or done.stdout else ""


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, universal_newlines=True,
                          check=True).stdout


def main(tests):
    """Each test yields what is wrong, or Skip(why)."""
    print("1..%d" % len(tests))
    failed = 0
    for number, test in enumerate(tests, 1):
        findings = list(test())
        skips = [f for f in findings if isinstance(f, Skip)]
        findings = [f for f in findings if not isinstance(f, Skip)]
        for finding in findings:
            for line in str(finding).rstrip().split("\n"):
                print("# " + line)
        print("%sok %d - %s%s" % ("not " if findings else "", number, test.__name__,
                                  " # SKIP %s" % skips[0] if skips and not findings else ""))
        failed += bool(findings)
    sys.exit(failed != 0)


class Skip(str):
    pass
