"""
A connection over one of our transports and a pretended socket, whose kernel and
reader are played by the test.
"""

from __future__ import annotations

import errno
import itertools
import select
import socket
import struct
from collections.abc import Iterator
from typing import Any, ClassVar

from twisted.internet.address import IPv4Address

from fastpoetry.connection.connections import Connections
from fastpoetry.connection.factory import TICK
from fastpoetry.connection.transport import Transport

PEER = IPv4Address("TCP", "192.0.2.1", 4321)

# States of a TCP connection (include/net/tcp_states.h).
ESTABLISHED, FIN_WAIT1, FIN_WAIT2, CLOSE, LAST_ACK = 1, 4, 5, 7, 9


class PretendedSocket:
    """
    A connected TCP socket, which behaves as one of Linux does.

    @ivar capacity: how many bytes the kernel holds for the reader.

    @ivar held: what it holds.

    @ivar taken: what it has handed to the reader.

    @ivar said: what the reader has sent and the server has not read; C{b""} is
        the reader's end.

    @ivar heard: how many bytes the server has read.

    @ivar end: how the connection ended on this side: C{None}, C{"half"} (only
        writing ended), C{"clean"} or C{"reset"}.

    @ivar broken: whether the reader has reset the connection.
    """

    family = int(socket.AF_INET)
    _numbers: ClassVar[Iterator[int]] = itertools.count(1000)

    def __init__(self, capacity: int, resets: bool = False) -> None:
        """
        @param resets: whether its close is a reset to begin with.
        """
        self._number = next(self._numbers)
        self.capacity = capacity
        self.held = bytearray()
        self.taken = bytearray()
        self.said: list[bytes] = []
        self.heard = 0
        self.end: str | None = None
        self.broken = False
        self._lingers = not resets
        self._cut = False

    @property
    def seen(self) -> str | None:
        """
        The end that the reader sees when it has taken what there is: C{"clean"},
        C{"reset"}, or as yet C{None}.
        """
        if self._cut:
            return "reset"
        return "clean" if self.end and not self.held else None

    @property
    def state(self) -> int:
        """
        The state of the connection (tcp_states.h).
        """
        hasEnded = b"" in self.said
        if self.broken or (self.end and hasEnded and not self.held):
            return CLOSE
        if self.end and not hasEnded:
            return FIN_WAIT1 if self.held else FIN_WAIT2
        return LAST_ACK if self.end else ESTABLISHED

    def fileno(self) -> int:
        return self._number

    def getsockname(self) -> tuple[str, int]:
        return "192.0.2.2", 80

    def setblocking(self, flag: bool) -> None:
        pass

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        if (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER):
            self._lingers = value != struct.pack("ii", 1, 0)

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        # The end counts for one byte.
        acknowledged = len(self.taken) + bool(self.end == "half" and not self.held)
        info = struct.pack("=B119xQ", self.state, acknowledged)
        return info[:size]

    def recv(self, size: int) -> bytes:
        if self.said:
            first = self.said[0]
            data, rest = first[:size], first[size:]
            if rest:
                self.said[0] = rest
            elif data:  # the end stays
                del self.said[0]
            self.heard += len(data)
            return data
        if self.broken:
            raise OSError(errno.ECONNRESET, "reset")
        raise BlockingIOError(errno.EWOULDBLOCK, "nothing there")

    def send(self, data: bytes, flags: int = 0) -> int:
        if self.broken:
            raise OSError(errno.EPIPE, "reset")
        if self.capacity <= len(self.held) and data:
            raise BlockingIOError(errno.EWOULDBLOCK, "full")
        part = bytes(data[: self.capacity - len(self.held)])
        self.held += part
        return len(part)

    def shutdown(self, how: int) -> None:
        if self.broken:
            raise OSError(errno.ENOTCONN, "reset")
        self.end = "half"

    def close(self) -> None:
        # The kernel resets what is closed with input unread.
        isClosed = not self.broken and self.state == CLOSE
        if not isClosed and (self.broken or not self._lingers or any(self.said)):
            self.reset()
        else:
            self.end = "clean"

    def reset(self) -> None:
        """
        Reset the connection: what the kernel holds is lost, but a reader that
        has the end already sees no other.
        """
        self._cut |= self.end is None or bool(self.held)
        self.held.clear()
        self.end = "reset"


class PretendedEpoll:
    """
    An C{epoll} of pretended sockets.
    """

    def __init__(self) -> None:
        self.sockets: dict[int, PretendedSocket] = {}
        self.masks: dict[int, int] = {}

    def register(self, fd: int, mask: int) -> None:
        """
        Wait for these events of a socket.
        """
        if fd in self.masks:
            raise FileExistsError(errno.EEXIST, "registered")
        self.masks[fd] = mask

    def modify(self, fd: int, mask: int) -> None:
        """
        Wait for other events of it.
        """
        if fd not in self.masks:
            raise FileNotFoundError(errno.ENOENT, "not registered")
        self.masks[fd] = mask

    def unregister(self, fd: int) -> None:
        """
        Wait for nothing.
        """
        if self.masks.pop(fd, None) is None:
            raise FileNotFoundError(errno.ENOENT, "not registered")

    def poll(self, timeout: float, maxevents: int = 1023) -> list[tuple[int, int]]:
        """
        @return: the events that there are, no more than this many.
        """
        events = []
        for fd, mask in self.masks.items():
            one = self.sockets[fd]
            found = 0
            if one.said or one.broken:
                found |= select.EPOLLIN
            if one.capacity > len(one.held) or one.broken:
                found |= select.EPOLLOUT
            found &= mask
            if one.broken or (one.end and b"" in one.said):
                found |= select.EPOLLHUP
            if found:
                events.append((fd, found))
        return events[:maxevents]

    def close(self) -> None:
        """
        Forget all of them.
        """
        assert not self.masks, self.masks

    def fileno(self) -> int:
        return -1


class Wire:
    """
    A connection to a factory, over one of our transports and a pretended socket.

    @ivar gone: whether the server has let go of the connection.
    """

    def __init__(
        self,
        factory: Any,
        capacity: int = 2**20,
        connections: Connections | None = None,
    ) -> None:
        """
        @param connections: to whom it belongs; by default to some of its own.
        """
        self.reactor: Any = factory.reactor
        self.connections: Any = connections
        if connections is None:
            self.connections = Connections(self.reactor, PretendedEpoll())
        self.socket = PretendedSocket(capacity, resets=True)
        self.connections._epoll.sockets[self.socket.fileno()] = self.socket
        self.protocol: Any = factory.buildProtocol(PEER)
        self.transport: Any = Transport(
            self.socket,
            self.protocol,
            PEER,
            self.connections,
        )
        self.connections.begin(self.transport)
        if connections is None:
            self.connections.close()
        self.turn()

    @property
    def gone(self) -> bool:
        """
        Whether the server has let go of the connection.
        """
        return bool(self.transport.disconnected)

    @property
    def isReading(self) -> bool:
        """
        Whether the server reads what the reader sends.
        """
        return bool(self.transport.registered & select.EPOLLIN)

    def turn(self) -> None:
        """
        Let the reactor write and read as long as there is something to do.
        """
        turns = 0
        while self.connections._epoll.poll(0):
            self.connections.doRead()
            turns += 1
            assert turns < 10_000, "it spins"
        self.reactor.advance(0)

    def take(self, size: int | None = None) -> None:
        """
        The reader's kernel acknowledges this many bytes, or all that are there
        and come.
        """
        while True:
            part = self.socket.held[:size]
            self.socket.taken += part
            del self.socket.held[: len(part)]
            self.turn()
            if size is not None or not self.socket.held:
                break

    def tick(self) -> None:
        """
        Two ticks pass, after which a delivery is checked at the latest.
        """
        for _ in range(2):
            self.reactor.advance(TICK)
            self.turn()

    def say(self, data: bytes) -> None:
        """
        The reader sends something.
        """
        if self.gone and data:
            self.socket.reset()  # nobody is there to read it
        self.socket.said.append(data)
        self.turn()

    def halfClose(self) -> None:
        """
        The reader says that it will send no more.
        """
        self.say(b"")

    def reset(self) -> None:
        """
        The reader goes without a word.
        """
        self.socket.broken = True
        self.turn()
