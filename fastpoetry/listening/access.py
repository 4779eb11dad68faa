"""
Who may read: by address, and by how many of one network there are, and come.

A network is what one subscriber has, or a few: /24 of IPv4, /56 of IPv6.  An address of
IPv4 that is written as one of IPv6 counts as IPv4.  Readers on UNIX sockets have no
address, and are always let in.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.logger import Logger
from zope.interface import implementer

from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.interfaces import Figure, IHasFigures
from fastpoetry.listening import nets
from fastpoetry.listening.nets import Address, Network, TokenBuckets, networkOf

# The log says who was refused every so many seconds, in so many lines at the most.
REPORT = 60.0
MAX_LINES = 20
OTHERS = "other networks"


def addressOf(peer: IAddress) -> Address | None:
    """
    @return: the address of a peer; L{None} on a UNIX socket.
    """
    host = getattr(peer, "host", None)
    if host is None:
        return None
    found = ipaddress.ip_address(host)
    return getattr(found, "ipv4_mapped", None) or found


@implementer(IHasFigures)
class Access:
    """
    Lets readers in, or refuses them, on all ports of a process together.

    @ivar refused: how many it has refused.
    """

    _log = Logger()

    refused = 0
    _report: IDelayedCall | None = None

    def __init__(
        self,
        allow: Iterable[str | Network] = (),
        deny: Iterable[str | Network] = (),
        maxPerAddress: int | None = None,
        rate: tuple[int, float] | None = None,
        reactor: Any = None,
    ) -> None:
        """
        @param allow: networks that may read.  When there are any, nobody else may.

        @param deny: networks that may not.  Of several that an address is in, the
            smallest counts.

        @param maxPerAddress: how many connections a network may have at once.

        @param rate: how many it may begin, and in how many seconds.

        @param reactor: the clock; by default the global reactor.

        @raise ValueError: when that is no network.
        """
        rules = [(ipaddress.ip_network(one), True) for one in allow]
        self._isOpen = not rules
        rules += [(ipaddress.ip_network(one), False) for one in deny]
        self._rules = sorted(rules, key=lambda rule: (-rule[0].prefixlen, rule[1]))
        self._maxPerAddress = maxPerAddress
        self._tokens: TokenBuckets | None = None
        if rate is not None:
            count, seconds = rate
            self._tokens = TokenBuckets(count / seconds, count)
        self._reactor = maybeGlobalReactor(reactor)
        self._connections: Counter[str] = Counter()
        self._unreported: Counter[str] = Counter()

    def admit(self, transport: Any) -> bool:
        """
        Let a connection in, or not.

        @param transport: of a L{Transport
            <fastpoetry.connection.transport.Transport>} with the peer's address.
        """
        address = addressOf(transport.getPeer())
        if address is None:
            return True
        network = networkOf(address)
        if not (self.isAllowed(address) and self._mayBegin(network)):
            self.refuse(address)
            return False
        if self._maxPerAddress is not None:
            self._connections[network] += 1
            transport.leave = partial(self._leave, network)
        return True

    def refuse(self, address: Address) -> None:
        """
        Count somebody who is refused, and have the log say so, sooner or later.
        """
        network = networkOf(address)
        isKnown = network in self._unreported
        hasRoom = isKnown or len(self._unreported) < nets.MAX_REMEMBERED
        self._unreported[network if hasRoom else OTHERS] += 1
        self.refused += 1
        if self._report is None:
            self._nextReport()

    def figures(self) -> Iterator[Figure]:
        """
        @see: L{IHasFigures.figures}
        """
        yield "fastpoetry_readers_refused_total", {}, self.refused

    def flush(self) -> None:
        """
        Have the log say who was refused since it last did.
        """
        if self._report is not None:
            self._report.cancel()
            self._report = None
        self._logRefused()

    def isAllowed(self, address: Address) -> bool:
        """
        @return: whether the rules let an address read.
        """
        for network, isAllowed in self._rules:
            if address in network:
                return isAllowed
        return self._isOpen

    def _mayBegin(self, network: str) -> bool:
        most = self._maxPerAddress
        if most is not None and self._connections[network] >= most:
            return False
        return self._tokens is None or self._tokens.take(
            network, self._reactor.seconds()
        )

    def _leave(self, network: str) -> None:
        self._connections[network] -= 1
        if not self._connections[network]:
            del self._connections[network]

    def _nextReport(self) -> None:
        # The first is told at once, what comes then a minute later.
        self._report = None
        if self._unreported:
            self._logRefused()
            self._report = self._reactor.callLater(REPORT, self._nextReport)

    def _logRefused(self) -> None:
        refused, self._unreported = self._unreported, Counter()
        lines = refused.most_common(MAX_LINES)
        others = sum(refused.values()) - sum(count for _, count in lines)
        for network, count in [*lines, *([(OTHERS, others)] if others else [])]:
            self._log.warn(
                "refused {count} readers of {network}", count=count, network=network
            )
