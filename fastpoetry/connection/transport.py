"""
Twisted's own transport for accepted connections, made cheap, and sending without
copies.  It knows nothing of poems: any protocol runs on it.

It leans on these parts of Twisted that are not documented: C{_tempDataBuffer},
C{_tempDataLen}, C{_writeDisconnecting}, C{_writeDisconnected},
C{_closeWriteConnection}, C{_aborting}, C{_addressType}, C{_maybePauseProducer},
C{SEND_LIMIT}.  Each has a test in C{tests/test_transport_*.py} or
C{tests/test_tls_producers.py}.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure

from fastpoetry.connection.kernel import acknowledged, setReset

# Bytes given to the kernel at once, unless no more than twice as many are left: larger
# pieces fall out of the processor's cache before the reader gets them.
SENT_AT_ONCE = 128 * 1024

# With MSG_MORE the end, which follows at once, goes out in the last segment.
_FLAGS = int(socket.MSG_DONTWAIT)
_END_FOLLOWS = _FLAGS | int(getattr(socket, "MSG_MORE", 0))

_IN, _OUT = select.POLLIN, select.POLLOUT  # EPOLLIN and EPOLLOUT, too
_ENDED = Failure(CONNECTION_DONE)  # only for connections that have come to their end


class Transport(tcp.Server):
    """
    An accepted TCP connection.  Closing it resets it (the acceptor has set that for all
    of a port), until the kernel has everything that was written: only then does a close
    become an end.

    While it has its turn, it only notes which events it wants; L{Connections
    <fastpoetry.connection.connections.Connections>} tells the kernel at the end of the
    turn.

    @ivar wanted: the events that it wants to be told of (C{POLLIN}, C{POLLOUT}).

    @ivar registered: the events that the kernel was told to wait for.

    @ivar hasTurn: whether this is its turn.

    @ivar handleLost: what to call when the connection is lost, if anything.

    @ivar acknowledged: once it is lost without having come to its end: how many bytes
        the other side's kernel has acknowledged; on a UNIX socket, C{None}.

    @cvar overhead: how many bytes are sent besides those that are written.

    @cvar isBornReset: tells protocols that closing it is a reset from the start.

    @cvar isTCP: whether there is such a thing as a reset.
    """

    SEND_LIMIT = 1  # Twisted copies what is left to send if it is less: so never
    connected = 1
    isBornReset = True
    isTCP = True
    hasTurn = False
    wanted = _IN
    registered = 0
    overhead = 0
    handleLost: Callable[[], None] | None = None
    acknowledged: int | None = None
    _tempDataLen = 0
    logstr = "Transport"
    repstr = "<Transport>"

    def __init__(self, connection: Any, protocol: Any, peer: Any, reactor: Any) -> None:
        """
        @param connection: the socket.

        @param protocol: gets what the other side sends.

        @param peer: the address of the other side.

        @param reactor: the L{fastpoetry.connection.connections.Connections} that it
            is one of.
        """
        # Instead of the base's, which starts reading and makes names.
        self.socket = connection
        self.fd: int = connection.fileno()
        self.protocol = protocol
        self.peer = peer
        self.reactor: Any = reactor
        self._tempDataBuffer = []

    def fileno(self) -> int:
        """@see: L{twisted.internet.interfaces.IFileDescriptor.fileno}"""
        return self.fd

    def getPeer(self) -> Any:
        """@see: L{twisted.internet.interfaces.ITransport.getPeer}"""
        return self.peer

    @property
    def _addressType(self) -> Any:  # type: ignore[override]
        # The peer's may be another one, if a proxy has told it.
        isIPv6 = self.socket.family == socket.AF_INET6
        return IPv6Address if isIPv6 else IPv4Address

    def startReading(self) -> None:
        """@see: L{twisted.internet.abstract.FileDescriptor.startReading}"""
        self.wanted |= _IN
        if not self.hasTurn:
            self.reactor.register(self)

    def stopReading(self) -> None:
        """@see: L{twisted.internet.abstract.FileDescriptor.stopReading}"""
        self.wanted &= ~_IN
        if not self.hasTurn:
            self.reactor.register(self)

    pauseProducing = stopReading

    def startWriting(self) -> None:
        """@see: L{twisted.internet.abstract.FileDescriptor.startWriting}"""
        self.wanted |= _OUT
        if not self.hasTurn:
            self.reactor.register(self)

    def stopWriting(self) -> None:
        """@see: L{twisted.internet.abstract.FileDescriptor.stopWriting}"""
        self.wanted &= ~_OUT
        if not self.hasTurn:
            self.reactor.register(self)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """@see: L{twisted.internet.interfaces.IConsumer.registerProducer}"""
        self.producerPaused = False  # another may have been
        super().registerProducer(producer, streaming)

    def _maybePauseProducer(self) -> None:
        # The base's pauses it at each write.  TLS writes record by record: a producer
        # that counts its pauses would never go on.
        if not self.producerPaused:
            super()._maybePauseProducer()

    # The next two are short cuts for what most connections do: one write and the end.
    # Without them a poem costs a tenth more.

    def write(self, data: bytes) -> None:
        """@see: L{twisted.internet.interfaces.ITransport.write}"""
        isFirst = self.hasTurn and not self.wanted & _OUT and self.connected
        isPlain = self.producer is None and not (self.TLS or self._writeDisconnected)
        if isFirst and isPlain and data.__class__ is bytes and data:
            self.dataBuffer = data
            self.wanted |= _OUT
        else:
            super().write(data)

    def doWrite(self) -> Any:
        """@see: L{twisted.internet.abstract.FileDescriptor.doWrite}"""
        if self._tempDataLen or self.offset or self.producer is not None:
            return super().doWrite()
        if not self._writeDisconnecting or self.disconnecting:
            return super().doWrite()
        sent = self.writeSomeData(self.dataBuffer)
        if sent.__class__ is not int:  # it is why the connection is lost
            return sent
        if sent < len(self.dataBuffer):
            self.offset = sent
            return None
        self.dataBuffer = b""
        self.wanted &= ~_OUT
        self._writeDisconnected = True
        return self._closeWriteConnection()

    def writeSomeData(self, data: bytes) -> Any:
        """@see: L{twisted.internet.abstract.FileDescriptor.writeSomeData}"""
        flags = _FLAGS
        if len(data) > 2 * SENT_AT_ONCE:
            data = memoryview(data)[:SENT_AT_ONCE]  # type: ignore[assignment]
        elif self._writeDisconnecting and not self._tempDataLen:
            flags = _END_FOLLOWS if self.producer is None else _FLAGS
        try:
            return self.socket.send(data, flags)
        except BlockingIOError:
            return 0
        except OSError:
            return CONNECTION_LOST

    def _closeWriteConnection(self) -> Any:
        # The base's takes an end that could not be sent for one that was.
        try:
            self.socket.shutdown(socket.SHUT_WR)
            if self.isTCP:
                setReset(self.socket, False)
        except OSError:
            self._writeDisconnected = False
            return CONNECTION_LOST
        if IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.writeConnectionLost()
        return None

    def loseConnection(self) -> None:
        """@see: L{twisted.internet.interfaces.ITransport.loseConnection}"""
        if self._writeDisconnected and not self.disconnecting:
            self.connectionLost(_ENDED)
        else:
            super().loseConnection()

    def connectionLost(self, reason: Failure) -> None:
        """@see: L{twisted.internet.abstract.FileDescriptor.connectionLost}"""
        # The base's ends the connection before a reset can be asked for.
        if self.disconnected:
            return
        self.disconnected, self.connected = 1, 0
        producer, self.producer = self.producer, None
        left = len(self.dataBuffer) - self.offset + self._tempDataLen
        if reason is not _ENDED:
            self.acknowledged = acknowledged(self.socket)
        try:
            if self._aborting:
                setReset(self.socket, True)
            elif not (left or self._writeDisconnected) and reason.check(ConnectionDone):
                setReset(self.socket, False)
        except OSError:
            pass  # the other side has gone
        self.reactor.remove(self)
        connection, protocol = self.socket, self.protocol
        del self.socket, self.protocol
        try:
            connection.close()
        except OSError:
            pass  # it is closed all the same; close(2)
        try:
            if producer is not None:
                producer.stopProducing()
        finally:
            try:
                protocol.connectionLost(reason)
            finally:
                for watcher in tuple(self.reactor.watchers):
                    watcher()
