"""
The standard streams of a process, and text that goes where nobody may take it.
"""

from __future__ import annotations

import io
import os
import select
import stat
import sys
from contextlib import suppress
from functools import cache
from threading import RLock

from twisted.logger import Logger

# A pipe takes so much at once, or nothing (PIPE_BUF of Linux).
CHUNK = 4096


class LogStream(io.TextIOBase):
    """
    The stream of a log, which nobody ever waits for.  A line that cannot be written is
    dropped and counted, and when the log goes on, it says how many there were.  A line
    that was begun is completed before another one.  What the encoding has no letters
    for is escaped.
    """

    _log = Logger()

    def __init__(self, fd: int, encoding: str) -> None:
        """
        @param fd: the descriptor to write to.
        """
        self._fd = fd
        self._encoding = encoding
        self._lock = RLock()
        self._rest = b""  # of a line that was begun
        self._dropped = 0

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """
        The encoding of what is written.
        """
        return self._encoding

    def writable(self) -> bool:
        """
        @see: L{io.IOBase.writable}
        """
        return True

    def fileno(self) -> int:
        """
        @see: L{io.IOBase.fileno}
        """
        return self._fd

    def isatty(self) -> bool:
        """
        @see: L{io.IOBase.isatty}
        """
        return os.isatty(self._fd)

    def write(self, text: str) -> int:
        """
        Write all of a text, or nothing.
        """
        data = text.encode(self._encoding, "backslashreplace")
        with self._lock:
            if not self._put(data):
                self._dropped += data.count(b"\n")
            elif self._dropped:
                dropped, self._dropped = self._dropped, 0
                self._log.warn("{lines} lines of the log were dropped", lines=dropped)
                if self._dropped:  # and so was this one
                    self._dropped = dropped
        return len(text)

    def _put(self, data: bytes) -> bool:
        if not self._writeRest():
            return False
        self._rest = data
        if not self._writeRest() and len(self._rest) == len(data):
            self._rest = b""
            return False
        return True

    def _writeRest(self) -> bool:
        # Others may share the open file, such as the shell its terminal, so it is not
        # made non-blocking.
        ready = select.poll()
        ready.register(self._fd, select.POLLOUT)
        with suppress(OSError):
            while self._rest and ready.poll(0):
                self._rest = self._rest[os.write(self._fd, self._rest[:CHUNK]) :]
        return not self._rest


def _openAgain(fd: int) -> int:
    # One more process may fill a pipe after it was asked for room, and a terminal may
    # have room for a part only.  Opened once more, either is non-blocking for us alone.
    if stat.S_ISFIFO(os.fstat(fd).st_mode) or os.isatty(fd):
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
        with suppress(OSError):  # it may belong to another user
            return os.open(f"/proc/self/fd/{fd}", flags)
    return fd


@cache
def standardOutput() -> LogStream:
    """
    @return: the standard output of this process, which is no daemon, for its log.
    """
    openStandardStreams(isDaemon=False)
    stdout = sys.__stdout__
    assert stdout is not None  # it is open
    with suppress(OSError):
        stdout.flush()
    return LogStream(_openAgain(stdout.fileno()), stdout.encoding)


def openStandardStreams(isDaemon: bool) -> None:
    """
    Open what is closed of the descriptors 0 to 2, as after C{<&-}, on F{/dev/null}.
    Otherwise the next files and sockets would get these numbers, and be taken for
    standard streams.

    @param isDaemon: whether the process will replace what has these numbers.

    @raise SystemExit: when that is something of its own.
    """
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(fd)
        except OSError:
            # The lowest number that is free, which is this one.
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(fd, True)
            null = fd
        else:  # a reactor has it that was there before any module of ours: --reactor
            if isDaemon:
                raise SystemExit(
                    f"{name} is closed, and its descriptor {fd} in use by the reactor: "
                    "redirect it to /dev/null"
                )
            null = os.open(os.devnull, os.O_RDWR)
        stream = open(null, "w" if fd else "r", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
