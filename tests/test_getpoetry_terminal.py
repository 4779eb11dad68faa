"""
Tests of what C{get-poetry} shows on a terminal.
"""

from __future__ import annotations

import os

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost

from fastpoetry.commands.terminal import INTERVAL
from tests.command import CommandTestCase, Output
from tests.test_terminal import Errors


class ProgressTests(CommandTestCase):
    """
    Tests of what a terminal shows.
    """

    def setUp(self) -> None:
        """
        Have standard error be a terminal.
        """
        super().setUp()
        self.patch(os, "environ", {"TERM": "xterm"})
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

    def test_dumb(self) -> None:
        """
        A terminal that cannot overwrite a line shows only failures.
        """
        os.environ["TERM"] = "dumb"
        done = self.start("17")
        self.wait()
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

    def test_emptyPoem(self) -> None:
        """
        A poem of no bytes leaves the line as it was.
        """
        self.stdout = Output(isTerminal=True)
        done = self.start("17", "18")
        self.reactor.accept(0).sendPoem(b"")
        empty = "get-poetry: localhost:17: the poem is empty"
        self.assertEqual(self.stderr.screen, [empty, ""])
        self.wait()
        self.assertEqual(self.stderr.screen, [empty, "poems: 1 of 2, 0 bytes, 0 s"])
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

    def test_control(self) -> None:
        """
        On a terminal control characters of a poem, and of what a peer has to say,
        are shown; bytes come if wanted.
        """
        self.stdout = Output(isTerminal=True)
        done = self.start("17", "18")
        self.reactor.accept(0).sendPoem(b"\x1b[31mpoem\r\n")
        self.reactor.accept(1).end(ConnectionError("\x1b[31m\nno\x9b"))
        self.assertEnds(
            done,
            1,
            b"^[[31mpoem\r\n",
            r"get-poetry: localhost:18: ^[[31m^Jno\u009b, 0 bytes received",
        )
        self.stdout = Output(isTerminal=True)
        done = self.start("17", "--raw")
        self.reactor.accept().sendPoem(b"\x1b[31mpoem\xff")
        self.successResultOf(done)
        self.assertEqual(self.stdout.flushed, b"\x1b[31mpoem\xff")
