"""
Which datagrams are answered, and with how many bytes.

The sender of a datagram can write any address on it.  So an answer may go to somebody
who has not asked; or to another server, and what that answers is our next
question.  Therefore answers are short and few, and such a dialogue ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Any

from fastpoetry.listening.nets import Network, Recent, TokenBuckets, networkOf

# Bytes.  RFC 865 wants quotes to be short, and these fit into one packet on any link.
MAX_ANSWER = 512

# How many times as long as its question an answer may be, but for trusted networks: the
# rule that QUIC has (RFC 9000, section 8.1).
MAX_RATIO = 3

# No packet from another machine has an address of these networks.
LOOPBACK = ("127.0.0.0/8", "::1")

# Another server may take an answer for a question.  Most have a port below the first of
# these.  The others are known by what they do: a sender of more than MAX_QUESTIONS,
# with no silence of SILENCE seconds in between, is ignored until there is one.
FIRST_CLIENT_PORT = 1024
MAX_QUESTIONS = 10
SILENCE = 5.0

# Why a question is not answered.
REASONS = ("no room", "denied", "low port", "no pause", "network limit", "limit")

# Answers to one network, and to all: how many in a second, and how many at once.
NETWORK_RATE, NETWORK_BURST = 10.0, 50.0
RATE, BURST = 100.0, 500.0


class Limits:
    """
    Decides who is answered.  It remembers only a bounded number of senders.
    """

    def __init__(
        self, trusted: Iterable[str | Network] = LOOPBACK, access: Any = None
    ) -> None:
        """
        @param trusted: networks whose answers have up to L{MAX_ANSWER} bytes, however
            short the question is.

        @param access: an L{Access <fastpoetry.listening.access.Access>} whose rules say
            who may read; by default everybody.

        @raise ValueError: when one of the trusted ones is not a network.
        """
        self.trusted = [ip_network(one) for one in trusted]
        self._access = access
        self._questions: Recent[Any, tuple[int, float]] = Recent()
        self._networks = TokenBuckets(NETWORK_RATE, NETWORK_BURST)
        self._all = TokenBuckets(RATE, BURST)

    def check(
        self, sender: tuple[Any, ...], size: int, now: float
    ) -> tuple[int, str | None]:
        """
        Decide about a question.

        @param sender: a host and a port, for IPv6 also a flow and a scope.

        @param size: how many bytes the question has.

        @param now: the time, in seconds.

        @return: how many bytes the answer may have, and the reason not to answer, or
            C{None}.
        """
        host = ip_address(sender[0])
        isTrusted = any(host in one for one in self.trusted)
        room = MAX_ANSWER if isTrusted else min(MAX_ANSWER, MAX_RATIO * size)
        if self._access is not None and not self._access.isAllowed(host):
            return room, "denied"
        if sender[1] < FIRST_CLIENT_PORT:
            return room, "low port"
        if self._isTooOften(sender[:2], now):
            return room, "no pause"
        if not room:
            return room, "no room"
        if not self._networks.take(networkOf(host), now):
            return room, "network limit"
        return room, None if self._all.take("", now) else "limit"

    def _isTooOften(self, sender: Any, now: float) -> bool:
        count, last = self._questions.get(sender, (0, now))
        count = count + 1 if now - last < SILENCE else 1
        self._questions[sender] = count, now
        return count > MAX_QUESTIONS
