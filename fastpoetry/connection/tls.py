"""
TLS as a delivery wants it: a protocol begins when the handshake is done, all that it
wrote comes before C{close_notify}, and half a close is what it is on TCP
(U{RFC 8446, 6.1<https://www.rfc-editor.org/rfc/rfc8446#section-6.1>}).

Of what Twisted does not document this leans on C{_tlsConnection}, C{_handshakeDone} and
C{_reason}; F{tests/test_tls.py} holds each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL.SSL import Error, WantReadError, ZeroReturnError
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IPullProducer,
    IPushProducer,
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
    Has the next record encrypted when the kernel has taken the one before.
    """

    def __init__(self, writeRecord: Callable[[], None]) -> None:
        self.resumeProducing = writeRecord

    def stopProducing(self) -> None:
        pass


@implementer(ISSLTransport, IPushProducer, IHalfCloseableProtocol)
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
    _peerEnded = _halfCloses = _hasEnded = False
    _barren = _answered = 0
    _rest = memoryview(b"")  # of what was written
    _why = ""  # there is no TLS

    def makeConnection(self, transport: Any) -> None:
        # Not that of the base: it makes a set of interfaces for each connection.
        Protocol.makeConnection(self, transport)
        transport.bufferSize = 2 * RECORD  # nobody's records hold the others up
        timeout = self.factory.timeout
        self._deadline = transport.reactor.callLater(timeout, self._handshakeTimeout)
        self._tlsConnection = self.factory.creator.serverConnectionForTLS(self)
        self._tlsConnection.set_accept_state()

    def dataReceived(self, data: bytes) -> None:
        if self._peerEnded:
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
            self._answered += self._flushSendBIO()
            if max(self._barren, self._answered) > MAX_BARREN:
                self._fail("it sends nothing but TLS")
        except ZeroReturnError:
            self._peerEnds(CONNECTION_DONE)
        except Error as error:
            self._fail(explain(error))

    def _handshakeTimeout(self) -> None:
        self._why = self._why or f"it takes longer than {self.factory.timeout} seconds"
        self.transport.abortConnection()

    def _fail(self, reason: str) -> None:
        if self._handshakeDone:
            self.abortConnection()
        else:
            self._why = reason
            self._flushSendBIO()  # an alert that says it, too
            self.transport.loseConnection()

    def _peerEnds(self, how: Exception) -> None:
        if not self._handshakeDone:
            self.transport.abortConnection()  # to the peer, it may be done
        elif not self._peerEnded:
            self._peerEnded = True
            self.transport.stopReading()
            if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
                self.wrappedProtocol.readConnectionLost()
            else:
                self._reason = Failure(how)
                producer = self._producing()
                if producer is not None:  # nothing else may ever end it
                    self.transport.unregisterProducer()
                    producer.stopProducing()
                self.loseConnection()

    def readConnectionLost(self) -> None:
        """
        The peer has ended TCP, be it without C{close_notify}.
        """
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
        self.connected, self._tlsConnection, self._rest = 0, None, memoryview(b"")
        protocol, self.wrappedProtocol = self.wrappedProtocol, None
        if self._handshakeDone:
            protocol.connectionLost(self._reason or reason)
        else:
            peer, why = peerName(self.transport.getPeer()), self._why or "it left"
            self._log.info("no TLS with {peer}: {why}", peer=peer, why=why)

    def _flushSendBIO(self) -> int:
        # That of the base does not count.
        try:
            data = self._tlsConnection.bio_read(4 * RECORD)
        except WantReadError:  # there is nothing
            return 0
        self.overhead += len(data)
        # Not write, which keeps what it is given first apart from what follows.
        self.transport.writeSequence([data])
        return len(data)

    def _say(self, step: Callable[..., int], *arguments: Any) -> Any:
        try:
            result = step(*arguments)
        except Error:  # and nothing may look like an end
            self.abortConnection()
            return None
        self._flushSendBIO()
        return result

    def _producing(self) -> Any:
        # The producer of the protocol, if there is one.
        producer = self.transport.producer
        return None if isinstance(producer, _LongWrite) else producer

    def _isOver(self) -> Any:
        # A producer that there is when the end is asked for may go on.
        isAsked = self._halfCloses or self.disconnecting
        return not self.connected or (isAsked and self._producing() is None)

    def write(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        if not data or self._isOver():
            return
        self._writeRest()
        self._rest = memoryview(data)
        if self.transport.producer is None:
            self.transport.registerProducer(_LongWrite(self._writeRecord), False)
        else:
            self._writeRest()

    def _writeRecord(self) -> None:
        # Those of some clients are shorter (RFC 6066, 4).
        sent = self._say(self._tlsConnection.send, self._rest[:RECORD])
        if sent is None:
            return
        self._rest = self._rest[sent:]
        self.overhead -= sent
        if not self._rest and isinstance(self.transport.producer, _LongWrite):
            self.transport.unregisterProducer()
            self._end()

    def _writeRest(self) -> None:
        while self._rest and self.connected:
            self._writeRecord()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self._isOver():
            producer.stopProducing()
        else:
            self._writeRest()
            self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        if self._producing() is not None:
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
        self._end()

    stopProducing = loseConnection

    def abortConnection(self) -> None:
        self.connected = 0  # it hears and says nothing more
        self.transport.abortConnection()

    def _end(self) -> None:
        isAsked = self._halfCloses or self.disconnecting
        if not (isAsked and self.connected) or self.transport.producer is not None:
            return
        if not self._hasEnded:
            self._hasEnded = True
            if self._say(self._tlsConnection.shutdown) is None:
                return
            self.transport.loseWriteConnection()
        if self.disconnecting:
            self.transport.loseConnection()


class TLSFactory(TLSMemoryBIOFactory):
    """
    Puts TLS under the protocols of another factory.
    """

    def __init__(self, creator: Any, factory: Any, reactor: Any) -> None:
        """
        @param creator: the L{IOpenSSLServerConnectionCreator
            <twisted.internet.interfaces.IOpenSSLServerConnectionCreator>} to use.

        @param factory: of the protocols; a handshake may take as many seconds as its
            C{timeout}, or else 60.

        @param reactor: the clock.
        """
        super().__init__(creator, False, factory, reactor)
        self.creator = creator
        self.timeout: float = getattr(factory, "timeout", None) or 60.0

    def buildProtocol(self, addr: Any) -> Any:
        protocol = self.wrappedFactory.buildProtocol(addr)
        return None if protocol is None else TLSTransport(self, protocol)
