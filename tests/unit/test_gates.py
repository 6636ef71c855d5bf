#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tests/gates.txt names tests for every cell of the table of gates; each exists and runs."""
import os
import re
import sys

SOURCE = os.environ["SOURCE"]
COLUMNS = ["scheduled", "order", "named", "withdrawal"]


def read(*path):
    with open(os.path.join(SOURCE, *path), encoding="utf-8") as file:
        return file.read()


def table():
    """The cells of docs/architecture.md that say something, as (gate, column)."""
    rows = read("docs", "architecture.md").partition("\n| gate | scheduled |")[2].split("\n")[2:]
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        if len(cells) != 1 + len(COLUMNS):
            return
        yield from ((cells[0], column) for column, cell in zip(COLUMNS, cells[1:]) if cell != "-")


def runs(text, name):
    if f"static void {name}(void)\n{{" in text:
        return re.search(rf"(T_RUN|SERVER_RUN)\(.*\b{name}\);", text)
    return re.search(rf"^{name}\(\) {{", text, re.M) and re.search(rf"^t_run {name}$", text, re.M)


def check(number, what, problems):
    for problem in problems:
        print(f"# {problem}")
    print(f"{'not ' if problems else ''}ok {number} - {what}")
    return not problems


def main():
    rows = [[part.strip() for part in line.split("|")]
            for line in read("tests", "gates.txt").splitlines() if not line.startswith("#")]
    named = [tuple(row[:2]) for row in rows]
    cells = list(table())
    wrong = []
    for gate, column, tests in rows:
        if not any(test.strip().startswith("flow/") for test in tests.split(",")):
            wrong.append(f"{gate}, {column}: nothing shows it end to end")
        for test in tests.split(","):
            path, name = test.split()
            if not os.path.exists(os.path.join(SOURCE, "tests", path)):
                wrong.append(f"{gate}, {column}: there is no tests/{path}")
            elif not runs(read("tests", path), name):
                wrong.append(f"{gate}, {column}: tests/{path} has no test {name}")
    good = check(1, "every_cell_of_the_table_has_a_row",
                 [f"{gate}, {column}: no row" for gate, column in cells
                  if (gate, column) not in named] +
                 ([] if len(cells) >= 39 else ["the table is not there"]))
    good = check(2, "no_row_is_of_an_unknown_cell_or_there_twice",
                 [f"{gate}, {column}: no such cell" for gate, column in named
                  if (gate, column) not in cells] +
                 [f"{cell} is there twice" for cell in set(named) if named.count(cell) > 1]) and good
    good = check(3, "every_test_that_is_named_exists_and_runs", wrong) and good
    print("1..3")
    sys.exit(0 if good else 1)


main()
