"""
Twisted's own transports for accepted connections, cheap to make, and sending without
copies.  They know nothing of poems: any protocol runs on them.

What they lean on that Twisted does not document: of C{tcp.Server} and its bases
C{_tempDataBuffer}, C{_tempDataLen}, C{_writeDisconnecting}, C{_writeDisconnected},
C{_closeWriteConnection}, C{_aborting}, C{_getLogPrefix} and C{SEND_LIMIT}; of
C{unix.Server} C{_sendmsgQueue}.  Each is held by F{tests/test_transport.py}.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from socket import SocketType
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.internet import tcp, unix
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure

from fastpoetry.connection.kernel import setReset

if TYPE_CHECKING:
    from fastpoetry.connection.connections import Connections

# How many bytes go to the kernel at once.  Larger pieces fall out of the processor's
# cache before the reader has them; and with as many as the kernel holds unsent (see
# L{fastpoetry.listening.acceptor.MAX_UNSENT}), it would wait for the next until it
# has nothing left.
SENT_AT_ONCE = 112 * 1024

_DONTWAIT = int(socket.MSG_DONTWAIT)
# The end, which follows at once, goes out in the last segment.
_END_FOLLOWS = _DONTWAIT | int(getattr(socket, "MSG_MORE", 0))
_SHUT_WR = int(socket.SHUT_WR)
_IN = int(getattr(select, "EPOLLIN", 1))
_OUT = int(getattr(select, "EPOLLOUT", 4))
_DONE = Failure(CONNECTION_DONE)


class Transport(tcp.Server):
    """
    A TCP connection.  It is born to be reset (see
    L{fastpoetry.listening.acceptor}): only when everything that was written is with
    the kernel does its close become an end.

    During its own turn it asks the kernel to wait for nothing: what it C{wants} then
    is done, or asked for, when that turn ends.

    @ivar wants: for which events of C{epoll} it waits, as of now.

    @ivar waits: for which the kernel was told to wait.

    @ivar hasTurn: whether this is its turn.

    @cvar isBornReset: that a protocol need not ask for it.
    """

    # Twisted copies what is left to send as soon as it is less than this.
    SEND_LIMIT = 1

    isBornReset = True
    connected = 1
    wants = _IN
    waits = 0
    hasTurn = False
    _tempDataLen = 0

    def __init__(
        self, connection: SocketType, protocol: Any, peer: Any, reactor: Connections
    ) -> None:
        """
        @param connection: the socket.

        @param protocol: what is told of it.

        @param peer: the address of the other side.

        @param reactor: what has it wait.
        """
        # Not that of the base: it asks the reactor to wait, and makes several names.
        self.socket: Any = connection
        self.fd = connection.fileno()
        self.protocol = protocol
        self.peer = peer
        self.reactor: Any = reactor
        self._tempDataBuffer = []

    def fileno(self) -> int:
        """
        @see: L{twisted.internet.interfaces.IFileDescriptor.fileno}
        """
        return self.fd

    def getPeer(self) -> Any:
        """
        @see: L{twisted.internet.interfaces.ITransport.getPeer}
        """
        return self.peer

    def logPrefix(self) -> str:
        """
        @see: L{twisted.internet.interfaces.ILoggingContext.logPrefix}
        """
        prefix: str = self._getLogPrefix(self.protocol)
        return prefix

    def __repr__(self) -> str:
        return f"<{type(self).__name__} to {self.peer}>"

    def startReading(self) -> None:
        """
        @see: L{twisted.internet.abstract.FileDescriptor.startReading}
        """
        self._want(self.wants | _IN)

    def stopReading(self) -> None:
        """
        @see: L{twisted.internet.abstract.FileDescriptor.stopReading}
        """
        self._want(self.wants & ~_IN)

    pauseProducing = stopReading

    def startWriting(self) -> None:
        """
        @see: L{twisted.internet.abstract.FileDescriptor.startWriting}
        """
        self._want(self.wants | _OUT)

    def stopWriting(self) -> None:
        """
        @see: L{twisted.internet.abstract.FileDescriptor.stopWriting}
        """
        self._want(self.wants & ~_OUT)

    def _want(self, events: int) -> None:
        self.wants = events
        if not self.hasTurn:
            self.reactor.wait(self)

    def doWrite(self) -> Any:
        """
        @see: L{twisted.internet.abstract.FileDescriptor.doWrite}
        """
        written = self._tempDataBuffer
        if not self._writeDisconnecting or self.dataBuffer or len(written) != 1:
            return super().doWrite()
        # One write and the end: what the base does, in short.
        (data,) = written
        written.clear()
        self._tempDataLen = 0
        sent = self.writeSomeData(data)
        if sent.__class__ is not int:
            return sent
        if sent != len(data) or self.producer is not None:
            self.dataBuffer, self.offset = data, sent
            return None
        self.wants &= ~_OUT
        self._writeDisconnected = True
        return self._closeWriteConnection()

    def writeSomeData(self, data: bytes) -> int | ConnectionLost:
        """
        @see: L{twisted.internet.tcp.Connection.writeSomeData}
        """
        flags = _DONTWAIT
        if len(data) > SENT_AT_ONCE:
            data = memoryview(data)[:SENT_AT_ONCE]  # type: ignore[assignment]
        elif self._writeDisconnecting and not self._tempDataLen:
            flags = _END_FOLLOWS
        try:
            return self.socket.send(data, flags)  # type: ignore[no-any-return]
        except BlockingIOError:
            return 0
        except OSError:
            return CONNECTION_LOST

    def _closeWriteConnection(self) -> Any:
        # That of the base takes an end that could not be sent for one that was.
        try:
            self.socket.shutdown(_SHUT_WR)
        except OSError:
            self._writeDisconnected = False
            return CONNECTION_LOST
        self._setReset(False)
        if IHalfCloseableProtocol.providedBy(self.protocol):
            self.protocol.writeConnectionLost()
        return None

    def _setReset(self, resets: bool) -> None:
        try:
            setReset(self.socket, resets)
        except OSError:
            pass  # the other side has gone

    def loseConnection(self) -> None:
        """
        @see: L{twisted.internet.interfaces.ITransport.loseConnection}
        """
        if self._writeDisconnected and not self.disconnecting:
            self.connectionLost(_DONE)
        else:
            super().loseConnection()

    def connectionLost(self, reason: Failure) -> None:
        """
        @see: L{twisted.internet.tcp.Connection.connectionLost}
        """
        # That of the base says the end before a reset can be asked for.
        if self.disconnected:
            return
        self.disconnected, self.connected = 1, 0
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        if self._aborting:
            self._setReset(True)
        elif not self._writeDisconnected and self._isSent(reason):
            self._setReset(False)
        self.reactor.remove(self)
        connection, protocol = self.socket, self.protocol
        del self.socket, self.protocol
        try:
            connection.close()
        except OSError:
            pass  # it is closed all the same; close(2)
        protocol.connectionLost(reason)

    def _isSent(self, reason: Failure) -> bool:
        left = len(self.dataBuffer) - self.offset + self._tempDataLen
        return not left and reason.check(ConnectionDone) is not None


class UNIXTransport(Transport, unix.Server):
    """
    A connection over a UNIX socket, where there is no reset: a connection that is
    cut ends as one that is whole does.  So the last byte before a half-close comes
    with a descriptor, which proves to those who look for it that nothing is missing
    (C{SCM_RIGHTS}, unix(7)); the kernel keeps it from the others.
    """

    _proof: ClassVar[list[tuple[int, int, bytes]]] = []

    def __init__(
        self, connection: SocketType, protocol: Any, peer: Any, reactor: Connections
    ) -> None:
        """
        @see: L{Transport}
        """
        super().__init__(connection, protocol, peer, reactor)
        self._sendmsgQueue: list[int] = []
        if not self._proof:
            null = struct.pack("i", os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
            self._proof.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, null))

    def writeSomeData(self, data: bytes) -> int | ConnectionLost:
        """
        @see: L{twisted.internet.tcp.Connection.writeSomeData}
        """
        if self._sendmsgQueue:
            return unix.Server.writeSomeData(self, data)  # type: ignore[no-any-return]
        if not (data and self._writeDisconnecting and not self._tempDataLen):
            return super().writeSomeData(data)
        before, last = memoryview(data)[:-1], data[-1:]
        try:
            if before:
                sent: int = self.socket.send(before[:SENT_AT_ONCE], _DONTWAIT)
                if sent != len(before):
                    return sent
            return len(before) + self._sendLast(last)
        except BlockingIOError:
            return len(before)
        except OSError:
            return CONNECTION_LOST

    def _sendLast(self, last: bytes) -> int:
        try:
            sent = self.socket.sendmsg([last], self._proof, _DONTWAIT)
        except OSError as error:
            if error.errno != errno.ETOOMANYREFS:
                raise
            # Too many descriptors are on their way to readers: it goes without.
            sent = self.socket.send(last, _DONTWAIT)
        return int(sent)
