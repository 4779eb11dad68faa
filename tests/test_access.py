"""
Tests of L{fastpoetry.listening.access}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.listening import nets
from fastpoetry.listening.access import MAX_LINES, REPORT_INTERVAL, Access, addressOf
from tests.support import Reactor, linesOf


class Visitor:
    """
    A transport, of which only the peer's address matters.

    @ivar handleLost: as a transport has it.
    """

    handleLost: Any = None

    def __init__(self, host: str | None) -> None:
        """
        @param host: its address; C{None} on a UNIX socket.
        """
        self._host = host

    def getPeer(self) -> Any:
        """
        @return: from where it comes.
        """
        if self._host is None:
            return UNIXAddress(None)
        kind = IPv6Address if ":" in self._host else IPv4Address
        return kind("TCP", self._host, 4321)


class AccessTests(SynchronousTestCase):
    """
    Tests of L{Access}.
    """

    def setUp(self) -> None:
        """
        Make a clock.
        """
        self.reactor = Reactor()

    def makeAccess(self, **options: Any) -> Access:
        """
        Make one on that clock.
        """
        return Access(reactor=self.reactor, **options)

    def admitted(self, access: Access, *hosts: str | None) -> list[bool]:
        """
        @return: which of these are let in.
        """
        return [access.admit(Visitor(host)) for host in hosts]

    def test_addresses(self) -> None:
        """
        An address of IPv4 is one, also where it is written as one of IPv6; one with a
        scope is an address; and a UNIX socket has none.
        """
        for host, expected in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("fe80::1%lo", "fe80::1%lo"),
            (None, "None"),
        ]:
            self.assertEqual(str(addressOf(Visitor(host).getPeer())), expected)

    def test_globalReactor(self) -> None:
        """
        By default it has the clock of the global reactor, and lets everybody in.
        """
        from twisted.internet import reactor

        access: Any = Access()
        self.assertIs(access._reactor, reactor)
        self.assertEqual(self.admitted(access, "192.0.2.1", None), [True, True])

    def test_noNetwork(self) -> None:
        """
        What is no network is a mistake.
        """
        self.assertRaises(ValueError, Access, allow=["192.0.2.1/24"])
        self.assertRaises(ValueError, Access, deny=["localhost"])

    def test_deny(self) -> None:
        """
        Who is denied is refused, and the others are let in.
        """
        access = self.makeAccess(deny=["192.0.2.0/24", "2001:db8::/32"])
        hosts = "192.0.2.1", "2001:db8::1", "::ffff:192.0.2.2", "192.0.3.1", "::1"
        self.assertEqual(
            self.admitted(access, *hosts), [False, False, False, True, True]
        )
        self.assertEqual(access.refused, 3)

    def test_allow(self) -> None:
        """
        When somebody is allowed, nobody else is let in, but on a UNIX socket.
        """
        access = self.makeAccess(allow=["192.0.2.0/24", "fe80::/10"])
        hosts = "192.0.2.1", "fe80::1%lo", None, "192.0.3.1", "::1"
        self.assertEqual(
            self.admitted(access, *hosts), [True, True, True, False, False]
        )

    def test_mostSpecific(self) -> None:
        """
        The smallest network that an address is in counts, in whatever order they are
        given; of one that is both, the denial.
        """
        access = self.makeAccess(
            allow=["0.0.0.0/0", "10.1.0.0/16", "10.2.0.0/16"],
            deny=["10.1.1.1", "10.0.0.0/8", "10.1.1.0/24", "10.2.0.0/16"],
        )
        for host, isAdmitted in [
            ("192.0.2.1", True),
            ("10.9.0.1", False),
            ("10.1.2.1", True),
            ("10.1.1.2", False),
            ("10.1.1.1", False),
            ("10.2.0.1", False),
            ("::1", False),
        ]:
            self.assertEqual(self.admitted(access, host), [isAdmitted], host)

    def test_maxPerAddress(self) -> None:
        """
        A network has this many readers at once, and others when one of them leaves;
        nothing is kept of one that has none.
        """
        access: Any = self.makeAccess(maxPerAddress=2)
        first, second = Visitor("192.0.2.1"), Visitor("192.0.2.254")
        self.assertTrue(access.admit(first))
        self.assertTrue(access.admit(second))
        self.assertEqual(self.admitted(access, "192.0.2.7", "192.0.3.7"), [False, True])
        first.handleLost()
        self.assertEqual(self.admitted(access, "192.0.2.7"), [True])
        self.assertEqual(access._connections, {"192.0.2.0/24": 2, "192.0.3.0/24": 1})
        visitor = Visitor("192.0.4.7")
        access.admit(visitor)
        visitor.handleLost()
        self.assertNotIn("192.0.4.0/24", access._connections)

    def test_refusedIsNotCounted(self) -> None:
        """
        Who is refused takes no place, and has none to give back.
        """
        access = self.makeAccess(maxPerAddress=1)
        inside, outside = Visitor("2001:db8::1"), Visitor("2001:db8:0:ff::1")
        self.assertTrue(access.admit(inside))
        self.assertFalse(access.admit(outside))
        self.assertIsNone(outside.handleLost)
        self.assertEqual(self.admitted(access, "2001:db8:0:100::1"), [True])
        inside.handleLost()
        self.assertTrue(access.admit(outside))

    def test_noPlaces(self) -> None:
        """
        Without such a limit nobody has a place.
        """
        visitor = Visitor("192.0.2.1")
        self.assertTrue(self.makeAccess(rate=(1, 1.0)).admit(visitor))
        self.assertIsNone(visitor.handleLost)

    def test_rate(self) -> None:
        """
        A network begins this many readings at once, and then as many in the time, one
        after the other; however long it was away, no more than that at once.
        """
        access = self.makeAccess(rate=(4, 2.0))
        host = "192.0.2.1"
        self.assertEqual(self.admitted(access, *[host] * 5), [True] * 4 + [False])
        self.assertEqual(self.admitted(access, "192.0.3.1"), [True])
        self.reactor.advance(0.25)
        self.assertEqual(self.admitted(access, host), [False])
        self.reactor.advance(0.25)
        self.assertEqual(self.admitted(access, host, host), [True, False])
        self.reactor.advance(100)
        self.assertEqual(self.admitted(access, *[host] * 5), [True] * 4 + [False])

    def test_fullIsNoToken(self) -> None:
        """
        Who is refused since its network has enough readers already does not count for
        the rate.
        """
        access = self.makeAccess(rate=(2, 100.0), maxPerAddress=1)
        visitor, host = Visitor("192.0.2.1"), "192.0.2.2"
        access.admit(visitor)
        self.assertEqual(self.admitted(access, host, host), [False, False])
        visitor.handleLost()
        self.assertEqual(self.admitted(access, host), [True])

    def test_memory(self) -> None:
        """
        Of so many networks is known how often they came; that which came longest ago is
        forgotten.
        """
        self.patch(nets, "MAX_REMEMBERED", 3)
        access: Any = self.makeAccess(rate=(1, 100.0))
        hosts = [f"192.0.{number}.1" for number in range(4)]
        self.assertEqual(self.admitted(access, *hosts[:3]), [True] * 3)
        self.assertEqual(self.admitted(access, hosts[0], hosts[3]), [False, True])
        self.assertEqual(self.admitted(access, hosts[0], hosts[3]), [False, False])
        self.assertEqual(len(access._tokens._buckets), 3)
        self.assertEqual(self.admitted(access, hosts[1]), [True])

    def test_lines(self) -> None:
        """
        The first who is refused is in the log at once, the next a minute later, a line
        for each network; and then nothing any more.
        """
        access = self.makeAccess(deny=["192.0.0.0/16"])
        lines = linesOf(self.admitted, access, *["192.0.2.1"] * 3, "192.0.3.1")
        self.assertEqual(lines, ["refused 1 readers of 192.0.2.0/24"])
        self.assertEqual(linesOf(self.reactor.advance, REPORT_INTERVAL - 1), [])
        self.assertEqual(
            linesOf(self.reactor.advance, 1),
            ["refused 2 readers of 192.0.2.0/24", "refused 1 readers of 192.0.3.0/24"],
        )
        self.assertEqual(linesOf(self.reactor.advance, REPORT_INTERVAL), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        lines = linesOf(self.admitted, access, "192.0.3.1")
        self.assertEqual(lines, ["refused 1 readers of 192.0.3.0/24"])
        self.assertEqual(access.refused, 5)

    def test_manyNetworks(self) -> None:
        """
        The log has this many lines a minute at the most, for those of whom most were
        refused, and one for all others; and there is memory for this many.
        """
        self.patch(nets, "MAX_REMEMBERED", MAX_LINES + 10)
        access: Any = self.makeAccess(deny=["0.0.0.0/0"])
        self.admitted(access, "192.0.2.1", *["192.0.2.1"] * 5)
        self.admitted(access, *[f"10.0.{number}.1" for number in range(100)])
        self.admitted(access, "192.0.2.1")
        self.assertEqual(len(access._unreported), MAX_LINES + 11)
        lines = linesOf(self.reactor.advance, REPORT_INTERVAL)
        self.assertEqual(len(lines), MAX_LINES + 1)
        self.assertIn("refused 6 readers of 192.0.2.0/24", lines)
        self.assertEqual(lines[0], "refused 71 readers of other networks")
        self.assertEqual(lines[-1], "refused 11 readers of other networks")
        self.assertEqual(access.refused, 107)

    def test_flush(self) -> None:
        """
        What the log has not said yet it says when it is told to, and has nothing to
        say then.
        """
        access = self.makeAccess(deny=["::/0"])
        self.assertEqual(linesOf(access.flush), [])
        self.admitted(access, "::1", "::1")
        self.assertEqual(linesOf(access.flush), ["refused 1 readers of ::/56"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(linesOf(access.flush), [])
