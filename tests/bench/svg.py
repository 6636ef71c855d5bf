# SPDX-License-Identifier: Apache-2.0
"""Bar charts as SVG, with nothing but text. For report.py."""
import math
from xml.sax.saxutils import escape

OURS, PEER, WHOLE, MARK, INK, FAINT = "#1f6f5c", "#9db4c0", "#d9cbb2", "#b3422e", "#222", "#ddd"
FONT = "font-family='sans-serif' font-size='12'"
LEFT, RIGHT, ROW, BAR, WIDTH = 110, 90, 20, 14, 760


def _text(x, y, text, anchor="start", extra=""):
    return (f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='{INK}' {extra}>"
            f"{escape(text)}</text>")


class Axis:
    """Where a value stands between LEFT and WIDTH - RIGHT."""

    def __init__(self, values, log):
        values = [value for value in values if value > 0] or [1.0]
        self.log, span = log, WIDTH - LEFT - RIGHT
        if log:
            low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
            high = max(high, low + 1)
            self.ticks = [10.0 ** power for power in range(low, high + 1)]
            self.at = lambda v: LEFT + span * (math.log10(max(v, 10.0 ** low)) - low) / (high - low)
        else:
            step = 10.0 ** math.floor(math.log10(max(values)))
            while max(values) / step < 4:
                step /= 2
            top = math.ceil(max(values) / step)
            self.ticks = [step * i for i in range(top + 1)]
            self.at = lambda v: LEFT + span * v / (step * top)


def _panel(panel, y, log, unit):
    """One group of bars; its lines, and where the next begins."""
    axis = Axis([value for _, value, _, _ in panel["bars"]] +
                [value for _, value in panel.get("marks", [])], log)
    lines = [_text(0, y + 13, panel["title"], extra="font-weight='bold'")]
    y += 22
    bottom = y + ROW * len(panel["bars"])
    for tick in axis.ticks:
        x = axis.at(tick)
        lines.append(f"<line x1='{x:.1f}' y1='{y}' x2='{x:.1f}' y2='{bottom}' stroke='{FAINT}'/>")
        lines.append(_text(x, bottom + 13, f"{tick:,.10g}{unit}", "middle", "font-size='10'"))
    for row, (name, value, label, color) in enumerate(panel["bars"]):
        top = y + row * ROW + (ROW - BAR) / 2
        x = axis.at(value)
        lines.append(_text(LEFT - 6, top + BAR - 3, name, "end"))
        lines.append(f"<rect x='{LEFT}' y='{top:.1f}' width='{max(1.0, x - LEFT):.1f}' "
                     f"height='{BAR}' fill='{color}'/>")
        lines.append(_text(x + 5, top + BAR - 3, label))
    for name, value in panel.get("marks", []):
        x = axis.at(value)
        lines.append(f"<line x1='{x:.1f}' y1='{y - 3}' x2='{x:.1f}' y2='{bottom}' stroke='{MARK}' "
                     f"stroke-dasharray='4 3'/>")
        lines.append(_text(x, y - 5, name, "middle", f"font-size='10' style='fill:{MARK}'"))
    return lines, bottom + 30


def chart(title, panels, log=False, unit=""):
    """panels: {"title", "bars": [(name, value, label, color)], "marks": [(name, value)]}."""
    lines, y = [_text(0, 16, title, extra="font-size='15' font-weight='bold'")], 34
    for panel in panels:
        if panel["bars"]:
            more, y = _panel(panel, y, log, unit)
            lines += more
    return "\n".join([f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{y}' "
                      f"viewBox='0 0 {WIDTH} {y}' {FONT}>",
                      f"<title>{escape(title)}</title>",
                      f"<rect width='{WIDTH}' height='{y}' fill='white'/>", *lines, "</svg>", ""])
