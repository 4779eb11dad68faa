"""
Nets, and what is remembered of each: never of more than so many.
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TypeVar, Union

from twisted.internet.abstract import isIPv6Address

# How many nets or addresses are remembered at once: some 2 MB of them.
MAX_REMEMBERED = 8192

Network = Union[IPv4Network, IPv6Network]

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


def parseNetwork(text: str) -> Network:
    """
    @param text: a net such as C{192.0.2.0/24}, or an address.

    @raise ValueError: when it is neither; its text is a plain sentence.
    """
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"not a network: {text} ({error})") from error


def netOf(host: str) -> bytes:
    """
    Name the net that a host is in, as its owner has it: a /24 of IPv4, a /56 of IPv6.

    @param host: its address, in figures.
    """
    if isIPv6Address(host):
        return socket.inet_pton(socket.AF_INET6, host.partition("%")[0])[:7]
    return socket.inet_aton(host)[:3]


class Recent(OrderedDict[_Key, _Value]):
    """
    A dictionary that forgets what was set the longest time ago, so that its memory is
    bounded whoever sends what.
    """

    def __setitem__(self, key: _Key, value: _Value) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > MAX_REMEMBERED:
            self.popitem(last=False)


class TokenBuckets:
    """
    How often something may be done for each of many: so many times at once, and so
    many a second from then on.
    """

    def __init__(self, rate: float, burst: float) -> None:
        """
        @param rate: how many times a second.

        @param burst: how many times at once.
        """
        self._rate = rate
        self._burst = burst
        self._buckets: Recent[bytes, tuple[float, float]] = Recent()

    def take(self, key: bytes, now: float) -> bool:
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
