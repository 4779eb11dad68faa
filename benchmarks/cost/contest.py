"""
Servers that run side by side on one core, and are loaded in turn from another.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from benchmarks.cost.running import Running, Sample

# By the name of the contender, one for each round.
Samples = dict[str, list[Sample]]


def compete(
    servers: Sequence[Running], rounds: int, poems: int, readers: int = 64
) -> Samples:
    """
    Load servers in turn, in an order that changes.

    @param poems: how many each sends in a round.

    @param readers: to how many readers at once.

    @return: the samples of each.
    """
    samples: Samples = {server.contender.name: [] for server in servers}
    for server in servers:
        server.load(max(poems // 4, readers), readers)  # to warm it up
    for number in range(rounds):
        first = number % len(servers)
        for server in (*servers[first:], *servers[:first]):
            samples[server.contender.name].append(server.load(poems, readers))
    return samples


def values(samples: Iterable[Sample], what: str) -> list[float]:
    """
    @param what: an attribute of L{Sample}.

    @return: a value for each round.
    """
    return [getattr(sample, what) for sample in samples]


def ratios(
    samples: Iterable[Sample], others: Iterable[Sample], what: str = "processor"
) -> list[float]:
    """
    Compare two servers, round by round.

    @param what: the attribute of L{Sample} that is compared.

    @return: a ratio for each round.
    """
    return [a / b for a, b in zip(values(samples, what), values(others, what))]


def spread(numbers: Iterable[float], form: str = ".2f") -> str:
    """
    @return: the median, and in brackets the lowest and the highest.
    """
    numbers = list(numbers)
    low, high = min(numbers), max(numbers)
    return f"{median(numbers):{form}} ({low:{form}} to {high:{form}})"


def cost(samples: Iterable[Sample]) -> str:
    """
    @return: microseconds of processor time for a poem, as L{spread} has them.
    """
    return spread(values(samples, "processor"), ".1f")


def wrong(*samples: Iterable[Sample]) -> str:
    """
    @return: how many poems were wrong.
    """
    return str(sum(sample.wrong for own in samples for sample in own))
