"""
C{get-poetry} as a process: its outputs, its signals, and its log.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.logger import (
    FilteringLogObserver,
    ILogFilterPredicate,
    LogEvent,
    LogLevel,
    PredicateResult,
    globalLogBeginner,
    textFileLogObserver,
)
from zope.interface import provider

from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.commands.getpoetry import BROKEN_PIPE, main
from fastpoetry.commands.jobs import affordableJobs
from fastpoetry.commands.output import unbuffered, writeAll


class _Careless(io.RawIOBase):
    """
    A stream that drops what cannot be written.
    """

    def __init__(self, stream: io.FileIO) -> None:
        self._stream = stream
        self.name = stream.name

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with suppress(OSError):
            writeAll(self._stream, data)
        return len(data)

    def close(self) -> None:
        super().close()
        self._stream.close()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


def standardError() -> TextIO:
    """
    @return: the standard error of this process, or what takes its place after C{2>&-}.
        What cannot be written there is dropped.
    """
    if sys.stderr is None:
        stream, encoding = io.FileIO(os.devnull, "wb"), "utf-8"
    else:
        stream = unbuffered(sys.stderr)
        encoding = sys.stderr.encoding
    return io.TextIOWrapper(
        _Careless(stream), encoding, "backslashreplace", write_through=True
    )


@provider(ILogFilterPredicate)
def isUnexpected(event: LogEvent) -> Any:
    """
    Decide what of Twisted's log is printed: critical events, which are bugs.  Two kinds
    of them are none, and the command says them in a line of its own: that TLS does not
    trust a server, and that there was no memory to read with.

    @see: L{twisted.logger.ILogFilterPredicate}
    """
    # The namespace is private to Twisted.  It is tested by
    # test_getpoetry_endtoend.GetPoetryTests.test_distrustedServer.
    isTold = event["log_namespace"] == "twisted.internet._sslverify" or (
        "log_failure" in event and event["log_failure"].check(MemoryError)
    )
    if event["log_level"] is LogLevel.critical and not isTold:
        return PredicateResult.yes
    return PredicateResult.no


def beginLog(stream: TextIO) -> None:
    """
    Print unexpected events of Twisted's log.
    """
    observer = FilteringLogObserver(textFileLogObserver(stream), [isUnexpected])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)


def run(react: Callable[..., Any] = task.react) -> None:
    """
    The command, as a process.

    @param react: L{task.react}, but for tests.

    @raise SystemExit: with the exit status, or with a sentence when there are too few
        descriptors.
    """
    affordableJobs(1)  # the reactor needs some descriptors when it is made
    stderr = standardError()
    if sys.stdout is None:  # as after >&-
        stderr.write("get-poetry: standard output is closed\n")
        raise SystemExit(1)
    # A signal ends this process at once, as it ends other commands.  Python would print
    # a traceback, and Twisted would end with status 0.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    terminate = signal.getsignal(signal.SIGTERM)

    def start(reactor: Any, *arguments: Any) -> Deferred[None]:
        reactor.callWhenRunning(signal.signal, signal.SIGTERM, terminate)
        return main(reactor, *arguments)

    stdout = unbuffered(sys.stdout)
    beginLog(stderr)
    maybeGlobalReactor(None)  # sets the clock of the reactor that react() takes
    try:
        react(start, (sys.argv[1:], stdout, stderr))
    except SystemExit as end:
        if end.code == BROKEN_PIPE:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGPIPE)
        raise
