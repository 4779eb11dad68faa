"""
The service that has the poem of another server.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.client import getPoetry
from fastpoetry.interfaces import IPoetrySource, IReloadable


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

    def __init__(
        self,
        upstream: IStreamClientEndpoint,
        maxAge: float | None = None,
        timeout: float = 60.0,
        connectTimeout: float = 30.0,
        reactor: Any = None,
    ) -> None:
        """
        @param upstream: where the other server is.

        @param maxAge: after how many seconds a poem is fetched anew when somebody
            asks for it; by default never.

        @param timeout: how many seconds the other server may send nothing.

        @param connectTimeout: how many seconds connecting to it may take.

        @param reactor: the clock; by default the global reactor.
        """
        if reactor is None:
            from twisted.internet import reactor
        self.upstream = upstream
        self.maxAge = maxAge
        self.timeout = timeout
        self.connectTimeout = connectTimeout
        self.reactor: Any = reactor
        self._waiting: list[Deferred[bytes]] = []

    def getPoem(self) -> bytes | Deferred[bytes]:
        """
        @see: L{IPoetrySource.getPoem}

        @return: the poem if there is a fresh one, or a L{Deferred} of it, which
            can be cancelled: when the last one is, so is the fetch.  It fails with
            a L{fastpoetry.client.PoetryFetchError}.
        """
        poem = self.poem
        if poem is not None:
            return poem
        waiting: Deferred[bytes] = Deferred(self._leave)
        self._waiting.append(waiting)
        if self._fetch is None:
            self._fetch = getPoetry(
                self.upstream,
                timeout=self.timeout,
                connectTimeout=self.connectTimeout,
                reactor=self.reactor,
            )
            self._fetch.addCallbacks(self._keep, self._makeDo).addBoth(self._serve)
        return waiting

    @property
    def poem(self) -> bytes | None:
        """
        @see: L{IPoetrySource.poem}

        @return: the poem, if there is a fresh one.
        """
        if self._fetchedAt is None:
            return None
        age = self.reactor.seconds() - self._fetchedAt
        return self._poem if self.maxAge is None or age < self.maxAge else None

    def _leave(self, waiting: Deferred[bytes]) -> None:
        self._waiting.remove(waiting)
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
        self._fetchedAt = self.reactor.seconds()
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
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(result)

    def reload(self) -> None:
        """
        Fetch the poem anew when somebody asks for it next.

        @see: L{IReloadable.reload}
        """
        self._fetchedAt = None

    def stopService(self) -> None:
        """
        Fetch nothing more.
        """
        super().stopService()
        self._cancelFetch()
