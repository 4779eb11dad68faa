"""
The service that has the poem of another server.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.address import addressOf, clientEndpoint
from fastpoetry.client import (
    MAX_LENGTH,
    PoetryCancelledError,
    PoetryFetchError,
    getPoetry,
)
from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.collection import allServices
from fastpoetry.error import UpstreamError
from fastpoetry.interfaces import IHasReaders, IPoetrySource, IReloadable
from fastpoetry.text import printable

# Seconds from a fetch that failed to the next: at first, and at most.  Each time it
# is twice as long.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0

# Seconds between two looks at whether the other server is this one.
LOOK = 0.25


@implementer(IPoetrySource, IReloadable)
class ProxyService(Service):
    """
    Fetches a poem from another server when somebody asks for it, and keeps it.
    It takes the place of a L{fastpoetry.service.PoetryService} behind the same
    factory, so proxies can stand behind proxies.

    However many readers there are, there is one fetch.  Who asks while there is none
    to give waits for it; once there is one, nobody waits any more: a poem that is too
    old is served until the next has come.  Only a poem that came whole, and has any
    bytes, is kept.  After a fetch that failed the next is not at once.
    """

    _log = Logger()

    _poem: bytes | None = None
    _fetchedAt: float | None = None  # None: not to be served without a fetch
    _fetch: Deferred[bytes] | None = None
    _isOutdated = False  # whether a reload came while there was a fetch
    _failure: Failure | None = None  # of the last fetch
    _reason: str | None = None  # why a fetch was cancelled
    _pause = 0.0
    _notBefore = 0.0

    def __init__(
        self,
        upstream: IStreamClientEndpoint | str,
        maxAge: float | None = None,
        timeout: float = 60.0,
        connectTimeout: float = 30.0,
        maxLength: int | None = MAX_LENGTH,
        reactor: Any = None,
        fetchTimeout: float = 60.0,
    ) -> None:
        """
        @param upstream: where the other server is, as an endpoint, or as text as
            for L{clientEndpoint}.

        @param maxAge: how many seconds after it came a poem is fetched anew when
            somebody asks for it; by default never.

        @param timeout: how many seconds the other server may send nothing.

        @param connectTimeout: how many seconds connecting to it may take.

        @param maxLength: how many bytes a poem may have.

        @param reactor: the clock, and what connects; by default the global reactor.

        @param fetchTimeout: how many seconds a fetch may take in all.
        """
        self.upstream = upstream
        self.maxAge = maxAge
        self.timeout = timeout
        self.connectTimeout = connectTimeout
        self.maxLength = maxLength
        self.fetchTimeout = fetchTimeout
        self.reactor: Any = maybeGlobalReactor(reactor)
        self._waiting: dict[Deferred[bytes], None] = {}

    def startService(self) -> None:
        """
        Be ready to fetch.

        @raise UpstreamError: when the text of the upstream is no address.
        """
        if isinstance(self.upstream, str):
            try:
                self.upstream = clientEndpoint(self.reactor, self.upstream)
            except ValueError as error:
                raise UpstreamError(f"Not an upstream: {error}") from error
        super().startService()

    def getPoem(self) -> bytes | Deferred[bytes]:
        """
        @see: L{IPoetrySource.getPoem}

        @return: the poem if there is one, fresh or not; or a L{Deferred} of it, which
            can be cancelled: when the last one is, so is the fetch.  It fails with a
            L{fastpoetry.client.PoetryFetchError}.
        """
        isDue = self.running and self.reactor.seconds() >= self._notBefore
        if self._fetch is None and isDue and not self._isFresh():
            self._begin()
        if self._poem is not None:
            return self._poem
        if self._fetch is None:
            reason = "the proxy does not run"
            return fail(
                self._failure or PoetryFetchError(str(self.upstream), reason, 0)
            )
        waiting: Deferred[bytes] = Deferred(self._leave)
        self._waiting[waiting] = None
        return waiting

    def _isFresh(self) -> bool:
        if self._fetchedAt is None:
            return False
        age: float = self.reactor.seconds() - self._fetchedAt
        return self.maxAge is None or age < self.maxAge

    def _begin(self) -> None:
        self._isOutdated = False
        upstream = _Upstream(cast(IStreamClientEndpoint, self.upstream))
        self._fetch = getPoetry(
            upstream,
            timeout=self.timeout,
            connectTimeout=self.connectTimeout,
            totalTimeout=self.fetchTimeout,
            maxLength=self.maxLength,
            reactor=self.reactor,
        )
        self._looking = LoopingCall(self._look, upstream)
        self._looking.clock = self.reactor
        self._looking.start(LOOK, now=False)
        self._fetch.addCallback(self._keep).addErrback(self._failed)
        self._fetch.addBoth(self._serve)

    def _look(self, upstream: _Upstream) -> None:
        # Of a proxy that is its own reader, each waits for the other.
        for service in allServices(self.parent or ()):
            if IHasReaders.providedBy(service) and service.hasReader(
                self, upstream.here, upstream.there
            ):
                self._cancelFetch("the proxy fetches from itself")

    def _cancelFetch(self, reason: str | None = None) -> None:
        if self._fetch is not None:
            self._reason = reason
            self._fetch.cancel()

    def _leave(self, waiting: Deferred[bytes]) -> None:
        self._waiting.pop(waiting, None)
        if not self._waiting:
            self._cancelFetch()

    def _keep(self, poem: bytes) -> bytes:
        if not poem:  # as from a relay whose own server is down
            raise PoetryFetchError(str(self.upstream), "there is no poem", 0)
        self._log.info(
            "fetched {size} bytes of poetry from {upstream}",
            size=len(poem),
            upstream=printable(str(self.upstream)),
        )
        self._poem = poem
        self._fetchedAt = None if self._isOutdated else self.reactor.seconds()
        self._failure, self._pause = None, 0.0
        return poem

    def _failed(self, failure: Failure) -> Failure:
        if failure.check(PoetryCancelledError):
            if self._reason is None:  # nobody wants it any more
                return failure
            error = PoetryFetchError(str(self.upstream), self._reason, 0)
            failure = Failure(error)
        self._failure = failure
        self._pause = min(2 * self._pause or FIRST_PAUSE, LONGEST_PAUSE)
        self._notBefore = self.reactor.seconds() + self._pause
        self._log.warn(
            "{what}: {reason}; the next fetch is not before {pause:g} seconds",
            what="no poem" if self._poem is None else "serving an older poem",
            reason=printable(failure.getErrorMessage()),
            pause=self._pause,
        )
        return failure

    def _serve(self, result: bytes | Failure) -> None:
        self._looking.stop()
        self._fetch = None
        waiting, self._waiting = self._waiting, {}
        for one in waiting:
            if not one.called:  # or another who waited has cancelled it
                one.callback(result)

    def reload(self) -> None:
        """
        Fetch the poem anew when somebody asks for it next.

        @see: L{IReloadable.reload}
        """
        self._fetchedAt = None
        self._isOutdated = True
        self._notBefore = self._pause = 0.0

    def stopService(self) -> None:
        """
        Fetch nothing more, but go on with a fetch that somebody waits for.
        """
        super().stopService()
        if not self._waiting:
            self._cancelFetch()


@implementer(IStreamClientEndpoint)
class _Upstream:
    """
    An endpoint that remembers its connection.

    @ivar here: the address of this side, once there is a connection.

    @ivar there: that of the other side.
    """

    here: Any = None
    there: Any = None

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        @see: L{IStreamClientEndpoint.connect}
        """
        return self._endpoint.connect(protocolFactory).addCallback(self._remember)

    def _remember(self, protocol: Any) -> IProtocol:
        self.here = protocol.transport.getHost()
        self.there = protocol.transport.getPeer()
        return protocol  # type: ignore[no-any-return]

    def __str__(self) -> str:
        return addressOf(self._endpoint)
