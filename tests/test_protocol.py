"""
Tests of L{fastpoetry.protocol.PoetryProtocol} over TCP.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection.delivery import CHECKS_PER_TIMEOUT, FIN_TIMEOUT
from fastpoetry.connection.factory import SLOW_TICK, TICK
from fastpoetry.connection.readquota import READ_PAUSE, READ_QUOTA
from fastpoetry.protocol import PoetryFactory
from tests.support import BIG, POEM, Reactor, StaticSource
from tests.wire import Wire


class ProtocolTests(SynchronousTestCase):
    """
    Tests of L{fastpoetry.protocol.PoetryProtocol} over TCP.
    """

    def setUp(self) -> None:
        """
        Start a clock; at the end nothing may be left on it, and nobody counted.
        """
        self.reactor = Reactor()
        self.factory = PoetryFactory(StaticSource(POEM), 40.0, self.reactor)
        self.addCleanup(self.checkNothingLeft)

    def assertLines(self, events: Sequence[LogEvent], line: str) -> None:
        """
        Assert that the log has one line, for information, about the reader.
        """
        self.assertEqual(
            [(event["log_level"], formatEvent(event)) for event in events],
            [(LogLevel.info, f"192.0.2.1:4321 {line}")],
        )

    def checkNothingLeft(self) -> None:
        """
        Every connection has an end, and takes everything with it.
        """
        self.reactor.pump([SLOW_TICK] * 3)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.reactor.getWriters(), [])

    def serve(self, poem: Any, capacity: int = 2**20) -> Wire:
        """
        Connect a reader.
        """
        self.factory.source = StaticSource(poem)
        return Wire(self.factory, capacity)

    def test_wholePoem(self) -> None:
        """
        A reader gets the bytes of the poem as they are, then the end.
        """
        wire = self.serve(POEM)
        wire.take()
        self.assertEqual(bytes(wire.socket.taken), POEM)
        self.assertEqual(wire.socket.end, "half")
        wire.halfClose()
        wire.tick()
        self.assertEqual(wire.socket.end, "clean")
        self.assertTrue(wire.gone)

    def test_emptyPoem(self) -> None:
        """
        An empty poem is an end without anything before it.
        """
        wire = self.serve(b"")
        self.assertEqual((wire.socket.taken, wire.socket.end), (b"", "half"))
        wire.halfClose()
        wire.tick()
        self.assertEqual(wire.socket.end, "clean")

    def test_log(self) -> None:
        """
        The log says how much is sent to whom.
        """
        with capturedLogs() as events:
            self.serve(POEM).reset()
        self.assertEqual(
            [formatEvent(event) for event in events if event.get("size")],
            [f"sending {len(POEM)} bytes of poetry to 192.0.2.1:4321"],
        )

    def test_poemLater(self) -> None:
        """
        A reader waits for a poem that is not there yet.
        """
        coming: Deferred[bytes] = Deferred()
        wire = self.serve(coming)
        self.assertEqual((wire.socket.held, wire.socket.end), (b"", None))
        coming.callback(POEM)
        wire.turn()
        wire.take()
        wire.halfClose()
        wire.tick()
        self.assertEqual(bytes(wire.socket.taken), POEM)

    def test_waitForThePoem(self) -> None:
        """
        However long the poem takes to come, a reader that waits for it is not
        given up, and has the whole deadline after that.
        """
        coming: Deferred[bytes] = Deferred()
        wire = self.serve(coming, capacity=1000)
        self.reactor.pump([1.0] * 100)
        coming.callback(BIG)
        self.reactor.pump([1.0] * 39)
        self.assertFalse(wire.gone)
        wire.take()
        wire.halfClose()
        wire.tick()
        self.assertEqual(bytes(wire.socket.taken), BIG)

    def test_leftBeforeThePoem(self) -> None:
        """
        When a reader leaves before the poem is there, its request is cancelled.
        """
        cancelled: list[Deferred[bytes]] = []
        coming: Deferred[bytes] = Deferred(cancelled.append)
        wire = self.serve(coming)
        with capturedLogs() as events:
            wire.reset()
        self.assertEqual(cancelled, [coming])
        self.assertLines(events, "got nothing: it reset the connection")

    def test_cancelledWithAPoem(self) -> None:
        """
        A source that answers a cancellation with a poem has come too late: nothing
        is sent.
        """
        coming: Deferred[bytes] = Deferred(lambda d: d.callback(POEM))
        wire = self.serve(coming)
        with capturedLogs() as events:
            wire.reset()
            wire.tick()
        self.assertLines(events, "got nothing: it reset the connection")

    def test_noPoem(self) -> None:
        """
        When there is no poem the reader gets a reset, which is not an empty
        poem, and the log has the reason in a line.
        """
        with capturedLogs() as events:
            wire = self.serve(RuntimeError("the dog ate it"))
        wire.turn()
        self.assertEqual(wire.socket.end, "reset")
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["no poem for 192.0.2.1:4321: the dog ate it"],
        )

    def test_sharedPoem(self) -> None:
        """
        However many readers stall, there is one copy of the poem.
        """
        wires = [self.serve(BIG, capacity=1000) for _ in range(3)]
        self.assertEqual({id(wire.transport.dataBuffer) for wire in wires}, {id(BIG)})
        for wire in wires:
            wire.reset()

    def test_inPieces(self) -> None:
        """
        A poem goes out as the reader takes it, however little at a time.
        """
        wire = self.serve(BIG, capacity=10007)
        while wire.socket.end is None:
            wire.take(5003)
        wire.take()
        wire.halfClose()
        wire.tick()
        self.assertEqual(bytes(wire.socket.taken), BIG)
        self.assertEqual(wire.socket.end, "clean")

    def test_talk(self) -> None:
        """
        What a reader says, at whatever time, is read and changes nothing.
        """
        wire = self.serve(BIG, capacity=100000)
        wire.say(b"GET / HTTP/1.0\r\n\r\n")
        wire.take(100000)
        wire.say(b"more")
        wire.take()
        wire.say(b"still here")
        wire.halfClose()
        wire.tick()
        self.assertEqual(bytes(wire.socket.taken), BIG)
        self.assertEqual(wire.socket.end, "clean")

    def test_flood(self) -> None:
        """
        A reader that floods is read a quota at a time, with pauses between.
        """
        wire = self.serve(BIG, capacity=1000)
        pauses = 0
        wire.socket.said = [b"x" * 65536] * 64
        wire.turn()
        while wire.socket.said:
            self.assertFalse(wire.isReading)
            self.assertEqual(len(wire.socket.said) * 65536 % READ_QUOTA, 0)
            pauses += 1
            self.reactor.advance(READ_PAUSE)
            wire.turn()
        self.assertEqual(pauses, 64 * 65536 // READ_QUOTA - 1)
        wire.take()
        self.reactor.advance(READ_PAUSE)
        wire.halfClose()
        wire.tick()
        self.assertEqual(bytes(wire.socket.taken), BIG)

    def test_goneInPause(self) -> None:
        """
        A connection that ends while its reader is held back leaves nothing.
        """
        wire = self.serve(BIG, capacity=1000)
        wire.socket.said = [b"x" * 65536] * 5
        wire.turn()
        wire.connections.abort()
        wire.turn()
        self.assertEqual(wire.socket.end, "reset")

    def test_halfCloseFirst(self) -> None:
        """
        A reader that half-closes before it reads gets the whole poem, and the
        connection ends as soon as its kernel has acknowledged all.
        """
        wire = self.serve(BIG, capacity=100000)
        wire.halfClose()
        wire.take(100000)
        while wire.socket.end is None:
            wire.take(100000)
        self.assertFalse(wire.gone)
        wire.socket.taken += wire.socket.held
        wire.socket.held.clear()
        self.reactor.pump([TICK] * 20)
        self.assertTrue(wire.gone)
        self.assertEqual(bytes(wire.socket.taken), BIG)
        self.assertEqual(wire.socket.end, "clean")

    def test_halfCloseAndSlow(self) -> None:
        """
        When both sides have ended, the checks for the last acknowledgement
        become rarer and rarer, and stop at the deadline.
        """
        wire = self.serve(POEM)
        wire.halfClose()
        checks: list[float] = []
        check = wire.protocol.check

        def count(now: float) -> None:
            checks.append(now)
            check(now)

        wire.protocol.check = count
        while not wire.gone:
            due = self.reactor.getDelayedCalls()[0].getTime()
            self.reactor.advance(due - self.reactor.seconds())
        del wire.protocol.check
        self.assertLess(len(checks), 30)
        self.assertEqual(wire.socket.end, "reset")

    def test_resetAfterHalfClose(self) -> None:
        """
        A reader that half-closes and then resets is forgotten at the next look,
        though neither end is heard of any more.
        """
        wire = self.serve(POEM)
        wire.halfClose()
        wire.reset()
        self.assertFalse(wire.gone)
        with capturedLogs() as events:
            wire.tick()
        self.assertTrue(wire.gone)
        self.assertLines(events, f"got 0 of {len(POEM)} bytes: it reset the connection")

    def test_neverCloses(self) -> None:
        """
        A reader that has taken the whole poem and does not close is let go,
        without a reset, after a while.
        """
        wire = self.serve(POEM)
        wire.take()
        wire.tick()
        self.reactor.advance(FIN_TIMEOUT - 2 * TICK)
        self.assertFalse(wire.gone)
        self.reactor.pump([SLOW_TICK] * 2)
        self.assertEqual(wire.socket.end, "clean")

    def test_lingerNeedsTheLastByte(self) -> None:
        """
        The time for the reader's end begins when it has acknowledged all.
        """
        wire = self.serve(POEM)
        for _ in range(len(POEM) - 1):
            wire.take(1)
            self.reactor.advance(FIN_TIMEOUT)
        self.assertFalse(wire.gone)
        wire.take()
        self.reactor.pump([40.0 / CHECKS_PER_TIMEOUT, FIN_TIMEOUT])
        self.assertEqual(wire.socket.end, "clean")

    def test_stalled(self) -> None:
        """
        A reader that takes nothing for the deadline is aborted, which it sees,
        and logged.
        """
        wire = self.serve(BIG, capacity=1000)
        wire.take(10)
        with capturedLogs() as events:
            self.reactor.pump([1.0] * 40)
            self.assertFalse(wire.gone)
            self.reactor.pump([1.0] * 11)
        self.assertEqual(wire.socket.end, "reset")
        (event,) = events
        self.assertEqual(event["log_level"], LogLevel.warn)
        self.assertEqual(
            formatEvent(event),
            "gave up on 192.0.2.1:4321, which took nothing for 40.0 seconds: "
            f"it got 10 of {len(BIG)} bytes",
        )

    def test_neverStarted(self) -> None:
        """
        A reader that never takes a byte is aborted, too.
        """
        wire = self.serve(BIG, capacity=1000)
        self.reactor.pump([1.0] * 51)
        self.assertEqual(wire.socket.end, "reset")

    def test_slow(self) -> None:
        """
        A slow reader is served to its end, however long it takes, though the
        kernel takes nothing new from the server for far longer than the
        deadline.
        """
        wire = self.serve(BIG, capacity=len(BIG))
        for _ in range(64):
            wire.take(len(BIG) // 64)
            self.reactor.pump([1.0] * 39)
        wire.halfClose()
        wire.tick()
        self.assertEqual(bytes(wire.socket.taken), BIG)
        self.assertEqual(wire.socket.end, "clean")

    def test_processEnds(self) -> None:
        """
        If the process were to end, and its sockets with it, the reader of half a
        poem would get a reset, and the reader of all of it a clean end.
        """
        half = self.serve(BIG, capacity=1000)
        half.socket.close()
        self.assertEqual(half.socket.seen, "reset")
        whole = self.serve(POEM)
        whole.socket.close()
        whole.socket.taken += whole.socket.held
        whole.socket.held.clear()
        self.assertEqual(whole.socket.seen, "clean")
        for wire in (half, whole):
            wire.transport.connectionLost(Failure(ConnectionDone()))

    def test_noCycle(self) -> None:
        """
        A connection that is gone is forgotten at once, with its poem, though it
        was looked at and its reader was held back.
        """
        wire = self.serve(BIG, capacity=1000)
        wire.socket.said = [b"x" * 65536] * 5
        wire.turn()
        self.reactor.pump([READ_PAUSE, 10.0])
        wire.turn()
        protocol = weakref.ref(wire.protocol)
        wire.reset()
        gc.disable()
        self.addCleanup(gc.enable)
        del wire
        self.assertIsNone(protocol())

    def test_abort(self) -> None:
        """
        A connection that is aborted in the middle ends in a reset.
        """
        wire = self.serve(BIG, capacity=1000)
        wire.connections.abort()
        wire.turn()
        self.assertEqual(wire.socket.end, "reset")

    def test_checkFails(self) -> None:
        """
        An error in the check of one delivery costs that connection, and no other
        its check.
        """
        wires = [self.serve(POEM) for _ in range(3)]
        for wire in wires:
            wire.take()
            wire.halfClose()

        def check(now: float) -> None:
            raise ZeroDivisionError

        wires[1].protocol.check = check
        wires[0].tick()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual([wire.gone for wire in wires], [True] * 3)

    def test_leavesInTheMiddle(self) -> None:
        """
        Of a reader that leaves in the middle a line says how far it got.
        """
        wire = self.serve(BIG, capacity=1000)
        wire.take(300)
        with capturedLogs() as events:
            wire.reset()
        self.assertTrue(wire.gone)
        self.assertLines(
            events, f"got 300 of {len(BIG)} bytes: it reset the connection"
        )
