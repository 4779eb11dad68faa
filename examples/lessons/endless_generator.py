"""
A generator without an end is a chain of callbacks that goes on as long as the program.
Its Deferred never fires.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.internet.task import Clock, deferLater


@inlineCallbacks
def tick(clock: Clock) -> Generator[Deferred[None], None, None]:
    """
    Count the seconds without an end.
    """
    seconds = 0
    try:
        while True:
            yield deferLater(clock, 1.0)
            seconds += 1
            print("tick", seconds)
    finally:
        print("stopped at the yield, after:", seconds)


def main() -> None:
    """
    Let it run for three seconds, and end it from outside.
    """
    clock = Clock()
    ticking: Deferred[Any] = tick(clock)
    clock.pump([1.0, 1.0, 1.0])
    print("has its Deferred fired?", ticking.called)
    print("calls that wait:", len(clock.getDelayedCalls()))

    ticking.addErrback(lambda failure: failure.trap(CancelledError))
    ticking.addCallback(lambda kind: print("ended with:", kind.__name__))
    ticking.cancel()
    print("calls that wait:", len(clock.getDelayedCalls()))


if __name__ == "__main__":
    main()
