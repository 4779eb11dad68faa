"""
Tests of L{fastpoetry.streams}.
"""

from __future__ import annotations

import fcntl
import os
import pty
import socket
import sys
import termios
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import provider

from fastpoetry.streams import LogStream, openStandardStreams, standardOutput
from tests.support import F_SETPIPE_SZ

LINE = "x" * 999 + "\n"


class StreamTestCase(SynchronousTestCase):
    """
    Has a stream as the log of the process, through which it says what it has dropped.
    """

    def open(self, fd: int, encoding: str = "utf-8") -> LogStream:
        """
        Make a stream.
        """
        self.addCleanup(os.close, fd)
        stream = LogStream(fd, encoding)

        @provider(ILogObserver)
        def observe(event: LogEvent) -> None:
            stream.write(formatEvent(event) + "\n")

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        return stream

    def pipe(self) -> tuple[int, LogStream]:
        """
        @return: the end to read from, and a stream into a pipe of two pages.
        """
        end, fd = os.pipe()
        self.addCleanup(os.close, end)
        fcntl.fcntl(fd, F_SETPIPE_SZ, 8192)
        return end, self.open(fd)


class LogStreamTests(StreamTestCase):
    """
    Tests of L{LogStream}.
    """

    def test_escaped(self) -> None:
        """
        What the encoding has no letters for is escaped.
        """
        end, fd = os.pipe()
        self.addCleanup(os.close, end)
        stream = self.open(fd, "latin-1")
        self.assertEqual(stream.write("\xe9 \u8a69 \udce9\n"), 6)
        self.assertEqual(os.read(end, 100), b"\xe9 \\u8a69 \\udce9\n")

    def test_surrogate(self) -> None:
        """
        In UTF-8, that is what stands for bytes that are no text.
        """
        end, stream = self.pipe()
        stream.write("\xe9 \udce9\n")
        self.assertEqual(os.read(end, 100), b"\xc3\xa9 \\udce9\n")

    def test_dropped(self) -> None:
        """
        Lines that a full pipe does not take are dropped, and when it does again, the
        log says how many.
        """
        end, stream = self.pipe()
        for _ in range(10):
            stream.write(LINE)
        stream.write("a traceback\nof two lines\n")
        # Four to a page; the next one is on the other, and then no page is free.
        self.assertEqual(os.read(end, 2**16), 5 * LINE.encode())
        stream.write("it goes on\n")
        self.assertEqual(
            os.read(end, 2**16), b"it goes on\n7 lines of the log were dropped\n"
        )
        stream.write("and on\n")
        self.assertEqual(os.read(end, 2**16), b"and on\n")

    def test_droppedAgain(self) -> None:
        """
        When there is no room for the number either, it is said later.
        """
        end, stream = self.pipe()
        for _ in range(10):
            stream.write(LINE)
        os.read(end, 2**16)
        stream.write("x" * 8191 + "\n")
        stream.write("one more\n")
        os.read(end, 2**16)
        stream.write("it goes on\n")
        self.assertEqual(
            os.read(end, 2**16), b"it goes on\n6 lines of the log were dropped\n"
        )

    def test_whole(self) -> None:
        """
        A line of which a part has gone out is completed before another one begins.
        """
        end, stream = self.pipe()
        long = "".join(map(str, range(3000))) + "\n"
        stream.write(long)
        stream.write("dropped\n")
        came = os.read(end, 2**16)
        self.assertEqual(came, long.encode()[:8192])
        stream.write("it goes on\n")
        self.assertEqual(
            came + os.read(end, 2**16),
            (long + "it goes on\n1 lines of the log were dropped\n").encode(),
        )

    def test_unread(self) -> None:
        """
        Where nobody will ever read, lines are lost, and that is all.
        """
        end, fd = os.pipe()
        os.close(end)
        self.open(fd).write("lost\n")

    def test_terminal(self) -> None:
        """
        So it is on a terminal between Ctrl-S and Ctrl-Q.
        """
        end, fd = pty.openpty()
        self.addCleanup(os.close, end)
        stream = self.open(fd)
        self.assertTrue(stream.isatty())
        termios.tcflow(fd, termios.TCOOFF)
        stream.write("dropped\n")
        termios.tcflow(fd, termios.TCOON)
        stream.write("it goes on\n")
        with open(end, "rb", 0, closefd=False) as lines:
            self.assertEqual(lines.readline(), b"it goes on\r\n")
            self.assertEqual(lines.readline(), b"1 lines of the log were dropped\r\n")

    def test_socket(self) -> None:
        """
        And with a socket that nobody empties, as that of the journal.
        """
        ours, end = socket.socketpair()
        self.addCleanup(end.close)
        stream = self.open(os.dup(ours.fileno()))
        with ours:
            for _ in range(2000):
                stream.write(LINE)
            ours.shutdown(socket.SHUT_WR)
        with end.makefile("rb") as lines:
            kept = list(lines)
        self.assertEqual(set(kept), {LINE.encode()})
        self.assertLess(len(kept), 2000)
        self.assertEqual(len(kept) + stream._dropped, 2000)

    def test_threads(self) -> None:
        """
        While a thread writes, no other one does.
        """
        end, stream = self.pipe()
        write = os.write
        taken: list[bool] = []

        def writeWhileLocked(fd: int, data: bytes) -> int:
            with ThreadPoolExecutor(1) as pool:
                taken.append(pool.submit(stream._lock.acquire, False).result())
            return write(fd, data)

        self.patch(os, "write", writeWhileLocked)
        stream.write("line\n")
        self.assertEqual(taken, [False])
        self.assertEqual(os.read(end, 100), b"line\n")

    def test_stream(self) -> None:
        """
        It is a stream as others are.
        """
        end, stream = self.pipe()
        self.assertTrue(stream.writable())
        self.assertFalse(stream.isatty())
        self.assertEqual(stream.encoding, "utf-8")
        print("printed", file=stream, flush=True)
        self.assertEqual(os.read(end, 100), b"printed\n")


class StandardOutputTests(SynchronousTestCase):
    """
    Tests of L{standardOutput}.
    """

    def output(self, fd: int) -> LogStream:
        """
        @return: what stands for a standard output with this descriptor, in which
            something was printed already.
        """
        stdout = open(fd, "w", encoding="latin-1")  # noqa: SIM115
        self.addCleanup(stdout.close)
        stdout.write("printed\n")
        self.patch(sys, "__stdout__", stdout)
        standardOutput.cache_clear()
        self.addCleanup(standardOutput.cache_clear)
        stream = standardOutput()
        self.assertIs(standardOutput(), stream)
        self.assertEqual(stream.encoding, "latin-1")
        self.assertTrue(os.get_blocking(fd))
        if stream.fileno() != fd:
            self.addCleanup(os.close, stream.fileno())
        return stream

    def test_pipe(self) -> None:
        """
        A pipe is opened again: others who write to it wait for its reader, as ever.
        """
        end, fd = os.pipe()
        self.addCleanup(os.close, end)
        stream = self.output(fd)
        self.assertFalse(os.get_blocking(stream.fileno()))
        stream.write("\u8a69\n")
        self.assertEqual(os.read(end, 100), b"printed\n\\u8a69\n")

    def test_terminal(self) -> None:
        """
        So is a terminal.
        """
        end, fd = pty.openpty()
        self.addCleanup(os.close, end)
        self.assertFalse(os.get_blocking(self.output(fd).fileno()))

    def test_impossible(self) -> None:
        """
        When it belongs to somebody else, it is written to as it is.
        """

        def refuse(*arguments: object) -> None:
            raise PermissionError

        self.patch(os, "open", refuse)
        end, fd = os.pipe()
        self.addCleanup(os.close, end)
        stream = self.output(fd)
        self.assertEqual(stream.fileno(), fd)
        while not stream._dropped:
            stream.write(LINE)

    def test_file(self) -> None:
        """
        A file is not opened again, which would begin at its start.
        """
        fd = os.open(self.mktemp(), os.O_RDWR | os.O_CREAT)
        stream = self.output(fd)
        stream.write("line\n")
        self.assertEqual(os.pread(fd, 100, 0), b"printed\nline\n")


class OpenTests(SynchronousTestCase):
    """
    Tests of L{openStandardStreams}.
    """

    def closeAll(self) -> None:
        """
        Have no standard streams.
        """
        for name in ("stdin", "stdout", "stderr"):
            self.patch(sys, f"__{name}__", None)
            self.patch(sys, name, None)

    def test_open(self) -> None:
        """
        Streams that are there are left alone.
        """
        before = (sys.stdin, sys.stdout, sys.stderr)
        openStandardStreams(True)
        self.assertEqual((sys.stdin, sys.stdout, sys.stderr), before)

    def test_closed(self) -> None:
        """
        Those that are not are opened.
        """
        opened: list[Any] = []

        def closed(fd: int) -> None:
            raise OSError

        self.closeAll()
        self.patch(os, "fstat", closed)
        self.patch(os, "open", lambda *arguments: opened.append(arguments))
        self.patch(os, "set_inheritable", lambda fd, _: opened.append(fd))
        openStandardStreams(True)
        null = (os.devnull, os.O_RDWR)
        self.assertEqual(opened, [null, 0, null, 1, null, 2])
        self.assertEqual(
            [stream.fileno() for stream in (sys.stdin, sys.stdout, sys.stderr)],
            [0, 1, 2],
        )
        self.assertIs(sys.stderr, sys.__stderr__)

    def test_taken(self) -> None:
        """
        A daemon cannot have a number that is in use, which a sentence says.
        """
        self.closeAll()
        error = self.assertRaises(SystemExit, openStandardStreams, True)
        self.assertEqual(
            str(error),
            "stdin is closed, and its descriptor 0 in use by the reactor: redirect it "
            "to /dev/null",
        )

    def test_takenInForeground(self) -> None:
        """
        In the foreground, what has the number keeps it.
        """
        self.closeAll()
        openStandardStreams(False)
        for stream in (sys.stdin, sys.stdout, sys.stderr):
            self.addCleanup(os.close, stream.fileno())
            self.assertGreater(stream.fileno(), 2)
            self.assertTrue(
                os.path.samestat(os.fstat(stream.fileno()), os.stat("/dev/null"))
            )
