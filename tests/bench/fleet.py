#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How evenly a fleet's polls come: a plot of ten thousand simulated hosts.

    tests/bench/fleet.py [BUILD] [FILE]

Runs bench_fleet, which drives the agent's schedule on a virtual clock, for a day of polls every two
hours, and for one with a power cut. Writes FILE (docs/schedule.svg) and prints the extremes; the exit
status is 1 when a five-minute span of the plain day is more than 20 % off the mean.
"""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import svg  # noqa: E402  (beside this file)

BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build")
FILE = sys.argv[2] if len(sys.argv) > 2 else os.path.join(HERE, "..", "..", "docs", "schedule.svg")
HOSTS, INTERVAL, SPAN = 10000, 7200, 300
LEFT, WIDTH, HEIGHT, STEP = 60, 760, 150, 2.3


def simulate(*more):
    out = subprocess.run([os.path.join(BUILD, "tests", "bench", "bench_fleet"), str(HOSTS),
                          str(INTERVAL), *more], stdout=subprocess.PIPE, check=True).stdout
    return [int(line) for line in out.split()]


def text(x, y, words, anchor="start", extra=""):
    return (f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='{svg.INK}' {extra}>"
            f"{words}</text>")


def panel(title, counts, mean, y):
    """Columns of one day below a title; its lines."""
    top = max(max(counts), 1.4 * mean)
    base = y + 22 + HEIGHT
    lines = [text(0, y + 13, title, extra="font-weight='bold'")]
    for i, count in enumerate(counts):
        height = HEIGHT * count / top
        lines.append(f"<rect x='{LEFT + i * STEP:.1f}' y='{base - height:.1f}' width='{STEP - 0.3:.1f}' "
                     f"height='{height:.1f}' fill='{svg.OURS}'/>")
    for value, name in ((mean, "mean"), (1.2 * mean, "+20 %"), (0.8 * mean, "-20 %")):
        at = base - HEIGHT * value / top
        lines.append(f"<line x1='{LEFT}' y1='{at:.1f}' x2='{LEFT + len(counts) * STEP:.1f}' "
                     f"y2='{at:.1f}' stroke='{svg.MARK}' stroke-dasharray='4 3'/>")
        lines.append(text(LEFT - 6, at + 4, f"{value:.0f} {name}" if name == "mean" else name, "end",
                          f"font-size='10' style='fill:{svg.MARK}'"))
    for hour in range(0, 25, 2):
        lines.append(text(LEFT + hour * 3600 / SPAN * STEP, base + 13, f"{hour:02}:00", "middle",
                          "font-size='10'"))
    return lines


def main():
    plain, power = simulate(), simulate("power")
    mean = HOSTS * SPAN / INTERVAL
    height = 2 * (HEIGHT + 60) + 30
    lines = [f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{height}' "
             f"viewBox='0 0 {WIDTH} {height}' {svg.FONT}>",
             "<title>Polls of 10,000 hosts in each five minutes</title>",
             f"<rect width='{WIDTH}' height='{height}' fill='white'/>",
             text(0, 16, "Polls of 10,000 hosts in each five minutes, interval 2 h",
                  extra="font-size='15' font-weight='bold'"),
             *panel("Second day after all were switched on within an hour", plain, mean, 34),
             *panel("The same, with a power cut from 08:00 to 14:00 that ends everywhere at once",
                    power, mean, 34 + HEIGHT + 60), "</svg>", ""]
    with open(FILE, "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    print(f"mean {mean:.1f}, lowest {min(plain)} ({min(plain) / mean - 1:+.1%}), "
          f"highest {max(plain)} ({max(plain) / mean - 1:+.1%})")
    print(f"after a power cut: highest {max(power)}")
    sys.exit(0 if 0.8 * mean <= min(plain) and max(plain) <= 1.2 * mean else 1)


main()
