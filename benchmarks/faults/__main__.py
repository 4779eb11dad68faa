"""
What a poem server does under faults, each of them made for real.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

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
from benchmarks.faults.machines import HAPROXY, NGINX
from benchmarks.faults.row import BROKEN, HEAD, Row, existingRows
from benchmarks.faults.soak import soak
from benchmarks.faults.window import silences
from benchmarks.report import machine, rewrite, table
from fastpoetry.descriptors import raiseDescriptorLimit
from sandbox import ROOT
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
    "haproxy": partial(balance.rowsOf, HAPROXY),
    "nginx": partial(balance.rowsOf, NGINX),
    "log": log.rows,
}

DOCUMENT = ROOT / "docs" / "reliability.md"


def make(options: argparse.Namespace) -> int:
    """
    Make faults at the plain composition and at ours, and print a table.

    @return: the exit status: 1 if ours breaks a promise.
    """
    rows = existingRows(DOCUMENT) if options.write and options.group else {}
    head, isBroken = table(HEAD), False
    with openLink() as link:
        scale = Scale(options.quick, options.full, link)
        print(head, end="", flush=True)
        for group in options.group or GROUPS:
            rows[group] = []
            start = time.monotonic()
            for row in GROUPS[group](scale):
                rows[group].append(row.format(group))
                print(rows[group][-1], end="", flush=True)
            took = time.monotonic() - start
            print(f"{group} took {took:.0f} s", file=sys.stderr)
            isBroken = isBroken or BROKEN in "".join(rows[group])
    if options.write:
        text = "".join(row for name in GROUPS for row in rows.get(name, ()))
        rewrite(DOCUMENT, "table", f"{machine()}.\n\n{head}{text}")
    return int(isBroken)


def _makeSoak(options: argparse.Namespace) -> int:
    return 0 if soak(options.minutes * 60) else 1


def _makeWindow(options: argparse.Namespace) -> int:
    print(silences(options.seconds, options.rate), end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    """
    @return: what parses the command.
    """
    parser = argparse.ArgumentParser("python -m benchmarks.faults", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    text = "make faults, and print the table of docs/reliability.md"
    command = commands.add_parser(
        "make", help=f"{text} (an hour, with --quick a quarter)", description=text
    )
    command.add_argument(
        "group",
        nargs="*",
        metavar="GROUP",
        help=f"only these faults: {', '.join(GROUPS)}",
    )
    size = command.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a tenth of the counts")
    size.add_argument("--full", action="store_true", help="10,000 stalled readers, too")
    command.add_argument("--write", action="store_true", help="write it into the page")
    command.set_defaults(run=make)

    text = "run our server among readers of all kinds, and see that nothing is left"
    command = commands.add_parser("soak", help=text, description=text)
    command.add_argument("--minutes", type=float, default=1)
    command.set_defaults(run=_makeSoak)

    text = "see how long a slow reader's kernel acknowledges nothing"
    command = commands.add_parser(
        "window", help=f"{text} (2 minutes)", description=text
    )
    command.add_argument("--seconds", type=float, default=120)
    command.add_argument("--rate", type=int, default=3000, help="bytes a second")
    command.set_defaults(run=_makeWindow)
    return parser


def main(arguments: list[str]) -> int:
    """
    Run the command.

    @return: its exit status.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if unknown := set(getattr(options, "group", ())) - set(GROUPS):
        parser.error(f"there is no group {', '.join(sorted(unknown))}")
    # What a script starts in the background ignores SIGINT, what nohup starts SIGHUP,
    # and so would the servers.  What has to be taken down is so at SIGTERM, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    raiseDescriptorLimit()
    status: int = options.run(options)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
