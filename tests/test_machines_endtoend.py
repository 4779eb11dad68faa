"""
Tests of three instances behind HAProxy and nginx, with the configurations of F{deploy}.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.faults.balance import HAPROXY, NGINX, killed, rolling, slow
from benchmarks.network import LOOPBACK, TLS, Loopback


class MachinesTests(SynchronousTestCase):
    """
    Readers who fetch by a balancer.
    """

    def assertRolls(self, name: str, network: Loopback) -> None:
        """
        Assert that a restart of each instance in turn costs no more than is promised.
        """
        said, kept = rolling(name, network, 1)
        self.assertTrue(kept, said)

    def assertTells(self, name: str) -> None:
        """
        Assert that over TLS nobody takes a part for the whole, when all is killed.
        """
        said, kept = killed(name, TLS, 20)
        self.assertTrue(kept, said)

    def test_rollingHAProxy(self) -> None:
        """
        Behind HAProxy a rolling restart loses nothing.
        """
        self.assertRolls(HAPROXY, LOOPBACK)

    def test_rollingHAProxyTLS(self) -> None:
        """
        Nor does it over TLS.
        """
        self.assertRolls(HAPROXY, TLS)

    def test_rollingNginx(self) -> None:
        """
        Behind nginx it loses at most who is connecting in the moment of a stop, and
        cuts nobody, not even who half-closes.
        """
        self.assertRolls(NGINX, LOOPBACK)

    def test_rollingNginxTLS(self) -> None:
        """
        So it is over TLS.
        """
        self.assertRolls(NGINX, TLS)

    def test_killedHAProxy(self) -> None:
        """
        Over TLS, who is cut knows it behind HAProxy.
        """
        self.assertTells(HAPROXY)

    def test_killedNginx(self) -> None:
        """
        And behind nginx.
        """
        self.assertTells(NGINX)

    def test_slow(self) -> None:
        """
        A reader who talks, and is far behind what the balancer has read, gets all.
        """
        for name in (HAPROXY, NGINX):
            said, kept = slow(name, LOOPBACK, 10)
            self.assertTrue(kept, said)
