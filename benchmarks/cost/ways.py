"""
What a poem costs by other ways: a UNIX socket, one reader at a time, a link with a
delay.
"""

from __future__ import annotations

from benchmarks.cost.contenders import FLOOR_SAME, GO_SAME, OURS, PLAIN_SAME
from benchmarks.cost.contest import (
    Samples,
    compete,
    cost,
    ratios,
    spread,
    values,
    wrong,
)
from benchmarks.cost.ring import SMALL, Ring
from benchmarks.cost.sizes import poemsOf
from benchmarks.report import table
from sandbox.link import openLink

NAMES = (FLOOR_SAME, GO_SAME, PLAIN_SAME, OURS)
AGAINST = (FLOOR_SAME, GO_SAME)
RATIOS = [f"÷ {name}" for name in AGAINST]

UNIX_SIZES = (SMALL, 65_536)
LINK_SIZES = (262_144, 1_000_000)


def _against(samples: Samples, name: str, what: str = "processor") -> list[str]:
    """
    @return: the ratios to the same work in C and in Go.
    """
    return [
        spread(ratios(samples[name], samples[other], what)) if other in samples else ""
        for other in AGAINST
    ]


def unix(rounds: int) -> str:
    """
    Send poems over UNIX sockets.

    @return: what they cost, in Markdown.
    """
    found = []
    for size in UNIX_SIZES:
        with Ring(isUnix=True) as ring:
            servers = ring.serve(NAMES, ring.poem(size))
            found.append(compete(servers, rounds, poemsOf(size)))
    head = [""]
    for size in UNIX_SIZES:
        head += [f"µs per poem, {size:,} bytes", *RATIOS]
    rows = []
    for name in found[0]:
        row = [name]
        for samples in found:
            row += [cost(samples[name]), *_against(samples, name)]
        rows.append([*row, wrong(*(samples[name] for samples in found))])
    return table([*head, "wrong"], rows)


def single(rounds: int) -> str:
    """
    Send poems to one reader at a time.

    @return: what they cost, and how long they take, in Markdown.
    """
    with Ring() as ring:
        samples = compete(ring.serve(NAMES), rounds, poems=2000, readers=1)
    rows = []
    for name, own in samples.items():
        row = [name, cost(own), *_against(samples, name)]
        row.append(spread((1000 * ms for ms in values(own, "p50")), ".0f"))
        rows.append([*row, *_against(samples, name, "p50"), wrong(own)])
    return table(["", "µs per poem", *RATIOS, "p50, µs", *RATIOS, "wrong"], rows)


def link(rounds: int) -> str:
    """
    Send poems over the link with a delay, to one reader at a time.

    @param rounds: how many poems of each size.

    @return: how long they take, in Markdown.
    """
    rows = []
    with openLink() as network:
        if network is None:
            return "Missing: the link, which needs root and TUN devices.\n"
        for size in LINK_SIZES:
            with Ring(network) as ring:
                servers = ring.serve([FLOOR_SAME, GO_SAME, OURS], ring.poem(size))
                samples = compete(servers, rounds, poems=1, readers=1)
            for name, own in samples.items():
                row = [name, f"{size:,}", spread(values(own, "p50"), ".0f")]
                rows.append([*row, *_against(samples, name, "p50"), wrong(own)])
    return table(["", "bytes", "ms from connect to the end", *RATIOS, "wrong"], rows)
