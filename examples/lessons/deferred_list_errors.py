"""
What becomes of a failure in a C{DeferredList}: one that nobody takes is logged when
its Deferred is forgotten.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import FileLogObserver, LogEvent, eventAsText, globalLogBeginner


def formatWithoutTime(event: LogEvent) -> str:
    """
    @return: the text of an event, with the traceback of an error.
    """
    return eventAsText(event, includeTimestamp=False) + "\n"


def printResults(results: list[tuple[bool, object]]) -> None:
    """
    Print the first half of each result.
    """
    print("  fired with:", [isWell for isWell, _ in results])


def main() -> None:
    """
    Four times a poem cannot be fetched.
    """
    observer = FileLogObserver(sys.stdout, formatWithoutTime)
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)

    print("by itself, the list leaves the failure where it was")
    poem: Deferred[Any] = Deferred()
    DeferredList([poem]).addCallback(printResults)
    poem.errback(ConnectionError("refused"))
    poem = Deferred()  # forgets the one before

    print("consumeErrors takes it")
    DeferredList([poem], consumeErrors=True).addCallback(printResults)
    poem.errback(ConnectionError("refused"))
    poem = Deferred()

    print("so does an errback after the list")
    DeferredList([poem]).addCallback(printResults)
    poem.addErrback(lambda failure: print("  own errback:", failure.value))
    poem.errback(ConnectionError("refused"))
    poem = Deferred()

    print("after an errback the list sees no failure")
    poem.addErrback(lambda failure: print("  own errback:", failure.value))
    DeferredList([poem]).addCallback(printResults)
    poem.errback(ConnectionError("refused"))


if __name__ == "__main__":
    main()
