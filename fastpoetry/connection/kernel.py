"""
What the kernel knows of a connection, and Twisted does not (Linux: tcp(7), unix(7)).
"""

from __future__ import annotations

import errno
import fcntl
import select
import socket
import struct
import sys
import termios
from typing import Any, NamedTuple

# Whether this kernel tells how far a connection has come.  That of a Mac does not.
HAS_PROGRESS = hasattr(select, "epoll") and hasattr(socket, "TCP_INFO")

# The part of struct tcp_info (include/uapi/linux/tcp.h) that is asked for: its first
# byte is tcpi_state; after 120 bytes comes tcpi_bytes_acked, since Linux 4.1.
_INFO = struct.Struct("=B119xQ")
_CLOSE = 7  # include/net/tcp_states.h

# Plain numbers, since members of an enumeration are slower to combine and to pass.
_UNIX, _TCP = int(socket.AF_UNIX), int(socket.IPPROTO_TCP)
_TCP_INFO = int(getattr(socket, "TCP_INFO", 0))
_SOCKET, _LINGER = int(socket.SOL_SOCKET), int(socket.SO_LINGER)
_PEEK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)

_RESET, _END = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)  # socket(7)
_NONE = struct.pack("i", 0)

# Errors of accept(2) that concern only the connection that was accepted: it is lost
# already, or the network had an error for it.
PENDING_ERRORS = {errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENETDOWN}
PENDING_ERRORS |= {errno.ENOPROTOOPT, errno.EHOSTDOWN, errno.ENONET, errno.EHOSTUNREACH}
PENDING_ERRORS |= {errno.EOPNOTSUPP, errno.ENETUNREACH}


class Progress(NamedTuple):
    """
    How far a connection has come.

    @ivar acknowledged: how many bytes the other side's kernel has acknowledged; on a
        UNIX socket, a number that changes when some were read.

    @ivar isComplete: once the end is sent, whether the other side has everything:
        its kernel has acknowledged it or, on a UNIX socket, its program has read it.

    @ivar isClosed: whether the connection is closed: reset, or both sides have ended
        and everything is acknowledged.
    """

    acknowledged: int
    isComplete: bool
    isClosed: bool = False


# Where the kernel does not tell.
_UNKNOWN = Progress(0, True)


def progress(connection: Any, sent: int | None = None) -> Progress:
    """
    Ask how far a connection has come.  What C{send} took is no progress: the kernel
    keeps megabytes for a reader that never takes a byte, and sends them for minutes to
    one that is slow.

    @param connection: a connected stream socket.

    @param sent: how many bytes were sent before the end; C{None} as long as the end is
        not sent.

    @return: where the kernel does not tell, one that is complete.
    """
    try:
        if connection.family == _UNIX:
            return _unixProgress(connection, sent)
        info = connection.getsockopt(_TCP, _TCP_INFO, _INFO.size)
        state, acknowledged = _INFO.unpack(info)
    except (OSError, struct.error):
        return _UNKNOWN
    # The end counts for one byte.
    isComplete = sent is not None and acknowledged > sent
    return Progress(acknowledged, isComplete, state == _CLOSE)


def acknowledged(connection: Any) -> int | None:
    """
    @param connection: a connected stream socket.

    @return: how many bytes the other side's kernel has acknowledged; C{None} where that
        is not known, as on a UNIX socket.
    """
    known = _UNKNOWN if connection.family == _UNIX else progress(connection, 0)
    return None if known is _UNKNOWN else known.acknowledged


def _unixProgress(connection: Any, sent: int | None) -> Progress:
    # On a socket TIOCOUTQ is SIOCOUTQ.  A UNIX socket counts memory, not bytes; it is 0
    # when everything has been read.
    pending = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, _NONE)
    taken = -int.from_bytes(pending, sys.byteorder)
    if sent is None:
        return Progress(taken, False)
    try:
        isClosed = not connection.recv(1, _PEEK) and pending == _NONE
    except BlockingIOError:
        isClosed = False
    except ConnectionError:  # the reader closed it with something unread
        return Progress(taken, False, True)
    return Progress(taken, pending == _NONE, isClosed)


def setReset(connection: Any, isReset: bool) -> None:
    """
    Set what the other side sees when a socket is closed, also by the kernel when the
    process ends.

    @param connection: a TCP socket, connected or listening: the sockets that it
        accepts inherit it.  On a UNIX socket it has no effect.

    @param isReset: whether it is a reset, and not the end.

    @raise OSError: as C{setsockopt} does.
    """
    connection.setsockopt(_SOCKET, _LINGER, _RESET if isReset else _END)
