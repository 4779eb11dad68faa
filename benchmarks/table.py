"""
The table of results.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import twisted
from fastpoetry import __version__

# What a cell begins with when a promise is not kept.
BROKEN = "**broken:**"

HEAD = "| fault | tried | plain composition | ours | see it: `--only` |\n" + (
    "| --- | --- | --- | --- | --- |\n"
)


@dataclass
class Row:
    """
    What one fault does.

    @ivar cells: what the plain composition does, and what ours does, by kind.

    @ivar kept: whether ours did what is promised.

    @ivar timed: whether the figures depend on the speed of the machine.
    """

    fault: str
    tried: str
    cells: Mapping[str, str]
    kept: bool = True
    timed: bool = False

    def format(self, group: str) -> str:
        """
        @param group: the name that the command has for the group of faults.

        @return: the row, in Markdown.
        """
        fault = self.fault + (" \\*" if self.timed else "")
        plain, ours = self.cells.get("plain", ""), self.cells.get("ours", "")
        if not self.kept:
            ours = f"{BROKEN} {ours}"
        return f"| {fault} | {self.tried} | {plain} | {ours} | `{group}` |\n"


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


def machine() -> str:
    """
    @return: a sentence about what this runs on, and when.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE") / 2**30
    with open("/proc/cpuinfo") as file:
        models = re.findall(r"(?m)^model name\s*: (.*)$", file.read())
    model = models[0] if models else platform.machine()
    return (
        f"{datetime.date.today()}: {os.cpu_count()} cores ({model}), "
        f"{memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, Twisted {twisted.__version__}, "
        f"fastpoetry {__version__}.\n"
    )


def rewrite(path: Path, name: str, text: str) -> None:
    """
    Replace what stands between two marker comments in a Markdown file.

    @param name: that of the markers: C{<!-- name -->} and C{<!-- /name -->}.

    @raise ValueError: when the file has no such markers.
    """
    head, found, rest = path.read_text().partition(f"<!-- {name} -->\n")
    _, foundEnd, tail = rest.partition(f"<!-- /{name} -->")
    if not (found and foundEnd):
        raise ValueError(f"no markers for {name} in {path}")
    path.write_text(f"{head}{found}\n{text}\n{foundEnd}{tail}")


def existingRows(path: Path) -> dict[str, list[str]]:
    """
    @return: the rows of the table in a Markdown file, by group.
    """
    rows: dict[str, list[str]] = {}
    for line in path.read_text().splitlines(keepends=True):
        found = re.search(r"\| `([\w-]+)` \|$", line)
        if found is not None:
            rows.setdefault(found[1], []).append(line)
    return rows
