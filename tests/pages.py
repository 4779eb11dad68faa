"""
The pages of the documentation, as their tests read them.
"""

from __future__ import annotations

import re
from pathlib import Path

from sandbox import ROOT

# A block of commands, what marks it besides, and what it prints if that is shown.
BLOCK = re.compile(
    r"^```sh run(?: (?P<mark>[^\n]*))?\n(?P<commands>.*?)^```$"
    r"(?:\n\n```text\n(?P<shown>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)

# A cell ends at a bar that nothing quotes.
_CELL = re.compile(r"(?<!\\)\|")


def read(name: str) -> str:
    """
    @param name: of a page, from the top of the project.
    """
    return (ROOT / name).read_text(encoding="utf-8")


def pages() -> list[Path]:
    """
    @return: all pages of the project.
    """
    places = ["*.md", "docs/*.md", "poetry/*.md"]
    return sorted(path for place in places for path in ROOT.glob(place))


def rows(page: str, *columns: str) -> list[list[str]]:
    """
    Read tables of a page.

    @param columns: the heads of the columns that a table must have to be read, no more
        and no less.

    @return: the rows of all such tables.
    """
    found = []
    isWanted = False
    for line in [*page.splitlines(), ""]:
        if not line.startswith("|"):
            isWanted = False
            continue
        cells = [cell.strip() for cell in _CELL.split(line)[1:-1]]
        if cells == list(columns):
            isWanted = True
        elif isWanted and set(line) - set("|- "):
            found.append(cells)
    return found


def matches(shown: str, printed: str) -> bool:
    """
    @return: whether that was printed which the page shows, where C{...} is anything in
        a line, and a line of nothing else is any number of lines.
    """
    lines = []
    for line in shown.splitlines(keepends=True):
        parts = map(re.escape, line.split("..."))
        lines.append("(?:.*\n)*" if line == "...\n" else ".*".join(parts))
    return re.fullmatch("".join(lines), printed) is not None


def codes(text: str) -> list[str]:
    """
    @return: what stands between backquotes, one or several.
    """
    spans = re.findall(r"(?s)(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", text)
    return [code.strip() for _, code in spans]


def anchors(page: str) -> set[str]:
    """
    @return: the names of the headings of a page, by which they are linked to.
    """
    found: set[str] = set()
    for heading in re.findall(r"(?m)^#+ (.*)$", outsideOfCode(page)):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = 0
        while (anchor := f"{name}-{number}" if number else name) in found:
            number += 1
        found.add(anchor)
    return found


def links(page: str) -> list[str]:
    """
    @return: where a page links to, less the addresses of other sites.
    """
    found: list[str] = re.findall(r"\]\(\s*([^)\s]+)\s*\)", outsideOfCode(page))
    return [link for link in found if not re.match(r"\w+:", link)]


def outsideOfCode(page: str) -> str:
    """
    @return: the page without its blocks of code.
    """
    page = re.sub(r"(?ms)^```.*?^```$", "", page)
    return re.sub(r"(?m)^    .*$", "", page)
