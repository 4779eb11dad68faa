"""
The reader's side: from an endpoint to a whole poem, or a reason why not.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IFileDescriptorReceiver,
    IReactorTime,
    IStreamClientEndpoint,
    IUNIXTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.address import endpointName, hostEndpoint
from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.fetch import Fetch
from fastpoetry.renamed import movedNames
from fastpoetry.text import explain

# How many bytes a poem may have unless somebody says otherwise: a server that never
# ends must not fill the memory.
MAX_LENGTH = 2**30

# Until 1.0 these were here.
__getattr__ = movedNames(
    __name__,
    {"clientEndpoint": "fastpoetry.address", "parseAddress": "fastpoetry.address"},
)


class PoetryFetchError(Exception):
    """
    A poem could not be fetched whole.

    @ivar address: the server, as C{HOST:PORT} or as its endpoint calls itself.

    @ivar reason: why, in a few words.

    @ivar received: how many bytes had come.
    """

    def __init__(self, address: str, reason: str, received: int) -> None:
        super().__init__(address, reason, received)
        self.address = address
        self.reason = reason
        self.received = received

    def __str__(self) -> str:
        return f"{self.address}: {self.reason}, {self.received} bytes received"


class PoetryConnectError(PoetryFetchError):
    """
    There is no connection: the host is unknown, refuses, or is out of reach.
    """


class PoetryTimeoutError(PoetryFetchError):
    """
    The connection, the next byte, or the whole poem did not come in time.
    """


class PoetryCutError(PoetryFetchError):
    """
    The connection did not end cleanly: what came is not the whole poem.
    """


class PoetryTooLongError(PoetryFetchError):
    """
    The poem is longer than was allowed, or than there is memory for.
    """


class PoetryCancelledError(PoetryFetchError, CancelledError):
    """
    Whoever asked for the poem has cancelled it.
    """


def getPoetry(
    endpoint: IStreamClientEndpoint | tuple[str, int],
    *,
    timeout: float = 60.0,
    connectTimeout: float = 30.0,
    totalTimeout: float | None = None,
    maxLength: int | None = None,
    received: Callable[[int], object] | None = None,
    reactor: Any = None,
) -> Deferred[bytes]:
    """
    Fetch one poem.

    @param endpoint: what to connect to; or a host and a port.

    @param timeout: how many seconds may pass without a byte.

    @param connectTimeout: how many seconds connecting may take.  Most endpoints have
        a timeout of their own as well, 30 seconds by default.

    @param totalTimeout: how many seconds everything may take, connecting included; by
        default any number.

    @param maxLength: how many bytes there may be; by default any number.

    @param received: called with the number of bytes in each piece that comes.

    @param reactor: the clock, and what connects to a host; by default the global one.

    @return: a L{Deferred<twisted.internet.defer.Deferred>} of the poem, which fails
        with a L{PoetryFetchError}.  A clean end is the end of the poem, even of one
        without a byte.  Over a UNIX socket a poem that was cut ends cleanly as well, so
        the server has to prove that it sent everything, as ours does; else it is a
        L{PoetryCutError}.  To cancel the Deferred closes the connection.
    """
    reactor = maybeGlobalReactor(reactor)
    if isinstance(endpoint, tuple):
        endpoint = hostEndpoint(reactor, *endpoint, connectTimeout)
    timeouts, name = (timeout, connectTimeout, totalTimeout), endpointName(endpoint)
    return _PoetryFetch(reactor, timeouts, name, maxLength, received).fetch(endpoint)


@implementer(IFileDescriptorReceiver)
class _PoetryFetch(Fetch):
    """
    Fetches one poem over one connection.
    """

    def __init__(
        self,
        clock: IReactorTime,
        timeouts: tuple[float, float, float | None],
        address: str,
        maxLength: int | None,
        received: Callable[[int], object] | None,
    ) -> None:
        """
        @param timeouts: those of L{Fetch}.

        @param address: what errors call the server.

        @param received: called with the number of bytes in each piece.
        """
        super().__init__(clock, *timeouts)
        self._address = address
        self._maxLength = maxLength
        self._received = received
        # In one piece: a second copy of a long poem may not fit into the memory.
        self._content = BytesIO()
        self._length = 0
        self._isProven = self._hasProof = False

    def fileDescriptorReceived(self, descriptor: int) -> None:
        """
        On a UNIX socket the last bytes come with a descriptor, which proves that
        they are the last (see L{fastpoetry.endpoints.unixsocket.UNIXTransport}).
        """
        os.close(descriptor)
        self._hasProof = True

    def dataReceived(self, data: bytes) -> None:
        """
        Keep a piece of the poem.
        """
        self._isProven, self._hasProof = self._hasProof, False
        if self.isOver:
            return
        self._length += len(data)
        self.keepWaiting()
        try:
            self._content.write(data)
        except MemoryError:
            self._failFull()
            return
        if self._received is not None:
            self._received(len(data))
        if self._maxLength is not None and self._length > self._maxLength:
            self._fail(PoetryTooLongError, f"longer than {self._maxLength} bytes")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        A clean end makes a poem of what came.
        """
        if self.isOver:
            return
        if reason.check(MemoryError):  # there was none to read with
            self._failFull()
        elif not reason.check(ConnectionDone):
            lost = reason.check(ConnectionLost)
            why = "Connection lost before the end" if lost else explain(reason.value)
            self._fail(PoetryCutError, why)
        elif IUNIXTransport.providedBy(self.transport) and not self._isProven:
            # Where there is no reset, a cut poem has a clean end, too.
            self._fail(PoetryCutError, "Nothing proves that this is all of it")
        else:
            with self._content:
                whole = self._content.getvalue()
            self.succeed(whole)

    def fail(self, error: Exception) -> None:
        """
        Keep nothing of the poem.

        @see: L{Fetch.fail}
        """
        self._content.close()
        super().fail(error)

    def _fail(self, kind: type[PoetryFetchError], reason: str) -> None:
        self.fail(self._error(kind, reason))

    def _failFull(self) -> None:
        self._fail(PoetryTooLongError, "no memory left for more")

    def _error(self, kind: type[PoetryFetchError], reason: str) -> PoetryFetchError:
        return kind(self._address, reason, self._length)

    def _connectError(self, error: BaseException | None) -> Exception:
        return self._error(PoetryConnectError, explain(error))

    def _silenceError(self, seconds: float) -> Exception:
        missing = "no connection" if self.transport is None else "nothing came"
        return self._error(PoetryTimeoutError, f"{missing} for {seconds:g} seconds")

    def _totalTimeoutError(self, seconds: float) -> Exception:
        reason = f"not all of it came in {seconds:g} seconds"
        return self._error(PoetryTimeoutError, reason)

    def _cancelError(self) -> Exception:
        return self._error(PoetryCancelledError, "cancelled")
