"""
Tests of L{fastpoetry.doors.datagram}: where the poem comes from, and what the log says.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.doors import datagram
from tests.support import StaticSource, linesOf
from tests.test_datagram import HOME, POEM, WORLD, start


class SourceTests(SynchronousTestCase):
    """
    Tests of sources that have no poem at hand.
    """

    def setUp(self) -> None:
        """
        Make a source whose poem the test gives.
        """
        self.clock = Clock()
        self.asked: list[Deferred[bytes]] = []

    def getPoem(self) -> Deferred[bytes]:
        """
        @see: L{IPoetrySource.getPoem}
        """
        self.asked.append(Deferred())
        return self.asked[-1]

    def test_later(self) -> None:
        """
        The answer goes out when there is a poem.
        """
        protocol, port = start(self, self.clock)
        protocol.datagramReceived(b"", HOME)
        self.assertEqual(port.sent, [])
        self.asked[0].callback(POEM)
        self.assertEqual(port.sent, [(POEM, HOME)])

    def test_bounded(self) -> None:
        """
        A hundred may wait; when some have their poem, others may.
        """
        protocol, _ = start(self, self.clock)
        for n in range(110):
            protocol.datagramReceived(b"", (f"127.0.{n}.1", 40000))
        self.assertEqual(len(self.asked), 100)
        self.assertEqual(protocol.counts, {"limit": 10})
        self.asked[0].callback(POEM)
        protocol.datagramReceived(b"", HOME)
        self.assertEqual(len(self.asked), 101)

    def test_patience(self) -> None:
        """
        Nobody waits for more than thirty seconds.
        """
        protocol, _ = start(self, self.clock)
        protocol.datagramReceived(b"", HOME)
        self.clock.advance(30)
        self.assertEqual(protocol.counts, {"no poem": 1})
        self.assertTrue(self.asked[0].called)

    def test_fails(self) -> None:
        """
        Who asks a source that fails hears nothing.  The reason is in the log once a
        minute.
        """
        for poem in (ValueError("no such poem"), None, "text"):
            protocol, port = start(StaticSource(poem), self.clock)
            with capturedLogs() as events:
                for n in range(3):
                    protocol.datagramReceived(b"", ("127.0.0.1", 2000 + n))
            (event,) = events
            expected = "no such poem" if isinstance(poem, Exception) else repr(poem)
            self.assertIn("no poem for datagrams: ", str(formatEvent(event)))
            self.assertIn(expected, str(formatEvent(event)))
            self.assertEqual(port.sent, [])
            self.assertEqual(protocol.counts, {"no poem": 3})
            self.clock.advance(60)
            with capturedLogs() as events:
                protocol.datagramReceived(b"", HOME)
            self.assertEqual(len(events), 1)

    def test_stop(self) -> None:
        """
        A stop gives up on all who wait, and leaves no timer, and no word of it in the
        log but the number.
        """
        protocol, _ = start(self, self.clock)
        protocol.datagramReceived(b"", HOME)
        protocol.datagramReceived(b"", HOME)
        with capturedLogs() as events:
            protocol.doStop()
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["datagrams on 127.0.0.1:17: 2 no poem"],
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopWithPoem(self) -> None:
        """
        A source that gives a poem when it is told to give up comes too late.
        """
        poem: Deferred[bytes] = Deferred(lambda deferred: deferred.callback(POEM))
        protocol, port = start(StaticSource(poem), self.clock)
        protocol.datagramReceived(b"", HOME)
        protocol.doStop()
        self.assertEqual(port.sent, [])
        self.assertEqual(protocol.counts, {"not sent": 1})


class LogTests(SynchronousTestCase):
    """
    Tests of what is in the log.
    """

    def setUp(self) -> None:
        """
        Make a protocol.
        """
        self.clock = Clock()
        self.protocol, self.port = start(POEM, self.clock)

    def test_idle(self) -> None:
        """
        When nobody asks, there is no timer, and no line when it stops.
        """
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(linesOf(self.protocol.doStop), [])

    def test_minute(self) -> None:
        """
        There is one line for all who have asked in a minute, and none for a minute
        in which nobody did.
        """
        self.protocol.datagramReceived(b"", HOME)
        self.protocol.datagramReceived(b"", HOME)
        self.protocol.datagramReceived(b"", WORLD)
        self.assertEqual(
            linesOf(self.clock.advance, datagram.REPORT_INTERVAL),
            ["datagrams on 127.0.0.1:17: 2 answered, 1 no room"],
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.protocol.datagramReceived(b"", HOME)
        self.assertEqual(
            linesOf(self.protocol.doStop), ["datagrams on 127.0.0.1:17: 1 answered"]
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.protocol.counts, {"answered": 3, "no room": 1})
