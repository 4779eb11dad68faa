"""
What has become of readers, in numbers.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum


class Outcome(Enum):
    """
    What has become of a reader, in words for the log.
    """

    WHOLE = "has it all"
    LEFT = "it left"
    RESET = "it reset the connection"
    GAVE_UP = "it took nothing for too long"
    ABORTED = "aborted"
    FAILED = "an error"
    REFUSED = "there was no poem"


class Counts:
    """
    What has become of the readers of one door.

    @ivar outcomes: how many have come to each L{Outcome}.

    @ivar size: how many bytes they have taken, as far as the kernel tells: those of
        poems, whole and cut.
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
        others = [
            f"{count} {outcome.name.lower().replace('_', ' ')}"
            for outcome, count in self.outcomes.items()
            if outcome is not Outcome.WHOLE
        ]
        whole = f"{self.outcomes[Outcome.WHOLE]} whole"
        return f"{', '.join([whole, *sorted(others)])}; {self.size} bytes"
