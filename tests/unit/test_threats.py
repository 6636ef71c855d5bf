#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""docs/threats.md names the test that shows each answer: every one of them exists and runs."""
import os
import re
import sys

SOURCE = os.environ["SOURCE"]
TEST = re.compile(r"`(tests/[\w./]+)`: ((?:`\w+`(?:, )?)+)")


def rows():
    """Cells of each row of the table whose last column says what shows it."""
    with open(os.path.join(SOURCE, "docs", "threats.md"), encoding="utf-8") as file:
        lines = file.read().splitlines()
    start = lines.index("| attack | answer | shown by |")
    for line in lines[start + 2:]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def runs(path, name):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as file:
        text = file.read()
    if path.endswith(".c"):
        return f"static void {name}(void)\n{{" in text and f"T_RUN({name});" in text
    return re.search(rf"^{name}\(\) {{", text, re.M) and \
        re.search(rf"^(t_run|for test in|   ) ?.*\b{name}\b", text, re.M)


def check(number, what, problems):
    for problem in problems:
        print(f"# {problem}")
    print(f"{'not ' if problems else ''}ok {number} - {what}")
    return not problems


def main():
    table = list(rows())
    empty, missing, named = [], [], 0
    for cells in table:
        found = TEST.findall(cells[2]) if len(cells) == 3 else []
        if not found or not cells[0] or not cells[1]:
            empty.append(f"no answer or no test: {cells}")
        for path, names in found:
            for name in re.findall(r"\w+", names):
                named += 1
                if not os.path.exists(os.path.join(SOURCE, path)) or not runs(path, name):
                    missing.append(f"{path} has no test {name}")
    attacks = [cells[0] for cells in table]
    twice = sorted({attack for attack in attacks if attacks.count(attack) > 1})
    good = check(1, "every_attack_has_an_answer_and_a_test",
                 empty + ([] if len(table) > 30 else ["the table is not there"]))
    good = check(2, "every_test_that_is_named_exists_and_runs",
                 missing + ([] if named >= len(table) else ["fewer tests than attacks"])) and good
    good = check(3, "no_attack_stands_there_twice", twice) and good
    print("1..3")
    sys.exit(0 if good else 1)


main()
