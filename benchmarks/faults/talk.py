"""
Readers who talk.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.crowd import Manners
from benchmarks.faults import BIG, Scale, compare, together, tries
from benchmarks.network import TLS, Loopback
from benchmarks.subject import running
from benchmarks.table import Row, say

# They read slowly, in bytes a second, so that a part of the poem is with the
# server as long as possible.
PACE = 8_000_000

WAYS = {
    "says nothing": Manners(readsPerSecond=PACE),
    "sends 1 byte at once": Manners(says=b"x", readsPerSecond=PACE),
    "sends 64 KiB at once": Manners(says=b"x" * 2**16, readsPerSecond=PACE),
    "sends 1 MB/s all the time": Manners(saysPerSecond=10**6, readsPerSecond=PACE),
    "sends in the middle of reading": Manners(
        says=b"x", saysAt=2_000_000, readsPerSecond=PACE
    ),
    "half-closes at once, then reads": Manners(halfCloses=True, readsPerSecond=PACE),
    "sends 64 KiB and half-closes": Manners(
        says=b"x" * 2**16, halfCloses=True, readsPerSecond=PACE
    ),
    "sends 8 MB before it reads": Manners(says=b"x" * 8_000_000, saysFirst=True),
}

# Over TLS, who half-closes sends a close_notify.  Some end the connection below.
BARE = {
    "half-closes without close_notify, then reads": Manners(
        halfCloses=True, bareEnd=True, readsPerSecond=PACE
    ),
    "sends 64 KiB and half-closes without close_notify": Manners(
        says=b"x" * 2**16, halfCloses=True, bareEnd=True, readsPerSecond=PACE
    ),
}


def rows(scale: Scale) -> Iterator[Row]:
    """
    A poem of 5 MB, read at 8 MB/s.
    """
    for way, manners in {**WAYS, **BARE}.items():
        count = scale.count(20 if manners.saysFirst else 50)
        doors: list[Loopback] = [TLS] if manners.bareEnd else scale.doors
        measure = partial(together, partial(_talk, count, manners), doors)
        tried = tries(count, doors)
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
