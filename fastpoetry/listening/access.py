"""
Who may read: by address, by how many connections one network has open, and by how many
it opens in a time.

A network is what one subscriber has, or a few: /24 of IPv4, /56 of IPv6.  An IPv4
address that is written as IPv6 counts as IPv4.  Readers on UNIX sockets have no
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
from fastpoetry.listening.nets import (
    Address,
    Network,
    TokenBuckets,
    networkOf,
    unmapped,
)

# Seconds between two reports of refused readers in the log, and lines of each at most.
REPORT_INTERVAL = 60.0
MAX_LINES = 20
OTHERS = "other networks"


def addressOf(peer: IAddress) -> Address | None:
    """
    @return: the address of a peer; C{None} on a UNIX socket.
    """
    host = getattr(peer, "host", None)
    if host is None:
        return None
    return unmapped(ipaddress.ip_address(host))


@implementer(IHasFigures)
class Access:
    """
    Lets readers in, or refuses them.  Several ports may share one.

    @ivar refused: how many readers it has refused.
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
        @param allow: networks that may read.  If there are any, no others may.

        @param deny: networks that may not.  If an address is in several networks, the
            smallest decides.

        @param maxPerAddress: how many connections a network may have open at once.

        @param rate: how many connections a network may open, and in how many seconds.

        @param reactor: the clock; by default the global reactor.

        @raise ValueError: when one of them is not a network.
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
        Let a connection in, or refuse it.

        @param transport: its L{Transport<fastpoetry.connection.transport.Transport>}.

        @return: whether it is let in.
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
            transport.handleLost = partial(self._handleLost, network)
        return True

    def refuse(self, address: Address) -> None:
        """
        Count a refused reader; it will be in the next report.
        """
        network = networkOf(address)
        isKnown = network in self._unreported
        hasRoom = isKnown or len(self._unreported) < nets.MAX_REMEMBERED
        self._unreported[network if hasRoom else OTHERS] += 1
        self.refused += 1
        if self._report is None:
            self._handleReport()

    def figures(self) -> Iterator[Figure]:
        """
        @see: L{IHasFigures.figures}
        """
        yield "fastpoetry_readers_refused_total", {}, self.refused

    def flush(self) -> None:
        """
        Log who was refused since the last report.
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

    def _handleLost(self, network: str) -> None:
        self._connections[network] -= 1
        if not self._connections[network]:
            del self._connections[network]

    def _handleReport(self) -> None:
        # The first refusal is reported at once, those after it a minute later.
        self._report = None
        if self._unreported:
            self._logRefused()
            self._report = self._reactor.callLater(REPORT_INTERVAL, self._handleReport)

    def _logRefused(self) -> None:
        refused, self._unreported = self._unreported, Counter()
        lines = refused.most_common(MAX_LINES)
        others = sum(refused.values()) - sum(count for _, count in lines)
        for network, count in [*lines, *([(OTHERS, others)] if others else [])]:
            self._log.warn(
                "refused {count} readers of {network}", count=count, network=network
            )
