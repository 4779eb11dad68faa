"""
What becomes of a failure in a C{DeferredList}: if nobody handles it, it is logged when
its Deferred is thrown away.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogBeginner
from zope.interface import provider


@provider(ILogObserver)
def printEvent(event: LogEvent) -> None:
    """
    Print what is logged: an error, or else the text.
    """
    failure = event.get("log_failure")
    print("  logged:", failure.value if failure else formatEvent(event))


def printResults(results: list[tuple[bool, object]]) -> None:
    """
    Print the first half of each result.
    """
    print("  fired with:", [isWell for isWell, _ in results])


def main() -> None:
    """
    Four times a poem cannot be fetched.
    """
    globalLogBeginner.beginLoggingTo([printEvent], redirectStandardIO=False)

    print("by itself, the list leaves the failure where it was")
    poem: Deferred[Any] = Deferred()
    DeferredList([poem]).addCallback(printResults)
    poem.errback(ConnectionError("refused"))
    poem = Deferred()  # the one before is thrown away

    print("consumeErrors takes it out")
    DeferredList([poem], consumeErrors=True).addCallback(printResults)
    poem.errback(ConnectionError("refused"))
    poem = Deferred()

    print("so does an errback that was added after the list")
    DeferredList([poem]).addCallback(printResults)
    poem.addErrback(lambda failure: print("  own errback:", failure.value))
    poem.errback(ConnectionError("refused"))
    poem = Deferred()

    print("an errback that was added before the list hides it")
    poem.addErrback(lambda failure: print("  own errback:", failure.value))
    DeferredList([poem]).addCallback(printResults)
    poem.errback(ConnectionError("refused"))


if __name__ == "__main__":
    main()
