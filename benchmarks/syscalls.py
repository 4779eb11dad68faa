"""
How many system calls a poem costs.

    python -m benchmarks.syscalls [NAME ...]

Under C{strace}, with the readers one after the other: what a server saves by doing
several readers at once is not in these numbers, and neither is what else the machine
does.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.contenders import BY_NAME, FLOOR, FLOOR_SAME, OURS, PLAIN_SAME
from benchmarks.contest import SMALL, Ring

# When nothing has been called for so many seconds, the readers are gone.
CALM = 0.3

# A line of strace -f; a call that was interrupted by another thread has two lines.
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\(", re.MULTILINE)


def count(
    name: str,
    poems: int = 200,
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


def main(arguments: list[str]) -> int:
    """
    Count, and print a table.

    @return: 1 where there is no C{strace}, and 0 otherwise.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.syscalls", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--poems", type=int, default=200)
    parser.add_argument("--readers", type=int, default=1, help="so many at once")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BY_NAME))
    options = parser.parse_args(arguments)
    if shutil.which("strace") is None:
        print("strace is not there", file=sys.stderr)
        return 1
    names = options.names or [OURS, FLOOR, FLOOR_SAME, PLAIN_SAME]
    print("| | calls per poem | which |\n| --- | ---: | --- |")
    for name in names:
        calls = count(name, options.poems, options.readers)
        total = sum(calls.values()) / options.poems
        which = ", ".join(
            f"{call} {number / options.poems:.2g}"
            for call, number in calls.most_common()
            if number * 100 > options.poems
        )
        print(f"| {name} | {total:.1f} | {which} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
