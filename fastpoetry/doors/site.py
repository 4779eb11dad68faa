"""
HTTP as twisted.web speaks it, with limits and an end.

Of what Twisted does not document this leans on C{_buffer}, C{_handlingRequest},
C{_networkProducer} and C{_savedTimeOut} of L{http.HTTPChannel}, and on when it calls
C{resetTimeout}, C{allHeadersReceived} and C{requestDone}; F{tests/test_site.py} holds
each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web import http, server
from twisted.web.resource import IResource
from twisted.web.static import NoRangeStaticProducer
from zope.interface import implementer

from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.interfaces import Figure, IHasFigures

# Bytes that the body of a request may have: enough to ask for a poem by XML-RPC.
MAX_BODY = 16 * 1024

# So many bytes of an answer are given to the transport at once.
PIECE = 64 * 1024

# At a stop, who has connected and not asked yet may do so for so many seconds; and who
# is let go has as many for what was sent already.
LAST_TIMEOUT = 2.0

TOO_LONG = (
    b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)

TEXT = "text/plain; charset=utf-8"

# What every answer says to a browser: nothing is loaded, run, framed or told to others.
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "fastpoetry",
    "X-Content-Type-Options": "nosniff",
}


@implementer(IHalfCloseableProtocol)
class Channel(http.HTTPChannel):
    """
    A connection of a client.  A request has its time in all, from the answer before it
    on, and each part of an answer has its time to be taken.

    @ivar isLast: whether the connection ends when what was asked is answered.

    @ivar isQuiet: whether the log says nothing of it, a health check of a proxy.
    """

    factory: Site
    transport: Any
    maxHeaders = 100
    totalHeadersSize = 8 * 1024
    isLast = False
    isQuiet = False

    def connectionMade(self) -> None:
        super().connectionMade()
        self.factory.channels.add(self)
        if not self.factory.numPorts:  # it listens no longer
            self.endSoon()

    def resetTimeout(self) -> None:
        """
        Not for whatever has come: a client may send a byte now and then for ever.
        """

    def timeoutConnection(self) -> None:
        """
        The time is over.  An answer that is not taken is cut by a reset.
        """
        if self._handlingRequest or self.transport.disconnecting:
            self.transport.abortConnection()
        else:
            self.loseConnection()
            self.setTimeout(LAST_TIMEOUT)

    def headerReceived(self, line: bytes) -> bool:
        try:
            isFine: bool = super().headerReceived(line)
        except ValueError:  # Python reads no number of thousands of digits
            self._refuseBody()
            return False
        return isFine

    def _refuseBody(self) -> None:
        self.transport.write(TOO_LONG)
        self.loseConnection()

    def allHeadersReceived(self) -> None:
        """
        Refuse a long body before any of it is kept.
        """
        if self.length is None or self.length > MAX_BODY:
            self._refuseBody()
        else:
            # Nobody here reads forms.
            self.requests[-1].requestHeaders.removeHeader("Content-Type")
            super().allHeadersReceived()

    def dataReceived(self, data: bytes) -> None:
        if not self.transport.disconnecting:  # over TLS more may be there already
            super().dataReceived(data)

    def pauseProducing(self) -> None:
        """
        Neither answer nor read more before what was said is taken: Twisted's goes on
        with what has come by now, and reads on while a request is handled.
        """
        self.paused = True
        super().pauseProducing()
        self._networkProducer.pauseProducing()

    def resumeProducing(self) -> None:
        """
        It is taken.
        """
        self.paused = False
        super().resumeProducing()
        self.dataReceived(b"")
        if self.isLast:
            self.endSoon()

    def requestDone(self, request: http.Request) -> None:
        if not self.persistent:  # Twisted's has no end then for who takes nothing
            self.setTimeout(self.factory.timeout)
        super().requestDone(request)
        if self.isLast:
            self.endSoon()

    def endSoon(self) -> None:
        """
        Answer what has been asked, and nothing after it.
        """
        self.isLast = True
        if self._handlingRequest or self.paused:
            return
        isAsking = self._buffer or self.requests or not self._savedTimeOut
        if isAsking:
            self.setTimeout(LAST_TIMEOUT)
        else:
            self.loseConnection()

    def readConnectionLost(self) -> None:
        """
        The client says no more, but takes what comes still.
        """
        self.isLast = True
        if not (self._handlingRequest or self.paused):
            self.loseConnection()

    def writeConnectionLost(self) -> None:
        """
        Nothing here half-closes.
        """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.channels.discard(self)
        super().connectionLost(reason)


@implementer(IHasFigures)
class Site(server.Site):
    """
    A web server that drains: when it listens no longer, connections that have been
    answered are closed, and the others as soon as they are.

    @ivar timeout: how many seconds a request may take, and each part of an answer to be
        taken.

    @ivar channels: the connections.
    """

    # Not Twisted's, which hides that it can half-close.
    protocol = Channel  # type: ignore[assignment]
    noisy = False

    def __init__(
        self, root: IResource, timeout: float = 60.0, reactor: Any = None
    ) -> None:
        """
        @param reactor: the clock; by default the global reactor.
        """
        super().__init__(root, timeout=timeout, reactor=maybeGlobalReactor(reactor))
        self.timeout = timeout
        self.channels: set[Channel] = set()
        self._codes: Counter[int] = Counter()

    def startFactory(self) -> None:
        """
        There is no access log to open.
        """

    def stopFactory(self) -> None:
        """
        It listens no longer.
        """
        for channel in tuple(self.channels):
            channel.endSoon()

    def getResourceFor(self, request: Any) -> Any:
        """
        @see: L{server.Site.getResourceFor}
        """
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        if request.channel.isLast:
            request.setHeader("Connection", "close")
        return super().getResourceFor(request)

    def log(self, request: Any) -> None:
        """
        Count an answer.  Twisted's has a line of an access log for it.
        """
        self._codes[request.code] += 1

    def figures(self) -> Iterator[Figure]:
        """
        @see: L{IHasFigures.figures}
        """
        for code, count in sorted(self._codes.items()):
            yield "fastpoetry_http_responses_total", {"code": str(code)}, count


class Sending(NoRangeStaticProducer):
    """
    A long answer, a piece at a time.
    """

    bufferSize = PIECE

    def resumeProducing(self) -> None:
        channel = self.request.channel
        channel.setTimeout(channel.factory.timeout)
        super().resumeProducing()


def send(
    request: Any, body: bytes, kind: str = TEXT, code: int = 200, tag: str = ""
) -> int:
    """
    Answer a request, unless the client has left.

    @param kind: the type of its content.

    @param tag: what tells the body from any other.

    @return: what a resource returns that answers by itself.
    """
    if request.channel is None:
        return server.NOT_DONE_YET
    request.setResponseCode(code)
    if tag:
        request.setHeader("ETag", tag)
        asked = (request.getHeader("If-None-Match") or "").split(",")
        if {"*", tag} & {one.strip().removeprefix("W/") for one in asked}:
            request.setResponseCode(http.NOT_MODIFIED)
            request.finish()
            return server.NOT_DONE_YET
    request.setHeader("Content-Type", kind)
    request.setHeader("Content-Length", str(len(body)))
    if request.method == b"HEAD" or len(body) <= PIECE:
        request.write(body)
        request.finish()
    else:
        Sending(request, BytesIO(body)).start()
    return server.NOT_DONE_YET
