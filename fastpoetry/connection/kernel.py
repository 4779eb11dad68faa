"""
What the kernel knows of a connection, and Twisted does not (Linux: tcp(7), unix(7)).
"""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import sys
import termios
from typing import Any, NamedTuple

# Whether this kernel tells: that of a Mac, for one, does not.
TELLS = hasattr(select, "epoll") and hasattr(socket, "TCP_INFO")

# struct tcp_info (include/uapi/linux/tcp.h), of which the kernel gives as much as it
# is asked for: tcpi_state is its first byte; tcpi_bytes_acked, which came with Linux
# 4.1, is the 64-bit number that follows the first 120.
_INFO = struct.Struct("=B119xQ")
_CLOSE = 7  # include/net/tcp_states.h

# Numbers: an enumeration takes a third of a microsecond to become one.
_UNIX, _TCP = int(socket.AF_UNIX), int(socket.IPPROTO_TCP)
_TCP_INFO = int(getattr(socket, "TCP_INFO", 0))
_SOCKET, _LINGER = int(socket.SOL_SOCKET), int(socket.SO_LINGER)
_PEEK = int(socket.MSG_PEEK | socket.MSG_DONTWAIT)

_RESET, _END = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)  # socket(7)
_NONE = struct.pack("i", 0)


class Progress(NamedTuple):
    """
    How far a connection has come.

    @ivar acknowledged: how many bytes the other side's kernel has acknowledged; on
        a UNIX socket, a number that changes when some were read.

    @ivar isComplete: once the end is sent, whether the other side has everything:
        its kernel has acknowledged it or, on a UNIX socket, its program has read it.

    @ivar isClosed: whether the connection is closed: reset, or both sides have ended
        and everything is acknowledged.
    """

    acknowledged: int
    isComplete: bool
    isClosed: bool = False


def progress(connection: Any, sent: int | None = None) -> Progress:
    """
    Ask how far a connection has come.  What C{send} took is no progress: the kernel
    keeps megabytes for a reader that never takes a byte, and is busy for minutes with
    one that is slow.

    @param connection: a connected stream socket.

    @param sent: how many bytes were sent before the end; L{None} as long as the end is
        not sent.

    @return: where it cannot be known, that everything is acknowledged.
    """
    try:
        if connection.family == _UNIX:
            return _unixProgress(connection, sent)
        info = connection.getsockopt(_TCP, _TCP_INFO, _INFO.size)
        state, acknowledged = _INFO.unpack(info)
    except (OSError, struct.error):
        return Progress(0, True)
    # The end counts for one byte.
    isComplete = sent is not None and acknowledged > sent
    return Progress(acknowledged, isComplete, state == _CLOSE)


def hasAll(connection: Any, sent: int) -> bool:
    """
    Ask at the least cost what is so of most connections at the first look.

    @param connection: a connected stream socket.

    @param sent: how many bytes were sent before the end, which was sent, too.

    @return: whether it is closed, and the other side has everything; where that is not
        known at once, as on a UNIX socket, C{False}.
    """
    if connection.family == _UNIX:
        return False
    try:
        info = connection.getsockopt(_TCP, _TCP_INFO, _INFO.size)
        return bool(info[0] == _CLOSE and _INFO.unpack(info)[1] > sent)
    except (OSError, LookupError, struct.error):
        return False


def acknowledged(connection: Any) -> int | None:
    """
    @param connection: a connected stream socket.

    @return: how many bytes the other side's kernel has acknowledged, L{None} where
        that is not known, as on a UNIX socket.
    """
    known = None if connection.family == _UNIX else progress(connection, 0)
    return known and known.acknowledged


def _unixProgress(connection: Any, sent: int | None) -> Progress:
    # On a socket TIOCOUTQ is SIOCOUTQ.  A UNIX socket counts memory, not bytes, but
    # 0 is when everything has been read.
    pending = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, _NONE)
    taken = -int.from_bytes(pending, sys.byteorder)
    if sent is None:
        return Progress(taken, False)
    try:
        isClosed = not connection.recv(1, _PEEK) and pending == _NONE
    except BlockingIOError:
        isClosed = False
    except ConnectionError:  # it was closed with something unread
        return Progress(taken, False, True)
    return Progress(taken, pending == _NONE, isClosed)


def setReset(connection: Any, resets: bool) -> None:
    """
    Say what the other side sees when a socket is closed, by whomever.

    @param connection: a TCP socket, connected or listening: the sockets that it
        accepts inherit it.  On a UNIX socket it has no effect.

    @param resets: whether it is a reset, and not the end.

    @raise OSError: as C{setsockopt} does.
    """
    connection.setsockopt(_SOCKET, _LINGER, _RESET if resets else _END)
