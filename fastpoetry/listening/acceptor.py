"""
How a listening port lets readers in.
"""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
from socket import SocketType
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.internet.tcp import Port
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.connection.connections import Connections
from fastpoetry.connection.kernel import setReset
from fastpoetry.connection.transport import Transport, UNIXTransport

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
MAX_ACCEPTS = 500

# Numbers, since an enumeration takes a third of a microsecond to become one.
_STREAM = int(socket.SOCK_STREAM)
_INET6 = int(socket.AF_INET6)

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


class Descriptors:
    """
    The descriptors of a process, which its acceptors share evenly.

    @ivar acceptors: those that accept.
    """

    def __init__(self) -> None:
        self.acceptors: set[Acceptor] = set()
        self._forReaders = 0

    def add(self, acceptor: Acceptor) -> None:
        """
        An acceptor begins.
        """
        self.acceptors.add(acceptor)
        used = sum(len(other.connections) for other in self.acceptors)
        self._forReaders = freeDescriptors() + used - RESERVE

    def remove(self, acceptor: Acceptor) -> None:
        """
        An acceptor has stopped: its share is for the others.
        """
        self.acceptors.remove(acceptor)
        for other in self.acceptors:
            other.resume()

    def share(self) -> int:
        """
        @return: how many readers each acceptor may have.
        """
        return max(1, self._forReaders // len(self.acceptors))


OF_PROCESS = Descriptors()


@implementer(IReadDescriptor)
class Acceptor:
    """
    Stands in for a listening port in the reactor, and lets no more readers in
    than there is room for: the others wait in the kernel's queue, and none is
    turned away.  (Out of descriptors, the port by itself accepts and closes.)

    @ivar connections: who is in.
    """

    _log = Logger()

    _pause: IDelayedCall | None = None
    _isWaiting = False

    def __init__(
        self,
        port: Port,
        maxConnections: int | None,
        reactor: Any,
        descriptors: Descriptors = OF_PROCESS,
    ) -> None:
        """
        @param port: a port that listens, on TCP or a UNIX socket.

        @param maxConnections: how many connections there may be at once; by default,
            and at the most, an equal share of the descriptors of the process.

        @param descriptors: with whom they are shared.
        """
        self._port: Any = port
        self._maxConnections = maxConnections
        self._reactor = reactor
        self._descriptors = descriptors
        self._family = int(port.socket.family)
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
        self._port.stopReading()
        self._descriptors.add(self)
        self.resume()

    def stop(self) -> None:
        """
        Let in those who wait already, as far as there is room (closing the port
        would reset them), and nobody after them.
        """
        self._endPause()
        waiting = select.poll()
        waiting.register(self._port, select.POLLIN)
        for _ in range(BACKLOG // MAX_ACCEPTS + 1):  # others may come all the while
            if self._room() <= 0 or self._pause is not None or not waiting.poll(0):
                break
            self.doRead()
        self._endPause()
        self._waitForRoom(False)
        self._descriptors.remove(self)
        self._reactor.removeReader(self)
        self.connections.close()

    def _room(self) -> int:
        share = self._descriptors.share()
        limit = share if self._maxConnections is None else self._maxConnections
        return min(share, limit) - len(self.connections)

    def resume(self) -> None:
        """
        Let readers in, if there is room and no pause.
        """
        if self._pause is None and self._room() > 0:
            self._waitForRoom(False)
            try:
                self._reactor.addReader(self)
            except OSError as error:
                self._cannotAccept(error)

    def _waitForRoom(self, waits: bool) -> None:
        if waits != self._isWaiting:
            self._isWaiting = waits
            watch = self.connections.watch if waits else self.connections.unwatch
            watch(self.resume)

    def _cannotAccept(self, error: OSError) -> None:
        # The readers wait; without a pause the reactor would spin.
        self._log.error("cannot accept: {reason}", reason=error.strerror)
        self._reactor.removeReader(self)
        self._pause = self._reactor.callLater(PAUSE, self._endPauseAndResume)

    def _endPauseAndResume(self) -> None:
        self._pause = None
        self.resume()

    def _endPause(self) -> None:
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.cancel()

    def doRead(self) -> None:
        """
        Accept as many readers as there is room for.
        """
        # What accept() calls, which makes two enumerations and a larger socket of
        # it: a tenth of what a poem costs.
        accept = self._port.socket._accept
        accepted, lost = 0, None
        try:
            for _ in range(min(self._room(), MAX_ACCEPTS)):
                try:
                    fd, address = accept()
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno not in _LOST:
                        raise
                    lost = error
                else:
                    accepted += 1
                    self._begin(fd, address)
            else:
                if lost is not None and not accepted:
                    raise lost
        except OSError as error:
            self._cannotAccept(error)
        if self._room() <= 0:
            self._reactor.removeReader(self)
            self._waitForRoom(True)

    def _begin(self, fd: int, address: Any) -> None:
        """
        Begin a connection.

        @param fd: a socket that was accepted.

        @param address: its peer, as C{accept} gives it.
        """
        connection = None
        try:
            connection = SocketType(self._family, _STREAM, 0, fd)
            if self._family == _INET6 and address[3]:  # only a name has a scope
                host, _ = socket.getnameinfo(address, _NUMERIC)
                address = host, *address[1:]
            port = self._port
            peer = port._buildAddr(address)
            protocol = port.factory.buildProtocol(peer)
            if protocol is not None:
                transport = self._transport(
                    connection, protocol, peer, self.connections
                )
                self.connections.begin(transport)
                return
        except Exception:
            self._log.failure("cannot serve a reader")
        # Born to be reset, it is.
        if connection is None:
            os.close(fd)
        else:
            connection.close()

    def fileno(self) -> int:
        """
        @see: L{twisted.internet.interfaces.IFileDescriptor.fileno}
        """
        fd: int = self._port.fileno()
        return fd

    def logPrefix(self) -> str:
        """
        @see: L{twisted.internet.interfaces.ILoggingContext.logPrefix}
        """
        prefix: str = self._port.logPrefix()
        return prefix

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor found the descriptor broken, or is at its end.
        """
        self._port.connectionLost(reason)
