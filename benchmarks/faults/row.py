"""
The rows of the table of faults.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import line
from sandbox.subject import OURS, PLAIN

# What a cell begins with when a promise is not kept.
BROKEN = "**broken:**"

HEAD = ["fault", "tried", "plain composition", "ours", "group"]


@dataclass
class Row:
    """
    What one fault does.

    @ivar fault: what it is.

    @ivar tried: how often, and where.

    @ivar cells: what the plain composition does, and what ours does, by kind.

    @ivar isKept: whether ours did what is promised.

    @ivar isTimed: whether the figures depend on the speed of the machine.
    """

    fault: str
    tried: str
    cells: Mapping[str, str]
    isKept: bool = True
    isTimed: bool = False

    def format(self, group: str) -> str:
        """
        @param group: the name that the command has for the group of faults.

        @return: the row, in Markdown.
        """
        fault = self.fault + (" \\*" if self.isTimed else "")
        plain, ours = self.cells.get(PLAIN, ""), self.cells.get(OURS, "")
        if not self.isKept:
            ours = f"{BROKEN} {ours}"
        return line([fault, self.tried, plain, ours, f"`{group}`"])


def existingRows(path: Path) -> dict[str, list[str]]:
    """
    @return: the rows of the table in a Markdown file, by group.
    """
    rows: dict[str, list[str]] = {}
    for row in path.read_text().splitlines(keepends=True):
        found = re.search(r"\| `([\w-]+)` \|$", row)
        if found is not None:
            rows.setdefault(found[1], []).append(row)
    return rows


def say(outcomes: Counter[str]) -> str:
    """
    @return: outcomes in words, the most frequent first.
    """
    total = sum(outcomes.values())
    words = {
        "cut": "cut with a clean end",
        "empty": "empty with a clean end",
        "unproven": "whole without proof",
    }
    named = [(words.get(name, name), count) for name, count in outcomes.most_common()]
    if len(named) == 1 and total > 1:
        return f"all {total:,} {named[0][0]}"
    return ", ".join(f"{count:,} {name}" for name, count in named)
