"""
What C{get-poetry} prints on standard error: failures, and on a terminal the progress.
"""

from __future__ import annotations

import os
from typing import TextIO

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from fastpoetry.text import printable

# Seconds from one line of progress to the next.  A command that is done sooner shows
# none.
INTERVAL = 0.25


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
    Standard error: a line for each failure, and when it is a terminal, a last line that
    shows the progress.

    @ivar done: how many poems are there.

    @ivar failed: how many poems have failed.

    @ivar received: how many bytes have come.
    """

    def __init__(
        self, stream: TextIO, total: int, isQuiet: bool, clock: IReactorTime
    ) -> None:
        """
        @param stream: standard error.

        @param total: how many poems were asked for.

        @param isQuiet: whether to show no progress.

        @param clock: tells how much time has gone by.
        """
        self.done = self.failed = self.received = 0
        self._stream = stream
        self._isTerminal = stream.isatty()
        self._total = total
        self._isQuiet = isQuiet
        self._clock = clock
        self._since = clock.seconds()
        self._drawing = LoopingCall(self._draw)
        self._drawing.clock = clock
        self._line = ""
        self._isMidLine = False

    def addReceived(self, size: int) -> None:
        """
        Count bytes that have come.
        """
        self.received += size

    def show(self, isMidLine: bool = False) -> None:
        """
        Show the progress from now on.

        @param isMidLine: whether what was printed before on the terminal has ended in
            the middle of a line.
        """
        self._isMidLine = isMidLine and self._isTerminal
        if self._isTerminal and not self._isQuiet:
            self._drawing.start(INTERVAL, now=False)

    def hide(self) -> None:
        """
        Remove the progress, so that something else can be printed there.
        """
        if self._drawing.running:
            self._drawing.stop()
            self._print(self._blank())

    def say(self, text: str) -> None:
        """
        Print a line.

        @param text: what to print.  Control characters in it, which may come from a
            peer, are shown.
        """
        self._print(f"{self._blank()}get-poetry: {printable(text)}\n")

    def _draw(self) -> None:
        failed = f", {self.failed} failed" if self.failed else ""
        elapsed = int(self._clock.seconds() - self._since)
        line = (
            f"poems: {self.done} of {self._total}{failed}, "
            f"{sizeText(self.received)}, {elapsed} s"
        )
        self._print("\r" + self._cut(line.ljust(len(self._line))))
        self._line = self._cut(line)

    def _blank(self) -> str:
        line, self._line = self._line, ""
        return f"\r{self._cut(' ' * len(line))}\r" if line else ""

    def _cut(self, line: str) -> str:
        # The last column stays free: some terminals begin a new line after it.
        try:
            columns = os.get_terminal_size(self._stream.fileno()).columns
        except OSError:
            return line
        return line[: columns - 1] if columns else line  # 0: it is not known

    def _print(self, text: str) -> None:
        if text and self._isMidLine:
            text = "\n" + text
            self._isMidLine = False
        self._stream.write(text)
        self._stream.flush()
