"""
What a poem costs: ours beside other servers, in one run.

    python -m benchmarks.performance [--rounds N] [--poems N] [--only NAME ...]
        [--sizes] [--big] [--unix] [--single] [--link] [--many] [--flood] [--proxy]
        [--start] [--cores] [--balanced] [--tls] [--write]

Every round loads each contender once, in an order that changes, so that what else
the machine does falls on all of them.  A ratio is taken within each round, and the
median of the rounds is told, with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from benchmarks import scale, sizes, tls, ways
from benchmarks.contenders import (
    BY_NAME,
    CONTENDERS,
    FLOOR,
    GO_SAME,
    OURS,
    PLAIN_SAME,
    Contender,
)
from benchmarks.contest import (
    Ring,
    Running,
    Samples,
    compete,
    cost,
    ratios,
    spread,
    table,
)
from benchmarks.figure import drawing
from benchmarks.table import machine, rewrite
from sandbox import ROOT

DOCUMENT = ROOT / "docs" / "performance.md"
PLOT = DOCUMENT.with_suffix(".svg")
SIZES_PLOT = DOCUMENT.with_name("performance-sizes.svg")

# Whom the cost of a poem is compared with.
AGAINST = (FLOOR, GO_SAME, PLAIN_SAME)


def costs(servers: list[Running], samples: Samples) -> str:
    """
    @return: what a poem costs in processor time, in Markdown.
    """
    against = [name for name in AGAINST if name in samples]
    head = ["", "log", "linger", "µs per poem", "user"]
    rows = [[*head, *(f"÷ {name}" for name in against)]]
    for server in servers:
        contender, own = server.contender, samples[server.contender.name]
        row = [
            f"**{contender.name}**" if contender.name == OURS else contender.name,
            "yes" if contender.logs else "",
            "yes" if contender.lingers else "",
            cost(own),
            f"{server.shareOfUser():.0%}",
        ]
        rows.append(row + [spread(ratios(own, samples[name])) for name in against])
    return table(rows)


def others(servers: list[Running], samples: Samples) -> str:
    """
    @return: what else there is to know, in Markdown.
    """
    head = ["", "poems/s", "p50, ms", "p99", "p99.9", "slowest"]
    rows = [[*head, "memory, MiB", "log, bytes per poem", "wrong"]]
    for server in servers:
        own = samples[server.contender.name]
        total = sum(sample.poems for sample in own)
        rows.append(
            [
                server.contender.name,
                f"{median(sample.rate for sample in own):,.0f}",
                f"{median(sample.p50 for sample in own) / 1000:.1f}",
                f"{median(sample.p99 for sample in own) / 1000:.1f}",
                f"{median(sample.p999 for sample in own) / 1000:.1f}",
                f"{max(sample.slowest for sample in own) / 1000:.0f}",
                f"{server.memory() / 2**20:.0f}",
                f"{sum(sample.logged for sample in own) / total:.0f}",
                f"{sum(sample.wrong for sample in own)} of {total:,}",
            ]
        )
    return table(rows)


def notes(samples: Samples, missing: list[Contender]) -> str:
    """
    @return: what has to be known to read the table.
    """
    waited = median(sample.waited for own in samples.values() for sample in own)
    text = (
        f"The servers had to wait for their core, which something else had, for "
        f"{waited:.0%} of the time in which they had work (median).\n"
    )
    if missing:
        names = ", ".join(f"{one.name} ({one.needs})" for one in missing)
        text += f"\nMissing, with what they need: {names}.\n"
    return text


def plot(servers: list[Running], samples: Samples, path: Path) -> None:
    """
    Draw the cost of a poem: the median as a bar, user and system apart, and the
    range as a line.

    @param path: the file for it.
    """
    names = [server.contender.name for server in servers]
    costs = [sorted(one.processor / 1000 for one in samples[name]) for name in names]
    middle = [median(cost) for cost in costs]
    user = [m * server.shareOfUser() for m, server in zip(middle, servers)]
    with drawing(path, 0.8 + 0.3 * len(names)) as axes:
        axes.barh(names, user, label="user", color="#4477aa")
        axes.barh(
            names,
            [m - u for m, u in zip(middle, user)],
            left=user,
            label="system",
            color="#99bbdd",
            xerr=[
                [m - cost[0] for m, cost in zip(middle, costs)],
                [cost[-1] - m for m, cost in zip(middle, costs)],
            ],
            ecolor="#444444",
        )
        axes.invert_yaxis()
        axes.set_xlabel("processor time per poem, microseconds")


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


def compare(arguments: argparse.Namespace) -> str:
    """
    Compare all contenders.

    @return: table and notes, in Markdown.
    """
    names = arguments.only or [contender.name for contender in CONTENDERS]
    missing = [BY_NAME[name] for name in names if BY_NAME[name].missing]
    with Ring() as ring:
        servers = ring.serve(names)
        samples = compete(
            servers,
            arguments.rounds or 15,
            arguments.poems,
            tell=lambda text: print(text, file=sys.stderr),
        )
        if arguments.write:
            plot(servers, samples, PLOT)
        tables = [costs(servers, samples), others(servers, samples)]
        return "\n".join([*tables, notes(samples, missing)])


def _rounds(arguments: argparse.Namespace) -> dict[str, int]:
    return {"rounds": arguments.rounds} if arguments.rounds else {}


# What can be measured: the name of its marker in the document, and how.
PARTS: dict[str, Callable[[argparse.Namespace], str]] = {
    "compare": compare,
    "sizes": lambda arguments: sizes.sizes(
        plot=SIZES_PLOT if arguments.write else None, **_rounds(arguments)
    ),
    "big": lambda arguments: scale.big(**_rounds(arguments)),
    "unix": lambda arguments: ways.unix(**_rounds(arguments)),
    "single": lambda arguments: ways.single(**_rounds(arguments)),
    "link": lambda arguments: ways.link(**_rounds(arguments)),
    "many": lambda arguments: scale.many(**_rounds(arguments)),
    "flood": lambda arguments: ways.flood(**_rounds(arguments)),
    "proxy": lambda arguments: scale.proxied(**_rounds(arguments)),
    "start": lambda arguments: scale.start(**_rounds(arguments)),
    "cores": lambda arguments: scale.shared(**_rounds(arguments)),
    "balanced": lambda arguments: scale.balanced(**_rounds(arguments)),
    "tls": lambda arguments: tls.tls(**_rounds(arguments)),
}


def main(arguments: list[str]) -> int:
    """
    Measure, and tell.

    @return: the exit status, 0.
    """
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.performance", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--rounds", type=int, help="in place of those of each part")
    parser.add_argument("--poems", type=int, default=5000, help="for each in a round")
    parser.add_argument("--only", nargs="+", choices=BY_NAME, metavar="NAME")
    for name in list(PARTS)[1:]:
        parser.add_argument(f"--{name}", action="store_true", help=f"measure {name}")
    parser.add_argument(
        "--write", action="store_true", help=f"write it into {DOCUMENT.name}"
    )
    options = parser.parse_args(arguments)
    parts = [name for name in PARTS if getattr(options, name, False)] or ["compare"]
    for part in parts:
        text = f"{machine().rstrip()} {versions()}.\n\n{PARTS[part](options)}"
        print(text)
        if options.write:
            command = " ".join(["python -m benchmarks.performance", *arguments])
            rewrite(DOCUMENT, part, f"`{command}`, {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
