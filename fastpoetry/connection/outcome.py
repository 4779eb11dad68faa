"""
What has become of readers.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Any


class Outcome(Enum):
    """
    What has become of a reader, in words for the log.
    """

    WHOLE = "it has all"
    LEFT = "it left"
    RESET = "it reset the connection"
    GAVE_UP = "gave up"
    ABORTED = "aborted"
    REFUSED = "refused"
    FAILED = "an error"


class Counts:
    """
    What has become of all the readers of one factory.

    @ivar outcomes: how many have come to each L{Outcome}.

    @ivar size: how many bytes they have taken, as far as that is known.
    """

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.size = 0

    def add(self, outcome: Outcome, size: int) -> None:
        """
        Count a reader who has gone.

        @param size: how many bytes it has taken.
        """
        self.outcomes[outcome] += 1
        self.size += size

    def __str__(self) -> str:
        words = [f"{self.outcomes[Outcome.WHOLE]} whole"]
        for outcome, count in sorted(self.outcomes.items(), key=str):
            if outcome is not Outcome.WHOLE:
                words.append(f"{count} {outcome.name.lower().replace('_', ' ')}")
        return f"{', '.join(words)}; {self.size} bytes"


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
