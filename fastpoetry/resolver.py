"""
A resolver that has a thread for each name.

While name servers do not answer, C{getaddrinfo} blocks.  A reactor has ten threads for
it: ten such names hold up all others, and also the end of the process, which waits for
those threads.  Here each lookup has a thread of its own that nobody waits for.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet._resolver import GAIResolver  # what a reactor has by default
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IReactorFromThreads,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.text import explain
from fastpoetry.threads import callInThread

# How many threads there may be.
MAX_THREADS = 100

# By family; and what transportSemantics means to getaddrinfo.
_TYPES: dict[int, Any] = {socket.AF_INET: IPv4Address, socket.AF_INET6: IPv6Address}
_KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


def resolverOf(reactor: Any) -> Resolver | None:
    """
    Install a L{Resolver} in a reactor, in the place of Twisted's own.  A resolver that
    somebody else has installed stays.

    @return: the L{Resolver}, or C{None} when there is somebody else's.
    """
    resolver = getattr(reactor, "nameResolver", None)
    if type(resolver) is GAIResolver:
        resolver = Resolver(reactor)
        reactor.installNameResolver(resolver)
    return resolver if isinstance(resolver, Resolver) else None


@implementer(IHostResolution)
class Lookup:
    """
    The lookup of one name.

    @ivar isWanted: whether somebody waits for the addresses.

    @ivar reason: why there are none, in a few words.
    """

    isWanted = True
    reason: str | None = None

    def __init__(
        self,
        receiver: IResolutionReceiver,
        name: str,
        port: int,
        types: Sequence[type[IAddress]] | None,
        transport: str,
        queue: dict[Lookup, None],
    ) -> None:
        """
        @param queue: where it waits if there is no thread for it.  The other arguments
            are those of L{IHostnameResolver.resolveHostName}.
        """
        self.name = name
        self._queue = queue
        self._receiver = receiver
        self._port = port
        self._transport = transport
        self._families = [
            family for family, each in _TYPES.items() if types is None or each in types
        ]

    def parse(self) -> list[IAddress] | None:
        """
        @return: the address, when the name is one, perhaps with a scope; or nothing
            when that is of another family than was asked for.  C{None} when the name
            has to be looked up.
        """
        if isIPAddress(self.name):
            return self._addresses([(socket.AF_INET, self.name)])
        if isIPv6Address(self.name):
            return self._addresses([(socket.AF_INET6, self.name)])
        return None

    def lookUp(self, getaddrinfo: Callable[..., Any]) -> list[IAddress]:
        """
        Look the name up.  This blocks.

        @raise OSError: when there is no address.

        @raise ValueError: when it cannot be a name.
        """
        family = self._families[0] if len(self._families) == 1 else socket.AF_UNSPEC
        kind = _KINDS[self._transport]
        found = []
        for each, _, _, _, name in getaddrinfo(self.name, None, family, kind):
            host, scope = name[0], name[3] if each == socket.AF_INET6 else 0
            found.append((each, f"{host}%{scope}" if scope else host))
        return self._addresses(found)

    def _addresses(self, found: list[tuple[int, str]]) -> list[IAddress]:
        return [
            _TYPES[family](self._transport, host, self._port)
            for family, host in found
            if family in self._families
        ]

    def answer(self, addresses: list[IAddress], reason: str | None = None) -> None:
        """
        Give the addresses to whoever asked, if they are still wanted.
        """
        if self.isWanted:
            self.isWanted, self.reason = False, reason
            for address in addresses:
                self._receiver.addressResolved(address)
            self._receiver.resolutionComplete()

    def cancel(self) -> None:
        """
        @see: L{IHostResolution.cancel}
        """
        self.isWanted = False
        self._queue.pop(self, None)


@implementer(IHostnameResolver)
class Resolver:
    """
    Looks up each name in a daemon thread.  A name that is an address needs none.

    When all threads are in use, a lookup waits for one of them to end.  But if all of
    them hang, so that nobody waits for their lookups any more, it fails at once.
    """

    # The lookups of the endpoint that is connecting at the moment.
    _begun: list[Lookup] | None = None

    def __init__(
        self,
        reactor: IReactorFromThreads,
        getaddrinfo: Callable[..., Any] = socket.getaddrinfo,
        maxThreads: int = MAX_THREADS,
    ) -> None:
        """
        @param reactor: in whose thread addresses are given.

        @param getaddrinfo: what looks up, as C{socket.getaddrinfo}.

        @param maxThreads: how many threads there may be.
        """
        self._reactor = reactor
        self._getaddrinfo = getaddrinfo
        self._maxThreads = maxThreads
        self._running: set[Lookup] = set()  # each in its thread
        self._queue: dict[Lookup, None] = {}

    def connect(
        self, endpoint: IStreamClientEndpoint, protocolFactory: IProtocolFactory
    ) -> Deferred[IProtocol]:
        """
        Connect an endpoint, and then cancel its lookups, which Twisted does not.  The
        arguments are those of C{IStreamClientEndpoint.connect}.

        @return: a L{Deferred} of the protocol, which can be cancelled.
        """
        begun: list[Lookup] = []
        before, self._begun = self._begun, begun
        connecting = maybeDeferred(endpoint.connect, protocolFactory)
        self._begun = before
        return connecting.addBoth(self._handleConnected, begun)

    def _handleConnected(self, result: Any, begun: list[Lookup]) -> Any:
        for lookup in begun:
            lookup.cancel()
            if isinstance(result, Failure) and lookup.reason is not None:
                result = Failure(DNSLookupError(lookup.reason))
        return result

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """
        @see: L{IHostnameResolver.resolveHostName}
        """
        asked = resolutionReceiver, hostName, portNumber, addressTypes
        lookup = Lookup(*asked, transportSemantics, self._queue)
        if self._begun is not None:
            self._begun.append(lookup)
        resolutionReceiver.resolutionBegan(lookup)
        addresses = lookup.parse()
        if addresses is not None:
            lookup.answer(addresses)
        elif len(self._running) < self._maxThreads:
            self._start(lookup)
        elif any(each.isWanted for each in self._running):
            self._queue[lookup] = None
        else:
            lookup.answer([], f"{self._maxThreads} others hang")
        return lookup

    def _start(self, lookup: Lookup) -> None:
        try:
            finding = callInThread(self._reactor, lookup.lookUp, self._getaddrinfo)
        except RuntimeError as error:  # the system allows no other thread
            lookup.answer([], explain(error))
        else:
            self._running.add(lookup)
            finding.addBoth(self._handleFound, lookup)

    def _handleFound(self, result: list[IAddress] | Failure, lookup: Lookup) -> None:
        # Start those that wait for a thread, and answer this one.
        self._running.remove(lookup)
        while self._queue and len(self._running) < self._maxThreads:
            first = next(iter(self._queue))
            del self._queue[first]
            self._start(first)
        if not isinstance(result, Failure):
            lookup.answer(result)
        elif result.check(OSError):
            lookup.answer([], explain(result.value))
        else:
            result.trap(ValueError)
            lookup.answer([], f"not a name: {lookup.name!r}")
