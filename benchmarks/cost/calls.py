"""
How many system calls a poem costs, under C{strace}.
"""

from __future__ import annotations

import re
import shutil
import time
from collections import Counter
from pathlib import Path

from benchmarks.cost.contenders import (
    BY_NAME,
    FLOOR,
    FLOOR_SAME,
    GO_SAME,
    OURS,
    PLAIN_SAME,
)
from benchmarks.cost.ring import SMALL, Ring
from benchmarks.report import table

NAMES = (FLOOR, FLOOR_SAME, GO_SAME, OURS, PLAIN_SAME)
POEMS = 200

# When nothing has been called for this many seconds, the readers are gone.
CALM = 0.3

# A line of strace -f; a call that was interrupted by another thread has two lines.
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\(", re.MULTILINE)


def count(
    name: str,
    poems: int,
    readers: int = 1,
    size: int = SMALL,
    isUnix: bool = False,
    key: str | None = None,
) -> Counter[str]:
    """
    Count the calls of a contender.

    @param poems: how many it sends meanwhile.

    @param readers: to how many readers at once.

    @param size: of the poem.

    @param isUnix: whether it listens on a UNIX socket, in place of a TCP port.

    @param key: what its certificate is made for when it talks TLS, see L{Ring}.

    @return: how often it made each call.
    """
    with Ring(isUnix=isUnix, key=key) as ring:
        trace = ring.directory / "trace"
        strace = ["strace", "-f", "-qq", "-e", "signal=none", "-s", "0", "-o", trace]
        prefix = [str(word) for word in strace]
        server = ring.start(BY_NAME[name], ring.poem(size), prefix)
        server.waitUntilServing()
        server.load(readers, readers)  # what is done only once
        start = _settled(trace)
        server.load(poems, readers)
        _settled(trace)
        return Counter(_CALL.findall(trace.read_text()[start:]))


def _settled(trace: Path) -> int:
    """
    Wait until nothing more is written.

    @return: the size.
    """
    before, size = -1, 0
    while size != before:
        time.sleep(CALM)
        before, size = size, trace.stat().st_size
    return size


def calls() -> str:
    """
    Count the calls of several servers.

    @return: how many a poem costs, in Markdown.
    """
    if shutil.which("strace") is None:
        return "Missing: strace.\n"
    rows = []
    for name in NAMES:
        if BY_NAME[name].isMissing:
            continue
        found = count(name, POEMS)
        which = ", ".join(
            f"{call} {number / POEMS:.2g}"
            for call, number in found.most_common()
            if number * 100 > POEMS
        )
        rows.append([name, f"{sum(found.values()) / POEMS:.1f}", which])
    return table(["", "calls per poem", "which"], rows)
