"""
C{inlineCallbacks} makes a series of callbacks out of a generator.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.python.failure import Failure


@inlineCallbacks
def lesson(first: Any, second: Any, third: Any) -> Generator[Any, Any, str]:
    """
    Wait for three results, and return the last of them in capitals.
    """
    value = yield "plain"
    print("  a plain value comes straight back:", value)
    value = yield first
    print("  a Deferred comes back as its result:", value)
    try:
        yield second
    except ConnectionError as error:
        print("  a failure is raised at the yield:", error)
    poem: str = yield third
    if not poem:
        raise ValueError("the poem is empty")
    return poem.upper()


def report(result: Any) -> None:
    """
    Say how a lesson ended.
    """
    if isinstance(result, Failure):
        print("its Deferred failed:", result.value)
    else:
        print("its Deferred fired:", result)


def main() -> None:
    """
    Give two lessons.  The second ends with an exception.
    """
    for poem in ("a poem", ""):
        print("called: it runs until it has to wait")
        deferreds: list[Deferred[Any]] = [Deferred() for _ in range(3)]
        lesson(*deferreds).addBoth(report)
        print("paused at the first Deferred")
        deferreds[0].callback("one")
        print("paused at the second")
        deferreds[1].errback(ConnectionError("refused"))
        print("paused at the third")
        deferreds[2].callback(poem)


if __name__ == "__main__":
    main()
