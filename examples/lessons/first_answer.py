"""
C{fireOnOneCallback}: the same poem from several mirrors, where one is enough.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import Clock, deferLater


def refuse() -> str:
    """
    Fail like a mirror that is switched off.
    """
    raise ConnectionError("refused")


def main() -> None:
    """
    Ask three mirrors, and cancel the others once one has answered.
    """
    clock = Clock()
    mirrors: list[Deferred[str]] = [
        deferLater(clock, 3.0, lambda: "a late poem"),
        deferLater(clock, 1.0, refuse),
        deferLater(clock, 2.0, lambda: "a poem"),
    ]
    first: Any = DeferredList(mirrors, fireOnOneCallback=True, consumeErrors=True)

    def take(answer: tuple[str, int]) -> None:
        poem, index = answer  # which counts from 0
        print(f"after {clock.seconds():.0f} s: {poem!r} from mirror {index + 1}")
        print("still under way:", len(clock.getDelayedCalls()))
        for mirror in mirrors:
            mirror.cancel()  # does nothing to those that have fired
        print("after cancelling:", len(clock.getDelayedCalls()))

    first.addCallback(take)
    clock.pump([1.0, 1.0, 1.0])

    nobody: Any = DeferredList(
        [deferLater(clock, 1.0, refuse)], fireOnOneCallback=True, consumeErrors=True
    )
    nobody.addCallback(lambda results: print("if all fail:", len(results), "pair"))
    clock.advance(1.0)

    empty: Any = DeferredList([], fireOnOneCallback=True)
    print("has an empty list fired?", empty.called)


if __name__ == "__main__":
    main()
