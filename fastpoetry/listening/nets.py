"""
Networks of addresses, and what is remembered of each.  The number of networks that are
remembered is bounded.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import TypeVar, Union

Address = Union[IPv4Address, IPv6Address]
Network = Union[IPv4Network, IPv6Network]

# How many bits of an address are those of its network: what one subscriber has, or a
# few.
PREFIXES = {4: 24, 6: 56}

# How many networks, or addresses, are remembered: the last ones.
MAX_REMEMBERED = 10_000

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def unmapped(address: Address) -> Address:
    """
    @return: an address of IPv4 that is written as one of IPv6 (C{::ffff:192.0.2.1}), as
        a port of both families does, as what it is; others as they are.
    """
    return getattr(address, "ipv4_mapped", None) or address


def networkOf(address: Address) -> str:
    """
    @return: the name of the network of an address.
    """
    # Text takes less memory than an object.
    prefix = PREFIXES[address.version]
    return str(ip_network((address, prefix), strict=False))


class Recent(OrderedDict[_Key, _Value]):
    """
    A dictionary of bounded size: it forgets what was set longest ago.
    """

    def __setitem__(self, key: _Key, value: _Value) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > MAX_REMEMBERED:
            self.popitem(last=False)


class TokenBuckets:
    """
    Limits how often something is done for each key: a number of times at once, and
    after that a number of times a second
    (U{token bucket<https://en.wikipedia.org/wiki/Token_bucket>}).
    """

    def __init__(self, rate: float, burst: float) -> None:
        """
        @param rate: how many times a second.

        @param burst: how many times at once.
        """
        self._rate = rate
        self._burst = burst
        self._buckets: Recent[str, tuple[float, float]] = Recent()

    def take(self, key: str, now: float) -> bool:
        """
        Take a token.

        @param key: for whom.

        @param now: the time, in seconds.

        @return: whether there was one.
        """
        tokens, before = self._buckets.get(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - before) * self._rate)
        hasOne = tokens >= 1
        self._buckets[key] = tokens - hasOne, now
        return hasOne
