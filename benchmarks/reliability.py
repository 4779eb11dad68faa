"""
Make the faults that a poem server meets, and see what comes of them::

    python -m benchmarks.reliability [--only NAME ...] [--quick | --full] [--write]

Each is made for real, on the plain composition of F{plain.tac} and on ours.  What
is printed is a Markdown table.  The exit status is 1 if ours breaks a promise.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.faults import (
    Scale,
    balance,
    burst,
    clients,
    handover,
    leave,
    limit,
    log,
    reload,
    slow,
    stall,
    stop,
    talk,
)
from benchmarks.table import BROKEN, HEAD, Row, existingRows, machine, rewrite
from sandbox.link import openLink

GROUPS: dict[str, Callable[[Scale], Iterator[Row]]] = {
    "talk": talk.rows,
    "clients": clients.rows,
    "stall": stall.rows,
    "slow": slow.rows,
    "leave": leave.rows,
    "limit": limit.rows,
    "burst": burst.rows,
    "stop": stop.rows,
    "reload": reload.rows,
    "handover": handover.rows,
    "haproxy": partial(balance.rowsOf, balance.HAPROXY),
    "nginx": partial(balance.rowsOf, balance.NGINX),
    "log": log.rows,
}

DOCUMENT = Path(__file__).parent.parent / "docs" / "reliability.md"


def lines(group: str, scale: Scale) -> Iterator[str]:
    """
    Make the faults of one group.

    @return: the lines of the table, as soon as each is known.
    """
    start = time.monotonic()
    for row in GROUPS[group](scale):
        yield row.format(group)
    took = time.monotonic() - start
    print(f"{group} took {took:.0f} s", file=sys.stderr)


def main(arguments: list[str]) -> int:
    """
    Run the command.

    @return: its exit status.
    """
    # What a script starts in the background ignores SIGINT, what nohup starts SIGHUP,
    # and so would the servers.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    parser = argparse.ArgumentParser(
        "python -m benchmarks.reliability", description="Make faults, for real."
    )
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="NAME")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a tenth of the counts")
    size.add_argument("--full", action="store_true", help="10,000 stalled readers, too")
    parser.add_argument(
        "--write", action="store_true", help=f"write the table into {DOCUMENT.name}"
    )
    options = parser.parse_args(arguments)

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    rows = existingRows(DOCUMENT) if options.write and options.only else {}
    with ExitStack() as stack:
        scale = Scale(options.quick, options.full, stack.enter_context(openLink()))
        print(HEAD, end="", flush=True)
        for group in options.only or GROUPS:
            rows[group] = []
            for line in lines(group, scale):
                print(line, end="", flush=True)
                rows[group].append(line)
    if options.write:
        table = "".join(line for name in GROUPS for line in rows.get(name, ()))
        rewrite(DOCUMENT, "table", f"{machine()}\n{HEAD}{table}")
    return int(BROKEN in "".join(itertools.chain(*rows.values())))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
