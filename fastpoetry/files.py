"""
Files that are opened and read without holding the process up.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from io import FileIO
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from fastpoetry.error import FastPoetryError
from fastpoetry.threads import callInThread

_Content = TypeVar("_Content")


def openRegular(path: str) -> FileIO:
    """
    Open a file for reading, without waiting for anybody.

    @param path: a regular file.

    @return: the file, unbuffered.

    @raise OSError: when it cannot be opened, or is not a regular file.

    @raise ValueError: when the path has a NUL byte.
    """
    # O_NONBLOCK: to open a FIFO that has no writer would block for ever.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return open(fd, "rb", buffering=0)
    os.close(fd)
    raise OSError(errno.EINVAL, "Not a regular file")


def openFile(path: str, errorClass: type[FastPoetryError]) -> FileIO:
    """
    Open a file as L{openRegular} does, or say in a sentence why not.

    @param path: a regular file.

    @param errorClass: what to raise when it cannot be opened, or is not a regular file.
    """
    try:
        return openRegular(path)
    except OSError as error:
        raise errorClass(f"{error.strerror}: {path}") from error
    except ValueError as error:  # it has a NUL byte
        raise errorClass(f"Not the name of a file: {path!r}") from error


def readFile(path: str, errorClass: type[FastPoetryError]) -> bytes:
    """
    Read a file, into one piece of memory.

    @param path: a regular file.

    @param errorClass: what to raise when it cannot be read, or is too large for the
        memory.
    """
    with openFile(path, errorClass) as file:
        try:
            content: bytes | None = file.readall()
        except OSError as error:
            raise errorClass(f"{error.strerror}: {path}") from error
        except (MemoryError, OverflowError) as error:
            raise errorClass(f"Too large for the memory: {path}") from error
    if content is None:  # as of /proc/kmsg, which says that it is a regular file
        raise errorClass(f"{os.strerror(errno.EAGAIN)}: {path}")
    return content


def readAgain(
    reactor: IReactorFromThreads,
    path: str,
    read: Callable[[], _Content],
    changeOver: Callable[[_Content], None],
    keep: Callable[[FastPoetryError], None],
) -> Deferred[None]:
    """
    Read a file again, in a thread.  A disk that hangs holds nobody up.

    @param reactor: calls back when the thread is done.

    @param path: the file, for an error.

    @param read: reads the file; may raise L{FastPoetryError}.

    @param changeOver: is called with what was read.

    @param keep: is called with the error instead, when the file cannot be read.

    @return: a L{Deferred} that fires after one of these calls.  If it is cancelled
        before, neither is called.
    """

    def handleFailure(failure: Failure) -> None:
        failure.trap(FastPoetryError, CancelledError)
        if isinstance(failure.value, FastPoetryError):
            keep(failure.value)

    try:
        reading = callInThread(reactor, read)
    except RuntimeError as error:  # there is no room for a thread
        keep(FastPoetryError(f"{error}: {path}"))
        return succeed(None)
    return reading.addCallbacks(changeOver, handleFailure)
