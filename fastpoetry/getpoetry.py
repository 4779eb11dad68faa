"""
The C{get-poetry} command: fetches poems, and prints them.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr, redirect_stdout
from typing import Any, BinaryIO, TextIO

from twisted.internet import task
from twisted.internet.defer import (
    Deferred,
    DeferredList,
    DeferredLock,
    DeferredSemaphore,
    FirstError,
)
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.threads import deferToThreadPool

from fastpoetry import __version__
from fastpoetry.client import (
    PoetryCancelledError,
    PoetryFetchError,
    clientEndpoint,
    getPoetry,
)

# How many seconds there are between two looks at the progress.  Work that is done
# before the first shows none.
INTERVAL = 0.25

# What the shell makes of a process that ended because nobody reads its output.
BROKEN_PIPE = 128 + signal.SIGPIPE

EPILOG = """\
An address may also be a Twisted endpoint description, such as
unix:/run/poem.sock.

examples:
  get-poetry 10000
  get-poetry --in-order localhost:10000 [::1]:10001 example.org:17
  get-poetry --transform cummingsify --transform-server 11000 10000

exit status: 0 when every poem is there, 1 when any is missing, 2 for a mistake
in the options.
"""


def seconds(text: str) -> float:
    """
    @return: a length of time, in seconds, above 0.

    @raise argparse.ArgumentTypeError: when the text is something else.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"not a number of seconds above 0: {text}")
    return number


def count(text: str) -> int:
    """
    @return: a number of things, 1 or more.

    @raise argparse.ArgumentTypeError: when the text is something else.
    """
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"not a whole number above 0: {text}")
    return int(text)


def transformName(text: str) -> str:
    """
    @return: the name of a transform.

    @raise argparse.ArgumentTypeError: when no transform can be called so.
    """
    # On the wire it is UTF-8, up to the first dot.
    isText = text.isprintable()  # bytes that are not UTF-8 come as surrogates
    if not text or not isText or "." in text:
        raise argparse.ArgumentTypeError(f"not the name of a transform: {text!a}")
    return text


def makeParser() -> argparse.ArgumentParser:
    """
    @return: what understands the command line.
    """
    parser = argparse.ArgumentParser(
        prog="get-poetry",
        usage="get-poetry [options] [HOST:]PORT ...",
        description="Fetch poems, and print them as they come, each whole.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "addresses",
        metavar="[HOST:]PORT",
        nargs="+",
        help="where to fetch a poem; HOST is localhost by default",
    )
    add(
        "--transform",
        metavar="NAME",
        type=transformName,
        help="have every poem transformed; one that cannot be is printed plain, "
        "with a warning",
    )
    add(
        "--transform-server",
        dest="transformServer",
        metavar="[HOST:]PORT",
        help="which server transforms",
    )
    add(
        "--timeout",
        metavar="SECONDS",
        type=seconds,
        default=60.0,
        help="give up on a server that cannot be reached, or sends nothing, for so "
        "many seconds [default: 60]",
    )
    add(
        "--jobs",
        metavar="N",
        type=count,
        default=10,
        help="fetch so many poems at once [default: 10]",
    )
    add(
        "--in-order",
        dest="inOrder",
        action="store_true",
        help="print the poems in the order asked, once all are there",
    )
    add("--quiet", action="store_true", help="show no progress")
    add("--version", action="version", version=f"get-poetry {__version__}")
    return parser


class Options(argparse.Namespace):
    """
    What a command line asks for.

    @ivar endpoints: where the poems are, in the order given.

    @ivar transform: the name of a transform, if one is wanted.

    @ivar transformServer: where the transform is.

    @ivar timeout: how many seconds a server may take to answer, and be silent.

    @ivar jobs: how many poems are fetched at once.

    @ivar inOrder: whether poems are printed in the order given.

    @ivar quiet: whether no progress is shown.
    """

    addresses: list[str]
    endpoints: list[IStreamClientEndpoint]
    transform: str | None
    transformServer: Any
    timeout: float
    jobs: int
    inOrder: bool
    quiet: bool


def parse(
    reactor: Any, argv: Sequence[str], stdout: BinaryIO, stderr: TextIO
) -> Options:
    """
    Understand a command line.

    @param reactor: what the endpoints will connect with.

    @raise SystemExit: when there is nothing to do, because help was asked for or a
        mistake was made.  What there is to say has been printed then.
    """
    parser = makeParser()
    printed = io.StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(stderr):
            options = parser.parse_intermixed_args(argv, Options())
            try:
                makeEndpoints(reactor, options)
            except ValueError as error:
                parser.error(str(error))
    finally:
        writeAll(stdout, printed.getvalue().encode())
    return options


def makeEndpoints(reactor: Any, options: Options) -> None:
    """
    Make endpoints of the addresses.

    @raise ValueError: when that is impossible.
    """
    if (options.transform is None) != (options.transformServer is None):
        raise ValueError("--transform and --transform-server go together")
    timeout = options.timeout
    options.endpoints = [
        clientEndpoint(reactor, text, timeout) for text in options.addresses
    ]
    if options.transformServer is not None:
        options.transformServer = clientEndpoint(
            reactor, options.transformServer, timeout
        )


def writeAll(stream: BinaryIO, data: bytes) -> None:
    """
    Write all of something: a stream without a buffer may take it in parts.

    @raise OSError: when that is impossible.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[stream.write(rest) :]
    stream.flush()


def sizeText(size: float) -> str:
    """
    @param size: a number of bytes.

    @return: the same for a human.
    """
    if size < 1000:
        return f"{size} bytes"
    for unit in ("kB", "MB"):
        size /= 1000
        if size < 999.95:
            return f"{size:.1f} {unit}"
    return f"{size / 1000:.1f} GB"


class Terminal:
    """
    Standard error: a line for each thing to say, and where it is a terminal, a
    last line that shows the progress.

    @ivar done: how many poems are there.

    @ivar failed: how many poems will not be.

    @ivar received: how many bytes have come.
    """

    def __init__(
        self, stream: TextIO, total: int, quiet: bool, clock: IReactorTime
    ) -> None:
        """
        @param total: how many poems were asked for.

        @param quiet: whether there is no progress to show.
        """
        self.done = self.failed = self.received = 0
        self._stream = stream
        self._isTerminal = stream.isatty()
        self._total = total
        self._quiet = quiet
        self._clock = clock
        self._since = clock.seconds()
        self._drawing = task.LoopingCall(self._draw)
        self._drawing.clock = clock
        self._line = ""
        self._isMidLine = False

    def show(self, isMidLine: bool = False) -> None:
        """
        Show the progress from now on.

        @param isMidLine: whether something else that was printed on the terminal
            has ended in the middle of a line.
        """
        self._isMidLine = isMidLine and self._isTerminal
        if self._isTerminal and not self._quiet:
            self._drawing.start(INTERVAL, now=False)

    def hide(self) -> None:
        """
        Take the progress away, so that something else can be printed there.
        """
        if self._drawing.running:
            self._drawing.stop()
            self._print(self._blank())

    def say(self, text: str) -> None:
        """
        Print a line.
        """
        self._print(f"{self._blank()}get-poetry: {text}\n")

    def _draw(self) -> None:
        failed = f", {self.failed} failed" if self.failed else ""
        elapsed = int(self._clock.seconds() - self._since)
        line = (
            f"poems: {self.done} of {self._total}{failed}, "
            f"{sizeText(self.received)}, {elapsed} s"
        )
        self._print("\r" + line.ljust(len(self._line)))
        self._line = line

    def _blank(self) -> str:
        line, self._line = self._line, ""
        return f"\r{' ' * len(line)}\r" if line else ""

    def _print(self, text: str) -> None:
        if text and self._isMidLine:
            text = "\n" + text
            self._isMidLine = False
        self._stream.write(text)
        self._stream.flush()


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
        self._reactor = reactor
        self._options = options
        self._stdout = stdout
        self._terminal = Terminal(stderr, total, options.quiet, reactor)
        self._jobs = DeferredSemaphore(options.jobs)
        self._writing = DeferredLock()

    async def run(self) -> int:
        """
        Fetch and print everything.

        @return: the exit status.

        @raise OSError: when a poem cannot be printed.
        """
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
            except PoetryCancelledError:
                raise
            except PoetryFetchError as error:
                self._terminal.failed += 1
                self._terminal.say(str(error))
                return b""
            if self._options.transform is not None:
                poem = await self._transform(endpoint, poem)
            self._terminal.done += 1
            if self._options.inOrder:
                return poem
            await self._write(poem)
            return b""

    def _fetch(self, endpoint: IStreamClientEndpoint) -> Deferred[bytes]:
        timeout = self._options.timeout
        return getPoetry(
            endpoint,
            timeout=timeout,
            connectTimeout=timeout,
            received=self._received,
            reactor=self._reactor,
        )

    def _received(self, size: int) -> None:
        self._terminal.received += size

    async def _transform(self, endpoint: IStreamClientEndpoint, poem: bytes) -> bytes:
        # Loaded only by those who want it.
        from fastpoetry.transform import TransformError, TransformProxy

        options = self._options
        assert options.transform is not None
        proxy = TransformProxy(
            options.transformServer,
            timeout=options.timeout,
            connectTimeout=options.timeout,
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
        async with self._writing:
            self._terminal.hide()
            try:
                # A pager may take its time, while other poems come.
                await deferToThreadPool(
                    self._reactor,
                    self._reactor.getThreadPool(),
                    writeAll,
                    self._stdout,
                    poem,
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
    try:
        options = parse(reactor, argv, stdout, stderr)
        status = await GetPoetry(reactor, options, stdout, stderr).run()
    except BrokenPipeError:
        status = BROKEN_PIPE
    except OSError as error:
        reason = error.strerror
        stderr.write(f"get-poetry: cannot write to standard output: {reason}\n")
        status = 1
    if status:
        raise SystemExit(status)


def run(react: Callable[..., Any] = task.react) -> None:
    """
    The command, as a process.
    """
    if sys.stdout is None:  # as after >&-
        raise SystemExit("get-poetry: standard output is closed")
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
    stderr = sys.stderr or io.StringIO()
    try:
        react(start, (sys.argv[1:], stdout, stderr))
    except SystemExit as end:
        if end.code == BROKEN_PIPE:
            signal.signal(signal.SIGPIPE, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGPIPE)
        raise
