"""
The service that has the poem of another server.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.address import clientEndpoint
from fastpoetry.client import PoetryFetchError, getPoetry
from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.error import UpstreamError
from fastpoetry.interfaces import IPoetrySource, IReloadable

# How many bytes a poem may have unless the operator says otherwise: a server that
# never ends must not fill the memory.
MAX_LENGTH = 2**30


@implementer(IPoetrySource, IReloadable)
class ProxyService(Service):
    """
    Fetches a poem from another server when somebody asks for it, and keeps it.
    It takes the place of a L{fastpoetry.service.PoetryService} behind the same
    factory, so proxies can stand behind proxies.

    However many readers wait, there is one fetch.  Only a poem that came whole is
    kept.  When a fetch fails, an older poem is served if there is one; if not,
    whoever waits gets the failure, which is not an empty poem.
    """

    _log = Logger()

    _poem: bytes | None = None
    _fetchedAt: float | None = None  # None: not to be served without a fetch
    _fetch: Deferred[bytes] | None = None
    _isOutdated = False  # whether a reload came while there was a fetch

    def __init__(
        self,
        upstream: IStreamClientEndpoint | str,
        maxAge: float | None = None,
        timeout: float = 60.0,
        connectTimeout: float = 30.0,
        maxLength: int | None = MAX_LENGTH,
        reactor: Any = None,
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
        """
        self.upstream = upstream
        self.maxAge = maxAge
        self.timeout = timeout
        self.connectTimeout = connectTimeout
        self.maxLength = maxLength
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

        @return: the poem if there is a fresh one, or a L{Deferred} of it, which
            can be cancelled: when the last one is, so is the fetch.  It fails with
            a L{fastpoetry.client.PoetryFetchError}.
        """
        if self._isFresh():
            assert self._poem is not None  # it came
            return self._poem
        if not self.running:
            reason = "the proxy has stopped"
            return fail(PoetryFetchError(str(self.upstream), reason, 0))
        waiting: Deferred[bytes] = Deferred(self._leave)
        self._waiting[waiting] = None
        if self._fetch is None:
            self._isOutdated = False
            self._fetch = getPoetry(
                cast(IStreamClientEndpoint, self.upstream),
                timeout=self.timeout,
                connectTimeout=self.connectTimeout,
                maxLength=self.maxLength,
                reactor=self.reactor,
            )
            self._fetch.addCallbacks(self._keep, self._makeDo).addBoth(self._serve)
        return waiting

    def _isFresh(self) -> bool:
        if self._fetchedAt is None:
            return False
        age: float = self.reactor.seconds() - self._fetchedAt
        return self.maxAge is None or age < self.maxAge

    def _leave(self, waiting: Deferred[bytes]) -> None:
        self._waiting.pop(waiting, None)
        if not self._waiting:
            self._cancelFetch()

    def _cancelFetch(self) -> None:
        if self._fetch is not None:
            self._fetch.cancel()

    def _keep(self, poem: bytes) -> bytes:
        self._log.info(
            "fetched {size} bytes of poetry from {upstream}",
            size=len(poem),
            upstream=self.upstream,
        )
        self._poem = poem
        self._fetchedAt = None if self._isOutdated else self.reactor.seconds()
        return poem

    def _makeDo(self, failure: Failure) -> bytes | Failure:
        if self._poem is None:
            return failure
        self._log.warn(
            "serving an older poem: {reason}", reason=failure.getErrorMessage()
        )
        return self._poem

    def _serve(self, result: bytes | Failure) -> None:
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

    def stopService(self) -> None:
        """
        Fetch nothing more.
        """
        super().stopService()
        self._cancelFetch()
