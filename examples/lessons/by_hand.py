"""
What C{inlineCallbacks} does, by hand.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


def run(generator: Generator[Deferred[Any], Any, Any]) -> Deferred[Any]:
    """
    Run a generator, and wait for each Deferred that it yields.

    @return: a L{Deferred} of what it returns or raises.
    """
    done: Deferred[Any] = Deferred()

    def step(result: Any) -> None:
        try:
            if isinstance(result, Failure):
                error: Any = result.value
                waitsFor = generator.throw(error)
            else:
                waitsFor = generator.send(result)
        except StopIteration as end:
            done.callback(end.value)
        except Exception:
            done.errback()  # with the exception that is being handled
        else:
            waitsFor.addBoth(step)

    step(None)  # the first value that is sent must be None: that is next
    return done


def lesson(
    first: Deferred[str], second: Deferred[None]
) -> Generator[Deferred[Any], Any, str]:
    """
    Wait for two results, of which the second may fail.
    """
    poem: str = yield first
    print("has:", poem)
    try:
        yield second
    except ConnectionError as error:
        print("caught:", error)
    return poem.upper()


def main() -> None:
    """
    Run one generator.
    """
    first: Deferred[str] = Deferred()
    second: Deferred[None] = Deferred()
    run(lesson(first, second)).addCallback(lambda result: print("fired with:", result))
    print("it waits")
    first.callback("a poem")
    print("it waits again")
    second.errback(ConnectionError("refused"))


if __name__ == "__main__":
    main()
