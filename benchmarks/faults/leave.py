"""
Readers who leave.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.crowd import Manners
from benchmarks.faults import BIG, DOORS, Scale, compare, together, tries
from benchmarks.network import TLS, UNIX, Loopback
from benchmarks.subject import running
from benchmarks.table import Row

WAYS = {
    "closes at once": Manners(leavesAt=0),
    "resets at once": Manners(leavesAt=0, resets=True),
    "closes in the middle": Manners(leavesAt=2_000_000),
    "resets in the middle": Manners(leavesAt=2_000_000, resets=True),
    "half-closes at once, then closes": Manners(halfCloses=True, leavesAt=100_000),
    "half-closes at once, then resets": Manners(
        halfCloses=True, leavesAt=100_000, resets=True
    ),
}

# What only those can do who come by TLS.
IN_HANDSHAKE = {
    "closes before its handshake": Manners(leavesAt=0, greetings=0),
    "resets before its handshake": Manners(leavesAt=0, greetings=0, resets=True),
    "closes in its handshake": Manners(leavesAt=0, greetings=1),
    "resets in its handshake": Manners(leavesAt=0, greetings=1, resets=True),
}
AT_ONCE = 20  # so that it is no burst


def rows(scale: Scale) -> Iterator[Row]:
    """
    A poem of 5 MB; on a UNIX socket there is no reset.
    """
    rounds = scale.count(10)
    for way, manners in {**WAYS, **IN_HANDSHAKE}.items():
        networks: list[Loopback] = [TLS]
        if way in WAYS:
            networks = [n for n in DOORS if n is not UNIX or not manners.resets]
        measure = partial(together, partial(_leave, rounds, manners), networks)
        tried = tries(rounds * AT_ONCE, networks)
        yield Row(f"a reader {way}", tried, *compare(measure))


def _leave(
    rounds: int, manners: Manners, network: Loopback, kind: str
) -> tuple[str, bool]:
    count = rounds * AT_ONCE
    with running(kind, BIG, network=network) as subject:
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
        names = subject.named() - 2
        flaws = subject.flaws()
    served = last.outcome in ("whole", "unproven")
    proven = last.outcome == "whole"
    said = [
        f"{names} names in the log",
        f"{descriptors} descriptors left",
        "the next reader " + ("served" if served else "not served"),
        *flaws,
    ]
    fine = proven and left == count and descriptors <= 0 and names <= count
    return ", ".join(said), fine and not flaws
