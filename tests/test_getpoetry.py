"""
Tests of L{fastpoetry.commands.getpoetry}.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.logger import LogBeginner, Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure

from fastpoetry.commands import getpoetry
from fastpoetry.commands.getpoetry import BROKEN_PIPE, main, run
from fastpoetry.commands.terminal import INTERVAL
from tests.test_client import ClientReactor, ClientTestCase
from tests.test_terminal import Errors


class CommandReactor(ClientReactor):
    """
    A reactor whose threads are done when its next turn comes.

    @ivar isBusy: whether they take longer than that.
    """

    isBusy = False

    def __init__(self) -> None:
        super().__init__()
        self.work: list[Callable[[], None]] = []

    def getThreadPool(self) -> CommandReactor:
        """
        There are no others.
        """
        return self

    def callInThreadWithCallback(
        self, onResult: Any, call: Any, *arguments: Any
    ) -> None:
        """
        Call, and tell the result.
        """

        def work() -> None:
            try:
                result = call(*arguments)
            except Exception:
                onResult(False, Failure())
            else:
                onResult(True, result)

        if self.isBusy:
            self.work.append(work)
        else:
            work()
            self.advance(0)


class Output(io.BytesIO):
    """
    A standard output.

    @ivar writes: what was written, each time.

    @ivar flushed: what was there when it was last flushed.

    @ivar error: what comes of writing.

    @ivar most: how many bytes it takes at once; by default all.
    """

    error: OSError | None = None
    most: int | None = None

    def __init__(self, isTerminal: bool = False) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.flushed = b""
        self._isTerminal = isTerminal

    def isatty(self) -> bool:
        return self._isTerminal

    def flush(self) -> None:
        self.flushed = self.getvalue()

    def write(self, data: Any) -> int:
        if self.error is not None:
            raise self.error
        self.writes.append(bytes(data[: self.most]))
        return super().write(data[: self.most])


class CommandTestCase(ClientTestCase):
    """
    Runs the command.
    """

    def setUp(self) -> None:
        """
        Make a reactor and the outputs.
        """
        super().setUp()
        self.reactor: CommandReactor = CommandReactor()
        self.stdout = Output()
        self.stderr = Errors()

    def start(self, *arguments: str) -> Deferred[None]:
        """
        Run the command with these arguments.
        """
        return main(self.reactor, arguments, self.stdout, self.stderr)

    def assertEnds(
        self, done: Deferred[None], status: int, stdout: bytes, *stderr: str
    ) -> None:
        """
        Assert that the command is done, with an exit status, what was printed,
        and the lines of standard error.
        """
        if status == 0:
            self.assertIsNone(self.successResultOf(done))
        else:
            error = self.failureResultOf(done, SystemExit).value
            self.assertEqual(error.code, status)
        self.assertEqual(self.stdout.flushed, stdout)
        self.assertEqual(self.stderr.getvalue().splitlines(), list(stderr))


class ArgumentsTests(CommandTestCase):
    """
    Tests of what becomes of the command line.
    """

    def test_refused(self) -> None:
        """
        A mistake gives the usage and one sentence, and status 2; nothing is
        fetched.
        """
        done = self.start("17", "18x", "19")
        self.assertEnds(
            done,
            2,
            b"",
            "usage: get-poetry [options] [HOST:]PORT ...",
            "get-poetry: error: not a port number from 1 to 65535: 18x",
        )
        self.assertEqual(self.reactor.tcpClients, [])

    def test_help(self) -> None:
        """
        Help comes on standard output, and nothing is fetched.
        """
        done = self.start("--help", "17")
        self.assertEqual(self.failureResultOf(done, SystemExit).value.code, 0)
        self.assertTrue(self.stdout.flushed.startswith(b"usage: get-poetry "))
        self.assertEqual(self.stderr.getvalue(), "")
        self.assertEqual(self.reactor.tcpClients, [])

    def test_helpUnread(self) -> None:
        """
        When nobody reads the help, that is no reason for a traceback.
        """
        self.stdout.error = BrokenPipeError()
        done = self.start("--help")
        self.assertEqual(self.failureResultOf(done).value.code, BROKEN_PIPE)

    def test_anyOrder(self) -> None:
        """
        Options and addresses may stand in any order.
        """
        done = self.start("17", "--quiet", "18", "--timeout", "5", "--jobs", "3", "19")
        self.assertEqual(self.reactor.ports, [17, 18, 19])
        for number in range(3):
            self.reactor.accept(number).sendPoem(b"%d" % number)
        self.assertEnds(done, 0, b"012")


class FetchTests(CommandTestCase):
    """
    Tests of fetching and printing.
    """

    def test_poem(self) -> None:
        """
        A poem is printed byte by byte as it is, in one write.
        """
        poem = bytes(range(256))
        done = self.start("17")
        server = self.reactor.accept()
        server.send(poem[:100])
        self.assertEqual(self.stdout.writes, [])
        server.sendPoem(poem[100:])
        self.assertEnds(done, 0, poem)
        self.assertEqual(self.stdout.writes, [poem])

    def test_partialWrites(self) -> None:
        """
        Where the output takes less than is written to it, the rest follows.
        """
        self.stdout.most = 3
        done = self.start("17")
        self.reactor.accept().sendPoem(b"poem")
        self.assertEnds(done, 0, b"poem")
        self.assertEqual(self.stdout.writes, [b"poe", b"m"])

    def test_asTheyCome(self) -> None:
        """
        Poems are printed as they come, each whole.
        """
        done = self.start("17", "18")
        first, second = self.reactor.accept(0), self.reactor.accept(1)
        first.send(b"one\n")
        second.sendPoem(b"two\n")
        self.assertEqual(self.stdout.getvalue(), b"two\n")
        first.end()
        self.assertEnds(done, 0, b"two\none\n")

    def test_inOrder(self) -> None:
        """
        If wanted, poems are printed in the order asked, when all are there; one
        that is not leaves no trace, and an empty one neither.
        """
        done = self.start("17", "18", "19", "20", "--in-order")
        for number, poem in [(2, b"three\n"), (3, b""), (0, b"one\n")]:
            self.reactor.accept(number).sendPoem(poem)
        self.assertEqual(self.stdout.getvalue(), b"")
        self.reactor.accept(1).end(ConnectionLost())
        self.assertEnds(
            done,
            1,
            b"one\nthree\n",
            "get-poetry: localhost:18: Connection lost before the end, "
            "0 bytes received",
        )

    def test_sameAddress(self) -> None:
        """
        An address that is given twice is asked twice.
        """
        done = self.start("17", "17")
        self.reactor.accept(0).sendPoem(b"one\n")
        self.reactor.accept(1).sendPoem(b"two\n")
        self.assertEnds(done, 0, b"one\ntwo\n")

    def test_failures(self) -> None:
        """
        Every failure is a line, at once; the other poems are printed.
        """
        done = self.start("17", "localhost:18", "nowhere:19", "20", "--timeout", "2.5")
        lines = ["get-poetry: nowhere:19: DNS lookup failed: no results for hostname "]
        lines[0] += "lookup: nowhere, 0 bytes received"
        self.assertEqual(self.stderr.getvalue().splitlines(), lines)
        server = self.reactor.accept(0)
        server.send(b"half")
        server.end(ConnectionLost())
        lines.append(
            "get-poetry: localhost:17: Connection lost before the end, 4 bytes received"
        )
        self.assertEqual(self.stderr.getvalue().splitlines(), lines)
        self.reactor.accept(2).sendPoem(b"poem\n")
        self.reactor.pump([2.5, 0])
        lines.append(
            "get-poetry: localhost:18: no connection for 2.5 seconds, 0 bytes received"
        )
        self.assertEnds(done, 1, b"poem\n", *lines)

    def test_timeout(self) -> None:
        """
        The timeout is also that of a server that sends nothing.
        """
        done = self.start("17", "--timeout", "2.5")
        server = self.reactor.accept()
        server.send(b"half")
        self.reactor.pump([2.5, 0])
        self.assertEnds(
            done,
            1,
            b"",
            "get-poetry: localhost:17: nothing came for 2.5 seconds, 4 bytes received",
        )

    def test_jobs(self) -> None:
        """
        No more poems are fetched at once than wanted, and the next is begun when
        one is printed, or will not come.
        """
        done = self.start("17", "18", "19", "20", "--jobs", "2")
        self.assertEqual(self.reactor.ports, [17, 18])
        self.reactor.refuse(1)
        self.assertEqual(self.reactor.ports, [17, 18, 19])
        self.reactor.isBusy = True
        self.reactor.accept(0).sendPoem(b"one\n")
        self.assertEqual(self.reactor.ports, [17, 18, 19])
        self.reactor.isBusy = False
        self.reactor.work.pop()()
        self.reactor.advance(0)
        self.assertEqual(self.reactor.ports, [17, 18, 19, 20])
        for number in (2, 3):
            self.reactor.accept(number).sendPoem(b"poem\n")
        self.failureResultOf(done, SystemExit)
        self.assertEqual(self.stdout.getvalue(), b"one\npoem\npoem\n")

    def test_slowOutput(self) -> None:
        """
        While a poem cannot be written, others come, and are written after it.
        """
        done = self.start("17", "18", "--timeout", "5")
        self.reactor.isBusy = True
        self.reactor.accept(0).sendPoem(b"one\n")
        self.reactor.advance(4.0)
        self.reactor.accept(1).sendPoem(b"two\n")
        self.reactor.advance(1000.0)
        self.assertEqual(len(self.reactor.work), 1)
        self.reactor.isBusy = False
        self.reactor.work.pop()()
        self.reactor.advance(0)
        self.assertEnds(done, 0, b"one\ntwo\n")

    def test_brokenPipe(self) -> None:
        """
        When nobody reads the poems, everything ends at once, and quietly.
        """
        done = self.start("17", "18", "19", "--jobs", "2")
        server = self.reactor.accept(1)
        self.stdout.error = BrokenPipeError()
        self.reactor.accept(0).sendPoem(b"poem")
        self.assertTrue(server.isAborted)
        for connector in self.reactor.connectors[2:]:
            self.assertTrue(connector.stoppedConnecting)
        server.end(ConnectionLost())
        self.assertEnds(done, BROKEN_PIPE, b"")

    def test_cannotWrite(self) -> None:
        """
        When the poems cannot be written, everything ends with the reason.
        """
        for option in ("--quiet", "--in-order"):
            self.stderr = Errors()
            done = self.start("17", option)
            self.stdout.error = OSError(errno.ENOSPC, "No space left on device")
            self.reactor.accept().sendPoem(b"poem")
            self.assertEnds(
                done,
                1,
                b"",
                "get-poetry: cannot write to standard output: No space left on device",
            )
            self.stdout.error = None

    def test_cancel(self) -> None:
        """
        To cancel the command closes all connections, leaves none to come, and
        says nothing.
        """
        done = self.start("17", "18", "19", "--jobs", "2")
        server = self.reactor.accept(0)
        done.cancel()
        self.assertTrue(server.isAborted)
        for connector in self.reactor.connectors[1:]:
            self.assertTrue(connector.stoppedConnecting)
        self.failureResultOf(done, CancelledError)
        self.assertEqual(self.stderr.getvalue(), "")


class TransformTests(CommandTestCase):
    """
    Tests of poems that are to be transformed.
    """

    def begin(self) -> Deferred[None]:
        """
        Fetch a poem that is to be transformed.
        """
        options = ["--transform", "loud", "--transform-server", "11000"]
        done = self.start("17", *options, "--timeout", "5")
        self.assertEqual(self.reactor.ports, [17])
        self.reactor.accept().sendPoem(b"po\xc3\xa9sie")
        self.assertEqual(self.reactor.ports, [17, 11000])
        return done

    def test_transformed(self) -> None:
        """
        A poem is transformed before it is printed.
        """
        done = self.begin()
        server = self.reactor.accept()
        self.assertEqual(server.transport.value(), b"12:loud.po\xc3\xa9sie,")
        server.sendPoem(b"8:PO\xc3\x89SIE!,")
        self.assertEnds(done, 0, b"PO\xc3\x89SIE!")

    def test_notTransformed(self) -> None:
        """
        A poem that cannot be transformed is printed as it is, with a warning.
        """
        done = self.begin()
        self.reactor.accept().end()
        self.assertEnds(
            done,
            0,
            b"po\xc3\xa9sie",
            "get-poetry: localhost:17: not transformed by localhost:11000: "
            "The server closed without an answer",
        )

    def test_unreachable(self) -> None:
        """
        A server of transforms that cannot be reached in time is no different.
        """
        done = self.begin()
        self.reactor.pump([5.0, 0])
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual(self.stdout.getvalue(), b"po\xc3\xa9sie")
        self.assertIn("not transformed by", self.stderr.getvalue())

    def test_noPoem(self) -> None:
        """
        Without a poem there is nothing to transform.
        """
        options = ["--transform", "loud", "--transform-server", "11000"]
        done = self.start("17", *options)
        self.reactor.accept().end(ConnectionLost())
        self.assertEqual(self.failureResultOf(done).value.code, 1)
        self.assertEqual(self.reactor.ports, [17])

    def test_cancel(self) -> None:
        """
        To cancel the command cancels the transform.
        """
        done = self.begin()
        server = self.reactor.accept()
        done.cancel()
        self.assertTrue(server.isAborted)
        self.failureResultOf(done, CancelledError)
        self.assertEqual(self.stdout.getvalue(), b"")
        server.end(ConnectionLost())


class ProgressTests(CommandTestCase):
    """
    Tests of what a terminal shows.
    """

    def setUp(self) -> None:
        """
        Have standard error be a terminal.
        """
        super().setUp()
        self.stderr = Errors(isTerminal=True)
        self.reactor.advance(1000.0)  # the clock did not start with the command

    def wait(self) -> None:
        """
        Wait for the progress to be drawn.
        """
        self.reactor.advance(INTERVAL)

    def test_progress(self) -> None:
        """
        While poems come, the last line of the terminal says how many are there,
        how many are not to be had, and how many bytes have come in what time;
        in the end it is gone.
        """
        done = self.start("17", "18", "19", "--timeout", "1000")
        servers = [self.reactor.accept(number) for number in range(3)]
        self.assertEqual(self.stderr.getvalue(), "")
        self.wait()
        self.assertEqual(self.stderr.screen, ["poems: 0 of 3, 0 bytes, 0 s"])
        servers[0].send(b"x" * 12345)
        self.wait()
        self.assertEqual(self.stderr.screen, ["poems: 0 of 3, 12.3 kB, 0 s"])
        servers[1].end(ConnectionLost())
        servers[2].sendPoem(b"poem\n")
        failure = (
            "get-poetry: localhost:18: Connection lost before the end, 0 bytes received"
        )
        self.assertEqual(self.stderr.screen, [failure, ""])
        self.reactor.advance(10.0)
        self.assertEqual(
            self.stderr.screen, [failure, "poems: 1 of 3, 1 failed, 12.3 kB, 10 s"]
        )
        servers[0].end()
        self.failureResultOf(done, SystemExit)
        self.assertEqual(self.stderr.screen, [failure, ""])

    def test_short(self) -> None:
        """
        Work that is soon done shows nothing.
        """
        done = self.start("17")
        self.reactor.accept().sendPoem(b"poem\n")
        self.assertEnds(done, 0, b"poem\n")

    def test_quiet(self) -> None:
        """
        If wanted, only failures are shown.
        """
        done = self.start("17", "18", "--quiet")
        self.wait()
        self.reactor.accept(0).sendPoem(b"poem\n")
        self.reactor.refuse(1)
        self.wait()
        self.assertEnds(
            done,
            1,
            b"poem\n",
            "get-poetry: localhost:18: Connection refused, 0 bytes received",
        )

    def test_noTerminal(self) -> None:
        """
        Nothing but failures is shown where there is no terminal.
        """
        self.stderr = Errors()
        self.stdout = Output(isTerminal=True)
        done = self.start("17", "18")
        self.wait()
        self.reactor.accept(0).sendPoem(b"no end of line")
        self.reactor.refuse(1)
        self.wait()
        self.assertEnds(
            done,
            1,
            b"no end of line",
            "get-poetry: localhost:18: Connection refused, 0 bytes received",
        )

    def test_sameTerminal(self) -> None:
        """
        Poems that go to the same terminal have the line to themselves, for as
        long as it takes to write them.
        """
        self.stdout = Output(isTerminal=True)
        done = self.start("17", "18")
        self.wait()
        self.reactor.isBusy = True
        self.reactor.accept(0).sendPoem(b"poem\n")
        before = self.stderr.getvalue()
        self.assertEqual(self.stderr.screen, [""])
        self.reactor.advance(1.0)
        self.assertEqual(self.stderr.getvalue(), before)
        self.reactor.isBusy = False
        self.reactor.work.pop()()
        self.reactor.advance(0)
        self.wait()
        self.assertEqual(self.stderr.screen, ["poems: 1 of 2, 5 bytes, 1 s"])
        done.cancel()
        self.failureResultOf(done, CancelledError)

    def test_noEndOfLine(self) -> None:
        """
        Where a poem has ended in the middle of a line, progress and failures
        begin another.
        """
        self.stdout = Output(isTerminal=True)
        for isCut in (False, True):
            self.stderr = Errors(isTerminal=True)
            done = self.start("17", "18")
            self.reactor.accept(-2).sendPoem(b"no end")
            if isCut:
                self.reactor.accept().end(ConnectionLost())
                self.failureResultOf(done, SystemExit)
                begun, line = self.stderr.getvalue().splitlines()
                self.assertEqual(begun, "")
                self.assertTrue(line.startswith("get-poetry: localhost:18: "), line)
            else:
                self.wait()
                self.wait()
                self.assertEqual(
                    self.stderr.screen, ["", "poems: 1 of 2, 6 bytes, 0 s"]
                )
                done.cancel()
                self.failureResultOf(done, CancelledError)

    def test_otherOutput(self) -> None:
        """
        Poems that go elsewhere end no line of the terminal.
        """
        done = self.start("17", "18")
        self.reactor.accept(0).sendPoem(b"no end")
        self.wait()
        self.assertEqual(self.stderr.screen, ["poems: 1 of 2, 6 bytes, 0 s"])
        done.cancel()
        self.failureResultOf(done, CancelledError)


class RunTests(CommandTestCase):
    """
    Tests of the command as a process.
    """

    def setUp(self) -> None:
        """
        Have a file for standard output, and remember what is changed in the
        process.
        """
        super().setUp()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.output = open(self.mktemp(), "w+b", buffering=0)  # noqa: SIM115
        self.addCleanup(self.output.close)
        self.patch(sys, "stdout", io.TextIOWrapper(self.output, "utf-8"))
        self.addCleanup(sys.stdout.detach)
        self.patch(sys, "stderr", self.stderr)
        self.patch(sys, "argv", ["/usr/bin/get-poetry", "17"])
        self.killed: list[tuple[int, int]] = []
        self.patch(os, "kill", lambda *arguments: self.killed.append(arguments))
        self.publisher = LogPublisher()
        beginner = LogBeginner(self.publisher, self.stderr, sys, warnings)
        self.patch(getpoetry, "globalLogBeginner", beginner)

    def react(self, start: Any, arguments: Any) -> None:
        """
        Do what L{twisted.internet.task.react} does, but for what the test does.
        """
        self.done = start(self.reactor, *arguments)
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        for hook in self.reactor.whenRunningHooks:
            hook[0](*hook[1], **hook[2])
        self.server = self.reactor.accept()

    def test_poem(self) -> None:
        """
        The poem comes on the process's standard output.
        """
        run(self.react)
        self.server.sendPoem(b"poem\xff")
        self.successResultOf(self.done)
        self.output.seek(0)
        self.assertEqual(self.output.read(), b"poem\xff")
        self.assertEqual(self.stderr.getvalue(), "")

    def test_log(self) -> None:
        """
        Of Twisted's log, what nobody has thought of is printed, and nothing else.
        """
        run(self.react)
        self.server.sendPoem(b"")
        for namespace, level, text in (
            ("fastpoetry.client", LogLevel.critical, "a bug"),
            ("fastpoetry.client", LogLevel.warn, "a warning"),
            ("twisted.internet._sslverify", LogLevel.critical, "a certificate"),
        ):
            Logger(namespace, observer=self.publisher).emit(level, text)
        (line,) = self.stderr.getvalue().splitlines()
        self.assertTrue(line.endswith(" [fastpoetry.client#critical] a bug"), line)

    def test_signals(self) -> None:
        """
        Signals end the process as they end any other.
        """
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        run(self.react)
        self.server.sendPoem(b"")
        self.assertIs(signal.getsignal(signal.SIGINT), signal.SIG_DFL)
        self.assertIs(signal.getsignal(signal.SIGTERM), signal.SIG_DFL)

    def test_ignoredSignals(self) -> None:
        """
        Signals that whoever started the process wants ignored are.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        run(self.react)
        self.server.sendPoem(b"")
        self.assertIs(signal.getsignal(signal.SIGINT), signal.SIG_IGN)
        self.assertIs(signal.getsignal(signal.SIGTERM), signal.SIG_IGN)

    def end(self, status: int) -> int:
        """
        Run, and have the command end with a status.

        @return: the exit status of the process, if it is not killed.
        """

        def react(start: object, arguments: object) -> None:
            raise SystemExit(status)

        return self.assertRaises(SystemExit, run, react).code

    def test_status(self) -> None:
        """
        The exit status is that of the command.
        """
        for status in (0, 1, 2):
            self.assertEqual(self.end(status), status)
        self.assertEqual(self.killed, [])

    def test_brokenPipe(self) -> None:
        """
        When nobody reads its output, the process ends by SIGPIPE, as others do.
        """
        self.assertEqual(self.end(BROKEN_PIPE), BROKEN_PIPE)
        self.assertEqual(self.killed, [(os.getpid(), signal.SIGPIPE)])
        self.assertIs(signal.getsignal(signal.SIGPIPE), signal.SIG_DFL)

    def test_noOutput(self) -> None:
        """
        Without a standard output nothing is done.
        """
        self.patch(sys, "stdout", None)
        error = self.assertRaises(SystemExit, run, self.react)
        self.assertEqual(error.code, "get-poetry: standard output is closed")
        self.assertEqual(self.reactor.ports, [])

    def test_noErrorOutput(self) -> None:
        """
        Without a standard error output nothing is said.
        """
        self.patch(sys, "stderr", None)
        run(self.react)
        self.server.end(ConnectionLost())
        self.assertEqual(self.failureResultOf(self.done).value.code, 1)
