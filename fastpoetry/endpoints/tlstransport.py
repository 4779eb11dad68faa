"""
TLS as a delivery needs it: a protocol begins when the handshake is done, all that it
wrote comes before C{close_notify}, and a half-close means the same as on TCP
(U{RFC 8446, 6.1<https://www.rfc-editor.org/rfc/rfc8446#section-6.1>}).

It leans on these parts of Twisted that are not documented: C{_tlsConnection},
C{_handshakeDone} and C{_reason}; C{tests/test_tls.py} tests each.
"""

from __future__ import annotations

from typing import Any

from OpenSSL.SSL import Error, WantReadError, ZeroReturnError
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IPushProducer,
    ISSLTransport,
)
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.endpoints.tlswriter import RECORD, TLSWriter
from fastpoetry.text import explain, peerName

# Bytes that a peer may send in a row without any data for the protocol.
MAX_WITHOUT_DATA = 2**16


@implementer(ISSLTransport, IPushProducer, IHalfCloseableProtocol)
class TLSTransport(TLSWriter):
    """
    A TLS connection over a TCP transport.

    @ivar isQuiet: whether nothing is logged of it: a health check of a proxy.

    @ivar why: why the handshake or the connection failed, in words for the log.
    """

    why = ""
    isQuiet = False
    _log = Logger()

    factory: TLSFactory
    wrappedProtocol: Any
    _peerEnded = False
    _withoutData = _answered = 0

    def makeConnection(self, transport: Any) -> None:
        """@see: L{twisted.internet.interfaces.IProtocol.makeConnection}"""
        # Instead of the base's, which makes a set of interfaces for each connection.
        Protocol.makeConnection(self, transport)
        transport.bufferSize = 2 * RECORD  # no peer's records hold up the others
        timeout = self.factory.timeout
        self._deadline = transport.reactor.callLater(timeout, self._handleTimeout)
        self._tlsConnection = self.factory.creator.serverConnectionForTLS(self)
        self._tlsConnection.set_accept_state()

    def dataReceived(self, data: bytes) -> None:
        """@see: L{twisted.internet.interfaces.IProtocol.dataReceived}"""
        if self._peerEnded:
            return
        self._withoutData += len(data)
        self._tlsConnection.bio_write(data)
        try:
            if not self._handshakeDone:
                self._tlsConnection.do_handshake()
                self._handshakeDone = True
                self._deadline.cancel()
                self.wrappedProtocol.makeConnection(self)
            while self.connected:
                received = self._tlsConnection.recv(RECORD)
                self._withoutData = 0
                self.wrappedProtocol.dataReceived(received)
        except WantReadError:
            self._answered += self._flushSendBIO()
            if max(self._withoutData, self._answered) > MAX_WITHOUT_DATA:
                self._fail("it sends nothing but TLS")
        except ZeroReturnError:
            self._handlePeerEnd(CONNECTION_DONE)
        except Error as error:
            self._fail(explain(error))

    def _handleTimeout(self) -> None:
        self.why = self.why or f"it takes longer than {self.factory.timeout} seconds"
        self.transport.abortConnection()

    def _fail(self, reason: str) -> None:
        self.why = reason
        if self._handshakeDone:
            self.abortConnection()
        else:
            self._flushSendBIO()  # the alert, which tells the peer why
            self.transport.loseConnection()

    def _handlePeerEnd(self, how: Exception) -> None:
        # Tell the protocol that the peer sends no more, or end a connection that has no
        # use for that.
        if self._peerEnded:
            return
        self._peerEnded = True
        if not self._handshakeDone:
            self.transport.abortConnection()  # for the peer, the handshake may be done
        else:
            self.transport.stopReading()
            if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
                self.wrappedProtocol.readConnectionLost()
            else:
                self._reason = Failure(how)
                producer = self._producing()
                if producer is not None:  # it may not end by itself
                    self.transport.unregisterProducer()
                    producer.stopProducing()
                self.loseConnection()

    def readConnectionLost(self) -> None:
        """
        The peer has ended TCP, with or without C{close_notify}.
        """
        self._handlePeerEnd(CONNECTION_LOST)

    def writeConnectionLost(self) -> None:
        """
        All that was written is with the kernel, and the end.
        """
        if IHalfCloseableProtocol.providedBy(self.wrappedProtocol):
            self.wrappedProtocol.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """@see: L{twisted.internet.interfaces.IProtocol.connectionLost}"""
        if self._deadline.active():
            self._deadline.cancel()
        self.connected, self._tlsConnection, self._rest = 0, None, memoryview(b"")
        protocol, self.wrappedProtocol = self.wrappedProtocol, None
        if self._handshakeDone:
            protocol.connectionLost(self._reason or reason)
        elif not self.isQuiet:
            isOurs = reason.check(ConnectionAborted) and not self._peerEnded
            why = self.why or ("aborted" if isOurs else "it left")
            peer = peerName(self.transport.getPeer())
            self._log.info("no TLS with {peer}: {why}", peer=peer, why=why)


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
        """@see: L{twisted.internet.interfaces.IProtocolFactory.buildProtocol}"""
        protocol = self.wrappedFactory.buildProtocol(addr)
        return None if protocol is None else TLSTransport(self, protocol)
