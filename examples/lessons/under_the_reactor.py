"""
Who calls a generator: first its caller, and after a pause the reactor.
"""

from __future__ import annotations

import traceback
from collections.abc import Generator
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.task import deferLater
from twisted.python.failure import Failure


def printCallers() -> None:
    """
    Print the calls that lead here, the outermost first.
    """
    for frame in traceback.extract_stack()[:-1]:
        print(f"  {frame.name}: {frame.line}")


@inlineCallbacks
def lesson(reactor: Any) -> Generator[Deferred[None], None, None]:
    """
    Print who calls, before and after a pause; then fail.
    """
    print("before the pause:")
    printCallers()
    yield deferLater(reactor, 0.01)
    print("after the pause:")
    printCallers()
    raise RuntimeError("the lesson is over")


def report(failure: Failure) -> None:
    """
    Say what was raised, and where.
    """
    *_, last = traceback.extract_tb(failure.getTracebackObject())
    print(f"raised in {last.name}: {failure.getErrorMessage()}")


def main(reactor: Any) -> None:
    """
    Run the reactor until the lesson is over.
    """
    lesson(reactor).addErrback(report).addBoth(lambda _: reactor.stop())
    reactor.run()


if __name__ == "__main__":
    from twisted.internet import reactor

    main(reactor)
