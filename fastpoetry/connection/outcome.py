"""
What has become of readers.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Any


class Outcome(Enum):
    """
    Why a reader has not all of it, in words for the log.
    """

    LEFT = "it left"
    RESET = "it reset the connection"
    GAVE_UP = "gave up"
    ABORTED = "aborted"
    REFUSED = "refused"
    FAILED = "an error"


class Counts:
    """
    What has become of all the readers of one factory.

    @ivar whole: how many have got all of it.

    @ivar cut: how many have not, by the L{Outcome}.

    @ivar size: how many bytes all of them have taken, as far as that is known.
    """

    def __init__(self) -> None:
        self.whole = self.size = 0
        self.cut: Counter[Outcome] = Counter()

    def addWhole(self, size: int) -> None:
        """
        Count a reader who has got all of it.

        @param size: how many bytes that are.
        """
        self.whole += 1
        self.size += size

    def add(self, outcome: Outcome, size: int) -> None:
        """
        Count a reader who has not.

        @param size: how many bytes it has taken.
        """
        self.cut[outcome] += 1
        self.size += size

    def __str__(self) -> str:
        cut = [
            f"{count} {outcome.name.lower().replace('_', ' ')}"
            for outcome, count in sorted(self.cut.items(), key=str)
        ]
        return f"{', '.join([f'{self.whole} whole', *cut])}; {self.size} bytes"


def bytesTaken(transport: Any, size: int) -> tuple[int, bool]:
    """
    Find out how much a reader has taken whose connection was lost.

    @param transport: that of the connection.

    @param size: how many bytes were written to it.

    @return: how many the reader's kernel has acknowledged, and that this is known; or
        how many were handed to ours, and that it is not known.
    """
    acknowledged = getattr(transport, "acknowledged", None)
    if acknowledged is not None:
        return min(size, max(0, acknowledged - transport.overhead)), True
    unsent = len(getattr(transport, "dataBuffer", b"")) - transport.offset
    return max(0, size - unsent), False
