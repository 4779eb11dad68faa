"""
Tests of L{fastpoetry.connection.connections}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.main import CONNECTION_LOST
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from fastpoetry.connection.connections import Connections
from tests.connections import ConnectionsTestCase, ListedEpoll
from tests.protocols import Listener
from tests.wire import PretendedEpoll


class ConnectionsTests(ConnectionsTestCase):
    """
    Tests of L{Connections}.
    """

    def test_interface(self) -> None:
        """
        To the reactor they are one descriptor, which it waits for from the first.
        """
        verifyObject(IReadDescriptor, self.connections)
        self.assertEqual(self.reactor.getReaders(), [self.connections])
        self.assertEqual(self.connections.logPrefix(), "connections")

    def test_count(self) -> None:
        """
        Connections are counted while they are open, and told one by one.
        """
        self.assertEqual(len(self.connections), 2)
        self.assertEqual(list(self.connections), [self.first, self.second])
        self.lose(self.first)
        self.assertEqual(list(self.connections), [self.second])
        self.assertEqual(len(self.connections), 1)

    def test_lostMeanwhile(self) -> None:
        """
        They may be lost while they are told.
        """
        for transport in self.connections:
            self.lose(transport)
        self.assertEqual(len(self.connections), 0)

    def test_watchers(self) -> None:
        """
        Whoever watches is called after each loss, in their order, and may stop
        watching then.
        """
        seen: list[tuple[str, int]] = []

        def once() -> None:
            seen.append(("once", len(self.connections)))
            del self.connections.watchers[once]

        def ever() -> None:
            seen.append(("ever", len(self.connections)))

        self.connections.watchers[once] = None
        self.connections.watchers[ever] = None
        self.lose(self.first)
        self.lose(self.second)
        self.assertEqual(seen, [("once", 1), ("ever", 1), ("ever", 0)])

    def test_whenNone(self) -> None:
        """
        C{whenNone} fires when the last connection is lost, and is then forgotten.
        """
        none = self.connections.whenNone()
        self.lose(self.first)
        self.assertNoResult(none)
        self.lose(self.second)
        self.assertIsNone(self.successResultOf(none))
        self.assertEqual(len(self.connections.watchers), 0)
        self.lose(self.connect(Listener()))

    def test_whenNoneAtOnce(self) -> None:
        """
        C{whenNone} fires at once when there is none.
        """
        nobody = Connections(self.reactor, PretendedEpoll())
        self.assertIsNone(self.successResultOf(nobody.whenNone()))

    def test_whenNoneCancelled(self) -> None:
        """
        C{whenNone} can be cancelled, and is then forgotten.
        """
        none = self.connections.whenNone()
        none.cancel()
        self.failureResultOf(none, CancelledError)
        self.assertEqual(len(self.connections.watchers), 0)
        self.lose(self.first)
        self.lose(self.second)

    def test_abort(self) -> None:
        """
        C{abort} ends every connection with a reset.
        """
        self.connections.abort()
        self.assertEqual(len(self.connections), 2)
        self.reactor.advance(0)
        self.assertEqual(len(self.connections), 0)
        self.assertEqual([one.seen for one in self.sockets], ["reset", "reset"])

    def test_close(self) -> None:
        """
        C{close} gives the C{epoll} back when the last connection has gone; the
        reactor has forgotten it by then.
        """
        removeReader = self.reactor.removeReader

        def remove(reader: Any) -> None:
            self.assertFalse(self.epoll.isClosed)
            removeReader(reader)

        self.reactor.removeReader = remove  # type: ignore[method-assign]
        self.connections.close()
        self.lose(self.first)
        self.assertFalse(self.epoll.isClosed)
        self.assertEqual(self.reactor.getReaders(), [self.connections])
        self.lose(self.second)
        self.assertTrue(self.epoll.isClosed)
        self.assertEqual(self.reactor.getReaders(), [])

    def test_closeAtOnce(self) -> None:
        """
        C{close} gives it back at once when there is none.
        """
        nobody = Connections(self.reactor, epoll := ListedEpoll())
        nobody.close()
        self.assertTrue(epoll.isClosed)
        self.assertEqual(self.reactor.getReaders(), [self.connections])

    def test_processEnds(self) -> None:
        """
        When the reactor is at its end everybody is lost, with a reset, even if a
        protocol fails.
        """

        def connectionLost(reason: Failure) -> None:
            raise ZeroDivisionError

        self.patch(self.one, "connectionLost", connectionLost)
        self.connections.connectionLost(Failure(CONNECTION_LOST))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.two.reasons, [ConnectionLost])
        self.assertEqual(len(self.connections), 0)
        self.assertEqual([one.seen for one in self.sockets], ["reset", "reset"])
