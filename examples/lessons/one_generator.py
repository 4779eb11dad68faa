"""
A generator that fetches, prints and counts, and stops the reactor in the end.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater

# What each pretended server sends; nobody listens at the second.
SERVERS = {1: b"Cold hands, warm pen.", 3: b"\xff is no text", 4: b"The sun went."}


@inlineCallbacks
def fetch(reactor: Any, number: int) -> Generator[Deferred[None], None, bytes]:
    """
    Pretend to fetch a poem: it takes 10 milliseconds for each server.
    """
    yield deferLater(reactor, number / 100)
    if number not in SERVERS:
        raise ConnectionError("nobody listens")
    return SERVERS[number]


@inlineCallbacks
def show(reactor: Any, number: int, waiting: set[int]) -> Generator[Any, bytes, None]:
    """
    Fetch and print one poem, and stop the reactor if no other is awaited.
    """
    try:
        poem = yield fetch(reactor, number)
        print(f"{number}: {poem.decode()}")
    except ConnectionError as error:
        print(f"{number}: no poem: {error}")
    finally:
        waiting.remove(number)
        print("still to come:", len(waiting))
        if not waiting:
            reactor.stop()


def main(reactor: Any) -> None:
    """
    Show four poems, all at once.
    """
    waiting = {1, 2, 3, 4}

    def begin() -> None:
        for number in sorted(waiting):
            shown: Deferred[Any] = show(reactor, number, waiting)
            shown.addErrback(lambda error: print("a bug:", type(error.value).__name__))

    reactor.callWhenRunning(begin)  # the last may end at once, and stop it
    reactor.run()
    print("the reactor has stopped")


if __name__ == "__main__":
    from twisted.internet import reactor

    main(reactor)
