"""
What the kernel knows of a connection, and Twisted does not (Linux: tcp(7), unix(7)).
"""

from __future__ import annotations

import fcntl
import select
import socket
import struct
import termios
from socket import SocketType
from typing import NamedTuple

# Whether this is a kernel that tells: a Mac, for one, has neither.
TELLS = hasattr(select, "epoll") and hasattr(socket, "TCP_INFO")

# struct tcp_info of Linux (include/uapi/linux/tcp.h): tcpi_state is its first byte,
# and tcpi_bytes_acked, which came with Linux 4.1, the 64-bit number that follows the
# first 120.  The kernel gives as many of the bytes as it is asked for.
_INFO = struct.Struct("=B119xQ")

# include/net/tcp_states.h
_FIN_WAIT2 = 5
_CLOSE = 7

# Numbers, since an enumeration takes a third of a microsecond to become one.
_UNIX = int(socket.AF_UNIX)
_TCP = int(socket.IPPROTO_TCP)
_TCP_INFO = int(getattr(socket, "TCP_INFO", 0))
_SOCKET = int(socket.SOL_SOCKET)
_LINGER = int(socket.SO_LINGER)
_PEEK = int(socket.MSG_PEEK) | int(socket.MSG_DONTWAIT)

# socket(7): with a time of 0, to close is to reset.
_RESET = struct.pack("ii", 1, 0)
_END = struct.pack("ii", 0, 0)


class Progress(NamedTuple):
    """
    How far a connection has come.

    @ivar acknowledged: how many bytes the other side's kernel has acknowledged; on
        a UNIX socket, a number that changes when some were read; 0 where that is
        not known.

    @ivar isComplete: when the end is sent, whether the other side has everything:
        its kernel has acknowledged it or, on a UNIX socket, its program has read
        it.  C{True} where that is not known.

    @ivar isClosed: see L{isClosed}.
    """

    acknowledged: int
    isComplete: bool
    isClosed: bool


_UNKNOWN = Progress(0, True, False)


def progress(connection: SocketType) -> Progress:
    """
    Ask how far a connection has come.

    What C{send} took is no progress: the kernel keeps megabytes for a reader
    that never takes a byte, and is busy for minutes with one that is slow.

    @param connection: a connected stream socket.
    """
    try:
        if connection.family == _UNIX:
            pending = _pending(connection)
            return Progress(-pending, not pending, isClosed(connection))
        info = connection.getsockopt(_TCP, _TCP_INFO, _INFO.size)
        state, acknowledged = _INFO.unpack(info)
    except (OSError, struct.error):
        return _UNKNOWN
    return Progress(acknowledged, state in (_FIN_WAIT2, _CLOSE), state == _CLOSE)


def isClosed(connection: SocketType) -> bool:
    """
    Ask whether a connection is closed: reset, or both sides have ended and
    everything is acknowledged.

    @param connection: a connected stream socket.

    @return: C{False} also where that is not known.
    """
    try:
        if connection.family == _UNIX:
            return not connection.recv(1, _PEEK) and not _pending(connection)
        return connection.getsockopt(_TCP, _TCP_INFO, 1)[0] == _CLOSE
    except (BlockingIOError, IndexError):
        return False
    except OSError:
        # What the other side of a UNIX socket resets is closed.
        return connection.family == _UNIX


def setReset(connection: SocketType, resets: bool) -> None:
    """
    Say what the other side sees when a socket is closed, by whomever.

    @param connection: a TCP socket, connected or listening: the sockets that it
        accepts inherit it.  On a UNIX socket it has no effect.

    @param resets: whether it is a reset, and not the end.

    @raise OSError: as C{setsockopt} does.
    """
    connection.setsockopt(_SOCKET, _LINGER, _RESET if resets else _END)


def _pending(connection: SocketType) -> int:
    # On a socket TIOCOUTQ is SIOCOUTQ.  A UNIX socket counts memory, not bytes, but
    # 0 is when everything has been read.
    answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4)
    (pending,) = struct.unpack("i", answer)
    return int(pending)
