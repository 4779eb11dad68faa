"""
Results in Markdown: what the machine is, tables, and the pages that have them.
"""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

import twisted
from fastpoetry import __version__

Row = Sequence[str]


def machine() -> str:
    """
    @return: what this runs on, and the date, without a full stop.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGESIZE") / 2**30
    with open("/proc/cpuinfo") as file:
        models = re.findall(r"(?m)^model name\s*: (.*)$", file.read())
    model = models[0] if models else platform.machine()
    return (
        f"{datetime.date.today()}: {os.cpu_count()} cores ({model}), "
        f"{memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, Twisted {twisted.__version__}, "
        f"fastpoetry {__version__}"
    )


def line(row: Row) -> str:
    """
    @return: one row of a table.
    """
    return f"| {' | '.join(row)} |\n"


def table(head: Row, rows: Sequence[Row] = ()) -> str:
    """
    @param rows: what is below the head; more may follow, see L{line}.

    @return: a table.  Columns of numbers are aligned on the right.
    """
    columns = list(zip(*rows)) or [()] * len(head)
    rule = ["---:" if _areNumbers(column) else "---" for column in columns]
    return "".join(map(line, (head, rule, *rows)))


def _areNumbers(column: Row) -> bool:
    return any(column) and all(not cell or cell[0].isdigit() for cell in column)


def tables(path: Path, name: str) -> list[list[list[str]]]:
    """
    Read the tables that stand between two marker comments, see L{rewrite}.

    @return: of each table the cells of its head, and of its rows.
    """
    _, text, _ = _split(path, name)
    found: list[list[list[str]]] = []
    isTable = False
    for one in text.splitlines():
        if not one.startswith("|"):
            isTable = False
        elif isTable:
            found[-1].append([cell.strip() for cell in one.split("|")[1:-1]])
        else:
            found.append([[cell.strip() for cell in one.split("|")[1:-1]]])
            isTable = True
    return [[head, *rows] for head, _, *rows in found]


def rewrite(path: Path, name: str, text: str) -> None:
    """
    Replace what stands between two marker comments in a Markdown file.

    @param name: that of the markers: C{<!-- name -->} and C{<!-- /name -->}.

    @raise ValueError: when the file has no such markers.
    """
    head, _, tail = _split(path, name)
    path.write_text(f"{head}\n{text}\n{tail}")


def _split(path: Path, name: str) -> tuple[str, str, str]:
    """
    @return: the file up to the first marker and with it, what is between the markers,
        and the rest.
    """
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    head, found, rest = path.read_text().partition(begin)
    text, foundEnd, tail = rest.partition(end)
    if not (found and foundEnd):
        raise ValueError(f"no markers for {name} in {path}")
    return head + begin, text, end + tail
