"""
The fetches of a proxy from its upstream, the server whose poem it has.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.address import endpointName
from fastpoetry.client import PoetryFetchError, getPoetry
from fastpoetry.collection import allServices
from fastpoetry.interfaces import IHasReaders

# Seconds between two checks whether the upstream is this process itself.
CHECK_INTERVAL = 0.25


def fetchPoem(proxy: Any, **options: Any) -> Deferred[bytes]:
    """
    Fetch the poem of a proxy, but not from itself: a proxy that is its own reader would
    wait for itself.

    @param proxy: a L{fastpoetry.proxy.ProxyService}.

    @param options: arguments of L{getPoetry}.

    @return: as that of L{getPoetry}.  A poem without a byte counts as none.
    """
    upstream = _Upstream(proxy.upstream)
    fetch = getPoetry(upstream, reactor=proxy.reactor, **options)
    isOwn = False

    def check() -> None:
        nonlocal isOwn
        isOwn = upstream.isReaderOf(proxy)
        if isOwn:
            fetch.cancel()

    def end(result: bytes | Failure) -> bytes | Failure:
        checking.stop()
        if isOwn:
            raise PoetryFetchError(str(upstream), "the proxy fetches from itself", 0)
        if not result:  # as of a relay whose own server is down
            raise PoetryFetchError(str(upstream), "there is no poem", 0)
        return result

    checking = LoopingCall(check)
    checking.clock = proxy.reactor
    checking.start(CHECK_INTERVAL, now=False)
    return fetch.addBoth(end)


@implementer(IStreamClientEndpoint)
class _Upstream:
    """
    An endpoint that remembers its connection.
    """

    _host: Any = None  # the addresses of its two sides
    _peer: Any = None

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        @see: L{IStreamClientEndpoint.connect}
        """
        return self._endpoint.connect(protocolFactory).addCallback(self._remember)

    def _remember(self, protocol: Any) -> IProtocol:
        self._host = protocol.transport.getHost()
        self._peer = protocol.transport.getPeer()
        return protocol  # type: ignore[no-any-return]

    def isReaderOf(self, source: IService) -> bool:
        """
        @return: whether a server of this process serves the source over the same
            connection.
        """
        return any(
            IHasReaders.providedBy(each)
            # What is the host of this side is the peer of the server.
            and each.hasReader(source, self._host, self._peer)
            for each in allServices(source.parent or ())
        )

    def __str__(self) -> str:
        return endpointName(self._endpoint)
