"""
Tests of L{fastpoetry.proxy}: how it stops, and what becomes of a fetch when those who
wait for it leave.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.logger import capturedLogs

from fastpoetry.client import PoetryFetchError
from fastpoetry.protocol import PoetryFactory
from tests.proxies import ProxyTestCase
from tests.wire import Wire


class StopTests(ProxyTestCase):
    """
    Tests of how L{fastpoetry.proxy.ProxyService} stops.
    """

    def test_stop(self) -> None:
        """
        A stop lets a fetch go on that somebody waits for, and that somebody leaves it.
        """
        asked = self.ask()
        self.proxy.stopService()
        self.assertNoResult(asked)
        late = self.ask()
        self.upstream.serve(b"poem")
        for one in (asked, late):
            self.assertEqual(self.successResultOf(one), b"poem")
        self.proxy.startService()
        self.proxy.reload()

    def test_stopCancels(self) -> None:
        """
        A fetch for which nobody waits ends with the stop.
        """
        self.fill()
        self.proxy.reload()
        self.ask()
        with capturedLogs() as events:
            self.proxy.stopService()
        self.assertTrue(self.upstream.connections[1][1].disconnected)
        self.assertEqual(events, [])

    def test_stopAborts(self) -> None:
        """
        A reader that waits when the grace of a stop is over gets a reset, and the fetch
        ends with the last of them.
        """
        wire = Wire(PoetryFactory(self.proxy, reactor=self.reactor))
        self.proxy.stopService()
        wire.connections.abort()
        wire.turn()
        self.assertEqual(wire.socket.end, "reset")
        self.assertTrue(self.upstream.connections[0][1].disconnected)

    def test_stopped(self) -> None:
        """
        A proxy that has stopped fetches nothing, but has what it has.
        """
        self.proxy.stopService()
        failure = self.failureResultOf(self.ask(), PoetryFetchError)
        self.assertIn("the proxy does not run", failure.getErrorMessage())
        self.assertEqual(self.upstream.connections, [])
        self.proxy.startService()
        self.fill()
        self.proxy.stopService()
        self.assertEqual(self.ask(), b"old")

    def test_stopIdle(self) -> None:
        """
        Without a fetch there is nothing to cancel.
        """
        self.fill()
        self.proxy.stopService()
        self.assertFalse(self.proxy.running)


class LeaveTests(ProxyTestCase):
    """
    Tests of who leaves before the poem is there.
    """

    def test_lastLeaves(self) -> None:
        """
        When the last one that waits leaves, the fetch is cancelled.
        """
        asked = [self.ask(), self.ask()]
        _, transport = self.upstream.connections[0]
        asked[0].cancel()
        self.assertFalse(transport.disconnected)
        asked[1].cancel()
        self.assertTrue(transport.disconnected)
        for one in asked:
            self.failureResultOf(one, CancelledError)
        self.fill()

    def test_someLeave(self) -> None:
        """
        When others leave, who stays gets the poem.
        """
        asked = [self.ask(), self.ask()]
        asked[0].cancel()
        self.failureResultOf(asked[0], CancelledError)
        self.upstream.serve(b"poem")
        self.assertEqual(self.successResultOf(asked[1]), b"poem")

    def test_leavesLate(self) -> None:
        """
        One who leaves because of what another did is not missed.
        """
        first, second = self.ask(), self.ask()
        first.addCallback(lambda _: second.cancel())
        self.upstream.serve(b"poem")
        self.failureResultOf(second, CancelledError)

    def test_lastReaderLeaves(self) -> None:
        """
        When the last reader goes, so does the connection to the other server.
        """
        wire = Wire(PoetryFactory(self.proxy, reactor=self.reactor))
        wire.reset()
        self.assertTrue(self.upstream.connections[0][1].disconnected)
