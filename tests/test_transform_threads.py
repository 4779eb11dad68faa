"""
Tests of the long poems of L{fastpoetry.transform}, which are transformed in a thread.
"""

from __future__ import annotations

from twisted.logger import capturedLogs, formatEvent

from fastpoetry.transform import TransformService, proclaim
from fastpoetry.transformrequest import SHORT
from tests.transforms import (
    ANSWER,
    LONG_ANSWER,
    LONG_REQUEST,
    REQUEST,
    TransformTestCase,
    netstring,
)


class TransformThreadTests(TransformTestCase):
    """
    Tests of the thread of L{TransformFactory}.
    """

    def test_others(self) -> None:
        """
        While a long poem is transformed, short ones are answered.
        """
        wire = self.serve(LONG_REQUEST)
        self.assertEqual(len(self.threads.waiting), 1)
        self.assertAnswered(self.serve(REQUEST), ANSWER)
        self.assertEqual(wire.socket.held, b"")
        self.work(wire)
        self.assertAnswered(wire, LONG_ANSWER)

    def test_size(self) -> None:
        """
        Long is what is longer than a size, the name included.
        """
        for size, count in {SHORT: 0, SHORT + 1: 1}.items():
            wire = self.serve(netstring(b"proclaim." + b"a" * (size - 9)))
            self.assertEqual(len(self.threads.waiting), count)
            self.work(wire)
            self.assertAnswered(wire, netstring(b"A" * (size - 9)))

    def test_oneAtATime(self) -> None:
        """
        Long poems are transformed one after the other.
        """
        wires = [self.serve(LONG_REQUEST) for _ in range(2)]
        self.assertEqual(len(self.threads.waiting), 1)
        self.work(*wires)
        for wire in wires:
            self.assertAnswered(wire, LONG_ANSWER)

    def test_leavesBefore(self) -> None:
        """
        For a client that leaves before its turn nothing is transformed; the log says
        that it has got nothing.
        """
        asked: list[str] = []
        self.factory.service = TransformService({"cummingsify": asked.append})  # type: ignore[dict-item]
        first, second = self.serve(LONG_REQUEST), self.serve(LONG_REQUEST)
        with capturedLogs() as events:
            second.reset()
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["192.0.2.1:4321 got nothing: it reset the connection"],
        )
        first.reset()
        self.work()
        self.assertEqual(len(asked), 1)

    def test_leavesMeanwhile(self) -> None:
        """
        The answer of a client that leaves meanwhile is dropped, be it one or not, and
        the next one has its turn.
        """
        for request in (LONG_REQUEST, netstring(bytes(5000))):
            wire, other = self.serve(request), self.serve(LONG_REQUEST)
            wire.reset()
            self.assertEqual(len(self.threads.waiting), 1)
            with capturedLogs() as events:
                self.work(other)
            self.assertEqual(len(events), 1)
            self.assertAnswered(other, LONG_ANSWER)

    def test_stop(self) -> None:
        """
        A stop waits for a client whose poem is being transformed.
        """
        wire = self.serve(LONG_REQUEST)
        none = wire.connections.whenNone()
        self.work(wire)
        self.assertNoResult(none)
        self.assertAnswered(wire, LONG_ANSWER)
        self.successResultOf(none)

    def test_abort(self) -> None:
        """
        When its grace is over, it does not.
        """
        wire = self.serve(LONG_REQUEST)
        wire.connections.abort()
        wire.turn()
        self.assertEqual(wire.socket.end, "reset")
        self.work()

    def test_refused(self) -> None:
        """
        A long request is refused for the same reasons as a short one.
        """
        for payload, reason in {
            b"shorten." + b"a" * 5000: "no transform is called 'shorten'",
            b"a" * 5000: "it has no dot after the name",
            b"proclaim." + b"\xff" * 5000: "it is not UTF-8",
        }.items():
            with capturedLogs() as events:
                wire = self.serve(netstring(payload))
                self.work(wire)
            self.assertEqual(
                [formatEvent(event) for event in events],
                [f"refused a request of 192.0.2.1:4321: {reason}"],
            )
            self.assertAnswered(wire, b"")

    def test_noDeadline(self) -> None:
        """
        The time that a transform takes is not the client's.
        """
        wire = self.serve(LONG_REQUEST)
        self.reactor.advance(1000.0)
        self.work(wire)
        self.assertAnswered(wire, LONG_ANSWER)

    def test_halfClosed(self) -> None:
        """
        A client can half-close and talk on meanwhile.
        """
        wire = self.serve(LONG_REQUEST, b"more", b"")
        self.work(wire)
        wire.take()
        self.assertEqual(bytes(wire.socket.taken), LONG_ANSWER)

    def test_pieces(self) -> None:
        """
        Upper case is the same in pieces, and the end of one is nowhere special.
        """
        poem = "\u0149a\u0390\U00010428\ufb03\u03c3" * 30_000
        for start in range(6):
            self.assertEqual(proclaim(poem[start:]), poem[start:].upper())
