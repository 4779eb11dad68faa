"""
Readers who leave.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.faults import Scale, compare, together, tries
from benchmarks.faults.row import Row
from sandbox.manners import LEAVERS, LEAVERS_IN_HANDSHAKE, Manners
from sandbox.network import NETWORKS, TLS, UNIX, Loopback
from sandbox.subject import BIG, running

AT_ONCE = 20  # so that it is no burst


def rows(scale: Scale) -> Iterator[Row]:
    """
    A poem of 5 MB; on a UNIX socket there is no reset.
    """
    rounds = scale.count(10)
    for way, manners in {**LEAVERS, **LEAVERS_IN_HANDSHAKE}.items():
        networks: list[Loopback] = [TLS]
        if way in LEAVERS:
            networks = [n for n in NETWORKS if n is not UNIX or not manners.resets]
        measure = partial(together, partial(_leave, rounds, manners), networks)
        tried = tries(rounds * AT_ONCE, networks)
        yield Row(f"a reader {way}", tried, *compare(measure))


def _leave(
    rounds: int, manners: Manners, network: Loopback, kind: str
) -> tuple[str, bool]:
    """
    Have readers leave, and see what is left of them.
    """
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
        subject.waitFor(lambda: subject.server.descriptors() <= idle)
        descriptors = subject.server.descriptors() - idle
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
