"""
C{fireOnOneCallback} and C{fireOnOneErrback} together: the first to end decides, be it
by a result or by a failure.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredList, FirstError
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure


def giveUp() -> str:
    """
    Fail when the time is up.
    """
    raise TimeoutError("the time is up")


def race(fetchTime: float, limit: float) -> None:
    """
    Fetch a poem that takes so many seconds, with so many to do it.
    """
    clock = Clock()
    runners: list[Deferred[str]] = [
        deferLater(clock, fetchTime, lambda: "a poem"),
        deferLater(clock, limit, giveUp),
    ]
    first: Any = DeferredList(
        runners, fireOnOneCallback=True, fireOnOneErrback=True, consumeErrors=True
    )

    def fetched(answer: tuple[str, int]) -> str:
        return answer[0]

    def failed(failure: Failure) -> str:
        failure.trap(FirstError)
        error: Any = failure.value
        return error.subFailure.getErrorMessage()  # type: ignore[no-any-return]

    def end(outcome: str) -> None:
        print(f"after {clock.seconds():.0f} s: {outcome}")
        for runner in runners:
            runner.cancel()

    first.addCallbacks(fetched, failed).addCallback(end)
    clock.pump([1.0, 1.0])
    print("still under way:", len(clock.getDelayedCalls()))


def main() -> None:
    """
    Win once, and lose once.
    """
    race(fetchTime=1.0, limit=2.0)
    race(fetchTime=2.0, limit=1.0)


if __name__ == "__main__":
    main()
