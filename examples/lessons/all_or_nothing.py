"""
C{fireOnOneErrback}: the parts of one book, of which the reader wants all or none.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredList, FirstError
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure


def lose() -> str:
    """
    Fail like a server that goes away.
    """
    raise ConnectionError("reset")


def main() -> None:
    """
    Fetch three parts, and give all up when one fails.
    """
    clock = Clock()
    parts: list[Deferred[str]] = [
        deferLater(clock, 3.0, lambda: "part one"),
        deferLater(clock, 1.0, lambda: "part two"),
        deferLater(clock, 2.0, lose),
    ]
    book: Any = DeferredList(parts, fireOnOneErrback=True, consumeErrors=True)

    def giveUp(failure: Failure) -> None:
        failure.trap(FirstError)
        error: Any = failure.value
        why = error.subFailure.getErrorMessage()
        number = error.index + 1  # an index counts from 0
        print(f"after {clock.seconds():.0f} s: part {number} failed: {why}")
        print("still under way:", len(clock.getDelayedCalls()))
        for part in parts:
            part.cancel()  # does nothing to those that have fired
        print("after cancelling:", len(clock.getDelayedCalls()))

    book.addErrback(giveUp)
    clock.pump([1.0, 1.0, 1.0])


if __name__ == "__main__":
    main()
