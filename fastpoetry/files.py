"""
Files that are read by the daemon, which waits for none of them.
"""

from __future__ import annotations

import errno
import os
import stat
from io import FileIO


def openRegular(path: str) -> FileIO:
    """
    Open a file, never waiting for it.

    @param path: a regular file.

    @raise OSError: when it cannot be opened, or is not a regular one.

    @raise ValueError: when the path has a NUL byte.
    """
    # A FIFO without a writer would hold a plain open() for ever.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return open(fd, "rb", buffering=0)
    os.close(fd)
    raise OSError(errno.EINVAL, "Not a regular file")


def readAll(file: FileIO) -> bytes:
    """
    Read a regular file, into one piece of memory.

    @raise OSError: when it cannot be read, or is too large for the memory.
    """
    try:
        content: bytes | None = file.readall()
    except (MemoryError, OverflowError) as error:
        raise OSError(errno.ENOMEM, "Too large for the memory") from error
    if content is None:  # as of /proc/kmsg, which says that it is a regular file
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return content
