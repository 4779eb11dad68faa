"""
A connection of HTTP, with limits and an end.

Of what Twisted does not document, this leans on C{_buffer}, C{_handlingRequest},
C{_networkProducer} and C{_savedTimeOut} of L{http.HTTPChannel}, and on when it calls
C{resetTimeout}, C{allHeadersReceived} and C{requestDone}; C{tests/test_site.py} tests
each.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web import http
from zope.interface import implementer

# Bytes that the body of a request may have: enough to ask for a poem by XML-RPC.
MAX_BODY = 16 * 1024

# Seconds that a client has at the end: to ask, when it has connected and the server
# stops, or to take what was sent, when its time is over.
LAST_TIMEOUT = 2.0

TOO_LONG = (
    b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)


@implementer(IHalfCloseableProtocol)
class Channel(http.HTTPChannel):
    """
    A connection of a client.  L{Site.timeout <fastpoetry.doors.site.Site>} is the time
    for a whole request, which begins with the connection or at the end of the answer
    before, and again the time for each piece of an answer to be taken.

    @ivar isLast: whether the connection ends when what was asked for is answered.

    @ivar isQuiet: whether the log says nothing of it: a health check of a proxy.
    """

    factory: Any  # a Site
    transport: Any
    maxHeaders = 100
    totalHeadersSize = 8 * 1024
    isLast = False
    isQuiet = False

    def connectionMade(self) -> None:
        """@see: L{twisted.internet.protocol.BaseProtocol.connectionMade}"""
        super().connectionMade()
        self.factory.channels.add(self)
        if not self.factory.numPorts:  # the server has stopped listening
            self.endSoon()

    def resetTimeout(self) -> None:
        """
        Do nothing.  Twisted calls this for each byte that comes, and a client could
        send one now and then for ever.
        """

    def timeoutConnection(self) -> None:
        """
        End the connection.  A reset tells a client that its answer is not whole.
        """
        if self._handlingRequest or self.transport.disconnecting:
            self.transport.abortConnection()
        else:
            self.loseConnection()
            self.setTimeout(LAST_TIMEOUT)

    def headerReceived(self, line: bytes) -> bool:
        """@see: L{twisted.web.http.HTTPChannel.headerReceived}"""
        try:
            isFine: bool = super().headerReceived(line)
        except ValueError:  # int() refuses a Content-Length of thousands of digits
            self._refuseBody()
            return False
        return isFine

    def _refuseBody(self) -> None:
        self.transport.write(TOO_LONG)
        self.loseConnection()

    def allHeadersReceived(self) -> None:
        """
        Refuse a long body, and one of unknown length, before any of it is kept.
        """
        if self.length is None or self.length > MAX_BODY:
            self._refuseBody()
        else:
            # Twisted would parse a form, and nobody here reads one.
            self.requests[-1].requestHeaders.removeHeader("Content-Type")
            super().allHeadersReceived()

    def dataReceived(self, data: bytes) -> None:
        """@see: L{twisted.internet.protocol.Protocol.dataReceived}"""
        if not self.transport.disconnecting:  # TLS may have decrypted more already
            super().dataReceived(data)

    def pauseProducing(self) -> None:
        """
        Neither answer nor read before the client has taken what was sent.  Twisted
        alone would answer the requests that have come, and read on while it does.
        """
        self.paused = True
        super().pauseProducing()
        self._networkProducer.pauseProducing()

    def resumeProducing(self) -> None:
        """
        Answer and read again.
        """
        self.paused = False
        super().resumeProducing()
        self.dataReceived(b"")
        if self.isLast:
            self.endSoon()

    def requestDone(self, request: http.Request) -> None:
        """@see: L{twisted.web.http.HTTPChannel.requestDone}"""
        # At the end of a connection, Twisted would wait for ever for the client to take
        # the answer.
        if not self.persistent:
            self.setTimeout(self.factory.timeout)
        super().requestDone(request)
        if self.isLast:
            self.endSoon()

    def endSoon(self) -> None:
        """
        Answer what has been asked for, and nothing after it.
        """
        self.isLast = True
        if self._handlingRequest or self.paused:
            return
        isAsking = self._buffer or self.requests
        isNew = not self._savedTimeOut  # Twisted sets it at the first request
        if isAsking or isNew:
            self.setTimeout(LAST_TIMEOUT)
        else:
            self.loseConnection()

    def readConnectionLost(self) -> None:
        """
        The client will send nothing more, but takes its answer.
        """
        self.isLast = True
        if not (self._handlingRequest or self.paused):
            self.loseConnection()

    def writeConnectionLost(self) -> None:
        """
        Do nothing: this side does not half-close.
        """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """@see: L{twisted.internet.protocol.Protocol.connectionLost}"""
        self.factory.channels.discard(self)
        super().connectionLost(reason)
