"""
The plots of F{docs/performance.md}, drawn from the tables of that page.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks.cost.contenders import (
    FLOOR_LOW,
    FLOOR_SAME,
    GO_LOW,
    GO_SAME,
    NGINX,
    OURS,
    PLAIN_SAME,
)
from benchmarks.report import tables

BARS, LINES = "performance.svg", "performance-sizes.svg"

USER, SYSTEM, DARK, PALE = "#4477aa", "#99bbdd", "#222222", "#dddddd"

# How the line of each server is drawn.
LINES_OF = {
    FLOOR_SAME: 'stroke="#777777"',
    FLOOR_LOW: 'stroke="#777777" stroke-dasharray="5 4"',
    GO_SAME: 'stroke="#228833"',
    GO_LOW: 'stroke="#228833" stroke-dasharray="5 4"',
    NGINX: 'stroke="#aa3377"',
    PLAIN_SAME: f'stroke="{USER}"',
    OURS: 'stroke="#cc3311"',
}


class Drawing:
    """
    A picture in SVG, whose unit is a pixel.
    """

    def __init__(self, width: int, height: int) -> None:
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" font-family="sans-serif" '
            f'font-size="13" fill="{DARK}">'
        ]
        self.rectangle(0, 0, width, height, "#ffffff")

    def rectangle(
        self, x: float, y: float, width: float, height: float, fill: str
    ) -> None:
        """
        Draw a rectangle.

        @param x, y: its upper left corner.
        """
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" fill="{fill}"/>'
        )

    def line(self, points: Sequence[tuple[float, float]], style: str) -> None:
        """
        Draw a line through points.

        @param style: its attributes.
        """
        text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polyline points="{text}" fill="none" {style}/>')

    def text(
        self, x: float, y: float, text: str, anchor: str = "start", isBold: bool = False
    ) -> None:
        """
        Write a text.

        @param x, y: where it begins, or has its C{"middle"} or its C{"end"}, as
            C{anchor} says; halfway up.
        """
        weight = ' font-weight="bold"' if isBold else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y + 4:.1f}" text-anchor="{anchor}"{weight}>'
            f"{escape(text)}</text>"
        )

    def save(self, path: Path) -> None:
        """
        Write it into a file.
        """
        path.write_text("\n".join([*self._parts, "</svg>\n"]), encoding="utf-8")


def _numbers(cell: str) -> list[float]:
    """
    @return: the numbers of a cell: of C{"8.5 (8.2 to 10.4)"} the three.
    """
    words = cell.replace("(", "").replace(")", "").replace(",", "").split()
    return [float(word.rstrip("%")) for word in words if word != "to"]


def bars(rows: Sequence[Sequence[str]], path: Path) -> None:
    """
    Draw the cost of a poem at each server: the median as a bar, user and system apart,
    and the range of the rounds as a line.

    @param rows: the table, with its head.
    """
    head, *rest = rows
    costs = [_numbers(row[head.index("µs per poem")]) for row in rest]
    users = [_numbers(row[head.index("user")])[0] / 100 for row in rest]
    left, top, step, width = 190, 40, 24, 500
    scale = width / max(most for _, _, most in costs)
    bottom = top + step * len(rest)
    drawing = Drawing(left + width + 70, bottom + 50)
    for number, (fill, name) in enumerate(((USER, "user"), (SYSTEM, "system"))):
        drawing.rectangle(left + 90 * number, 12, 14, 14, fill)
        drawing.text(left + 90 * number + 20, 19, name)
    drawing.line([(left + 180, 19), (left + 206, 19)], f'stroke="{DARK}"')
    drawing.text(left + 212, 19, "from the lowest to the highest round")
    for tick in range(0, int(width / scale) + 1, 10):
        x = left + tick * scale
        drawing.line([(x, top), (x, bottom)], f'stroke="{PALE}"')
        drawing.text(x, bottom + 12, str(tick), "middle")
    drawing.text(
        left + width / 2, bottom + 34, "processor time per poem, microseconds", "middle"
    )
    for number, (row, (middle, least, most), user) in enumerate(
        zip(rest, costs, users)
    ):
        y = top + step * number + step / 2
        name = row[0].strip("*")
        drawing.text(left - 8, y, name, "end", isBold=name == OURS)
        share = middle * user * scale
        drawing.rectangle(left, y - 8, share, 16, USER)
        drawing.rectangle(left + share, y - 8, middle * scale - share, 16, SYSTEM)
        ends = [(left + least * scale, y), (left + most * scale, y)]
        drawing.line(ends, f'stroke="{DARK}"')
        text = f"{middle:.1f}"
        drawing.text(left + most * scale + 8, y, text, isBold=name == OURS)
    drawing.save(path)


def lines(rows: Sequence[Sequence[str]], path: Path) -> None:
    """
    Draw the cost of a poem by its size, a line for each server; both axes are
    logarithmic.

    @param rows: the table, with its head.
    """
    head, *rest = rows
    names = [name for name in LINES_OF if name in head]
    sizes = [_numbers(row[0])[0] for row in rest]
    costs = {name: [_numbers(row[head.index(name)]) for row in rest] for name in names}
    known = [cost[0] for own in costs.values() for cost in own if cost]
    left, top, width, height = 70, 30, 470, 380
    ticks = _ticks(min(known), max(known))

    def across(size: float) -> float:
        return left + width * math.log(size / sizes[0]) / math.log(sizes[-1] / sizes[0])

    def up(cost: float) -> float:
        share = math.log(cost / ticks[0]) / math.log(ticks[-1] / ticks[0])
        return top + height * (1 - share)

    drawing = Drawing(left + width + 240, top + height + 60)
    for tick in ticks:
        ends = [(left, up(tick)), (left + width, up(tick))]
        drawing.line(ends, f'stroke="{PALE}"')
        drawing.text(left - 8, up(tick), f"{tick:,.0f}", "end")
    for size in sizes:
        x = across(size)
        drawing.line([(x, top), (x, top + height)], f'stroke="{PALE}"')
        drawing.text(x, top + height + 14, f"{size:,.0f}", "middle")
    bottom = top + height + 40
    drawing.text(left + width / 2, bottom, "bytes of the poem", "middle")
    drawing.text(8, 10, "processor time per poem, microseconds")
    # Whoever is highest at the right is first in the legend.
    names.sort(key=lambda name: costs[name][-1][:1] or [0.0], reverse=True)
    for number, name in enumerate(names):
        points = [
            (across(size), up(cost[0]))
            for size, cost in zip(sizes, costs[name])
            if cost
        ]
        style = f'stroke-width="{3 if name == OURS else 1.5}" {LINES_OF[name]}'
        drawing.line(points, style)
        y = top + 20 + 26 * number
        drawing.line([(left + width + 20, y), (left + width + 50, y)], style)
        drawing.text(left + width + 58, y, name, isBold=name == OURS)
    drawing.save(path)


def _ticks(least: float, most: float) -> list[float]:
    """
    @return: 1, 2 or 5 times a power of ten each, from below the least to above the
        most.
    """
    steps = [factor * 10.0**power for power in range(7) for factor in (1, 2, 5)]
    below = max(step for step in steps if step <= least)
    above = min(step for step in steps if step >= most)
    return [step for step in steps if below <= step <= above]


def plot(page: Path, directory: Path) -> None:
    """
    Draw both plots of a page.

    @param page: which has the tables.

    @param directory: where the plots are written.
    """
    bars(tables(page, "compare")[0], directory / BARS)
    lines(tables(page, "sizes")[0], directory / LINES)
