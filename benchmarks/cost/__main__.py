"""
What a poem costs in processor time, beside other servers that send the same.  Each part
of the measurements loads all servers in turn, again and again, in rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from benchmarks.cost import (
    calls,
    compare,
    daemons,
    readers,
    sizes,
    tls,
    transforms,
    ways,
)
from benchmarks.cost.guard import guard
from benchmarks.cost.plot import plot
from benchmarks.report import machine, rewrite
from sandbox import ROOT

DOCUMENT = ROOT / "docs" / "performance.md"


class Part(NamedTuple):
    """
    Something to measure.

    @ivar measure: is given how many rounds, and gives the result in Markdown.

    @ivar rounds: how many, by default; 0 where there are none.

    @ivar what: what it is, in a few words.
    """

    measure: Callable[[int], str]
    rounds: int
    what: str


# By the name of the markers in the document.
PARTS = {
    "compare": Part(compare.compare, 15, "all servers, one small poem"),
    "sizes": Part(sizes.sizes, 9, "poems from 512 bytes to 5 MB"),
    "unix": Part(ways.unix, 9, "over a UNIX socket"),
    "single": Part(ways.single, 9, "one reader at a time"),
    "tls": Part(tls.tls, 9, "over TLS"),
    "start": Part(daemons.start, 9, "from exec to the first poem"),
    "proxy": Part(daemons.proxy, 9, "the poem of another server"),
    "cores": Part(daemons.shared, 11, "daemons that share a port"),
    "big": Part(sizes.big, 15, "a poem of 64 MiB"),
    "link": Part(ways.link, 20, "over a link of 20 ms (as root)"),
    "many": Part(readers.many, 7, "beside 10,000 stalled readers; 1,000 at once"),
    "flood": Part(readers.flood, 9, "beside a reader that sends what it can"),
    "transforms": Part(transforms.transforms, 10, "beside long transforms"),
    "balanced": Part(daemons.balanced, 7, "behind HAProxy"),
    "calls": Part(lambda rounds: calls.calls(), 0, "system calls (strace)"),
}


def versions() -> str:
    """
    @return: the versions of what the contenders are made of.
    """
    commands = {
        "cc": (["cc", "--version"], r"(\S+)\n"),
        "Go": (["go", "version"], r"go(\d\S+)"),
        "nginx": (["nginx", "-v"], r"nginx/(\S+)"),
        "HAProxy": (["haproxy", "-v"], r"version (\d+\.\d+\.\d+)"),
    }
    found = []
    for name, (command, pattern) in commands.items():
        try:
            output = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ).stdout
        except FileNotFoundError:
            continue
        found += [f"{name} {number}" for number in re.findall(pattern, output)[:1]]
    with contextlib.suppress(PackageNotFoundError):
        found.append(f"uvloop {version('uvloop')}")
    return ", ".join(found)


def measure(options: argparse.Namespace) -> int:
    """
    Measure parts, and print what comes of them.

    @return: the exit status.
    """
    for name in options.part or PARTS:
        part, start = PARTS[name], time.monotonic()
        rounds = part.rounds and (options.rounds or part.rounds)
        result = part.measure(rounds)
        many = f", {rounds} rounds" if rounds else ""
        text = f"{machine()}; {versions()}{many}.\n\n{result}"
        print(f"{name}: {text}", flush=True)
        print(f"{name} took {time.monotonic() - start:.0f} s", file=sys.stderr)
        if options.write:
            rewrite(DOCUMENT, name, text)
    if options.write:
        plot(DOCUMENT, DOCUMENT.parent)
    return 0


def _guard(options: argparse.Namespace) -> int:
    return guard()


def _plot(options: argparse.Namespace) -> int:
    plot(DOCUMENT, options.to)
    return 0


def _parser() -> argparse.ArgumentParser:
    """
    @return: what parses the command.
    """
    parser = argparse.ArgumentParser("python -m benchmarks.cost", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    text = "measure, and print the tables of docs/performance.md"
    parts = "".join(f"\n  {name:10}  {part.what}" for name, part in PARTS.items())
    command = commands.add_parser(
        "measure",
        help=f"{text} (an hour, with --rounds 1 some minutes)",
        description=f"{text}. The parts are:\n{parts}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("part", nargs="*", metavar="PART", help="by default all")
    command.add_argument("--rounds", type=int, help="in place of those of each part")
    command.add_argument(
        "--write",
        action="store_true",
        help="write it into the page, and draw its plots",
    )
    command.set_defaults(run=measure)

    text = "see that a poem costs no more than it may (a minute or two)"
    command = commands.add_parser("guard", help=text, description=text)
    command.set_defaults(run=_guard)

    text = "draw the plots of docs/performance.md from its tables"
    command = commands.add_parser("plot", help=text, description=text)
    command.add_argument(
        "--to", type=Path, default=DOCUMENT.parent, metavar="DIRECTORY"
    )
    command.set_defaults(run=_plot)
    return parser


def main(arguments: list[str]) -> int:
    """
    Run the command.

    @return: its exit status.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if unknown := set(getattr(options, "part", ())) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    status: int = options.run(options)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
