"""
What the kernel knows of a connection, and Twisted does not.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from socket import SocketType
from typing import NamedTuple

# struct tcp_info of Linux (include/uapi/linux/tcp.h): tcpi_state is its first byte,
# and tcpi_bytes_acked, which came with Linux 4.1, the 64-bit number that follows the
# first 120.
_INFO = struct.Struct("=B119xQ")
_TCP_CLOSE = 7  # include/net/tcp_states.h


class Progress(NamedTuple):
    """
    How far a connection has come.

    @ivar acknowledged: how many bytes the reader's kernel has acknowledged; 0
        where that is not known (a UNIX socket).

    @ivar pending: how many bytes are written to the socket and not yet
        acknowledged; 0 where that is not known.

    @ivar closed: whether the connection is known to be no more, as after a reset.
    """

    acknowledged: int
    pending: int
    closed: bool = False


def progress(fd: int) -> Progress:
    """
    Ask how far a connection has come.

    What C{send} took is no progress: the kernel keeps megabytes for a reader
    that never takes a byte, and is busy for minutes with one that is slow.

    @param fd: the descriptor of a connected stream socket.
    """
    state, acknowledged = _info(fd)
    return Progress(acknowledged, _pending(fd), state == _TCP_CLOSE)


def isClosed(connection: SocketType) -> bool:
    """
    Ask whether a TCP connection is no more: it was reset, or both sides have ended
    and know it of one another.

    @param connection: a connected TCP socket.
    """
    # To be asked for one byte is all the same to the kernel.
    state = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)
    return state[0] == _TCP_CLOSE


def setReset(connection: SocketType, resets: bool) -> None:
    """
    Say what the other side sees when a socket is closed, by whomever.

    @param connection: a TCP socket.

    @param resets: whether it is a reset, and not the end.
    """
    # socket(7): with a time of 0, to close is to reset.
    linger = struct.pack("ii", resets, 0)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


def _info(fd: int) -> tuple[int, int]:
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0, fileno=fd)
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO.size)
        state, acknowledged = _INFO.unpack(info)
    except (OSError, struct.error):
        return 0, 0
    finally:
        connection.detach()  # it is the transport's
    return state, acknowledged


def _pending(fd: int) -> int:
    try:
        # On a socket TIOCOUTQ is SIOCOUTQ (tcp(7)); the end counts as a byte.
        answer = fcntl.ioctl(fd, termios.TIOCOUTQ, b"\0" * 4)
    except OSError:
        return 0
    (pending,) = struct.unpack("i", answer)
    return int(pending)
