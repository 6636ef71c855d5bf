#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tests/codes.txt names a test for every code; each exists, runs and speaks of its code."""
import os
import re
import sys

SOURCE = os.environ["SOURCE"]
CODE = re.compile(r"^DU_CODE\((\w+), (-\d+),", re.M)


def read(*path):
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as file:
        return file.read()


def rows():
    for line in read("tests", "codes.txt").splitlines():
        if not line.startswith("#"):
            yield line.split(None, 2)


def runs(text, name):
    if f"static void {name}(void)\n{{" in text:
        return re.search(rf"(T_RUN|SERVER_RUN)\(.*\b{name}\);", text)
    return re.search(rf"^{name}\(\) {{", text, re.M) and \
        re.search(rf"^(t_run|for test in|   ) ?.*\b{name}\b", text, re.M)


def speaks_of(path, text, code):
    return re.search(rf"\bDEFUPD_E_{code}\b" if path.endswith(".c") else rf"(?<![A-Z_]){code}(?![A-Z_])", text)


def check(number, what, problems):
    for problem in problems:
        print(f"# {problem}")
    print(f"{'not ' if problems else ''}ok {number} - {what}")
    return not problems


def main():
    codes = [match.group(1) for match in CODE.finditer(read("libdefupd", "base", "codes.def"))]
    table = list(rows())
    named = [row[0] for row in table]
    wrong = []
    for code, path, rest in table:
        if path == "later:":
            continue
        if not os.path.exists(os.path.join(SOURCE, "tests", path)):
            wrong.append(f"{code}: there is no tests/{path}")
            continue
        text = read("tests", path)
        if not runs(text, rest):
            wrong.append(f"{code}: tests/{path} has no test {rest}")
        if not speaks_of(path, text, code):
            wrong.append(f"{code}: tests/{path} does not speak of it")
    good = check(1, "every_code_has_a_test_or_a_reason_why_not",
                 [f"{code} has no row" for code in codes if code not in named] +
                 ([] if len(codes) > 80 else ["the table of codes is not there"]))
    good = check(2, "no_row_is_of_an_unknown_code_or_there_twice",
                 [f"{name} is no code" for name in named if name not in codes] +
                 [f"{name} is there twice" for name in set(named) if named.count(name) > 1]) and good
    good = check(3, "every_test_that_is_named_exists_runs_and_speaks_of_its_code", wrong) and good
    print("1..3")
    sys.exit(0 if good else 1)


main()
