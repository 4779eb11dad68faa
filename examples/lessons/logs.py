"""
What is logged before the log begins, and after; and how errors are logged.
"""

from __future__ import annotations

import sys

from twisted.internet.defer import fail, succeed
from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    eventAsText,
    globalLogBeginner,
)
from twisted.python.failure import Failure


def formatEvent(event: LogEvent) -> str:
    """
    @return: the text of an event without the time, with the traceback of an error.
    """
    return eventAsText(event, includeTimestamp=False) + "\n"


def main() -> None:
    """
    Log 201 events, begin the log, and log again.
    """
    log = Logger(namespace="lesson")
    log.info("the first event")
    for number in range(198):
        log.debug("detail {number}", number=number)
    log.info("from before the log began")
    log.critical("too grave to wait")
    print("print is not the log")

    everything = FileLogObserver(sys.stdout, formatEvent)
    withoutDetails = LogLevelFilterPredicate(LogLevel.info)
    observer = FilteringLogObserver(everything, [withoutDetails])
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
