"""
Names are looked up in threads of their own.

C{getaddrinfo} may take as long as name servers say nothing.  In the threads of the
reactor, ten such names hold up every other one, and the end of the process, which waits
for those threads.  Here each lookup has a thread that nobody waits for.
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

# How many threads there are at the most.
MOST = 100

_TYPES: dict[int, Any] = {socket.AF_INET: IPv4Address, socket.AF_INET6: IPv6Address}
_KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


def resolverOf(reactor: Any) -> Resolver | None:
    """
    Have a reactor look names up by a L{Resolver}, for whatever is made with it from
    then on.  It takes the place of Twisted's own; one that somebody else has installed
    stays.

    @return: what it has, or L{None} when that is somebody else's.
    """
    resolver = getattr(reactor, "nameResolver", None)
    if type(resolver) is GAIResolver:
        resolver = Resolver(reactor)
        reactor.installNameResolver(resolver)
    return resolver if isinstance(resolver, Resolver) else None


@implementer(IHostResolution)
class Lookup:
    """
    One name that is looked up.

    @ivar isWanted: whether anybody waits for its addresses.

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
        @param queue: where it waits if it has to.  The other arguments are those of
            L{IHostnameResolver.resolveHostName}.
        """
        self.name = name
        self._queue = queue
        self._receiver = receiver
        self._port = port
        self._transport = transport
        self._families = [
            family for family, each in _TYPES.items() if types is None or each in types
        ]

    def read(self) -> list[IAddress] | None:
        """
        @return: the address that the name is already, perhaps with a scope, if it is
            wanted; L{None} when it has to be looked up.
        """
        if isIPAddress(self.name):
            return self._addresses([(socket.AF_INET, self.name)])
        if isIPv6Address(self.name):
            return self._addresses([(socket.AF_INET6, self.name)])
        return None

    def find(self, getaddrinfo: Callable[..., Any]) -> list[IAddress]:
        """
        Look it up, for as long as that takes.

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
        Tell whoever asked, if they still want to know.
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
    Looks up each name in a daemon thread; what is an address already needs none.

    When there are as many threads as may be, a lookup waits for one of them to end.
    When nobody wants any more what all of them look for, it fails at once.
    """

    # What the endpoint that is about to connect has begun.
    _begun: list[Lookup] | None = None

    def __init__(
        self,
        reactor: IReactorFromThreads,
        getaddrinfo: Callable[..., Any] = socket.getaddrinfo,
        most: int = MOST,
    ) -> None:
        """
        @param reactor: where whoever asks gets the answer.

        @param getaddrinfo: what looks up.

        @param most: how many threads there may be.
        """
        self._reactor = reactor
        self._getaddrinfo = getaddrinfo
        self._most = most
        self._running: set[Lookup] = set()  # each in its thread
        self._queue: dict[Lookup, None] = {}

    def connect(
        self, endpoint: IStreamClientEndpoint, protocolFactory: IProtocolFactory
    ) -> Deferred[IProtocol]:
        """
        Have an endpoint connect.  When it has, or has been given up, nobody wants its
        lookup any more: Twisted's endpoints do not say so.

        @return: a L{Deferred} of the protocol, which can be cancelled.
        """
        begun: list[Lookup] = []
        before, self._begun = self._begun, begun
        connecting = maybeDeferred(endpoint.connect, protocolFactory)
        self._begun = before
        return connecting.addBoth(self._connected, begun)

    def _connected(self, result: Any, begun: list[Lookup]) -> Any:
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
        lookup = Lookup(
            resolutionReceiver,
            hostName,
            portNumber,
            addressTypes,
            transportSemantics,
            self._queue,
        )
        if self._begun is not None:
            self._begun.append(lookup)
        resolutionReceiver.resolutionBegan(lookup)
        addresses = lookup.read()
        if addresses is not None:
            lookup.answer(addresses)
        elif len(self._running) < self._most:
            self._start(lookup)
        elif any(each.isWanted for each in self._running):
            self._queue[lookup] = None
        else:
            lookup.answer([], f"{self._most} others hang")
        return lookup

    def _start(self, lookup: Lookup) -> None:
        try:
            finding = callInThread(self._reactor, lookup.find, self._getaddrinfo)
        except RuntimeError as error:  # the system has no room for another
            lookup.answer([], explain(error))
        else:
            self._running.add(lookup)
            finding.addBoth(self._found, lookup)

    def _found(self, result: list[IAddress] | Failure, lookup: Lookup) -> None:
        self._running.remove(lookup)
        while self._queue and len(self._running) < self._most:
            first = next(iter(self._queue))
            del self._queue[first]
            self._start(first)
        if not isinstance(result, Failure):
            lookup.answer(result)
        elif result.check(OSError):
            lookup.answer([], explain(result.value))
        else:
            result.trap(ValueError)
            lookup.answer([], f"not a name: {lookup.name}")
