"""
Tests of how long L{fastpoetry.transform} waits for its clients.
"""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs, formatEvent

from fastpoetry.connection.connections import Connections
from tests.transforms import (
    ANSWER,
    LONG,
    LONG_ANSWER,
    LONG_REQUEST,
    REQUEST,
    TransformTestCase,
)
from tests.wire import PretendedEpoll, Wire

SENT_NOTHING = "which sent nothing for 40.0 seconds"


class DeadlineTests(TransformTestCase):
    """
    Tests of the clients of L{fastpoetry.transform.TransformProtocol} that get
    stuck.
    """

    def assertGivenUp(self, wire: Wire, did: str) -> None:
        """
        Assert that a client is aborted after the deadline, and not before, which
        the log says.
        """
        with capturedLogs() as events:
            self.reactor.pump([1.0] * 39)
            self.assertFalse(wire.gone)
            self.reactor.pump([1.0] * 11)
        self.assertEqual(wire.socket.end, "reset")
        self.assertEqual(
            [(event["log_level"], formatEvent(event)) for event in events],
            [
                (
                    LogLevel.warn,
                    f"gave up on 192.0.2.1:4321, {did}",
                )
            ],
        )

    def test_silent(self) -> None:
        """
        A client that never says a word is given up.
        """
        self.assertGivenUp(self.serve(), SENT_NOTHING)

    def test_fallsSilent(self) -> None:
        """
        So is one that stops in the middle of its request.
        """
        wire = self.serve(REQUEST[:5])
        self.reactor.pump([1.0] * 39)
        wire.say(REQUEST[5:9])
        self.assertGivenUp(wire, SENT_NOTHING)

    def test_slowToAsk(self) -> None:
        """
        A client may take its time as long as something comes.
        """
        wire = self.serve(REQUEST[:5])
        for start in (5, 10):
            self.reactor.pump([1.0] * 39)
            wire.say(REQUEST[start : start + 5])
        wire.say(REQUEST[15:])
        self.assertAnswered(wire, ANSWER)

    def test_tooSlowToAsk(self) -> None:
        """
        But all of the request has to come in its time from the connection on.
        """
        wire = self.serve()
        for byte in REQUEST[:20]:
            self.reactor.pump([1.0] * 3)
            wire.say(bytes([byte]))
        self.assertGivenUp(wire, "whose request took longer than 100.0 seconds")

    def test_silentFromTheStart(self) -> None:
        """
        With less time for all of it than for a silence, that counts.
        """
        self.factory.requestTimeout = 39.5
        self.assertGivenUp(self.serve(), "whose request took longer than 39.5 seconds")

    def test_slowAnswer(self) -> None:
        """
        The time of a request is over when it has come, not when it is answered.
        """
        wire = self.ask("cummingsify", LONG)
        self.assertEqual(self.reactor.getDelayedCalls(), [self.factory._next])
        for _ in range(4):
            self.reactor.pump([1.0] * 39)
            wire.take(1000)
        self.assertAnswered(wire, LONG_ANSWER)

    def test_stalled(self) -> None:
        """
        A client that takes nothing of its answer is given up.
        """
        wire = self.ask("cummingsify", LONG, capacity=1000)
        wire.take(10)
        got = f"it got 10 of {len(LONG_ANSWER)} bytes"
        self.assertGivenUp(wire, f"which took nothing for 40.0 seconds: {got}")

    def test_lastByte(self) -> None:
        """
        So is one that does not acknowledge the end of a short answer.
        """
        wire = self.serve(REQUEST)
        got = f"it got 0 of {len(ANSWER)} bytes"
        self.assertGivenUp(wire, f"which took nothing for 40.0 seconds: {got}")

    def test_talksOn(self) -> None:
        """
        What a client says after its request is no progress.
        """
        wire = self.ask("cummingsify", LONG, capacity=1000)
        for _ in range(40):
            self.assertFalse(wire.gone)
            wire.say(b"more")
            self.reactor.advance(1.0)
        self.reactor.pump([1.0] * 11)
        self.assertEqual(wire.socket.end, "reset")

    def test_slow(self) -> None:
        """
        A slow client is served to its end, however long it takes.
        """
        wire = self.ask("cummingsify", LONG)
        for _ in range(65):
            wire.take(len(LONG) // 64)
            self.reactor.pump([1.0] * 39)
        self.assertEqual(bytes(wire.socket.taken), LONG_ANSWER)
        self.assertEqual(wire.socket.end, "clean")


class StandingStillTests(TransformTestCase):
    """
    Tests of a process that stood still, and of what came meanwhile.
    """

    def setUp(self) -> None:
        """
        Have one set of connections for all clients.
        """
        super().setUp()
        self.connections = Connections(self.reactor, PretendedEpoll())

    def checkNothingLeft(self) -> None:
        """
        The connections have ended.
        """
        self.connections.close()
        super().checkNothingLeft()

    def connect(self, *said: bytes) -> Wire:
        """
        Connect a client that says something.
        """
        wire = Wire(self.factory, 2**22, self.connections)
        for data in said:
            wire.say(data)
        return wire

    def standStill(self, seconds: float) -> None:
        """
        Let a time go by at once.  In a reactor's turn, calls that are due come before
        what is read.
        """

        def turn() -> None:
            self.connections.doRead()
            if self.connections._epoll.poll(0):
                self.reactor.callLater(0, turn)

        self.reactor.callLater(seconds, turn)
        self.reactor.advance(seconds)

    def test_requests(self) -> None:
        """
        Whoever has sent all of its request meanwhile is answered, however many they
        are, and whichever deadline is over.
        """
        for seconds in (50.0, 200.0):
            wires = [self.connect(REQUEST[:5]) for _ in range(1100)]
            for wire in wires:
                wire.socket.said.append(REQUEST[5:])
            with capturedLogs() as events:
                self.standStill(seconds)
            warnings = [e for e in events if e["log_level"] is LogLevel.warn]
            self.assertEqual((len(events), warnings), (1100, []))
            for wire in wires:
                wire.reset()

    def test_longRequests(self) -> None:
        """
        So is one whose request takes more than one turn to read, and of which more
        has to come yet: the time in which we stood still does not count.
        """
        for isReadFirst in (False, True):
            wire = self.connect(LONG_REQUEST[:5000])
            pieces = range(5000, len(LONG_REQUEST), 2**16)
            *most, last = (LONG_REQUEST[at : at + 2**16] for at in pieces)
            wire.socket.said += most
            if isReadFirst:
                self.reactor.rightNow += 200.0
                wire.turn()
            else:
                self.standStill(200.0)
            self.reactor.pump([1.0] * 39)
            wire.say(last)
            self.work(wire)
            self.assertAnswered(wire, LONG_ANSWER)

    def test_nothingCame(self) -> None:
        """
        Whoever has sent nothing, or no more than a part, is given up after the time
        that it has left then.
        """
        silent, slow = self.connect(REQUEST[:5]), self.connect(REQUEST[:5])
        slow.socket.said.append(REQUEST[5:10])
        self.standStill(200.0)
        self.reactor.pump([1.0] * 39)
        self.assertIsNone(slow.socket.end)
        self.reactor.pump([1.0] * 121)
        for wire in (silent, slow):
            self.assertEqual(wire.socket.end, "reset")
