"""
Files that are read by the daemon, which waits for none of them.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO


def openRegular(path: str) -> BinaryIO:
    """
    Open a file, never waiting for it.

    @param path: a regular file.

    @raise OSError: when it cannot be opened, or is not a regular one.

    @raise ValueError: when the path has a NUL byte.
    """
    # A FIFO without a writer would hold a plain open() for ever.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return open(fd, "rb")
    os.close(fd)
    raise OSError(errno.EINVAL, "Not a regular file")
