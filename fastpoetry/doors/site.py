"""
A web server, with limits and an end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from twisted.web import http, server
from twisted.web.resource import IResource
from twisted.web.static import NoRangeStaticProducer
from zope.interface import implementer

from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.doors.channel import Channel
from fastpoetry.interfaces import Figure, IHasFigures

# A longer answer is given to the transport in pieces of this many bytes.
PIECE = 64 * 1024

TEXT = "text/plain; charset=utf-8"

# What every answer forbids a browser: to load or run anything, to show the page in a
# frame, and to tell other sites of it.
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


@implementer(IHasFigures)
class Site(server.Site):
    """
    A web server that drains.  When it stops listening, it closes the connections that
    have been answered, and the others as soon as they are.

    @ivar timeout: how many seconds a request may take to come, and each piece of an
        answer to be taken.

    @ivar channels: the connections that are open.
    """

    # Twisted's factory puts a wrapper around its channel, which hides that the channel
    # knows half-closed connections.
    protocol = Channel  # type: ignore[assignment]
    noisy = False

    def __init__(
        self, root: IResource, timeout: float = 60.0, reactor: Any = None
    ) -> None:
        """
        @param root: what is at C{/}.

        @param timeout: see C{timeout}.

        @param reactor: by default the global one.
        """
        super().__init__(root, timeout=timeout, reactor=maybeGlobalReactor(reactor))
        self.timeout = timeout
        self.channels: set[Channel] = set()
        self._codes: Counter[int] = Counter()

    def startFactory(self) -> None:
        """
        Do nothing: there is no access log to open.
        """

    def stopFactory(self) -> None:
        """
        End all connections, now that the server does not listen any more.
        """
        for channel in tuple(self.channels):
            channel.endSoon()

    def getResourceFor(self, request: Any) -> Any:
        """
        Give the answer the headers that all answers have.

        @see: L{server.Site.getResourceFor}
        """
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        if request.channel.isLast:
            request.setHeader("Connection", "close")
        return super().getResourceFor(request)

    def log(self, request: Any) -> None:
        """
        Count an answer, in place of a line in an access log.
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
        """@see: L{twisted.internet.interfaces.IPullProducer.resumeProducing}"""
        channel = self.request.channel
        channel.setTimeout(channel.factory.timeout)
        super().resumeProducing()


def send(
    request: Any, body: bytes, kind: str = TEXT, code: int = 200, tag: str = ""
) -> int:
    """
    Answer a request, unless the client has left.

    @param request: a L{twisted.web.server.Request}.

    @param body: the content.

    @param kind: the type of the content.

    @param code: the status.

    @param tag: the C{ETag}: the same for the same body, and for no other.  With it, a
        client that has the body already gets C{304 Not Modified}.

    @return: C{NOT_DONE_YET}, for C{render} to return.
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
