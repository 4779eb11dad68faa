"""
What is logged before and after there is a place for the log, and how errors get
there, with their tracebacks.
"""

from __future__ import annotations

import sys

from twisted.internet.defer import fail, succeed
from twisted.logger import (
    FileLogObserver,
    LogEvent,
    Logger,
    eventAsText,
    globalLogBeginner,
)
from twisted.python.failure import Failure


def formatWithoutTime(event: LogEvent) -> str:
    """
    @return: the text of an event, with the traceback of an error.
    """
    return eventAsText(event, includeTimestamp=False) + "\n"


def main() -> None:
    """
    Log, begin to log, and log again.
    """
    log = Logger(namespace="lesson")
    log.info("from before the log began")
    log.critical("too grave to wait")
    print("print is not the log")

    observer = FileLogObserver(sys.stdout, formatWithoutTime)
    globalLogBeginner.beginLoggingTo([observer])
    log.info("a format with {count} {things}", count=2, things="fields")
    print("now it is")

    def report(failure: Failure) -> None:
        log.failure("caught by an errback", failure)

    try:
        int("a poem")
    except ValueError:
        log.failure("caught by except")
    succeed("another poem").addCallback(int).addErrback(report)
    fail(ValueError("nobody asked"))  # no errback, and nobody keeps the Deferred
    log.info("the program goes on")


if __name__ == "__main__":
    main()
