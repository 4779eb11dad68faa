"""
What a poem may cost.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from statistics import median

from benchmarks.cost.calls import count
from benchmarks.cost.contenders import OURS, PLAIN_LOG, PLAIN_SAME, readersTalkTLS
from benchmarks.cost.contest import compete, ratios
from benchmarks.cost.ring import SMALL, Ring
from benchmarks.cost.sizes import poemsOf
from sandbox.certificate import P256


@dataclass(frozen=True)
class Bound:
    """
    What a poem may cost, with 64 readers at once.

    @ivar size: of the poem.

    @ivar isUnix: whether it is sent over UNIX sockets, in place of TCP.

    @ivar ratio: its processor time, relative to plain Twisted's.

    @ivar calls: how many system calls.

    @ivar key: what the certificate is made for when it is sent over TLS.
    """

    size: int
    isUnix: bool
    ratio: float
    calls: float
    key: str | None = None

    def __str__(self) -> str:
        """
        What is measured, in words.
        """
        way = "a UNIX socket" if self.isUnix else "TCP"
        if self.key is not None:
            way = f"TLS with {self.key}"
        return f"{self.size:,} bytes over {way}"

    @property
    def other(self) -> str:
        """
        The plain Twisted that does the same work: over TLS a close lingers anyway.
        """
        return PLAIN_SAME if self.key is None else PLAIN_LOG


# A load has no more poems than this.
MOST = 1000

BOUNDS = (
    # Above all ratios of 2026-11-26: of the same code, two processors had from 0.28 to
    # 0.42, 0.36 to 0.50, 0.53 to 0.71, 0.28 to 0.34 and 0.68 to 0.82.  And half a call
    # above the counts, or one where the kernel takes a poem in pieces: what a turn of
    # the reactor does for all of its readers together is a few hundredths of a call.
    Bound(SMALL, False, ratio=0.5, calls=7.5),
    Bound(65_536, False, ratio=0.6, calls=7.5),
    Bound(262_144, False, ratio=0.85, calls=12),
    Bound(SMALL, True, ratio=0.45, calls=7.5),
    Bound(SMALL, False, ratio=0.95, calls=20.7, key=P256),
)


def broken(bound: Bound, rounds: int = 7) -> list[str]:
    """
    Measure, and tell.

    @return: a sentence for each thing that is not as it should be.
    """
    poems = min(MOST, poemsOf(bound.size))
    calls = count(OURS, poems, 64, bound.size, bound.isUnix, bound.key)
    perPoem = sum(calls.values()) / poems
    with Ring(isUnix=bound.isUnix, key=bound.key) as ring:
        servers = ring.serve([OURS, bound.other], ring.poem(bound.size))
        samples = compete(servers, rounds, poems)
    ratio = median(ratios(samples[OURS], samples[bound.other]))
    wrong = sum(sample.wrong for sample in samples[OURS])
    print(f"{bound}: {ratio:.2f} of plain Twisted, {perPoem:.2f} system calls")
    sentences = []
    if wrong:
        sentences.append(f"{bound}: {wrong} poems were wrong.")
    if ratio >= bound.ratio:
        sentences.append(
            f"{bound}: a poem takes {ratio:.2f} of the processor time of plain "
            f"Twisted, and should take less than {bound.ratio:.2f}."
        )
    if perPoem >= bound.calls:
        which = ", ".join(f"{name} {number}" for name, number in calls.most_common())
        sentences.append(
            f"{bound}: a poem takes {perPoem:.2f} system calls, and should take less "
            f"than {bound.calls}; for {poems} poems they were {which}."
        )
    return sentences


def guard() -> int:
    """
    See that a poem does not cost more than it may.  What counts are system calls, and
    processor time relative to that of plain Twisted doing the same work in the same
    run; never seconds.  What is found is printed.

    @return: the exit status: 1 when a poem costs too much, or when poems were wrong.
    """
    for command in ("cc", "strace"):
        if shutil.which(command) is None:
            print(f"{command} is not there.", file=sys.stderr)
            return 1
    if not readersTalkTLS():
        print("The headers of OpenSSL are not there.", file=sys.stderr)
        return 1
    sentences = [sentence for bound in BOUNDS for sentence in broken(bound)]
    for sentence in sentences:
        print(sentence, file=sys.stderr)
    return 1 if sentences else 0
