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
    the file that it has, and tries again at the next line.  A device or a pipe is never
    renamed, only opened again.

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
        if os.path.isfile(path) or not os.path.exists(path):
            # It is not the link that is rotated, which may be /dev/stdout.
            self.path = os.path.realpath(path)
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
                if self._isToShift():
                    self._shift()
                old, self._fd = self._fd, self._open()
                self._isRotationDue = False
                os.close(old)  # which it is, even when this fails

    def _isToShift(self) -> bool:
        status = os.fstat(self._fd)
        try:
            isSame = os.path.samestat(os.stat(self.path), status)
        except FileNotFoundError:
            return False
        return isSame and stat.S_ISREG(status.st_mode)

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
