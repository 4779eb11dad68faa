"""
How a listening port lets readers in.

It leans on C{_accept} of Python's sockets and C{_buildAddr} of Twisted's ports; neither
is documented, and C{tests/test_acceptor.py} has tests of both.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable
from socket import SocketType
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.connection.connections import Connections
from fastpoetry.connection.kernel import PENDING_ERRORS, setReset
from fastpoetry.connection.transport import Transport
from fastpoetry.descriptors import divideDescriptors
from fastpoetry.endpoints.unixsocket import UNIXTransport
from fastpoetry.listening.endpoint import closePort
from fastpoetry.socketmemory import SocketMemory

# The kernel cuts this down to its own maximum (net.core.somaxconn).  When the queue of
# a listener overflows while SYN cookies are on, some readers believe that they are
# connected, and are never served.
BACKLOG = 2**15

# How many bytes of a poem the kernel holds unsent for one connection, so that
# stalled readers do not fill the memory that it has for all sockets.
MAX_UNSENT = 128 * 1024

# Seconds to wait before the next try, when a connection could not be accepted.
PAUSE = 1.0

# Connections accepted before those that are open get a turn.
MAX_ACCEPTS = 128

# From this number on, the memory that the kernel has for their sockets is checked.
MANY_READERS = 100

_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV

# All acceptors of this process.  They share its descriptors.
ACCEPTORS: set[Acceptor] = set()


@implementer(IReadDescriptor)
class Acceptor:
    """
    Takes the place of a listening port in the reactor, and accepts no more readers than
    C{maxConnections}.  The others wait in the kernel's queue.  (A port of Twisted's
    closes what it has accepted when descriptors run out.)

    @ivar connections: those that are open.

    @ivar share: how many connections its share of the descriptors allows.

    @ivar buildProtocol: makes the protocol of a reader from its address.

    @ivar admit: decides whether a transport is let in; by default, each is.
    """

    _log = Logger()

    share = 1
    memory = SocketMemory()  # shared by all ports
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
        @param port: a L{Port<twisted.internet.tcp.Port>} that listens with the reactor,
            on TCP or on a UNIX socket.

        @param maxConnections: how many connections there may be at once; by default,
            and at the most, as many as its share of the descriptors.

        @param acceptors: those that share the descriptors with it.
        """
        self._port = port
        self._maxConnections = maxConnections
        self.reactor = reactor
        self._acceptors = acceptors
        self._family = int(port.socket.family)
        self._isIP = self._family != socket.AF_UNIX
        self._transport = Transport if self._isIP else UNIXTransport
        self.factory: Any = port.factory
        self.buildProtocol: Callable[[IAddress], Any] = self.factory.buildProtocol
        self.connections = Connections(reactor)

    def start(self) -> None:
        """
        Take the port's place.

        @raise OSError: when the kernel is short of memory.
        """
        port = self._port.socket
        port.listen(BACKLOG)
        # Accepted sockets inherit both.
        setReset(port, True)
        if self._isIP:
            port.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MAX_UNSENT)
        self._port.stopReading()
        self._acceptors.add(self)
        divideDescriptors(self._acceptors)  # which resumes each: it accepts from now on

    def stop(self) -> None:
        """
        Accept those that wait already, up to C{maxConnections}, and close the port.
        """
        self._endPause()
        self.connections.doRead()
        waiting = select.poll()
        waiting.register(self._port, select.POLLIN)
        for _ in range(BACKLOG // MAX_ACCEPTS + 1):  # others may come all the while
            if self._free() <= 0 or self._pause is not None or not waiting.poll(0):
                break
            self.doRead()
        self._endPause()
        self.connections.watchers.pop(self.resume, None)
        self.reactor.removeReader(self)
        closePort(self._port)
        self.connections.close()
        self._acceptors.remove(self)
        divideDescriptors(self._acceptors)

    @property
    def maxConnections(self) -> int:
        """
        How many connections there may be at once.
        """
        return min(self._maxConnections or self.share, self.share)

    def _free(self) -> int:
        return self.maxConnections - len(self.connections)

    def resume(self) -> None:
        """
        Accept readers again, unless there are C{maxConnections} or a pause.
        """
        if self._pause is None and self._free() > 0:
            self.connections.watchers.pop(self.resume, None)
            try:
                self.reactor.addReader(self)
            except OSError as error:
                self._startPause(error)

    def _startPause(self, error: OSError) -> None:
        # The readers wait; without a pause the reactor would spin.
        self._log.error("cannot accept: {reason}", reason=error.strerror)
        self.reactor.removeReader(self)
        self._pause = self.reactor.callLater(PAUSE, self._handlePause)

    def _handlePause(self) -> None:
        self._pause = None
        # By now the share may be smaller: then wait until readers leave.
        self.connections.watchers[self.resume] = None
        self.resume()

    def _endPause(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None

    def doRead(self) -> None:
        """
        Accept readers, up to C{maxConnections}.
        """
        # What accept() adds to _accept is a tenth of the cost of a poem.
        accept = self._port.socket._accept
        free = before = self._free()
        lost: OSError | None = None
        try:
            for _ in range(MAX_ACCEPTS):
                if free <= 0:
                    break
                try:
                    self._begin(*accept())
                    free -= 1
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno not in PENDING_ERRORS:
                        raise
                    lost = error
            else:
                if lost is not None and free == before:  # a whole turn for nothing
                    raise lost
        except OSError as error:
            self._startPause(error)
        if self._free() <= 0:
            self.reactor.removeReader(self)
            self.connections.watchers[self.resume] = None
        if len(self.connections) >= MANY_READERS and self._isIP:
            readers = sum(len(one.connections) for one in self._acceptors)
            self.memory.check(self.reactor.seconds(), readers)

    def _begin(self, fd: int, address: Any) -> None:
        # Make the socket, protocol and transport of a reader, and give it a first turn.
        try:
            connection = SocketType(self._family, socket.SOCK_STREAM, 0, fd)
        except OSError:
            os.close(fd)
            raise
        transport = None
        try:
            # Only a name has a scope.
            if self._family == socket.AF_INET6 and address[3]:
                address = socket.getnameinfo(address, _NUMERIC)[:1] + address[1:]
            peer = self._port._buildAddr(address)
            protocol = self.buildProtocol(peer)
            if protocol is not None:
                transport = self._transport(
                    connection, protocol, peer, self.connections
                )
                if self.admit is not None and not self.admit(transport):
                    transport = None
        except BaseException:  # from the factory; the port stays open
            self._log.failure("an error costs a connection")
            transport = None
        if transport is None:
            connection.close()
        else:
            self.connections.begin(transport)

    def fileno(self) -> int:
        """@see: L{twisted.internet.interfaces.IFileDescriptor.fileno}"""
        return int(self._port.fileno())

    def logPrefix(self) -> str:
        """@see: L{twisted.internet.interfaces.ILoggingContext.logPrefix}"""
        return str(self._port.logPrefix())

    def connectionLost(self, reason: Failure) -> None:
        """The reactor found the descriptor broken, or has stopped."""
        closePort(self._port)
