"""
The C{get-poetry} command: fetches poems, and prints them.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO, TextIO

from twisted.internet import task
from twisted.internet.defer import (
    Deferred,
    DeferredList,
    DeferredLock,
    DeferredSemaphore,
    FirstError,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.threads import deferToThreadPool
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

from fastpoetry.client import PoetryCancelledError, PoetryFetchError, getPoetry
from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.commands.arguments import Options, parse
from fastpoetry.commands.descriptors import affordableJobs
from fastpoetry.commands.output import standardError, writeAll, writePoem
from fastpoetry.commands.terminal import Terminal

# What the shell makes of a process that ended because nobody reads its output.
BROKEN_PIPE = 128 + signal.SIGPIPE


class GetPoetry:
    """
    Does what the options ask for.
    """

    def __init__(
        self, reactor: Any, options: Options, stdout: BinaryIO, stderr: TextIO
    ) -> None:
        """
        @param reactor: the clock, the connections, and the threads to write in.

        @param stdout: where the poems go.

        @param stderr: where everything else goes.
        """
        total = len(options.endpoints)
        isDumb = os.environ.get("TERM") == "dumb"
        self._reactor = reactor
        self._options = options
        self._stdout = stdout
        self._terminal = Terminal(stderr, total, options.quiet or isDumb, reactor)
        self._wantedJobs = min(options.jobs, total)
        self._jobs = DeferredSemaphore(affordableJobs(self._wantedJobs))
        self._writing = DeferredLock()

    async def run(self) -> int:
        """
        Fetch and print everything.

        @return: the exit status.

        @raise OSError: when a poem cannot be printed.
        """
        if self._jobs.limit < self._wantedJobs:
            self._terminal.say(
                f"{self._jobs.limit} poems at once instead of {self._wantedJobs}: "
                "no descriptors for more (ulimit -Hn)"
            )
        self._terminal.show()
        try:
            await self._run()
        finally:
            self._terminal.hide()
        return 1 if self._terminal.failed else 0

    async def _run(self) -> None:
        fetches = [
            Deferred.fromCoroutine(self._get(endpoint))
            for endpoint in self._options.endpoints
        ]
        try:
            # The only errors left are those that end everything.
            results = await DeferredList(
                fetches, fireOnOneErrback=True, consumeErrors=True
            )
        except FirstError as first:
            first.subFailure.raiseException()
        finally:
            for fetch in reversed(fetches):  # those that wait for a turn first
                fetch.cancel()
        for _, poem in results:
            await self._write(poem)

    async def _get(self, endpoint: IStreamClientEndpoint) -> bytes:
        """
        Fetch one poem, and do with it what is wanted.

        @return: what is left to be printed when all are there.
        """
        async with self._jobs:
            try:
                poem = await self._fetch(endpoint)
                if self._options.transform is not None:
                    poem = await self._transform(endpoint, poem)
            except PoetryCancelledError:
                raise
            except PoetryFetchError as error:
                return self._miss(str(error))
            except MemoryError:
                return self._miss(f"{endpoint}: no memory left to transform it")
            self._terminal.done += 1
            if self._options.inOrder:
                return poem
            await self._write(poem)
            return b""

    def _miss(self, reason: str) -> bytes:
        self._terminal.failed += 1
        self._terminal.say(reason)
        return b""

    async def _fetch(self, endpoint: IStreamClientEndpoint) -> bytes:
        options = self._options
        poem = await getPoetry(
            endpoint,
            timeout=options.timeout,
            connectTimeout=options.timeout,
            totalTimeout=options.totalTimeout,
            maxLength=options.maxLength,
            received=self._received,
            reactor=self._reactor,
        )
        if not poem:
            # So ends also a server that has none, as a relay without its backend.
            self._terminal.say(f"{endpoint}: the poem is empty")
        return poem

    def _received(self, size: int) -> None:
        self._terminal.received += size

    async def _transform(self, endpoint: IStreamClientEndpoint, poem: bytes) -> bytes:
        # Loaded only by those who want it.
        from fastpoetry.transformclient import TransformError, TransformProxy

        options = self._options
        assert options.transform is not None
        proxy = TransformProxy(
            options.transformServer,
            timeout=options.timeout,
            connectTimeout=options.timeout,
            totalTimeout=options.totalTimeout,
            reactor=self._reactor,
        )
        try:
            return await proxy.xform(options.transform, poem)
        except TransformError as error:
            self._terminal.say(
                f"{endpoint}: not transformed by {options.transformServer}: {error}"
            )
        return poem

    async def _write(self, poem: bytes) -> None:
        if not poem:  # which ends in no line
            return
        async with self._writing:
            self._terminal.hide()
            try:
                # A pager may take its time, while other poems come.
                await deferToThreadPool(
                    self._reactor,
                    self._reactor.getThreadPool(),
                    writePoem,
                    self._stdout,
                    poem,
                    self._options.raw,
                )
            finally:
                isMidLine = self._stdout.isatty() and not poem.endswith(b"\n")
                self._terminal.show(isMidLine)


def main(
    reactor: Any, argv: Sequence[str], stdout: BinaryIO, stderr: TextIO
) -> Deferred[None]:
    """
    The command, as a function.

    @param argv: the arguments, without the name of the command.

    @param stdout: where the poems go.

    @param stderr: where everything else goes.

    @return: a L{Deferred} that fires when all is done, or fails with a
        L{SystemExit} that has the exit status when that is not 0.
    """
    return Deferred.fromCoroutine(_main(reactor, argv, stdout, stderr))


async def _main(
    reactor: Any, argv: Sequence[str], stdout: BinaryIO, stderr: TextIO
) -> None:
    printed = io.StringIO()
    try:
        try:
            options = parse(reactor, argv, printed, stderr)
        finally:
            writeAll(stdout, printed.getvalue().encode())
        status = await GetPoetry(reactor, options, stdout, stderr).run()
    except BrokenPipeError:
        status = BROKEN_PIPE
    except OSError as error:
        reason = error.strerror
        stderr.write(f"get-poetry: cannot write to standard output: {reason}\n")
        status = 1
    if status:
        raise SystemExit(status)


@provider(ILogFilterPredicate)
def isUnexpected(event: LogEvent) -> Any:
    """
    Decide what of Twisted's log is printed: what it would print by itself, but not why
    TLS distrusts a server, and that there was no memory to read with, which are told
    in a line as every other failure.

    @see: L{twisted.logger.ILogFilterPredicate}
    """
    isTold = event["log_namespace"] == "twisted.internet._sslverify" or (
        "log_failure" in event and event["log_failure"].check(MemoryError)
    )
    if event["log_level"] is LogLevel.critical and not isTold:
        return PredicateResult.yes
    return PredicateResult.no


def run(react: Callable[..., Any] = task.react) -> None:
    """
    The command, as a process.
    """
    stderr = standardError()
    if sys.stdout is None:  # as after >&-
        stderr.write("get-poetry: standard output is closed\n")
        raise SystemExit(1)
    # A signal ends this as it ends any other command: nothing is left half done.
    # Python would print a traceback, and Twisted end with status 0.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    terminate = signal.getsignal(signal.SIGTERM)

    def start(reactor: Any, *arguments: Any) -> Deferred[None]:
        reactor.callWhenRunning(signal.signal, signal.SIGTERM, terminate)
        return main(reactor, *arguments)

    # A buffer would complain once more, at exit, of what it could not write.
    stdout = io.FileIO(sys.stdout.fileno(), "wb", closefd=False)
    observer = FilteringLogObserver(textFileLogObserver(stderr), [isUnexpected])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    maybeGlobalReactor(None)  # the one that react() takes, whose clock it sets
    try:
        react(start, (sys.argv[1:], stdout, stderr))
    except SystemExit as end:
        if end.code == BROKEN_PIPE:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGPIPE)
        raise
