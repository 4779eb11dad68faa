"""
Tests of L{fastpoetry.commands.output}, and of standard error.
"""

from __future__ import annotations

import io
import os
import pty
import select
import sys
import tty
from concurrent.futures import ThreadPoolExecutor

from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.commands.output import writeAll, writePoem
from fastpoetry.commands.process import standardError


class Pipe(io.FileIO):
    """
    The end of a pipe to write to, in non-blocking mode.

    @ivar isFull: whether it was full at the last write, and nobody has waited since.

    @ivar came: what came out at the other end.
    """

    isFull = False

    def __init__(self) -> None:
        self.end, descriptor = os.pipe()
        os.set_blocking(descriptor, False)
        super().__init__(descriptor, "wb")
        self.came = b""

    def write(self, data: object) -> int | None:  # type: ignore[override]
        """
        Write, but not twice without a wait when it is full.
        """
        if self.isFull:
            raise AssertionError("it spins")
        taken: int | None = super().write(data)  # type: ignore[arg-type]
        self.isFull = taken is None
        return taken

    def wait(self, *streams: object) -> None:
        """
        In place of C{select}: somebody reads meanwhile.
        """
        if streams != ([], [self], []) or not self.isFull:
            raise AssertionError(f"it waits for nothing: {streams}")
        self.isFull = False
        self.came += os.read(self.end, 2**20)


class WriteTests(SynchronousTestCase):
    """
    Tests of L{writeAll}.
    """

    def test_nonBlocking(self) -> None:
        """
        Where the output is in non-blocking mode, who writes waits for it.
        """
        with Pipe() as pipe:
            self.addCleanup(os.close, pipe.end)
            self.patch(select, "select", pipe.wait)
            poem = b"poem\n" * 100_000
            writeAll(pipe, poem)
            self.assertEqual(pipe.came + os.read(pipe.end, 2**20), poem)

    def test_nonBlockingUnread(self) -> None:
        """
        When nobody reads it any more, the wait is over.
        """
        with Pipe() as pipe:

            def leave(*streams: object) -> None:
                pipe.wait(*streams)
                os.close(pipe.end)

            self.patch(select, "select", leave)
            self.assertRaises(BrokenPipeError, writeAll, pipe, b"x" * 2**20)


class PoemTests(SynchronousTestCase):
    """
    Tests of L{writePoem}.
    """

    def print(self, isTerminal: bool, isRaw: bool) -> bytes:
        """
        @return: what comes of a poem with a control character in it.
        """
        end, descriptor = pty.openpty() if isTerminal else os.pipe()
        self.addCleanup(os.close, end)
        with io.FileIO(descriptor, "wb") as stream:
            if isTerminal:
                tty.setraw(descriptor)
            writePoem(stream, b"\x1b[31mpoem\xff\n", isRaw)
            return os.read(end, 100)

    def test_elsewhere(self) -> None:
        """
        In a pipe, bytes are bytes.
        """
        for isRaw in (False, True):
            self.assertEqual(self.print(False, isRaw), b"\x1b[31mpoem\xff\n")

    def test_terminal(self) -> None:
        """
        On a terminal control characters are shown, unless bytes are wanted.
        """
        self.assertEqual(self.print(True, False), b"^[[31mpoem\\xff\n")
        self.assertEqual(self.print(True, True), b"\x1b[31mpoem\xff\n")


class StandardErrorTests(SynchronousTestCase):
    """
    Tests of L{standardError}.
    """

    def open(self, path: str | int) -> io.TextIOWrapper:
        """
        Open a standard error, as Python does.

        @param path: or a descriptor.
        """
        stream = open(path, "w", encoding="latin-1")  # noqa: SIM115
        self.addCleanup(stream.close)
        self.patch(sys, "stderr", stream)
        return stream

    def test_written(self) -> None:
        """
        What is written is there at once, in the encoding of the process, and what
        that does not have is shown.
        """
        path = self.mktemp()
        self.open(path)
        stream = standardError()
        stream.write("\xe9 \u8a69\n")
        with open(path, "rb") as written:
            self.assertEqual(written.read(), b"\xe9 \\u8a69\n")
        self.assertEqual(stream.fileno(), sys.stderr.fileno())
        self.assertFalse(stream.isatty())

    def test_lost(self) -> None:
        """
        What cannot be written is lost, and nothing of it is left to be written
        once more.
        """
        behind = self.open("/dev/full")
        stream = standardError()
        stream.write("lost\n")
        stream.flush()
        stream.close()
        behind.flush()

    def test_unread(self) -> None:
        """
        So is what nobody reads.
        """
        end, descriptor = os.pipe()
        os.close(end)
        self.open(descriptor)
        standardError().write("lost\n")

    def test_none(self) -> None:
        """
        Where there is none, nothing can be read of what is written.
        """
        self.patch(sys, "stderr", None)
        stream = standardError()
        self.addCleanup(stream.buffer.close)
        stream.write("lost\n")
        self.assertFalse(stream.isatty())

    def test_nonBlocking(self) -> None:
        """
        In non-blocking mode it is waited for.
        """
        end, descriptor = os.pipe()
        stream = self.open(descriptor)
        os.set_blocking(descriptor, False)
        with open(end, "rb") as output, ThreadPoolExecutor(1) as thread:
            reading = thread.submit(output.read)
            with stream:
                standardError().write("x" * 2**20)
            self.assertEqual(len(reading.result()), 2**20)
