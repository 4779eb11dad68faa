"""
How a listening port lets readers in.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
from collections.abc import Callable, Collection
from socket import SocketType
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress, IDelayedCall, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.connection.connections import Connections
from fastpoetry.connection.kernel import setReset
from fastpoetry.connection.transport import Transport, UNIXTransport
from fastpoetry.listening.memory import SocketMemory

# The kernel cuts this down to its own maximum (net.core.somaxconn).  When the
# queue of a listener runs over while SYN cookies are on, readers are left that
# believe they are connected and are never served.
BACKLOG = 2**15

# How many bytes of a poem the kernel holds unsent for one connection, so that
# stalled readers do not fill the memory that it has for all sockets.
MAX_UNSENT = 128 * 1024

# Descriptors kept for what is not a reader: the log, a poem that is being read.
RESERVE = 32

# When no reader can be let in, it is not tried again for so many seconds.
PAUSE = 1.0

# How many readers are let in before those who are in already get a turn.
MAX_ACCEPTS = 128

# With so many readers it is time to look at the memory that the kernel has for them.
MANY = 100

# Numbers, since an enumeration takes a third of a microsecond to become one.
_STREAM = int(socket.SOCK_STREAM)
_INET, _INET6 = int(socket.AF_INET), int(socket.AF_INET6)

_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV

# Errors of accept that are about the connection that was accepted; accept(2).
LOST = {
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


# All acceptors of this process, which share its descriptors.
ACCEPTORS: set[Acceptor] = set()


def freeDescriptors() -> int:
    """
    @return: how many descriptors this process may open yet.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 2**20 if soft == resource.RLIM_INFINITY else soft
    try:
        return limit - len(os.listdir("/proc/self/fd"))
    except OSError:  # in a chroot
        return limit


def divideDescriptors(acceptors: Collection[Acceptor]) -> None:
    """
    Have acceptors share evenly what this process may open for readers.
    """
    readers = sum(len(one.connections) for one in acceptors)
    available = freeDescriptors() + readers - RESERVE
    for one in acceptors:
        one.share = max(1, available // len(acceptors))
        one.resume()


@implementer(IReadDescriptor)
class Acceptor:
    """
    Stands in for a listening port in the reactor, and lets no more readers in
    than there is room for: the others wait in the kernel's queue, and none is
    turned away.  (Out of descriptors, the port by itself accepts and closes.)

    @ivar connections: who is in.

    @ivar share: how many the descriptors of the process allow for.

    @ivar memory: what warns of too many; all ports of the process have the same.

    @ivar buildProtocol: makes the protocol of a reader.

    @ivar admit: says whether a transport is let in; by default, each is.
    """

    _log = Logger()

    share = 1
    memory = SocketMemory()
    admit: Callable[[Any], bool] | None = None
    _pause: IDelayedCall | None = None

    def __init__(
        self,
        port: Any,
        maxConnections: int | None,
        reactor: Any,
        acceptors: set[Acceptor] = ACCEPTORS,
    ) -> None:
        """
        @param port: a L{Port} that listens, on TCP or a UNIX socket.

        @param maxConnections: how many connections there may be at once; by default,
            and at the most, as many as its share of the descriptors.

        @param acceptors: with whom these are shared.
        """
        self._port = port
        self._maxConnections = maxConnections
        self._reactor = reactor
        self._acceptors = acceptors
        self._family = int(port.socket.family)
        self.buildProtocol: Callable[[IAddress], Any] = port.factory.buildProtocol
        isUNIX = port.socket.family == socket.AF_UNIX
        self._transport = UNIXTransport if isUNIX else Transport
        self.connections = Connections(reactor)

    def start(self) -> None:
        """
        Take the port's place.
        """
        listener = self._port.socket
        listener.listen(BACKLOG)
        # Accepted sockets inherit both.
        setReset(listener, True)
        if self._transport is Transport:
            listener.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT
            )
        else:
            UNIXTransport.makeProof()
        self._port.stopReading()
        self._acceptors.add(self)
        divideDescriptors(self._acceptors)

    def stop(self) -> None:
        """
        Let in those who wait already, as far as there is room (closing the port
        would reset them), and nobody after them.
        """
        self._endPause()
        self.connections.doRead()
        waiting = select.poll()
        waiting.register(self._port, select.POLLIN)
        for _ in range(BACKLOG // MAX_ACCEPTS + 1):  # others may come all the while
            if self._room() <= 0 or self._pause is not None or not waiting.poll(0):
                break
            self.doRead()
        self._endPause()
        self.connections.watchers.pop(self.resume, None)
        self._reactor.removeReader(self)
        self.connections.close()
        self._acceptors.remove(self)
        divideDescriptors(self._acceptors)

    @property
    def limit(self) -> int:
        """
        How many connections there may be at once.
        """
        return min(self._maxConnections or self.share, self.share)

    def _room(self) -> int:
        return self.limit - len(self.connections)

    def resume(self) -> None:
        """
        Let readers in, if there is room and no pause.
        """
        if self._pause is None and self._room() > 0:
            self.connections.watchers.pop(self.resume, None)
            try:
                self._reactor.addReader(self)
            except OSError as error:
                self._cannotAccept(error)

    def _cannotAccept(self, error: OSError) -> None:
        # The readers wait; without a pause the reactor would spin.
        self._log.error("cannot accept: {reason}", reason=error.strerror)
        self._reactor.removeReader(self)
        self._pause = self._reactor.callLater(PAUSE, self._resumeAfterPause)

    def _resumeAfterPause(self) -> None:
        self._pause = None
        # Its share may have shrunk meanwhile, so that there is no room.
        self.connections.watchers[self.resume] = None
        self.resume()

    def _endPause(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def doRead(self) -> None:
        """
        Accept as many readers as there is room for.
        """
        # What accept() calls, which makes two enumerations and a larger socket of
        # it: a tenth of what a poem costs.
        accept = self._port.socket._accept
        room = before = self._room()
        lost: OSError | None = None
        try:
            for _ in range(MAX_ACCEPTS):
                if room <= 0:
                    break
                try:
                    self._begin(*accept())
                    room -= 1
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno not in LOST:
                        raise
                    lost = error
            else:
                if lost is not None and room == before:
                    raise lost
        except OSError as error:
            self._cannotAccept(error)
        if self._room() <= 0:
            self._reactor.removeReader(self)
            self.connections.watchers[self.resume] = None
        if len(self.connections) >= MANY and self._transport is Transport:
            readers = sum(len(one.connections) for one in self._acceptors)
            self.memory.look(self._reactor.seconds(), readers)

    def _begin(self, fd: int, address: Any) -> None:
        try:
            connection = SocketType(self._family, _STREAM, 0, fd)
        except OSError:
            os.close(fd)
            raise
        try:
            peer = self._addressOf(address)
            protocol = self.buildProtocol(peer)
            if protocol is None:
                connection.close()
                return
            transport = self._transport(connection, protocol, peer, self.connections)
            if self.admit is not None and not self.admit(transport):
                connection.close()
                return
        except BaseException:  # of the factory; the port stays open
            self._log.failure("an error costs a connection")
            connection.close()
        else:
            self.connections.begin(transport)

    def _addressOf(self, address: Any) -> IAddress:
        if self._family == _INET:
            # As its constructor does, but without a check of the first.
            peer = object.__new__(IPv4Address)
            peer.type, (peer.host, peer.port) = "TCP", address
            return peer
        if self._family == _INET6 and address[3]:  # only a name has a scope
            address = socket.getnameinfo(address, _NUMERIC)[:1] + address[1:]
        found: IAddress = self._port._buildAddr(address)
        return found

    def fileno(self) -> int:
        """@see: L{twisted.internet.interfaces.IFileDescriptor.fileno}"""
        return int(self._port.fileno())

    def logPrefix(self) -> str:
        """@see: L{twisted.internet.interfaces.ILoggingContext.logPrefix}"""
        return str(self._port.logPrefix())

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor found the descriptor broken, or is at its end.
        """
        self._port.connectionLost(reason)
