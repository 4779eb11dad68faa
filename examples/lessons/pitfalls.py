"""
What goes wrong with C{inlineCallbacks} though it looks right.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import Clock, deferLater

clock = Clock()  # time goes on only when we say so
readers = 0


def save() -> Deferred[None]:
    """
    Pretend to save something, in one second.
    """
    return deferLater(clock, 1.0, print, "  saved")


@inlineCallbacks
def forgets() -> Generator[Any, Any, None]:
    """
    Forget a C{yield}: nothing waits for what the first call began.
    """
    save()
    print("  goes on at once")
    yield


@inlineCallbacks
def yieldsList() -> Generator[Any, Any, None]:
    """
    Yield a list.  It is a plain value, whatever is in it.
    """
    results = yield [save()]
    print("  got:", type(results[0]).__name__)


@inlineCallbacks
def count() -> Generator[Any, Any, None]:
    """
    Trust that nothing has changed across a C{yield}.
    """
    global readers
    old = readers
    yield save()
    readers = old + 1


@inlineCallbacks
def returnsDeferred() -> Generator[Any, Any, Deferred[None]]:
    """
    Return a Deferred.  It is the result itself, and nothing waits for it.
    """
    yield
    return save()


def noGenerator() -> None:
    """
    Have no C{yield} at all.
    """


def main() -> None:
    """
    Fall into each of them.
    """
    print("a yield was forgotten")
    forgets()
    clock.advance(1.0)

    print("a list was yielded")
    yieldsList()
    clock.advance(1.0)

    print("two readers were counted")
    count()
    count()
    clock.advance(1.0)
    print("  readers:", readers)

    print("a Deferred was returned")
    ended = returnsDeferred()
    ended.addCallback(lambda result: print("  got:", type(result).__name__))
    clock.advance(1.0)

    print("there is no yield")
    try:
        inlineCallbacks(noGenerator)()  # type: ignore[arg-type]
    except TypeError as error:
        print(" ", type(error).__name__)


if __name__ == "__main__":
    main()
