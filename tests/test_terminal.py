"""
Tests of L{fastpoetry.commands.terminal}.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.commands.terminal import INTERVAL, Terminal, sizeText


class Errors(io.StringIO):
    """
    A standard error output.
    """

    def __init__(self, isTerminal: bool = False) -> None:
        super().__init__()
        self._isTerminal = isTerminal

    def isatty(self) -> bool:
        return self._isTerminal

    @property
    def screen(self) -> list[str]:
        """
        What is to be seen on a terminal, line by line.
        """
        lines = []
        for line in self.getvalue().split("\n"):
            shown = ""
            for part in line.split("\r"):
                shown = part + shown[len(part) :]
            lines.append(shown.rstrip())
        return lines


class TerminalTests(SynchronousTestCase):
    """
    Tests of L{Terminal}.
    """

    def setUp(self) -> None:
        """
        Have a terminal, on a clock that did not start with it.
        """
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.make()
        self.addCleanup(self.checkNothingLeft)

    def make(self, isTerminal: bool = True, quiet: bool = False) -> None:
        """
        Begin anew.
        """
        self.stderr = Errors(isTerminal)
        self.terminal = Terminal(self.stderr, 3, quiet, self.clock)

    def checkNothingLeft(self) -> None:
        """
        Nothing is drawn when all is done.
        """
        self.terminal.hide()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def wait(self) -> None:
        """
        Wait for the progress to be drawn.
        """
        self.clock.advance(INTERVAL)

    def test_progress(self) -> None:
        """
        The last line says how many poems are there, how many bytes have come in
        what time, and how many poems are not to be had if there are any.
        """
        self.terminal.show()
        self.wait()
        self.assertEqual(self.stderr.screen, ["poems: 0 of 3, 0 bytes, 0 s"])
        self.terminal.done += 1
        self.terminal.received += 12345
        self.clock.advance(10.0)
        self.assertEqual(self.stderr.screen, ["poems: 1 of 3, 12.3 kB, 10 s"])
        self.terminal.failed += 1
        self.wait()
        self.assertEqual(self.stderr.screen, ["poems: 1 of 3, 1 failed, 12.3 kB, 10 s"])

    def test_soonHidden(self) -> None:
        """
        What is hidden before the first look has shown nothing.
        """
        self.terminal.show()
        self.terminal.hide()
        self.wait()
        self.assertEqual(self.stderr.getvalue(), "")

    def test_hidden(self) -> None:
        """
        Hidden, the progress leaves an empty line to others, until it is shown
        again.
        """
        self.terminal.show()
        self.wait()
        self.terminal.hide()
        before = self.stderr.getvalue()
        self.assertEqual(self.stderr.screen, [""])
        self.assertTrue(before.endswith(" \r"))
        self.wait()
        self.assertEqual(self.stderr.getvalue(), before)
        self.terminal.show()
        self.wait()
        self.assertEqual(self.stderr.screen, ["poems: 0 of 3, 0 bytes, 0 s"])

    def test_say(self) -> None:
        """
        A line that is said takes the place of the progress, which comes back
        below it.
        """
        self.terminal.show()
        self.wait()
        self.terminal.say("a poem is lost")
        self.assertEqual(self.stderr.screen, ["get-poetry: a poem is lost", ""])
        self.terminal.say("another is")
        self.assertTrue(
            self.stderr.getvalue().endswith("lost\nget-poetry: another is\n")
        )
        self.wait()
        self.assertEqual(
            self.stderr.screen,
            [
                "get-poetry: a poem is lost",
                "get-poetry: another is",
                "poems: 0 of 3, 0 bytes, 0 s",
            ],
        )

    def test_shorterLine(self) -> None:
        """
        A line that becomes shorter leaves nothing of the longer one.
        """
        self.terminal.show()
        self.terminal.received = 999_900
        self.wait()
        self.assertEqual(self.stderr.screen, ["poems: 0 of 3, 999.9 kB, 0 s"])
        self.terminal.received = 1_000_000
        self.wait()
        self.assertEqual(self.stderr.screen, ["poems: 0 of 3, 1.0 MB, 0 s"])

    def test_control(self) -> None:
        """
        What is said may come from a peer: it is one line, with nothing that a
        terminal would obey.
        """
        self.terminal.say("a poem\x1b[31m\nis lost\x9b")
        self.assertEqual(
            self.stderr.getvalue(), "get-poetry: a poem^[[31m^Jis lost\\u009b\n"
        )

    def test_quiet(self) -> None:
        """
        If wanted, no progress is shown, and lines are still said.
        """
        self.make(quiet=True)
        self.terminal.show()
        self.wait()
        self.terminal.say("a poem is lost")
        self.terminal.hide()
        self.assertEqual(self.stderr.getvalue(), "get-poetry: a poem is lost\n")

    def test_noTerminal(self) -> None:
        """
        Where there is no terminal, nothing but lines is printed, wherever what is
        printed elsewhere has ended.
        """
        self.make(isTerminal=False)
        self.terminal.show(isMidLine=True)
        self.wait()
        self.terminal.say("a poem is lost")
        self.terminal.hide()
        self.assertEqual(self.stderr.getvalue(), "get-poetry: a poem is lost\n")

    def test_midLine(self) -> None:
        """
        Where something else has ended in the middle of a line, the progress
        begins another.
        """
        self.terminal.show(isMidLine=True)
        self.wait()
        self.wait()
        self.assertEqual(self.stderr.screen, ["", "poems: 0 of 3, 0 bytes, 0 s"])

    def test_midLineSaid(self) -> None:
        """
        Where something else has ended in the middle of a line, what is said
        begins another, once.
        """
        self.terminal.show(isMidLine=True)
        self.terminal.say("a poem is lost")
        self.terminal.say("another is")
        self.terminal.hide()
        self.assertEqual(
            self.stderr.getvalue(),
            "\nget-poetry: a poem is lost\nget-poetry: another is\n",
        )


class WidthTests(SynchronousTestCase):
    """
    Tests of a progress that is wider than the terminal.
    """

    def setUp(self) -> None:
        """
        Have a terminal.
        """
        self.master, slave = pty.openpty()
        self.addCleanup(os.close, self.master)
        self.stderr = open(slave, "w")  # noqa: SIM115
        self.addCleanup(self.stderr.close)
        self.clock = Clock()
        self.terminal = Terminal(self.stderr, 3, False, self.clock)
        self.terminal.show()
        self.addCleanup(self.terminal.hide)

    def resize(self, columns: int) -> None:
        """
        Give the terminal another width.
        """
        size = struct.pack("HHHH", 25, columns, 0, 0)
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def draw(self) -> str:
        """
        @return: what is drawn next.
        """
        self.clock.advance(INTERVAL)
        return os.read(self.master, 1000).decode()

    def test_cut(self) -> None:
        """
        The line is cut so that it stays one, whenever the width changes.
        """
        line = "\rpoems: 0 of 3, 0 bytes, 0 s"
        for columns, drawn in [(28, line), (10, line[:10]), (80, line)]:
            self.resize(columns)
            self.assertEqual(self.draw(), drawn)

    def test_blank(self) -> None:
        """
        What takes it away is no wider either.
        """
        self.resize(80)
        self.draw()
        self.resize(10)
        self.terminal.hide()
        self.assertEqual(os.read(self.master, 1000), b"\r         \r")

    def test_unknown(self) -> None:
        """
        Where the width is not known, nothing is cut.
        """
        self.resize(0)
        self.assertEqual(self.draw(), "\rpoems: 0 of 3, 0 bytes, 0 s")


class SizeTests(SynchronousTestCase):
    """
    Tests of L{sizeText}.
    """

    def test_sizes(self) -> None:
        """
        Sizes are told in the unit that fits.
        """
        for size, text in {
            0: "0 bytes",
            999: "999 bytes",
            1000: "1.0 kB",
            999_949: "999.9 kB",
            999_950: "1.0 MB",
            12_345_678: "12.3 MB",
            5_000_000_000_000: "5000.0 GB",
        }.items():
            self.assertEqual(sizeText(size), text)
