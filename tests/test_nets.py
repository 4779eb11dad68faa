"""
Tests of L{fastpoetry.listening.nets}.
"""

from __future__ import annotations

from ipaddress import ip_address

from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.listening import nets
from fastpoetry.listening.nets import Recent, TokenBuckets, networkOf


class NetworkTests(SynchronousTestCase):
    """
    Tests of L{networkOf}.
    """

    def test_networkOf(self) -> None:
        """
        24 bits of IPv4 are one network, and 56 of IPv6.
        """
        for address, name in [
            ("192.0.2.1", "192.0.2.0/24"),
            ("192.0.2.255", "192.0.2.0/24"),
            ("2001:db8:0:ff:ffff::", "2001:db8::/56"),
            ("2001:db8:0:100::1", "2001:db8:0:100::/56"),
        ]:
            self.assertEqual(networkOf(ip_address(address)), name)


class RecentTests(SynchronousTestCase):
    """
    Tests of L{Recent}.
    """

    def test_forgets(self) -> None:
        """
        Of too many, those are forgotten that were set the longest time ago.
        """
        self.patch(nets, "MAX_REMEMBERED", 3)
        recent: Recent[int, str] = Recent()
        for key in (1, 2, 3, 1, 4):
            recent[key] = "set"
        self.assertEqual(list(recent), [3, 1, 4])


class TokenBucketsTests(SynchronousTestCase):
    """
    Tests of L{TokenBuckets}.
    """

    def test_burst(self) -> None:
        """
        So many tokens are there at once, for each.
        """
        buckets = TokenBuckets(rate=1.0, burst=2.0)
        taken = [buckets.take(key, 0.0) for key in ("a", "a", "a", "b")]
        self.assertEqual(taken, [True, True, False, True])

    def test_rate(self) -> None:
        """
        They come back with time, and are no more in the end than at first.
        """
        buckets = TokenBuckets(rate=0.5, burst=2.0)
        times = [0.0, 0.0, 1.0, 2.0, 3.0, 100.0, 100.0, 100.0]
        self.assertEqual(
            [buckets.take("", now) for now in times],
            [True, True, False, True, False, True, True, False],
        )
