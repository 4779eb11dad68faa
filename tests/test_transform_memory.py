"""
Tests of how L{fastpoetry.transform} bounds the memory of requests and answers.
"""

from __future__ import annotations

import sys

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.capacity import Memory
from fastpoetry.transform import (
    EXPANSION,
    MAX_MEMORY,
    TRANSFORMS,
    TransformFactory,
    TransformService,
)
from fastpoetry.transformrequest import READ_SIZE, SHORT
from tests.transforms import (
    ANSWER,
    LIMIT,
    LONG,
    LONG_ANSWER,
    LONG_REQUEST,
    REQUEST,
    TransformTestCase,
    netstring,
)
from tests.wire import Wire

# The beginning of the longest request, after which the client waits.
BEGINNING = b"%d:proclaim." % LIMIT


class TransformMemoryTests(TransformTestCase):
    """
    Tests of the memory of L{TransformFactory}: there is some for two requests.
    """

    def fill(self) -> list[Wire]:
        """
        Have two clients take all the memory.
        """
        wires = [self.serve(BEGINNING) for _ in range(2)]
        self.assertEqual(self.memory.taken, self.memory.size)
        return wires

    def finish(self, wire: Wire) -> None:
        """
        Have a client that has sent L{BEGINNING} send the rest.
        """
        poem = b"a" * (LIMIT - len(b"proclaim."))
        wire.say(poem + b",")
        self.work(wire)
        self.assertAnswered(wire, netstring(poem.upper()))

    def test_waits(self) -> None:
        """
        A client for whom there is no memory is not read from until there is.
        """
        first, second = self.fill()
        third = self.serve(LONG_REQUEST)
        self.assertEqual(third.socket.heard, SHORT)
        self.assertFalse(third.isReading)
        first.reset()
        third.connections.doRead()
        self.assertEqual(third.socket.heard, SHORT + READ_SIZE)
        third.turn()
        self.work(third)
        self.assertAnswered(third, LONG_ANSWER)
        self.finish(second)

    def test_firstComeFirstServed(self) -> None:
        """
        Those who wait have their turns in the order in which they came.
        """
        wires = self.fill() + [self.serve(BEGINNING) for _ in range(4)]
        for number, wire in enumerate(wires):
            reading = [other.isReading for other in wires[number:]]
            self.assertEqual(reading, [at < 2 for at in range(6 - number)])
            self.finish(wire)

    def test_partsOfMany(self) -> None:
        """
        Many who have sent a part each do not keep each other waiting for ever, and
        there is never more memory in use than there is.
        """
        half = b"a" * (LIMIT // 2)
        wires = [self.serve(BEGINNING, half) for _ in range(30)]
        for wire in wires:
            wire.turn()
            self.assertLessEqual(self.memory.taken, self.memory.size)
            wire.say(half[len("proclaim.") :] + b",")
            self.work(wire)
            wire.take()
            self.assertTrue(bytes(wire.socket.taken).startswith(b"1048567:AAA"))
            wire.reset()

    def test_short(self) -> None:
        """
        A short request is not counted, and waits for nobody.
        """
        wires = self.fill()
        self.assertAnswered(self.serve(REQUEST), ANSWER)
        self.assertAnswered(
            self.ask("proclaim", b"a" * (SHORT - 9)), netstring(b"A" * (SHORT - 9))
        )
        stalled = self.ask("proclaim", b"a" * (SHORT - 9), capacity=10)
        self.assertEqual(self.memory.taken, self.memory.size)
        stalled.reset()
        for wire in wires:
            self.finish(wire)

    def test_timeStandsStill(self) -> None:
        """
        For a client that waits for memory the time stands still, in which it has to
        send something and in which it has to send everything.
        """
        self.memory.exchange(0, self.memory.size)
        wire = self.serve()
        self.reactor.advance(5.0)
        wire.say(BEGINNING)
        self.reactor.advance(1000.0)
        self.memory.exchange(self.memory.size, 0)
        for _ in range(3):
            self.reactor.advance(30.0)
            wire.say(b"more")
        self.reactor.advance(4.0)
        self.assertFalse(wire.gone)
        with capturedLogs() as events:
            self.reactor.advance(1.0)
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["gave up on 192.0.2.1:4321, whose request took longer than 100.0 seconds"],
        )

    def test_givenUp(self) -> None:
        """
        Those who keep others waiting have their deadline.
        """
        self.fill()
        third = self.serve(BEGINNING)
        self.reactor.pump([1.0] * 41)
        self.assertTrue(third.isReading)
        self.finish(third)

    def test_abort(self) -> None:
        """
        Whoever waits can be aborted, and keeps nobody waiting then.
        """
        wires = self.fill() + [self.serve(BEGINNING) for _ in range(3)]
        for wire in wires:
            wire.connections.abort()
        self.reactor.advance(0)
        self.assertEqual([wire.socket.end for wire in wires], ["reset"] * 5)
        first, second = self.fill()
        third = self.serve(BEGINNING)
        third.connections.abort()
        self.reactor.advance(0)
        first.reset()
        second.reset()
        self.assertEqual(self.memory.taken, 0)

    def test_refused(self) -> None:
        """
        Whoever is refused counts no more.
        """
        ends: list[bytes] = [
            b"\xff" * (LIMIT - 9) + b",",  # not UTF-8
            b"a" * (LIMIT - 9) + b";",  # no netstring
            b"",  # too early
        ]
        for end in ends:
            wire = self.serve(BEGINNING)
            self.assertEqual(self.memory.taken, EXPANSION * LIMIT)
            wire.say(end)
            self.work(wire)
            self.assertEqual(self.memory.taken, 0)
            self.assertEqual(wire.protocol._payload.getvalue(), b"")
            self.assertAnswered(wire, b"")

    def test_failed(self) -> None:
        """
        So does one whose transform fails.
        """
        self.factory.service = TransformService({"divide": lambda poem: str(1 // 0)})
        wire = self.ask("divide", LONG)
        self.assertEqual(self.memory.taken, 0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertAnswered(wire, b"")

    def test_answer(self) -> None:
        """
        An answer counts for what it is, until the kernel has all of it.
        """
        wire = self.ask("cummingsify", LONG, capacity=1000)
        self.assertEqual(self.memory.taken, len(LONG_ANSWER))
        wire.take(900)
        self.assertEqual(self.memory.taken, len(LONG_ANSWER))
        wire.socket.capacity = len(LONG_ANSWER)
        wire.turn()
        self.assertEqual(self.memory.taken, 0)
        self.assertAnswered(wire, LONG_ANSWER)

    def test_longAnswer(self) -> None:
        """
        An answer that is longer than what its request counted for counts, too, and
        others wait for longer.
        """
        self.factory.service = TransformService(
            {**TRANSFORMS, "often": lambda poem: poem * 10**6}
        )
        wire = self.ask("often", b"0123456789")
        self.assertEqual(self.memory.taken, len(b"10000000:,") + 10**7)
        other = self.serve(BEGINNING)
        self.assertFalse(other.isReading)
        wire.reset()
        self.finish(other)

    def test_nothingKept(self) -> None:
        """
        Of a request that has come, the protocol keeps nothing.
        """
        wire = self.ask("cummingsify", LONG, capacity=1000)
        kept = wire.protocol
        self.assertEqual((kept._remainingData, kept._payload.getvalue()), (b"", b""))
        wire.reset()

    def test_comesInAPause(self) -> None:
        """
        What comes though we do not read, as TLS may give it, is kept until there is
        memory, and so is the end.
        """
        for end in (LONG_REQUEST[SHORT:], b"more"):
            self.memory.exchange(0, self.memory.size)
            wire = self.serve(LONG_REQUEST[:SHORT])
            wire.protocol.dataReceived(end)
            wire.protocol.readConnectionLost()
            self.reactor.advance(1000.0)
            self.assertEqual(self.threads.waiting, [])
            self.assertIsNone(wire.socket.end)
            self.memory.exchange(self.memory.size, 0)
            self.assertFalse(wire.isReading)  # it has ended
            self.work(wire)
            wire.take()
            isWhole = end != b"more"
            answer = LONG_ANSWER if isWhole else b""
            self.assertEqual(bytes(wire.socket.taken), answer)
            wire.halfClose()
            wire.tick()

    def test_tooLittle(self) -> None:
        """
        Less memory than the longest request takes is refused: such a request would
        wait for ever.
        """
        error = self.assertRaises(
            ValueError,
            TransformFactory,
            TransformService(),
            maxLength=100,
            reactor=self.reactor,
            memory=Memory(299),
        )
        self.assertEqual(str(error), "less than 3 times 100 bytes of memory")


class ExpansionTests(SynchronousTestCase):
    """
    Tests of L{EXPANSION}.
    """

    def test_ours(self) -> None:
        """
        None of our transforms makes a letter longer than that.
        """
        for code in range(sys.maxunicode + 1):
            letter = chr(code)
            if not letter.isalpha():
                continue
            size = EXPANSION * len(letter.encode())
            for transform in TRANSFORMS.values():
                self.assertLessEqual(len(transform(letter).encode()), size, letter)

    def test_defaults(self) -> None:
        """
        By default there is memory for the longest request, however long it is.
        """
        for length, size in {10**6: MAX_MEMORY, 10**9: EXPANSION * 10**9}.items():
            factory = TransformFactory(TransformService(), maxLength=length)
            self.assertEqual(factory.memory.size, size)
