"""
TLS as a delivery wants it: a protocol begins when the handshake is done, all that it
wrote comes before C{close_notify}, and half a close is what it is on TCP
(U{RFC 8446, 6.1<https://www.rfc-editor.org/rfc/rfc8446#section-6.1>}).

Of what Twisted does not document this leans on C{_tlsConnection}, C{_handshakeDone},
C{_creatorCallable} and C{_isSendBufferFull}; F{tests/test_tls.py} holds each.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from OpenSSL.SSL import Error, WantReadError, ZeroReturnError
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IPullProducer,
    ISSLTransport,
)
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.text import explain, peerName

# What one record holds (RFC 8446, 5.1).  Of a long write one is encrypted at a time.
RECORD = 10 * 1024

# How many bytes a peer may send in a row that hold nothing for the protocol.
MAX_BARREN = 2**16


@implementer(IPullProducer)
class _LongWrite:
    """
    Encrypts the next record when the kernel has taken the one before.
    """

    def __init__(self, tls: TLSTransport, data: bytes) -> None:
        self._tls, self._data = tls, memoryview(data)

    def resumeProducing(self) -> None:
        record, self._data = self._data[:RECORD], self._data[RECORD:]
        self._tls.writeRecord(record)
        if not self._data:
            self._tls.unregisterProducer()

    def stopProducing(self) -> None:
        pass


@implementer(ISSLTransport, IHalfCloseableProtocol)
class TLSTransport(TLSMemoryBIOProtocol):
    """
    A TLS connection over a TCP transport.

    @ivar overhead: how many bytes were sent besides those that were written.
    """

    _log = Logger()

    factory: TLSFactory
    transport: Any  # of TCP: no interface of Twisted's has all of it
    wrappedProtocol: Any
    _tlsConnection: Any
    overhead = 0
    _isRefused = _peerEnded = _halfCloses = _hasEnded = False
    _barren = 0

    def makeConnection(self, transport: Any) -> None:
        # Not that of the base: it makes a set of interfaces for each connection.
        Protocol.makeConnection(self, transport)
        transport.bufferSize = 2 * RECORD  # nobody's records hold the others up
        timeout = self.factory.timeout
        self._deadline = transport.reactor.callLater(timeout, self._handshakeTimeout)
        self._tlsConnection = self.factory._creatorCallable(self)

    def dataReceived(self, data: bytes) -> None:
        if self._isRefused or self._peerEnded:
            return
        self._barren += len(data)
        self._tlsConnection.bio_write(data)
        try:
            if not self._handshakeDone:
                self._tlsConnection.do_handshake()
                self._handshakeDone = True
                self._deadline.cancel()
                self.wrappedProtocol.makeConnection(self)
            while self.connected:
                received = self._tlsConnection.recv(RECORD)
                self._barren = 0
                self.wrappedProtocol.dataReceived(received)
        except WantReadError:
            self._flushSendBIO()
            if self._barren > MAX_BARREN or self.transport._isSendBufferFull():
                self._fail("it sends nothing but TLS")
        except ZeroReturnError:
            self._peerEnds(CONNECTION_DONE)
        except Error as error:
            self._fail(explain(error))

    def _handshakeTimeout(self) -> None:
        self._refuse(f"it takes longer than {self.factory.timeout} seconds")
        self.transport.abortConnection()

    def _refuse(self, reason: str) -> None:
        if not self._isRefused:
            self._isRefused = True
            peer = peerName(self.transport.getPeer())
            self._log.info("no TLS with {peer}: {reason}", peer=peer, reason=reason)

    def _fail(self, reason: str) -> None:
        if self._handshakeDone:
            self.transport.abortConnection()
        else:
            self._refuse(reason)
            self._flushSendBIO()  # an alert that says why
            self.transport.loseConnection()

    def _peerEnds(self, how: Exception) -> None:
        self._peerEnded = True
        self.transport.stopReading()
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.readConnectionLost()
        else:
            self._reason = Failure(how)
            self.loseConnection()

    def readConnectionLost(self) -> None:
        """
        The peer has ended TCP, be it without C{close_notify}.
        """
        if not self._handshakeDone:
            self.transport.loseConnection()
        elif not self._peerEnded:
            self._peerEnds(CONNECTION_LOST)

    def writeConnectionLost(self) -> None:
        """
        All that was written is with the kernel, and the end.
        """
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._deadline.active():
            self._deadline.cancel()
        self.connected, self._tlsConnection = 0, None
        protocol, self.wrappedProtocol = self.wrappedProtocol, None
        if self._handshakeDone:
            protocol.connectionLost(self._reason or reason)
        else:
            self._refuse("it left")

    def writeRecord(self, data: bytes | memoryview) -> None:
        """
        @param data: no more than a L{RECORD}, which is sent, and nothing kept.
        """
        self._tlsConnection.send(data)
        self.overhead -= len(data)
        self._flushSendBIO()

    def _flushSendBIO(self) -> None:
        # That of the base does not count.
        with suppress(WantReadError):  # there is nothing
            data = self._tlsConnection.bio_read(4 * RECORD)
            self.overhead += len(data)
            self.transport.write(data)

    def write(self, data: bytes) -> None:
        if not data or not self.connected or self._hasEnded:
            return
        self._finishLongWrite()
        if len(data) > RECORD and self.transport.producer is None:
            self.transport.registerProducer(_LongWrite(self, data), False)
            return
        for at in range(0, len(data), RECORD):
            self.writeRecord(data[at : at + RECORD])

    def _finishLongWrite(self) -> None:
        while isinstance(self.transport.producer, _LongWrite):
            self.transport.producer.resumeProducing()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._finishLongWrite()
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self.transport.unregisterProducer()
        self._end()

    def loseWriteConnection(self) -> None:
        """
        @see: L{twisted.internet.interfaces.ITCPTransport.loseWriteConnection}
        """
        self._halfCloses = True
        self._end()

    def loseConnection(self) -> None:
        self.disconnecting = True
        if self._hasEnded:
            self.transport.loseConnection()
        else:
            self._end()

    def abortConnection(self) -> None:
        self.transport.abortConnection()

    def _end(self) -> None:
        isAsked = self._halfCloses or self.disconnecting
        if isAsked and self.connected and self.transport.producer is None:
            self._hasEnded = True
            self._tlsConnection.shutdown()
            self._flushSendBIO()
            if self.disconnecting:
                self.transport.loseConnection()
            else:
                self.transport.loseWriteConnection()


class TLSFactory(TLSMemoryBIOFactory):
    """
    Puts TLS under the protocols of another factory.
    """

    protocol = TLSTransport

    def __init__(self, creator: Any, factory: Any, reactor: Any) -> None:
        """
        @param creator: what makes connections of OpenSSL.

        @param factory: of the protocols; a handshake may take as many seconds as its
            C{timeout}, or else 60.

        @param reactor: the clock.
        """
        super().__init__(creator, False, factory, reactor)
        self.timeout: float = getattr(factory, "timeout", 60.0)
