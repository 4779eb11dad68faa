"""
Twisted's own transports for accepted connections, cheap to make, and sending without
copies.  They know nothing of poems: any protocol runs on them.

Of what Twisted does not document they lean on C{_tempDataBuffer}, C{_tempDataLen},
C{_writeDisconnecting}, C{_writeDisconnected}, C{_closeWriteConnection}, C{_aborting},
C{_addressType}, C{_maybePauseProducer} and C{SEND_LIMIT}, and of C{unix.Server} on
C{_sendmsgQueue}; F{tests/test_transport_twisted.py} and
F{tests/test_tls_producers.py} hold each.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet import tcp, unix
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure

from fastpoetry.connection.kernel import acknowledged, setReset

# How many bytes go to the kernel at once, unless what is left is no more than twice as
# many: larger pieces fall out of the processor's cache before the reader has them.
SENT_AT_ONCE = 128 * 1024

# MSG_MORE: the end, which follows at once, goes out in the last segment.
_FLAGS = int(socket.MSG_DONTWAIT)
_END_FOLLOWS = _FLAGS | int(getattr(socket, "MSG_MORE", 0))

# The kernel takes so many bytes for a UNIX socket all or not.
PAGE = 4096

_IN, _OUT = select.POLLIN, select.POLLOUT  # EPOLLIN and EPOLLOUT, too
_DONE = Failure(CONNECTION_DONE)


class Transport(tcp.Server):
    """
    A TCP connection.  It is born to be reset (see
    L{fastpoetry.listening.acceptor}): only when everything that was written is with
    the kernel does its close become an end.

    What it wants during its own turn is done, or asked of the kernel, at the end of
    that turn.

    @ivar wants: for which events it waits, as of now.

    @ivar waits: for which of them the kernel was told to wait.

    @ivar hasTurn: whether this is its turn.

    @ivar leave: what is called when it is lost, if anything.

    @ivar acknowledged: when it is lost and has not come to its end: how many bytes the
        other side's kernel has; on a UNIX socket, L{None}.

    @cvar overhead: how many bytes are sent besides those that are written.

    @cvar isBornReset: that a protocol need not ask for it.
    """

    SEND_LIMIT = 1  # Twisted copies what is left to send when it is less than this
    connected = 1
    isBornReset = True
    isUNIX = False  # where there is no reset
    hasTurn = False
    wants = _IN
    waits = 0
    overhead = 0
    leave: Callable[[], None] | None = None
    acknowledged: int | None = None
    _tempDataLen = 0
    logstr = "Transport"
    repstr = "<Transport>"

    def __init__(self, connection: Any, protocol: Any, peer: Any, reactor: Any) -> None:
        """
        @param connection: the socket.

        @param peer: the address of the other side.

        @param reactor: the L{fastpoetry.connection.connections.Connections} that it
            is one of.
        """
        # Not that of the base: it has the reactor wait, and makes names.
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
        # That of the peer may be another: it may have come by a proxy.
        isIPv6 = self.socket.family == socket.AF_INET6
        return IPv6Address if isIPv6 else IPv4Address

    def startReading(self) -> None:
        """@see: L{twisted.internet.abstract.FileDescriptor.startReading}"""
        self.wants |= _IN
        if not self.hasTurn:
            self.reactor.wait(self)

    def stopReading(self) -> None:
        """@see: L{twisted.internet.abstract.FileDescriptor.stopReading}"""
        self.wants &= ~_IN
        if not self.hasTurn:
            self.reactor.wait(self)

    pauseProducing = stopReading

    def startWriting(self) -> None:
        """@see: L{twisted.internet.abstract.FileDescriptor.startWriting}"""
        self.wants |= _OUT
        if not self.hasTurn:
            self.reactor.wait(self)

    def stopWriting(self) -> None:
        """@see: L{twisted.internet.abstract.FileDescriptor.stopWriting}"""
        self.wants &= ~_OUT
        if not self.hasTurn:
            self.reactor.wait(self)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """@see: L{twisted.internet.interfaces.IConsumer.registerProducer}"""
        self.producerPaused = False  # another may have been
        super().registerProducer(producer, streaming)

    def _maybePauseProducer(self) -> None:
        # That of the base tells it at each write, and TLS writes record by record: a
        # producer that counts would never go on.
        if not self.producerPaused:
            super()._maybePauseProducer()

    # What most connections do, one write and the end, as the base does it, in short.

    def write(self, data: bytes) -> None:
        """@see: L{twisted.internet.interfaces.ITransport.write}"""
        isFirst = self.hasTurn and not self.wants & _OUT and self.connected
        isPlain = self.producer is None and not (self.TLS or self._writeDisconnected)
        if isFirst and isPlain and data.__class__ is bytes and data:
            self.dataBuffer = data
            self.wants |= _OUT
        else:
            super().write(data)

    def loseWriteConnection(self) -> None:
        """@see: L{twisted.internet.interfaces.ITCPTransport.loseWriteConnection}"""
        self._writeDisconnecting = True
        self.wants |= _OUT
        if not self.hasTurn:
            self.reactor.wait(self)

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
        self.wants &= ~_OUT
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
        # That of the base takes an end that could not be sent for one that was.
        try:
            self.socket.shutdown(socket.SHUT_WR)
            if not self.isUNIX:
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
            self.connectionLost(_DONE)
        else:
            super().loseConnection()

    def connectionLost(self, reason: Failure) -> None:
        """@see: L{twisted.internet.abstract.FileDescriptor.connectionLost}"""
        # That of the base says the end before a reset can be asked for.
        if self.disconnected:
            return
        self.disconnected, self.connected = 1, 0
        producer, self.producer = self.producer, None
        isSent = len(self.dataBuffer) == self.offset and not self._tempDataLen
        if reason is not _DONE:
            self.acknowledged = acknowledged(self.socket)
        try:
            if self._aborting:
                setReset(self.socket, True)
            elif (
                not self._writeDisconnected and isSent and reason.check(ConnectionDone)
            ):
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
                if self.reactor.watchers:
                    self.reactor.tellWatchers()


class UNIXTransport(Transport, unix.Server):
    """
    A connection over a UNIX socket, where there is no reset: a connection that is
    cut ends as one that is whole does.  So the last byte before a half-close comes
    with a descriptor (C{SCM_RIGHTS}, unix(7)), which proves to those who look for it
    that nothing is missing; the kernel keeps it from the others.
    """

    isUNIX = True
    _proof: ClassVar[list[tuple[int, int, bytes]]] = []

    def __init__(self, connection: Any, protocol: Any, peer: Any, reactor: Any) -> None:
        """
        @see: L{Transport}
        """
        super().__init__(connection, protocol, peer, reactor)
        self._sendmsgQueue: list[int] = []
        self.makeProof()

    @classmethod
    def makeProof(cls) -> None:
        """
        Open the descriptor that all of them send, unless it is open.

        @raise OSError: when there is none left; so not when a reader has come already.
        """
        if not cls._proof:
            null = struct.pack("i", os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
            cls._proof.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, null))

    def writeSomeData(self, data: bytes) -> Any:
        """@see: L{twisted.internet.abstract.FileDescriptor.writeSomeData}"""
        if self._sendmsgQueue:
            return unix.Server.writeSomeData(self, data)
        ends = self._writeDisconnecting and not self._tempDataLen
        if not data or not ends or self.producer is not None:
            return super().writeSomeData(data)
        if len(data) > (1 if self.offset else PAGE):  # the last byte goes by itself
            return super().writeSomeData(memoryview(data)[:-1])  # type: ignore[arg-type]
        try:
            return self.socket.sendmsg([data], self._proof, _FLAGS)
        except BlockingIOError:
            return 0  # without proof it might find room that the reader just made
        except OSError:
            # Too many descriptors may be on their way to readers: it goes without.
            return super().writeSomeData(data)
