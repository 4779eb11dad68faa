"""
Tests of L{fastpoetry.listening.nets}.
"""

from __future__ import annotations

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.listening import nets
from fastpoetry.listening.nets import Recent, TokenBuckets, netOf, parseNetwork


class NetTests(SynchronousTestCase):
    """
    Tests of what is read of addresses.
    """

    def test_parse(self) -> None:
        """
        A net is an address with a mask, or an address alone.
        """
        for text in ("192.0.2.0/24", "192.0.2.1", "2001:db8::/32", "::1"):
            self.assertEqual(ip_network(text), parseNetwork(text))

    def test_refused(self) -> None:
        """
        What is no net is refused in one sentence with the value.
        """
        for text in ("192.0.2.1/24", "192.0.2.0/33", "example.org", "", "::/129"):
            error = self.assertRaises(ValueError, parseNetwork, text)
            self.assertIn(f"not a network: {text}", str(error))

    def test_netOf(self) -> None:
        """
        24 bits of IPv4 are one net, and 56 of IPv6, with or without a scope.
        """
        self.assertEqual(netOf("192.0.2.1"), netOf("192.0.2.255"))
        self.assertNotEqual(netOf("192.0.2.1"), netOf("192.0.3.1"))
        self.assertEqual(netOf("2001:db8::1"), netOf("2001:db8:0:ff:ffff::"))
        self.assertNotEqual(netOf("2001:db8::1"), netOf("2001:db8:0:100::1"))
        self.assertEqual(netOf("fe80::1%eth0"), netOf("fe80::1"))


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
        self.assertEqual([3, 1, 4], list(recent))


class TokenBucketsTests(SynchronousTestCase):
    """
    Tests of L{TokenBuckets}.
    """

    def test_burst(self) -> None:
        """
        So many tokens are there at once, for each.
        """
        buckets = TokenBuckets(rate=1.0, burst=2.0)
        taken = [buckets.take(key, 0.0) for key in (b"a", b"a", b"a", b"b")]
        self.assertEqual([True, True, False, True], taken)

    def test_rate(self) -> None:
        """
        They come back with time, and are no more in the end than at first.
        """
        buckets = TokenBuckets(rate=0.5, burst=2.0)
        times = [0.0, 0.0, 1.0, 2.0, 3.0, 100.0, 100.0, 100.0]
        self.assertEqual(
            [True, True, False, True, False, True, True, False],
            [buckets.take(b"", now) for now in times],
        )
