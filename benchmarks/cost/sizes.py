"""
What a poem costs by its size.
"""

from __future__ import annotations

import os
from statistics import median

from benchmarks.cost.contenders import (
    FLOOR,
    FLOOR_LOW,
    FLOOR_SAME,
    GO_LOW,
    GO_SAME,
    NGINX,
    NGINX_MOST,
    OURS,
    PLAIN_SAME,
)
from benchmarks.cost.contest import Samples, compete, ratios, spread, values, wrong
from benchmarks.cost.ring import SMALL, Ring
from benchmarks.report import table

SIZES = (512, SMALL, 17_000, 65_536, 262_144, 1_000_000, 5_000_000)
NAMES = (FLOOR_SAME, FLOOR_LOW, GO_SAME, GO_LOW, NGINX, PLAIN_SAME, OURS)
AGAINST = (FLOOR_SAME, GO_SAME, GO_LOW)

# A load is this many bytes, but neither fewer nor more poems than these.
BYTES = 80_000_000
FEWEST, MOST = 64, 5000

# From this size on, there are fewer readers at once.
MANY_BYTES = 1_000_000

BIG = 64 * 2**20
BIG_POEMS, BIG_READERS = 16, 8


def poemsOf(size: int) -> int:
    """
    @return: how many poems of a size are a load.
    """
    return max(FEWEST, min(MOST, BYTES // size))


def readersOf(size: int) -> int:
    """
    @return: how many readers of a poem of a size there are at once.
    """
    return 64 if size < MANY_BYTES else 16


def sizes(rounds: int) -> str:
    """
    Send poems of many sizes.

    @return: what they cost, in Markdown.
    """
    found = {size: _samplesOf(size, rounds) for size in SIZES}
    names = [name for name in NAMES if any(name in own for own in found.values())]
    against = [name for name in AGAINST if name in names]
    rows = []
    for size, samples in found.items():
        row = [f"{size:,}"]
        for name in names:
            own = samples.get(name)
            row.append(f"{median(values(own, 'processor')):,.1f}" if own else "")
        row += [spread(ratios(samples[OURS], samples[name])) for name in against]
        rows.append([*row, wrong(*samples.values())])
    head = ["bytes", *names, *(f"÷ {name}" for name in against), "wrong"]
    return table(head, rows)


def _samplesOf(size: int, rounds: int) -> Samples:
    names = [name for name in NAMES if name != NGINX or size <= NGINX_MOST]
    with Ring() as ring:
        servers = ring.serve(names, ring.poem(size))
        return compete(servers, rounds, poemsOf(size), readersOf(size))


def big(rounds: int) -> str:
    """
    Send a big poem to few readers.

    @return: throughput and cost, in Markdown.
    """
    with Ring() as ring:
        poem = ring.file("big", os.urandom(2**20) * (BIG // 2**20))
        names = (FLOOR, FLOOR_SAME, OURS, GO_SAME, PLAIN_SAME)
        servers = ring.serve(names, poem)
        samples = compete(servers, rounds, BIG_POEMS, BIG_READERS)
        megabytes = BIG / 1e6
        rows = []
        for server in servers:
            own = samples[server.contender.name]
            rows.append(
                [
                    server.contender.name,
                    spread((megabytes * rate for rate in values(own, "rate")), ",.0f"),
                    spread(ratios(own, samples[FLOOR], "rate")),
                    spread((us / megabytes for us in values(own, "processor")), ".0f"),
                    spread(ratios(own, samples[FLOOR])),
                    f"{server.process.memory(isPeak=True) / 1024:.0f}",
                    wrong(own),
                ]
            )
    head = [f"64 MiB to {BIG_READERS} readers", "MB/s", f"÷ {FLOOR}"]
    head += ["processor time, µs per MB", f"÷ {FLOOR}", "MiB of memory", "wrong"]
    return table(head, rows)
