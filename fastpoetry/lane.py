"""
The fast lane: a small poem is sent whole in the moment a reader is accepted, for
little more than what the kernel's calls cost.

Nearly all that an ordinary connection costs is the making of its transport, its
turns in the reactor and its line in the log.  Here a reader gets neither transport
nor protocol; a timer looks at all that wait for their end together, and the log gets
one line for all who have come since the last.  What is not the usual case goes the
ordinary way, from the place that it has come to, and has a
L{fastpoetry.protocol.PoetryProtocol} then.
"""

from __future__ import annotations

import errno
import select
import socket
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from socket import SocketType
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.tcp import Port
from twisted.logger import Logger

from fastpoetry.connection.delivery import LINGER, DeliveryFactory
from fastpoetry.connection.kernel import isClosed, setReset
from fastpoetry.connection.transport import EndedTransport, PoetryTransport
from fastpoetry.protocol import PoetryFactory, PoetryProtocol

# The kernel takes a poem of so many bytes at once, for whatever reader: a socket
# begins with a send buffer of at least that (net.ipv4.tcp_wmem).
SMALL = 16 * 1024

# After so many seconds at the latest a reader that has come is in the log, and one that
# has ended is noticed.
TICK = 0.005

# How many of those who stay go the ordinary way at a time: others wait meanwhile.
MOST = 100

# How many readers one line of the log names at the most: syslog may cut one at 2,048
# bytes (RFC 5424, 6.1).
NAMES = {socket.AF_INET: 80, socket.AF_INET6: 36}

# MSG_MORE: the end, which follows at once, goes out in the last segment.  (Numbers, as
# an enumeration takes half a microsecond to become one.)
_SEND = int(socket.MSG_DONTWAIT | socket.MSG_MORE)

_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV

# Errors of accept that are about the connection that was accepted; accept(2).
_LOST = {
    errno.ECONNABORTED,
    errno.EPERM,
    errno.EPROTO,
    errno.ENETDOWN,
    errno.ENOPROTOOPT,
    errno.EHOSTDOWN,
    errno.ENONET,
    errno.EHOSTUNREACH,
    errno.EOPNOTSUPP,
    errno.ENETUNREACH,
}


# A connection, the reader's address, and since when it has everything.
_Reader = tuple[SocketType, Any, float]


class _ReadyProtocol(PoetryProtocol):
    """
    A protocol that is told what to send.
    """

    def connectionMade(self) -> None:
        """
        Be counted, and wait to be told.
        """
        self.factory.connections.add(self)


class FastLane:
    """
    Accepts the readers of one port, sends each a small poem and its end, and keeps
    them until their own end comes.
    """

    _log = Logger()

    @staticmethod
    def suits(port: Port, factory: DeliveryFactory) -> bool:
        """
        @return: whether the port is one on plain TCP, and the factory does just
            what this does.
        """
        return (
            type(port) is Port
            and port.factory is factory
            and type(factory) is PoetryFactory
            and factory.protocol is PoetryProtocol
        )

    def __init__(
        self,
        port: Port,
        factory: PoetryFactory,
        reactor: Any,
        onRoom: Callable[[], None],
    ) -> None:
        """
        @param port: a port that L{suits}.

        @param factory: the port's.

        @param reactor: the port's.

        @param onRoom: called when readers may have ended.
        """
        self._port = port
        self._factory = factory
        self._reactor = reactor
        self._fresh: deque[_Reader] = deque()  # who came since the last look, in order
        self._waiting: dict[int, _Reader] = {}  # the others, by descriptor
        self._epoll = select.epoll()  # of those who wait
        self._names: list[str] = []  # who is not in the log yet
        self._size = 0  # how many bytes those were sent
        self._tick: IDelayedCall | None = None
        self._session = 0  # Twisted numbers the transports of a port
        self._onRoom = onRoom

    def __len__(self) -> int:
        return len(self._fresh) + len(self._waiting)

    def stop(self) -> None:
        """
        Hand all readers over, and accept none after that.
        """
        if self._tick is not None:
            self._tick.cancel()
        self._logNames()
        self.handOver()
        self._epoll.close()

    def handOver(self) -> None:
        """
        Make ordinary connections of all readers that have not ended.
        """
        self._look()
        for fd in list(self._waiting):
            self._handOver(fd)

    def accept(self, room: int) -> None:
        """
        Accept the readers that wait, and send each the poem, or let the ordinary
        way do that.

        @param room: how many there may be at the most.

        @raise OSError: when the system has no room for more.
        """
        poem = getattr(self._factory.source, "poem", None)
        if not isinstance(poem, bytes) or len(poem) > SMALL:
            for connection, address in self._accepted(room):
                protocol = self._factory.buildProtocol(None)
                self._connect(PoetryTransport, connection, address, protocol)
            return
        if len(poem) != self._size:
            self._logNames()
            self._size = len(poem)
        # Most end soon, and in the order in which they came: to ask more than the first
        # that has not would be to ask many twice.
        fresh = self._fresh
        while fresh and isClosed(fresh[0][0]):
            fresh.popleft()[0].close()
        try:
            self._sendAll(poem, room)
        finally:
            if self._tick is None:
                self._tick = self._reactor.callLater(TICK, self._onTick)

    def _accepted(self, room: int) -> Iterator[tuple[SocketType, Any]]:
        # What accept() calls, which makes two enumerations and a larger socket of
        # it: a tenth of what a poem costs.
        listener: Any = self._port.socket
        accept = listener._accept
        family, kind = int(self._port.addressFamily), int(socket.SOCK_STREAM)
        isIPv6 = self._port.addressFamily == socket.AF_INET6
        for _ in range(room):
            try:
                fd, address = accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in _LOST:
                    raise
                continue
            connection = SocketType(family, kind, 0, fd)
            if isIPv6 and address[3]:  # only a name has room for the scope
                host, _ = socket.getnameinfo(address, _NUMERIC)
                address = host, *address[1:]
            yield connection, address

    def _sendAll(self, poem: bytes, room: int) -> None:
        size = len(poem)
        now = self._reactor.seconds()
        form = "[%s]:%d" if self._port.addressFamily == socket.AF_INET6 else "%s:%d"
        hold, name = self._fresh.append, self._names.append
        for connection, address in self._accepted(room):
            try:
                try:
                    sent = connection.send(poem, _SEND)
                except BlockingIOError:  # the kernel is short of memory
                    sent = 0
                name(form % address[:2])
                if sent == size:
                    connection.shutdown(socket.SHUT_WR)
            except OSError:  # it has gone already; if not, it must not see an end
                setReset(connection, True)
                connection.close()
                continue
            if sent == size:
                hold((connection, address, now))
            else:
                protocol = self._connect(PoetryTransport, connection, address)
                protocol.deliver(poem[sent:])

    def _look(self) -> None:
        # Close the connections that are at their end; the others wait for it.  A reader
        # that says something, or has ended before it has all of the poem, goes the
        # ordinary way.
        fresh, waiting = self._fresh, self._waiting
        while fresh:
            reader = fresh.popleft()
            connection = reader[0]
            if isClosed(connection):
                connection.close()
                continue
            fd = connection.fileno()
            try:
                self._epoll.register(fd, select.EPOLLIN)
            except OSError:  # short of memory; but the kernel has the poem and the end
                connection.close()
            else:
                waiting[fd] = reader
        for fd, _ in self._epoll.poll(0):
            if fd not in waiting:  # a process that was forked has a copy of it yet
                continue
            connection = waiting[fd][0]
            if isClosed(connection):
                del waiting[fd]
                connection.close()
            else:
                self._handOver(fd)

    def _onTick(self) -> None:
        self._tick = None
        try:
            self._logNames()
            self._look()
            self._handOverThoseWhoStay()
        finally:
            if len(self):
                self._tick = self._reactor.callLater(TICK, self._onTick)
            self._onRoom()

    def _handOverThoseWhoStay(self) -> None:
        # The ordinary way has deadlines for them.
        before = self._reactor.seconds() - LINGER
        for fd, (_, _, since) in list(islice(self._waiting.items(), MOST)):
            if since > before:
                break
            self._handOver(fd)

    def _logNames(self) -> None:
        names, step = self._names, NAMES[self._port.addressFamily]
        for first in range(0, len(names), step):
            self._log.info(
                "sending {size} bytes of poetry to {peer}",
                size=self._size,
                peer=", ".join(names[first : first + step]),
            )
        names.clear()

    def _handOver(self, fd: int) -> None:
        connection, address, _ = self._waiting.pop(fd)
        self._epoll.unregister(fd)
        with suppress(OSError):  # the reactor may be short of memory, as in _look
            self._connect(EndedTransport, connection, address).linger()

    def _connect(
        self,
        transport: type[PoetryTransport],
        connection: SocketType,
        address: Any,
        protocol: Any = None,
    ) -> Any:
        if protocol is None:
            protocol = _ReadyProtocol()
            protocol.factory = self._factory
        self._session += 1
        owned = socket.socket(fileno=connection.detach())
        try:
            connected = transport(
                owned, protocol, address, self._port, self._session, self._reactor
            )
        except OSError:  # the reactor cannot register it
            setReset(owned, transport is PoetryTransport)  # which has not sent all
            owned.close()
            raise
        protocol.makeConnection(connected)
        return protocol
