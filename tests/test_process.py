"""
Tests of L{fastpoetry.commands.process}.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import warnings
from typing import Any, TextIO

from twisted.internet.error import ConnectionLost
from twisted.logger import LogBeginner, Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure

from fastpoetry.commands import process
from fastpoetry.commands.getpoetry import BROKEN_PIPE
from fastpoetry.commands.process import run
from tests.command import CommandTestCase


class RunTests(CommandTestCase):
    """
    Tests of the command as a process.
    """

    def setUp(self) -> None:
        """
        Have files for the outputs, and remember what is changed in the process.
        """
        super().setUp()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.output = self.open(self.mktemp())
        self.patch(sys, "stdout", self.output)
        self.errors = self.open(self.mktemp())
        self.patch(sys, "stderr", self.errors)
        self.patch(sys, "argv", ["/usr/bin/get-poetry", "17"])
        self.killed: list[tuple[int, int]] = []
        self.patch(os, "kill", lambda *arguments: self.killed.append(arguments))
        self.publisher = LogPublisher()
        beginner = LogBeginner(self.publisher, self.stderr, sys, warnings)
        self.patch(process, "globalLogBeginner", beginner)

    def open(self, path: str) -> TextIO:
        """
        Open an output.
        """
        stream = open(path, "w+", encoding="utf-8")  # noqa: SIM115
        self.addCleanup(stream.close)
        return stream

    def read(self, stream: TextIO) -> bytes:
        """
        @return: what an output got.
        """
        stream.buffer.seek(0)
        return stream.buffer.read()

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
        self.assertEqual(self.read(self.output), b"poem\xff")
        self.assertEqual(self.read(self.errors), b"")

    def test_log(self) -> None:
        """
        Of Twisted's log, what nobody has thought of is printed, and nothing else.
        """
        run(self.react)
        self.server.sendPoem(b"poem")
        for namespace, level, text in (
            ("fastpoetry.client", LogLevel.critical, "a bug"),
            ("fastpoetry.client", LogLevel.warn, "a warning"),
            ("twisted.internet._sslverify", LogLevel.critical, "a certificate"),
        ):
            Logger(namespace, observer=self.publisher).emit(level, text)
        Logger("log_legacy", observer=self.publisher).failure(
            "no memory", Failure(MemoryError())
        )
        (line,) = self.read(self.errors).splitlines()
        self.assertTrue(line.endswith(b" [fastpoetry.client#critical] a bug"), line)

    def test_bug(self) -> None:
        """
        What nobody has thought of comes with its traceback.
        """
        run(self.react)
        self.server.sendPoem(b"poem")
        Logger("log_legacy", observer=self.publisher).failure(
            "a bug", Failure(ValueError("a value"))
        )
        self.assertIn(b"ValueError: a value", self.read(self.errors))

    def test_signals(self) -> None:
        """
        Signals end the process as they end any other.
        """
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        run(self.react)
        self.server.sendPoem(b"poem")
        self.assertIs(signal.getsignal(signal.SIGINT), signal.SIG_DFL)
        self.assertIs(signal.getsignal(signal.SIGTERM), signal.SIG_DFL)

    def test_ignoredSignals(self) -> None:
        """
        Signals that whoever started the process wants ignored are.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        run(self.react)
        self.server.sendPoem(b"poem")
        self.assertIs(signal.getsignal(signal.SIGINT), signal.SIG_IGN)
        self.assertIs(signal.getsignal(signal.SIGTERM), signal.SIG_IGN)

    def end(self, status: int) -> object:
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

    def test_descriptors(self) -> None:
        """
        A limit of descriptors that is too low for the reactor is raised before that is
        made, and when it cannot be, nothing is done.
        """
        hard, limits = 10, []
        self.patch(resource, "getrlimit", lambda number: (5, hard))
        self.patch(resource, "setrlimit", lambda *new: limits.append(new))
        self.patch(process, "maybeGlobalReactor", lambda _: self.assertTrue(limits))
        run(self.react)
        self.server.sendPoem(b"poem")
        self.assertEqual(limits[0], (resource.RLIMIT_NOFILE, (10, 10)))
        hard -= 1
        error = self.assertRaises(SystemExit, run, self.react)
        self.assertIn(" is 9, and at least 10 are needed", str(error.code))

    def test_noOutput(self) -> None:
        """
        Without a standard output nothing is done.
        """
        self.patch(sys, "stdout", None)
        error = self.assertRaises(SystemExit, run, self.react)
        self.assertEqual(error.code, 1)
        self.assertEqual(
            self.read(self.errors), b"get-poetry: standard output is closed\n"
        )
        self.assertEqual(self.reactor.ports, [])

    def assertPoem(self) -> None:
        """
        Assert that of two poems, one of which does not come, the other is printed,
        and that the exit status tells.
        """
        self.patch(sys, "argv", ["/usr/bin/get-poetry", "17", "18"])
        run(self.react)
        self.server.end(ConnectionLost())
        self.reactor.accept(0).sendPoem(b"poem")
        self.assertEqual(self.failureResultOf(self.done).value.code, 1)
        self.assertEqual(self.read(self.output), b"poem")

    def test_noErrorOutput(self) -> None:
        """
        Without a standard error output nothing is said.
        """
        self.patch(sys, "stderr", None)
        self.assertPoem()

    def test_fullErrorOutput(self) -> None:
        """
        A standard error output that cannot be written costs no poem, and leaves
        nothing behind that fails once more at the end of the process.
        """
        full = open("/dev/full", "w")  # noqa: SIM115
        self.addCleanup(full.close)
        self.patch(sys, "stderr", full)
        self.assertPoem()
        full.flush()

    def test_unreadErrorOutput(self) -> None:
        """
        Neither does one that nobody reads.
        """
        end, descriptor = os.pipe()
        os.close(end)
        unread = open(descriptor, "w")  # noqa: SIM115
        self.addCleanup(unread.close)
        self.patch(sys, "stderr", unread)
        self.assertPoem()
        unread.flush()

    def test_fullOutputs(self) -> None:
        """
        When no output can be written, the exit status tells.
        """
        full = open("/dev/full", "w")  # noqa: SIM115
        self.addCleanup(full.close)
        self.patch(sys, "stdout", full)
        self.patch(sys, "stderr", full)
        run(self.react)
        self.server.sendPoem(b"poem")
        self.assertEqual(self.failureResultOf(self.done).value.code, 1)
