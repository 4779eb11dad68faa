"""
Readers who talk.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.faults import Scale, compare, together, tries
from benchmarks.faults.row import Row, say
from sandbox.manners import TALKERS, TALKERS_BELOW_TLS, Manners
from sandbox.network import TLS, Loopback
from sandbox.subject import BIG, running


def rows(scale: Scale) -> Iterator[Row]:
    """
    A poem of 5 MB, read at 8 MB/s.
    """
    for way, manners in {**TALKERS, **TALKERS_BELOW_TLS}.items():
        count = scale.count(20 if manners.saysFirst else 50)
        networks: list[Loopback] = [TLS] if manners.bareEnd else scale.allNetworks
        measure = partial(together, partial(_talk, count, manners), networks)
        tried = tries(count, networks)
        yield Row(f"a reader {way}", tried, *compare(measure))


def _talk(
    count: int, manners: Manners, network: Loopback, kind: str
) -> tuple[str, bool]:
    server = running(kind, BIG, network=network)
    with server as subject, subject.readers() as crowd:
        crowd.add(count, manners)
        crowd.run(120, patience=10)
        outcomes = crowd.outcomes()
    return say(outcomes), outcomes["whole"] == count
