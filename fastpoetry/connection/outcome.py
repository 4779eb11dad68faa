"""
What became of readers: counted, and in the log.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import Any

from twisted.logger import Logger, LogLevel

from fastpoetry.text import peerName

# Lines of the log for readers that did not get all of it.
GOT_NOTHING = "{peer} got nothing{title}: {why}"
GOT_PART = "{peer} got {atMost}{taken} of {size} bytes{title}: {why}"
GAVE_UP = (
    "gave up on {peer}, which took nothing for {timeout} seconds: "
    "it got {atMost}{taken} of {size} bytes{title}"
)


class Outcome(Enum):
    """
    Why a reader did not get all of it, in words for the log.
    """

    LEFT = "it left"
    RESET = "it reset the connection"
    GAVE_UP = "gave up"
    ABORTED = "aborted"
    REFUSED = "refused"
    FAILED = "an error"


class Counts:
    """
    How many readers of one factory got all, and how many did not.

    @ivar whole: how many got all of it.

    @ivar cut: how many did not, by their L{Outcome}.

    @ivar taken: how many bytes all of them have taken, as far as that is known.
    """

    def __init__(self) -> None:
        self.whole = self.taken = 0
        self.cut: Counter[Outcome] = Counter()

    def addWhole(self, size: int) -> None:
        """
        Count a reader that got all of it.

        @param size: how many bytes that were.
        """
        self.whole += 1
        self.taken += size

    def add(self, outcome: Outcome, taken: int) -> None:
        """
        Count a reader that did not.

        @param outcome: why.

        @param taken: how many bytes it got.
        """
        self.cut[outcome] += 1
        self.taken += taken

    def __str__(self) -> str:
        cut = [
            f"{count} {outcome.name.lower().replace('_', ' ')}"
            for outcome, count in sorted(self.cut.items(), key=str)
        ]
        return f"{', '.join([f'{self.whole} whole', *cut])}; {self.taken} bytes"


def bytesTaken(transport: Any, size: int) -> tuple[int, bool]:
    """
    Find out how much a reader got whose connection is lost.

    @param transport: that of the connection.

    @param size: how many bytes were written to it.

    @return: how many bytes the reader's kernel has acknowledged, and C{True}; or how
        many were given to this one, and C{False}, where the other is not known.
    """
    acknowledged = getattr(transport, "acknowledged", None)
    if acknowledged is not None:
        return min(size, max(0, acknowledged - transport.overhead)), True
    unsent = len(getattr(transport, "dataBuffer", b"")) - transport.offset
    return max(0, size - unsent), False


def report(
    outcome: Outcome, delivery: Any, taken: int, isKnown: bool, log: Logger
) -> None:
    """
    Log that a reader did not get all of it.

    @param outcome: why.

    @param delivery: the L{DeliveryProtocol
        <fastpoetry.connection.delivery.DeliveryProtocol>}.

    @param taken: how many bytes it got.

    @param isKnown: whether it got that many, and not perhaps fewer.

    @param log: where to log it.
    """
    level, why = LogLevel.info, outcome.value
    line = GOT_PART if delivery.size else GOT_NOTHING
    if outcome is Outcome.ABORTED:  # over TLS there may be a reason
        why = getattr(delivery.transport, "why", "") or why
    if outcome is Outcome.GAVE_UP:
        level, line = LogLevel.warn, GAVE_UP
    log.emit(
        level,
        line,
        peer=peerName(delivery.transport.getPeer()),
        atMost="" if isKnown else "at most ",
        taken=taken,
        size=delivery.size,
        title=delivery.factory.fromTitle,
        timeout=delivery.factory.timeout,
        why=why,
        outcome=outcome,
    )
