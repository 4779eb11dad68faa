"""
Who calls a generator: at first its caller, and after a pause the reactor.
"""

from __future__ import annotations

import traceback
from collections.abc import Generator
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.python.failure import Failure


def printCalls() -> None:
    """
    Print the calls that lead here, the outermost first.  Those inside Twisted are one
    line.
    """
    last = ""
    for frame in traceback.extract_stack()[:-1]:
        isOurs = frame.filename == __file__
        line = f"  {frame.name}: {frame.line}" if isOurs else "  (Twisted)"
        if line != last:
            print(line)
        last = line


@inlineCallbacks
def lesson(reactor: Any) -> Generator[Deferred[None], None, None]:
    """
    Print who calls, before and after a pause; then fail.
    """
    print("before the pause:")
    printCalls()
    yield deferLater(reactor, 0.01)
    print("after the pause:")
    printCalls()
    raise RuntimeError("the lesson is over")


def begin(reactor: Any) -> Deferred[None]:
    """
    Call the generator, and return before it has ended.
    """
    return lesson(reactor)


def main(reactor: Any) -> None:
    """
    Run the reactor until the lesson is over.
    """

    def report(failure: Failure) -> None:
        print("its Deferred failed:", failure.getErrorMessage())

    begin(reactor).addErrback(report).addBoth(lambda _: reactor.stop())
    reactor.run()


if __name__ == "__main__":
    from twisted.internet import reactor

    main(reactor)
