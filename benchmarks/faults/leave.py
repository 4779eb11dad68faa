"""
Readers who leave.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.crowd import Manners
from benchmarks.faults import BIG, Scale, compare
from benchmarks.subject import running
from benchmarks.table import Row

WAYS = {
    "closes at once": Manners(leavesAt=0),
    "resets at once": Manners(leavesAt=0, resets=True),
    "closes in the middle": Manners(leavesAt=2_000_000),
    "resets in the middle": Manners(leavesAt=2_000_000, resets=True),
    "half-closes at once, then resets": Manners(
        halfCloses=True, leavesAt=100_000, resets=True
    ),
}
AT_ONCE = 20  # so that it is no burst


def rows(scale: Scale) -> Iterator[Row]:
    """
    A poem of 5 MB on loopback.
    """
    rounds = scale.count(10)
    for way, manners in WAYS.items():
        measure = partial(_leave, rounds, manners)
        yield Row(f"a reader {way}", f"{rounds * AT_ONCE}", *compare(measure))


def _leave(rounds: int, manners: Manners, kind: str) -> tuple[str, bool]:
    count = rounds * AT_ONCE
    with running(kind, BIG) as subject:
        idle = subject.idleDescriptors()
        with subject.readers() as crowd:
            for _ in range(rounds):
                crowd.add(AT_ONCE, manners)
                crowd.run(60)
            left = crowd.outcomes()["left"]
            (last,) = crowd.add(1)  # all those before were accepted
            crowd.run(60)
        subject.waitFor(lambda: subject.descriptors() <= idle)
        descriptors = subject.descriptors() - idle
        lines = subject.server.log.count("127.0.0.1") - 2
        flaws = subject.flaws()
    served = last.outcome == "whole"
    said = [
        f"{lines} lines of log",
        f"{descriptors} descriptors left",
        "the next reader " + ("served" if served else "not served"),
        *flaws,
    ]
    fine = served and left == count and descriptors <= 0 and lines <= count
    return ", ".join(said), fine and not flaws
