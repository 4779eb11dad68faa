"""
The C{get-poetry} command: fetches poems, and prints them.
"""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Sequence
from typing import Any, BinaryIO, TextIO

from twisted.internet.defer import (
    Deferred,
    DeferredList,
    DeferredLock,
    DeferredSemaphore,
    FirstError,
)
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.threads import deferToThreadPool

from fastpoetry.client import PoetryCancelledError, PoetryFetchError, getPoetry
from fastpoetry.commands.arguments import Options, parse
from fastpoetry.commands.jobs import affordableJobs
from fastpoetry.commands.output import writeAll, writePoem
from fastpoetry.commands.terminal import Terminal

# The status of a process that ended since nobody reads its output, as a shell has it.
BROKEN_PIPE = 128 + signal.SIGPIPE


class GetPoetry:
    """
    Fetches all poems that the options ask for, and prints them.
    """

    def __init__(
        self, reactor: Any, options: Options, stdout: BinaryIO, stderr: TextIO
    ) -> None:
        """
        @param reactor: the clock, what connects, and whose threads write.

        @param stdout: where the poems are printed.

        @param stderr: where everything else is printed.
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
        Fetch and print all poems.

        @return: the exit status: 0 when every poem is there, else 1.

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
        # Fetch all poems at once, and print each when it is its turn.
        fetches = [
            Deferred.fromCoroutine(self._get(endpoint))
            for endpoint in self._options.endpoints
        ]
        try:
            # Only an error that ends everything is left: output that cannot be written.
            results = await DeferredList(
                fetches, fireOnOneErrback=True, consumeErrors=True
            )
        except FirstError as first:
            first.subFailure.raiseException()
        finally:
            # From the end, so that none of those that wait begins.
            for fetch in reversed(fetches):
                fetch.cancel()
        for _, poem in results:
            await self._write(poem)

    async def _get(self, endpoint: IStreamClientEndpoint) -> bytes:
        # Fetch one poem, and have it transformed and printed, if the options say so.
        # It returns what is to be printed when all poems are there.
        async with self._jobs:
            try:
                poem = await self._fetch(endpoint)
                if self._options.transform is not None:
                    poem = await self._transform(endpoint, poem)
            except PoetryCancelledError:
                raise
            except PoetryFetchError as error:
                return self._fail(str(error))
            except MemoryError:
                return self._fail(f"{endpoint}: no memory left to transform it")
            self._terminal.done += 1
            if self._options.inOrder:
                return poem
            await self._write(poem)
            return b""

    def _fail(self, reason: str) -> bytes:
        # Count a poem that is not there, and say why.
        self._terminal.failed += 1
        self._terminal.say(reason)
        return b""

    async def _fetch(self, endpoint: IStreamClientEndpoint) -> bytes:
        # Fetch one poem, and say so if it is empty.
        options = self._options
        poem = await getPoetry(
            endpoint,
            timeout=options.timeout,
            connectTimeout=options.timeout,
            totalTimeout=options.totalTimeout,
            maxLength=options.maxLength,
            received=self._terminal.addReceived,
            reactor=self._reactor,
        )
        if not poem:
            # A relay whose own server is down ends like that, too.
            self._terminal.say(f"{endpoint}: the poem is empty")
        return poem

    async def _transform(self, endpoint: IStreamClientEndpoint, poem: bytes) -> bytes:
        # Have a poem transformed, and say so if nothing is left of it, or if it cannot
        # be.  The module is loaded only for those who ask for it.
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
            transformed = await proxy.xform(options.transform, poem)
        except TransformError as error:
            self._terminal.say(
                f"{endpoint}: not transformed by {options.transformServer}: {error}"
            )
            return poem
        if poem and not transformed:
            self._terminal.say(
                f"{endpoint}: transformed by {options.transformServer}, "
                "the poem is empty"
            )
        return transformed

    async def _write(self, poem: bytes) -> None:
        # Print one poem, with the progress out of the way.
        if not poem:  # nothing to print, and no newline at its end
            return
        async with self._writing:
            self._terminal.hide()
            try:
                # In a thread, since a pager may take its time while other poems come.
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

    @param stdout: where the poems are printed.

    @param stderr: where everything else is printed.

    @return: a L{Deferred} that fires when all is done, or fails with a C{SystemExit}
        when the exit status is not 0.
    """
    return Deferred.fromCoroutine(_main(reactor, argv, stdout, stderr))


async def _main(
    reactor: Any, argv: Sequence[str], stdout: BinaryIO, stderr: TextIO
) -> None:
    # Parse the arguments, and run the command.
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
        stderr.write(f"get-poetry: cannot write to standard output: {error.strerror}\n")
        status = 1
    if status:
        raise SystemExit(status)
