"""
Tests of L{fastpoetry.connection.connections}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection.connections import Connections


class ConnectionsTests(SynchronousTestCase):
    """
    Tests of L{Connections}.
    """

    def setUp(self) -> None:
        """
        Make two connections.
        """
        self.connections = Connections()
        self.one, self.two = Protocol(), Protocol()
        for protocol in (self.one, self.two):
            protocol.makeConnection(StringTransport())
            self.connections.add(protocol)

    def test_count(self) -> None:
        """
        Connections are counted while they are open, and told one by one.
        """
        self.assertEqual(len(self.connections), 2)
        self.connections.remove(self.one)
        self.assertEqual(list(self.connections), [self.two])

    def test_watch(self) -> None:
        """
        Whoever watches is called after each loss, and no more after C{unwatch}.
        """
        seen: list[int] = []

        def watcher() -> None:
            seen.append(len(self.connections))

        self.connections.watch(watcher)
        self.connections.remove(self.one)
        self.connections.unwatch(watcher)
        self.connections.remove(self.two)
        self.assertEqual(seen, [1])

    def test_whenNone(self) -> None:
        """
        C{whenNone} fires when the last connection is lost, and not again.
        """
        none = self.connections.whenNone()
        self.connections.remove(self.one)
        self.assertNoResult(none)
        self.connections.remove(self.two)
        self.assertIsNone(self.successResultOf(none))
        self.connections.remove(self.two)

    def test_whenNoneAtOnce(self) -> None:
        """
        C{whenNone} fires at once when there is none.
        """
        self.assertIsNone(self.successResultOf(Connections().whenNone()))

    def test_whenNoneCancelled(self) -> None:
        """
        C{whenNone} can be cancelled, and is then forgotten.
        """
        none = self.connections.whenNone()
        none.cancel()
        self.failureResultOf(none, CancelledError)
        self.connections.remove(self.one)
        self.connections.remove(self.two)

    def test_abort(self) -> None:
        """
        C{abort} aborts every connection.
        """
        self.connections.abort()
        for protocol in (self.one, self.two):
            self.assertTrue(protocol.transport.disconnected)  # type: ignore
