"""
What the tests of transports share: connections over pretended sockets and over real
ones.
"""

from __future__ import annotations

import array
import errno
import os
import select
import socket
import struct
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection.connections import Connections
from fastpoetry.connection.kernel import setReset
from fastpoetry.connection.transport import Transport
from sandbox import DEADLINE
from tests.support import Reactor
from tests.wire import PEER, PretendedEpoll, PretendedSocket

RESET, END = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)


class RecordingSocket(PretendedSocket):
    """
    A pretended socket that writes down what is asked of it.

    @ivar calls: in this order: C{"data"}, or C{"data+"} with C{MSG_MORE}, of which
        the kernel took some; C{"end"}; C{"linger on"} and C{"linger off"};
        C{"close"}.  A call that fails has an exclamation mark.

    @ivar failures: the errors with which calls fail, in this order; with C{0} one
        does not fail.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity, resets=True)
        self.calls: list[str] = []
        self.failures: dict[str, list[int]] = {}

    def _record(self, name: str, call: str) -> None:
        failures = self.failures.get(name)
        code = failures.pop(0) if failures else 0
        self.calls.append(f"{call}!" if code else call)
        if code:
            raise OSError(code, os.strerror(code))

    def send(self, data: bytes, flags: int = 0) -> int:
        if self.capacity <= len(self.held) and data:
            raise BlockingIOError(errno.EWOULDBLOCK, "full")
        self._record("send", "data+" if flags & socket.MSG_MORE else "data")
        return super().send(data, flags)

    def shutdown(self, how: int) -> None:
        assert how == socket.SHUT_WR, how
        self._record("shutdown", "end")
        super().shutdown(how)

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER)
        names = {RESET: "linger on", END: "linger off"}
        self._record("setsockopt", names[value])
        super().setsockopt(level, option, value)

    def close(self) -> None:
        super().close()
        self._record("close", "close")


class TransportTestCase(SynchronousTestCase):
    """
    Connects over pretended sockets.
    """

    def setUp(self) -> None:
        """
        Make connections; at the end none may be left.
        """
        self.reactor = Reactor()
        self.epoll = PretendedEpoll()
        self.connections = Connections(self.reactor, self.epoll)
        self.addCleanup(self.checkNothingLeft)

    def checkNothingLeft(self) -> None:
        """
        Every connection has an end, and takes everything with it.
        """
        self.connections.abort()
        self.reactor.advance(0)
        self.connections.close()
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.epoll.masks, {})

    def connect(self, protocol: Any, capacity: int = 2**20, **failures: Any) -> Any:
        """
        Begin a connection.

        @param failures: see L{RecordingSocket}.

        @return: its transport.
        """
        self.socket = RecordingSocket(capacity)
        self.socket.failures = failures
        self.epoll.sockets[self.socket.fileno()] = self.socket
        transport = Transport(self.socket, protocol, PEER, self.connections)
        self.connections.begin(transport)
        return transport

    def turn(self) -> None:
        """
        Give a turn to those for whom something has come.
        """
        self.connections.doRead()
        self.reactor.advance(0)

    def take(self) -> None:
        """
        The reader takes everything, as it comes.
        """
        while self.socket.held:
            self.socket.taken += self.socket.held
            self.socket.held.clear()
            self.turn()


class RealTransportTestCase(SynchronousTestCase):
    """
    Connects over real sockets.
    """

    def setUp(self) -> None:
        """
        Make connections; at the end none may be left.
        """
        self.reactor = Reactor()
        self.connections = Connections(self.reactor)
        self.addCleanup(self.connections.close)
        self.addCleanup(self.reactor.advance, 0)
        self.addCleanup(self.connections.abort)

    def connect(self, protocol: Any, address: str = "127.0.0.1") -> Any:
        """
        Begin a connection.

        @return: the reader's socket, and the transport.
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.create_server((address, 0), family=family) as listener:
            setReset(listener, True)
            reader = socket.create_connection(listener.getsockname()[:2], DEADLINE)
            server, peer = listener.accept()
        self.addCleanup(reader.close)
        kind = IPv6Address if ":" in address else IPv4Address
        transport = Transport(server, protocol, kind("TCP", *peer), self.connections)
        self.connections.begin(transport)
        return reader, transport

    def readAll(self, reader: socket.socket, size: int = 2**16) -> tuple[bytes, int]:
        """
        Read until the end, while the connections have their turns.

        @param size: how much at a time.

        @return: what was read, and after how many bytes a descriptor came; never
            is -1.
        """
        data, proofAt = b"", -1
        while True:
            both: list[Any] = [reader, self.connections]
            ready, _, _ = select.select(both, [], [], DEADLINE)
            self.assertTrue(ready, "nothing comes")
            if self.connections in ready:
                self.connections.doRead()
            if reader in ready:
                piece, descriptors = self.receive(reader, size)
                data += piece
                for descriptor in descriptors:
                    os.close(descriptor)
                    self.assertEqual(proofAt, -1, "two descriptors")
                    proofAt = len(data)
                if not piece:
                    return data, proofAt

    def receive(self, reader: socket.socket, size: int) -> tuple[bytes, list[int]]:
        """
        Receive once.

        @return: bytes and descriptors.
        """
        if reader.family != socket.AF_UNIX:
            return reader.recv(size), []
        data, ancillary, _, _ = reader.recvmsg(size, socket.CMSG_LEN(64))
        descriptors = array.array("i")
        for level, kind, content in ancillary:
            self.assertEqual((level, kind), (socket.SOL_SOCKET, socket.SCM_RIGHTS))
            descriptors.frombytes(content)
        return data, list(descriptors)

    def waitForTurn(self) -> None:
        """
        Wait until something has come for a connection, and give it its turn.
        """
        ready, _, _ = select.select([self.connections], [], [], DEADLINE)
        self.assertTrue(ready, "nothing comes")
        self.connections.doRead()
