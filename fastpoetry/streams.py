"""
The standard streams of a process, and a stream for its log.
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

# A pipe takes this many bytes at once, or nothing: PIPE_BUF, pipe(7).
CHUNK = 4096


class LogStream(io.TextIOBase):
    """
    The stream of a log, which never blocks.  A line that cannot be written now is
    dropped and counted; the next line that can be is followed by their number.  A line
    of which a part was written is completed before another one begins.  Characters that
    the encoding does not have are escaped.
    """

    _log = Logger()

    def __init__(self, fd: int, encoding: str) -> None:
        """
        @param fd: the descriptor to write to.

        @param encoding: of the text.
        """
        self._fd = fd
        self._encoding = encoding
        self._lock = RLock()
        self._rest = b""  # of a line that was begun
        self._dropped = 0

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """
        The encoding of the text.
        """
        return self._encoding

    def writable(self) -> bool:
        """
        @see: C{io.IOBase.writable}
        """
        return True

    def fileno(self) -> int:
        """
        @see: C{io.IOBase.fileno}
        """
        return self._fd

    def isatty(self) -> bool:
        """
        @see: C{io.IOBase.isatty}
        """
        return os.isatty(self._fd)

    def write(self, text: str) -> int:
        """
        Write all of a text, or drop it.

        @param text: whole lines.

        @return: the length of the text, also when it was dropped.
        """
        data = text.encode(self._encoding, "backslashreplace")
        with self._lock:
            if not self._put(data):
                self._dropped += data.count(b"\n")
            elif self._dropped:
                dropped, self._dropped = self._dropped, 0
                self._log.warn("{lines} lines of the log were dropped", lines=dropped)
                if self._dropped:  # and so was that warning
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
        # Not O_NONBLOCK: other processes may share the open file, as a shell does its
        # terminal, and would find it non-blocking, too.
        ready = select.poll()
        ready.register(self._fd, select.POLLOUT)
        with suppress(OSError):
            while self._rest and ready.poll(0):
                self._rest = self._rest[os.write(self._fd, self._rest[:CHUNK]) :]
        return not self._rest


def _openAgain(fd: int) -> int:
    # poll() is not enough where another process may fill the pipe after it, or where a
    # terminal has room for a part only.  Opened again, either is non-blocking for this
    # process alone.
    if stat.S_ISFIFO(os.fstat(fd).st_mode) or os.isatty(fd):
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
        with suppress(OSError):  # it may belong to another user
            return os.open(f"/proc/self/fd/{fd}", flags)
    return fd


@cache
def standardOutput() -> LogStream:
    """
    @return: the standard output of this process, for its log.  The process must not be
        a daemon.
    """
    openStandardStreams(isDaemon=False)
    stdout = sys.__stdout__
    assert stdout is not None  # it is open
    with suppress(OSError):
        stdout.flush()
    return LogStream(_openAgain(stdout.fileno()), stdout.encoding)


def openStandardStreams(isDaemon: bool) -> None:
    """
    Open on C{/dev/null} those of the descriptors 0, 1 and 2 that are closed, as after
    C{<&-} in a shell.  Otherwise the next files and sockets would get these numbers,
    and be taken for standard streams.

    @param isDaemon: whether the process is about to become a daemon, which replaces
        what has these numbers.

    @raise SystemExit: when a daemon would replace a descriptor of the reactor.
    """
    for fd, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(fd)
        except OSError:
            # It gets the lowest number that is free, which is this one.
            os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(fd, True)
            null = fd
        else:  # a reactor has it, which twistd --reactor made before we were imported
            if isDaemon:
                raise SystemExit(
                    f"{name} is closed, and its descriptor {fd} in use by the reactor: "
                    "redirect it to /dev/null"
                )
            null = os.open(os.devnull, os.O_RDWR)
        stream = open(null, "w" if fd else "r", closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
