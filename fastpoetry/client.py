"""
The reader's side: from an endpoint to a whole poem, or a reason why not.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from io import BytesIO
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IFileDescriptorReceiver,
    IProtocol,
    IReactorTime,
    IStreamClientEndpoint,
    IUNIXTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.address import addressOf, hostEndpoint
from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.deadline import Deadline
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

    @ivar address: from where, as C{HOST:PORT} or what the endpoint calls itself.

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
    There is no connection: the host is unknown, or refuses, or is out of reach.
    """


class PoetryTimeoutError(PoetryFetchError):
    """
    No connection, no byte, or not all of the poem, came in time.
    """


class PoetryCutError(PoetryFetchError):
    """
    The connection ended other than cleanly: what came is not the whole poem.
    """


class PoetryTooLongError(PoetryFetchError):
    """
    The poem is longer than was asked for, or than there is memory for.
    """


class PoetryCancelledError(PoetryFetchError, CancelledError):
    """
    Whoever asked for the poem no longer wants it.
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

    @param connectTimeout: how many seconds connecting may take.  Most endpoints
        have a deadline of their own besides, 30 seconds by default.

    @param totalTimeout: how many seconds everything may take, connecting included;
        by default any number.

    @param maxLength: how many bytes there may be; by default any number.

    @param received: called with the number of bytes in each piece that comes.

    @param reactor: the clock, and what to connect to a host with; by default the
        global reactor.

    @return: a L{Deferred} of the poem.  A clean end is the end of the poem, even
        with no byte before it; anything else is a L{PoetryFetchError}.  Over a UNIX
        socket, where a poem that was cut ends cleanly, too, the server has to prove
        that it sent everything, as this one does; without that it is a
        L{PoetryCutError}.  To cancel it closes the connection.
    """
    reactor = maybeGlobalReactor(reactor)
    if isinstance(endpoint, tuple):
        endpoint = hostEndpoint(reactor, *endpoint, connectTimeout)
    client = _PoetryClient(
        addressOf(endpoint), timeout, totalTimeout, maxLength, received, reactor
    )
    return client.fetch(endpoint, connectTimeout)


@implementer(IFileDescriptorReceiver)
class _PoetryClient(Protocol):
    """
    Fetches one poem over one connection.
    """

    transport: Any  # TCP, TLS or UNIX; no interface of Twisted's has all of it

    _connecting: Deferred[IProtocol]

    def __init__(
        self,
        address: str,
        timeout: float,
        totalTimeout: float | None,
        maxLength: int | None,
        received: Callable[[int], object] | None,
        clock: IReactorTime,
    ) -> None:
        self._address = address
        self._timeout = self._patience = timeout
        self._totalTimeout = totalTimeout
        self._silence = Deadline(clock, self._giveUpSilent)
        self._total = Deadline(clock, self._giveUpSlow)
        self._maxLength = maxLength
        self._tell = received
        # In one piece: a second copy of a long poem may not fit into the memory.
        self._content = BytesIO()
        self._received = 0
        self._isProven = self._hasProof = False
        # None as soon as it is fired.
        self._poem: Deferred[bytes] | None = Deferred(self._cancelled)

    def fetch(
        self, endpoint: IStreamClientEndpoint, connectTimeout: float
    ) -> Deferred[bytes]:
        """
        Connect, and take what comes.
        """
        poem = self._poem
        assert poem is not None
        self._wait(connectTimeout)
        if self._totalTimeout is not None:
            self._total.start(self._totalTimeout)
        factory = Factory.forProtocol(lambda: self)
        factory.noisy = False
        self._connecting = maybeDeferred(endpoint.connect, factory)
        self._connecting.addErrback(self._notConnected)
        return poem

    def _notConnected(self, failure: Failure) -> None:
        self._fail(PoetryConnectError, explain(failure.value))

    def connectionMade(self) -> None:
        """
        The poem comes without being asked for.
        """
        if self._poem is None:
            self.transport.abortConnection()
        else:
            self._wait(self._timeout)

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
        if self._poem is None:
            return
        self._received += len(data)
        self._wait(self._timeout)
        try:
            self._content.write(data)
        except MemoryError:
            self._failFull()
            return
        if self._tell is not None:
            self._tell(len(data))
        if self._maxLength is not None and self._received > self._maxLength:
            self._fail(PoetryTooLongError, f"longer than {self._maxLength} bytes")

    def _failFull(self) -> None:
        self._fail(PoetryTooLongError, "no memory left for more")

    def _wait(self, seconds: float) -> None:
        self._patience = seconds
        self._silence.start(seconds)

    def _giveUpSilent(self) -> None:
        missing = "no connection" if self.transport is None else "nothing came"
        self._fail(PoetryTimeoutError, f"{missing} for {self._patience:g} seconds")

    def _giveUpSlow(self) -> None:
        reason = f"not all of it came in {self._totalTimeout:g} seconds"
        self._fail(PoetryTimeoutError, reason)

    def _cancelled(self, poem: Deferred[bytes]) -> None:
        self._fail(PoetryCancelledError, "cancelled")

    def _fail(self, kind: type[PoetryFetchError], reason: str) -> None:
        poem = self._finish()
        if poem is None:
            return
        self._content.close()
        if self.transport is None:
            self._connecting.cancel()
        else:
            self.transport.abortConnection()
        poem.errback(kind(self._address, reason, self._received))

    def _finish(self) -> Deferred[bytes] | None:
        self._silence.stop()
        self._total.stop()
        poem, self._poem = self._poem, None
        return poem

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        A clean end makes a poem of what came.
        """
        if reason.check(MemoryError):  # there was none to read with
            self._failFull()
        elif not reason.check(ConnectionDone):
            lost = reason.check(ConnectionLost)
            why = "Connection lost before the end" if lost else explain(reason.value)
            self._fail(PoetryCutError, why)
        elif IUNIXTransport.providedBy(self.transport) and not self._isProven:
            # Where there is no reset, a cut poem has a clean end, too.
            self._fail(PoetryCutError, "Nothing proves that this is all of it")
        elif (poem := self._finish()) is not None:
            with self._content:
                whole = self._content.getvalue()
            poem.callback(whole)
