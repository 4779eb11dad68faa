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
    A log file that is rotated at a certain size, and when it is asked to.  When a
    rotation fails, the log goes on in the old file, and the next line tries again.  A
    device or a pipe is not renamed, only opened again.

    @ivar path: the file, as an absolute path.
    """

    _mode: int | None = None
    _isRotationDue = False

    def __init__(self, path: str, size: int, keep: int) -> None:
        """
        @param path: the file.  The rotated files are C{path.1}, the newest, to
            C{path.keep}.

        @param size: at how many bytes the file is rotated.

        @param keep: how many rotated files there are at most.

        @raise OSError: when the file cannot be opened.
        """
        self.path = os.path.abspath(path)
        if os.path.isfile(path) or not os.path.exists(path):
            # The file is rotated, not a link to it.  (For a device the link is kept:
            # /dev/stdout is one.)
            self.path = os.path.realpath(path)
        self._size = size
        self._keep = keep
        super().__init__(self._open(), "utf-8")
        # Later files get the mode of the first one: twistd changes the umask.
        self._mode = stat.S_IMODE(os.fstat(self._fd).st_mode)

    def write(self, text: str) -> int:
        """
        Write to the file, after a rotation if one is due.

        @see: L{LogStream.write}
        """
        with self._lock:
            if self._isRotationDue or os.fstat(self._fd).st_size >= self._size:
                self.rotate()
            return super().write(text)

    def rotate(self) -> None:
        """
        Begin a new file, and rename the old one if it still has its name: C{logrotate}
        may have moved it away.
        """
        with self._lock:
            self._isRotationDue = True
            with suppress(OSError):
                if not self._writeRest():
                    return
                if self._hasName():
                    self._shift()
                old, self._fd = self._fd, self._open()
                self._isRotationDue = False
                os.close(old)  # last: an error of close() leaves it closed, close(2)

    def _hasName(self) -> bool:
        # Whether the file is a regular one that still has its name.
        status = os.fstat(self._fd)
        try:
            isSame = os.path.samestat(os.stat(self.path), status)
        except FileNotFoundError:
            return False
        return isSame and stat.S_ISREG(status.st_mode)

    def _shift(self) -> None:
        # Renumber the rotated files, and make this file the first of them.
        # Only up to the first number that is free.  Otherwise rotations that fail
        # halfway, again and again, would push all the rotated files out.
        last = 1
        while last < self._keep and os.path.exists(f"{self.path}.{last}"):
            last += 1
        for number in range(last, 1, -1):
            os.rename(f"{self.path}.{number - 1}", f"{self.path}.{number}")
        os.rename(self.path, f"{self.path}.1")
        # Those of a time when more were kept.
        number = self._keep + 1
        while os.path.exists(f"{self.path}.{number}"):
            os.remove(f"{self.path}.{number}")
            number += 1

    def _open(self) -> int:
        isNew = not os.path.exists(self.path)
        # O_NONBLOCK: to open a FIFO that has no reader would block for ever.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK
        fd = os.open(self.path, flags, 0o666)
        if isNew and self._mode is not None:
            with suppress(OSError):
                os.fchmod(fd, self._mode)
        return fd
