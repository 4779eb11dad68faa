"""
The service that has the poem of another server.
"""

from __future__ import annotations

from math import inf
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.address import clientEndpoint, endpointName
from fastpoetry.client import MAX_LENGTH, PoetryCancelledError, PoetryFetchError
from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.defer import Waiters
from fastpoetry.error import UpstreamError
from fastpoetry.interfaces import IPoetrySource, IReloadable
from fastpoetry.text import printable
from fastpoetry.upstream import fetchPoem

# Seconds from a fetch that failed to the next: at first, and at most.  Each time it
# is twice as long.
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0


@implementer(IPoetrySource, IReloadable)
class ProxyService(Service):
    """
    Fetches a poem from another server when somebody asks for it, and keeps it.  A
    factory takes it as it takes a L{fastpoetry.service.PoetryService}.

    However many readers there are, there is one fetch.  Readers wait for it only while
    there is no poem at all: one that is too old is served until the next has come.
    Only a whole poem that is not empty is kept.  A failed fetch is followed by a pause.
    """

    _log = Logger()

    _poem: bytes | None = None
    _fetch: Deferred[bytes] | None = None
    _nextFetch = -inf  # at the earliest
    _isOutdated = False  # there was a reload during the fetch
    _failure: Failure | None = None  # of the last fetch
    _pause = 0.0

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

        @param maxAge: after how many seconds a poem is fetched again when somebody asks
            for it; by default never.

        @param timeout: how many seconds may pass without a byte.

        @param connectTimeout: how many seconds connecting may take.

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
        self._readers = Waiters(self._cancelFetch)

    def startService(self) -> None:
        """
        Make an endpoint of an upstream that is a text.

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

        @return: the poem if there is one, however old; or a L{Deferred} of it, which
            may fail with a L{PoetryFetchError}.  To cancel all cancels the fetch.
        """
        isDue = self.running and self.reactor.seconds() >= self._nextFetch
        if self._fetch is None and isDue:
            self._startFetch()
        if self._poem is not None:
            return self._poem
        if self._fetch is not None:
            return self._readers.wait()
        name = endpointName(self.upstream)
        error = PoetryFetchError(name, "the proxy does not run", 0)
        return fail(self._failure or error)

    def _startFetch(self) -> None:
        self._isOutdated = False
        self._fetch = fetchPoem(
            self,
            timeout=self.timeout,
            connectTimeout=self.connectTimeout,
            totalTimeout=self.fetchTimeout,
            maxLength=self.maxLength,
        )
        self._fetch.addCallback(self._keep).addErrback(self._handleFailure)
        self._fetch.addBoth(self._endFetch)

    def _cancelFetch(self) -> None:
        if self._fetch is not None:
            self._fetch.cancel()

    def _keep(self, poem: bytes) -> bytes:
        self._log.info(
            "fetched {size} bytes of poetry from {upstream}",
            size=len(poem),
            upstream=printable(endpointName(self.upstream)),
        )
        self._poem, self._failure, self._pause = poem, None, 0.0
        age = inf if self.maxAge is None else self.maxAge
        self._nextFetch = -inf if self._isOutdated else self.reactor.seconds() + age
        return poem

    def _handleFailure(self, failure: Failure) -> Failure:
        # Log why there is no poem, and pause; unless it was cancelled, as nobody waits.
        if failure.check(PoetryCancelledError):
            return failure
        self._failure = failure
        self._pause = min(2 * self._pause or FIRST_PAUSE, LONGEST_PAUSE)
        self._nextFetch = self.reactor.seconds() + self._pause
        self._log.warn(
            "{what}: {reason}; the next fetch is not before {pause:g} seconds",
            what="no poem" if self._poem is None else "serving an older poem",
            reason=printable(failure.getErrorMessage()),
            pause=self._pause,
        )
        return failure

    def _endFetch(self, result: bytes | Failure) -> None:
        self._fetch = None
        self._readers.fire(result)

    def reload(self) -> None:
        """
        Fetch the poem again when somebody asks for it next.

        @see: L{IReloadable.reload}
        """
        self._isOutdated = True
        self._nextFetch, self._pause = -inf, 0.0

    def stopService(self) -> None:
        """
        Fetch nothing more, but go on with a fetch that somebody waits for.
        """
        super().stopService()
        if not self._readers:
            self._cancelFetch()
