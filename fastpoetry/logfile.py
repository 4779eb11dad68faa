"""
A file for the log, of a bounded size.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from fastpoetry.streams import LogStream


class BoundedLogFile(LogStream):
    """
    A file that is rotated, with so many older ones.  When that fails, it goes on with
    the file that it has, and tries again at the next line.

    @ivar path: the file, as an absolute path.
    """

    _mode: int | None = None
    _isRotationDue = False

    def __init__(self, path: str, size: int, keep: int) -> None:
        """
        @param path: the file; the rotated ones are C{path.1}, which is the newest, to
            C{path.keep}.

        @param size: a file of so many bytes is rotated.

        @param keep: how many rotated files there are at most.

        @raise OSError: when the file cannot be opened.
        """
        self.path = os.path.abspath(path)
        self._size = size
        self._keep = keep
        super().__init__(self._open(), "utf-8")
        # Those that follow have the mode of the first, whatever the umask is by then.
        self._mode = stat.S_IMODE(os.fstat(self._fd).st_mode)

    def write(self, text: str) -> int:
        """
        @see: L{LogStream.write}
        """
        with self._lock:
            if self._isRotationDue or os.fstat(self._fd).st_size >= self._size:
                self.rotate()
            return super().write(text)

    def rotate(self) -> None:
        """
        Begin a new file: rotate the old one, unless somebody has moved it away.
        """
        with self._lock:
            self._isRotationDue = True
            with suppress(OSError):
                if not self._writeRest():
                    return
                if self._isInPlace():
                    self._shift()
                fd = self._open()
                os.close(self._fd)
                self._fd = fd
                self._isRotationDue = False

    def _isInPlace(self) -> bool:
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    def _shift(self) -> None:
        # Only as many as need it, or to try again and again would delete them all.
        last = 1
        while last < self._keep and os.path.exists(f"{self.path}.{last}"):
            last += 1
        for number in range(last, 1, -1):
            os.rename(f"{self.path}.{number - 1}", f"{self.path}.{number}")
        os.rename(self.path, f"{self.path}.1")
        # From a time when more were kept.
        number = self._keep + 1
        while os.path.exists(f"{self.path}.{number}"):
            os.remove(f"{self.path}.{number}")
            number += 1

    def _open(self) -> int:
        isNew = not os.path.exists(self.path)
        # A FIFO without a reader would hold it for ever.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
        fd = os.open(self.path, flags, 0o666)
        if isNew and self._mode is not None:
            with suppress(OSError):
                os.fchmod(fd, self._mode)
        return fd
