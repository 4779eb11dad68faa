"""
What a poem costs by its size.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.contenders import (
    FLOOR_LOW,
    FLOOR_SAME,
    GO_LOW,
    GO_SAME,
    NGINX,
    NGINX_MOST,
    OURS,
    PLAIN_SAME,
)
from benchmarks.contest import (
    SMALL,
    Ring,
    Samples,
    compete,
    ratios,
    spread,
    table,
    wrong,
)
from benchmarks.figure import drawing

SIZES = (512, SMALL, 17_000, 65_536, 262_144, 1_000_000, 5_000_000)
NAMES = (FLOOR_SAME, FLOOR_LOW, GO_SAME, GO_LOW, NGINX, PLAIN_SAME, OURS)
AGAINST = (FLOOR_SAME, GO_SAME, GO_LOW)

# A load is so many bytes, but neither fewer nor more poems than these.
BYTES = 80_000_000
FEWEST, MOST = 64, 5000

# From this size on, there are fewer readers at once.
MANY_BYTES = 1_000_000


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


def _samplesOf(size: int, rounds: int) -> Samples:
    names = [name for name in NAMES if name != NGINX or size <= NGINX_MOST]
    with Ring() as ring:
        servers = ring.serve(names, ring.poem(size))
        return compete(servers, rounds, poemsOf(size), readersOf(size))


def sizes(rounds: int = 9, plot: Path | None = None) -> str:
    """
    Send poems of many sizes.

    @param plot: a file that they are drawn into.

    @return: what they cost, in Markdown.
    """
    found = {size: _samplesOf(size, rounds) for size in SIZES}
    costs = {
        (size, name): median(sample.processor for sample in own) / 1000
        for size, samples in found.items()
        for name, own in samples.items()
    }
    names = [name for name in NAMES if any(name in own for own in found.values())]
    against = [name for name in AGAINST if name in names]
    rows = [["bytes", *names, *(f"÷ {name}" for name in against), "wrong"]]
    for size, samples in found.items():
        row = [f"{size:,}"]
        for name in names:
            cost = costs.get((size, name))
            row.append("" if cost is None else f"{cost:,.1f}")
        row += [spread(ratios(samples[OURS], samples[name])) for name in against]
        rows.append([*row, wrong(one for own in samples.values() for one in own)])
    if plot is not None:
        with drawing(plot, 5) as axes:
            for name in names:
                known = [size for size in SIZES if (size, name) in costs]
                values = [costs[size, name] for size in known]
                width = 2.5 if name == OURS else 1.2
                axes.loglog(known, values, marker="o", label=name, linewidth=width)
            axes.set_xlabel("bytes of the poem")
            axes.set_ylabel("processor time per poem, microseconds")
            axes.grid(color="#dddddd")
    return table(rows)
