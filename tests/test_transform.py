"""
Tests of L{fastpoetry.transform}: its table, and what it answers and refuses.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.application.service import IService
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from fastpoetry.connection.delivery import FIN_TIMEOUT
from fastpoetry.connection.readquota import READ_PAUSE, READ_QUOTA
from fastpoetry.interfaces import ITransformService
from fastpoetry.transform import (
    TRANSFORMS,
    TransformFactory,
    TransformService,
    UnknownTransform,
)
from tests.transforms import (
    ANSWER,
    LIMIT,
    LONG,
    LONG_ANSWER,
    REQUEST,
    TransformTestCase,
)
from tests.wire import Wire

# Requests of at most 64 bytes; why each is refused.
REFUSED = {
    b"9:shorten.X,": "no transform is called 'shorten'",
    b"2:.X,": "no transform is called ''",
    b"13:Cummingsify.X,": "no transform is called 'Cummingsify'",
    b"60:" + b"a\n{x}" * 11 + b".bcde,": (
        "no transform is called "
        r"'a\n{x}a\n{x}a\n{x}a\n{x}a\n{x}a\n{x}a\n{x}a\n{x}'"
    ),
    b"11:cummingsify,": "it has no dot after the name",
    b"0:,": "it has no dot after the name",
    b"13:cummingsify.\xff,": "it is not UTF-8",
    b"15:cummingsify.\xed\xa0\x80,": "it is not UTF-8",
    b"13:\xffummingsify.X,": "it is not UTF-8",
    b"13:cummingsify.X;": "it is not a netstring of up to 64 bytes",
    b"12:cummingsify.X,": "it is not a netstring of up to 64 bytes",
    b"65:": "it is not a netstring of up to 64 bytes",
    b"65:cummingsify.": "it is not a netstring of up to 64 bytes",
    b"1000000000:cummingsify.": "it is not a netstring of up to 64 bytes",
    b"9" * 6000: "it is not a netstring of up to 64 bytes",
    b"013:cummingsify.X,": "it is not a netstring of up to 64 bytes",
    b"-1:,": "it is not a netstring of up to 64 bytes",
    b":": "it is not a netstring of up to 64 bytes",
    b"5\n": "it is not a netstring of up to 64 bytes",
    b"GET / HTTP/1.0\r\n\r\n": "it is not a netstring of up to 64 bytes",
}


class TransformServiceTests(SynchronousTestCase):
    """
    Tests of L{TransformService}.
    """

    def test_interfaces(self) -> None:
        """
        It is a service that transforms.
        """
        for interface in (IService, ITransformService):
            verifyObject(interface, TransformService())

    def test_transforms(self) -> None:
        """
        Each name of the table stands for its function.
        """
        poem = "One, \xc9t\xe9.\r\nTwo\n"
        service = TransformService()
        results = {name: service.transform(name, poem) for name in TRANSFORMS}
        self.assertEqual(
            results,
            {
                "cummingsify": "one, \xe9t\xe9.\r\ntwo\n",
                "proclaim": "ONE, \xc9T\xc9.\r\nTWO\n",
                "backwards": "Two\nOne, \xc9t\xe9.\r\n",
            },
        )

    def test_backwards(self) -> None:
        """
        Only what ends in a newline has one at its end when it is turned round.
        """
        poems = ["", "\n", "a", "a\n", "a\nb", "a\n\nb\n"]
        self.assertEqual(
            [TransformService().transform("backwards", poem) for poem in poems],
            ["", "\n", "a", "a\n", "b\na", "b\n\na\n"],
        )

    def test_noDot(self) -> None:
        """
        No name has a dot in it, where the poem would begin.
        """
        for name in TRANSFORMS:
            self.assertNotIn(".", name)

    def test_unknown(self) -> None:
        """
        A name that is not in the table is an error of its own.
        """
        error = self.assertRaises(
            UnknownTransform, TransformService().transform, "shorten", "poem"
        )
        self.assertEqual(str(error), "shorten")

    def test_otherTable(self) -> None:
        """
        A service can have a table of its own.
        """
        service = TransformService({"twice": lambda poem: poem * 2})
        self.assertEqual(service.transform("twice", "ha"), "haha")
        self.assertRaises(UnknownTransform, service.transform, "cummingsify", "HA")


class AnswerTests(TransformTestCase):
    """
    Tests of how L{fastpoetry.transform.TransformProtocol} answers.
    """

    def test_answer(self) -> None:
        """
        A client gets its poem transformed, in a netstring, then the end.
        """
        self.assertAnswered(self.serve(REQUEST), ANSWER)

    def test_byteByByte(self) -> None:
        """
        A request may come in pieces, however small.
        """
        wire = self.serve(*(bytes([byte]) for byte in REQUEST))
        self.assertAnswered(wire, ANSWER)

    def test_dots(self) -> None:
        """
        The name ends at the first dot; those of the poem belong to it.
        """
        self.assertAnswered(self.ask("proclaim", b".a.b."), b"5:.A.B.,")

    def test_emptyPoem(self) -> None:
        """
        An empty poem has an answer.
        """
        self.assertAnswered(self.ask("proclaim", b""), b"0:,")

    def test_utf8(self) -> None:
        """
        The answer's length is that in bytes, which may not be the request's.
        """
        answer = "3\u0399\u0308\u0301".encode()
        self.assertAnswered(
            self.ask("proclaim", "3\u0390".encode()),
            b"%d:%b," % (len(answer), answer),
        )
        self.assertEqual(len(answer), 7)

    def test_longest(self) -> None:
        """
        The longest request that is allowed is answered.
        """
        poem = b"A" * (LIMIT - len("cummingsify."))
        wire = self.ask("cummingsify", poem)
        self.assertAnswered(wire, b"%d:%b," % (len(poem), poem.lower()))

    def test_halfClosed(self) -> None:
        """
        A client that half-closes after its request has its answer all the same.
        """
        wire = self.serve(capacity=1000)
        wire.socket.said = [REQUEST, b""]
        wire.turn()
        self.assertFalse(wire.gone)
        wire.take()
        wire.tick()
        self.assertEqual(bytes(wire.socket.taken), ANSWER)
        self.assertEqual(wire.socket.end, "clean")

    def test_halfClosedBeforeItTook(self) -> None:
        """
        A client that half-closes is held until it has acknowledged everything, for
        as long as the deadline.
        """
        wire = self.serve(REQUEST)
        wire.halfClose()
        self.reactor.pump([1.0] * 39)
        self.assertFalse(wire.gone)
        self.reactor.pump([1.0] * 11)
        self.assertEqual(wire.socket.end, "reset")

    def test_log(self) -> None:
        """
        The log says how much is sent to whom, and how it came about.
        """
        with capturedLogs() as events:
            self.serve(REQUEST).reset()
        (event,) = events
        self.assertEqual(
            formatEvent(event),
            "sending 15 bytes of poetry to 192.0.2.1:4321, transformed by cummingsify",
        )

    def test_neverCloses(self) -> None:
        """
        A client that has its answer and does not close is let go, without a
        reset, after a while.
        """
        wire = self.serve(REQUEST)
        wire.take()
        wire.tick()
        self.reactor.advance(FIN_TIMEOUT / 2)
        self.assertFalse(wire.gone)
        self.reactor.advance(FIN_TIMEOUT)
        self.assertEqual(wire.socket.end, "clean")

    def test_oneAnswer(self) -> None:
        """
        What follows a request is no other request, be it one or not.
        """
        for more in (REQUEST, b"0:," * 1000, b"garbage"):
            self.assertAnswered(self.serve(REQUEST + more), ANSWER)
            self.assertAnswered(self.serve(REQUEST, more), ANSWER)

    def test_goesOnTalking(self) -> None:
        """
        A client that goes on talking has its whole answer, and costs no more than
        a quota at a time.
        """
        wire = self.ask("cummingsify", LONG, capacity=1000)
        wire.socket.said = [bytes(2**16)] * 16
        wire.turn()
        self.assertEqual(len(wire.socket.said), 16 - READ_QUOTA // 2**16)
        self.reactor.advance(READ_PAUSE)
        wire.turn()
        self.assertEqual(len(wire.socket.said), 16 - 2 * READ_QUOTA // 2**16)
        wire.take()
        while wire.socket.said:
            self.reactor.advance(READ_PAUSE)
            wire.turn()
        self.reactor.advance(READ_PAUSE)
        self.assertAnswered(wire, LONG_ANSWER)

    def test_flood(self) -> None:
        """
        What follows a request is read in large pieces.
        """
        wire = self.serve(REQUEST)
        wire.tick()  # until then it is not read
        wire.socket.said = [bytes(2**16)]
        wire.connections.doRead()
        self.assertEqual(wire.socket.heard, len(REQUEST) + 2**16)
        wire.reset()

    def test_leavesInAPause(self) -> None:
        """
        A client can go while the server takes a rest from reading.
        """
        wire = self.serve(REQUEST, *[bytes(2**16)] * (READ_QUOTA // 2**16))
        wire.socket.broken = True
        wire.tick()
        self.assertTrue(wire.gone)
        wire = self.serve(REQUEST, *[bytes(2**16)] * (READ_QUOTA // 2**16))
        wire.transport.abortConnection()
        self.reactor.advance(0)

    def test_abort(self) -> None:
        """
        Whether a client asks yet or has its answer coming: it can be aborted.
        """
        for wire in (self.ask("cummingsify", LONG, capacity=1000), self.serve(b"5")):
            wire.connections.abort()
            wire.turn()
            self.assertEqual(wire.socket.end, "reset")

    def test_ownMistake(self) -> None:
        """
        The error of a transform is not taken for one of the client's: it is logged,
        there is no answer, and it is counted.
        """
        poems: dict[str, str] = {}
        self.factory.service = TransformService({"lookup": poems.__getitem__})
        wire = self.ask("lookup", b"poem")
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertAnswered(wire, b"")
        self.assertEqual(str(self.factory.counts), "0 whole, 1 failed; 0 bytes")

    def test_defaults(self) -> None:
        """
        By default the clock is that of the global reactor, and requests of up to
        1 MiB are taken.
        """
        from twisted.internet import reactor

        factory = TransformFactory(TransformService())
        self.assertIs(factory.reactor, reactor)
        self.assertEqual((factory.maxLength, factory.timeout), (2**20, 60.0))


class RefusalTests(TransformTestCase):
    """
    Tests of what L{fastpoetry.transform.TransformProtocol} does not answer.
    """

    def setUp(self) -> None:
        """
        Take short requests only.
        """
        super().setUp()
        self.factory.maxLength = 64

    def assertRefused(
        self, wire: Wire, events: Sequence[LogEvent], reason: str
    ) -> None:
        """
        Assert that a client has no answer, but a clean end, and that the log says
        why in one warning.
        """
        self.assertEqual(wire.socket.held, b"")
        self.assertEqual(
            [(event["log_level"], formatEvent(event)) for event in events],
            [(LogLevel.warn, f"refused a request of 192.0.2.1:4321: {reason}")],
        )

    def test_refused(self) -> None:
        """
        What is no request is refused as soon as that can be seen, and counted.
        """
        for request, reason in REFUSED.items():
            with capturedLogs() as events:
                wire = self.serve(request)
                self.assertEqual(wire.socket.end, "half", request)
                wire.say(REQUEST)
                wire.halfClose()
                wire.tick()
            self.assertRefused(wire, events, reason)
            self.assertEqual(wire.socket.end, "clean")
        counts = f"0 whole, {len(REFUSED)} refused; 0 bytes"
        self.assertEqual(str(self.factory.counts), counts)

    def test_quiet(self) -> None:
        """
        A health check that is refused is not counted.
        """
        with capturedLogs():
            wire = self.serve()
            wire.protocol.isQuiet = True
            wire.say(b":")
            wire.halfClose()
            wire.tick()
        self.assertEqual(wire.socket.end, "clean")
        self.assertEqual(str(self.factory.counts), "0 whole; 0 bytes")

    def test_stillSending(self) -> None:
        """
        What a client sends of a request that is too long is read for a while, so
        that it sees a clean end, not a reset; and it is not kept.
        """
        with capturedLogs() as events:
            wire = self.serve(b"1000000:cummingsify.", *[bytes(2**16)] * 3)
            wire.tick()
        self.assertEqual((wire.socket.said, wire.socket.end), ([], "half"))
        self.assertEqual(wire.protocol._remainingData, b"")
        self.assertRefused(wire, events, "it is not a netstring of up to 64 bytes")
        self.reactor.pump([FIN_TIMEOUT] * 2)
        self.assertEqual(wire.socket.end, "clean")

    def test_endsTooEarly(self) -> None:
        """
        A client that ends in the middle of its request is refused.
        """
        for beginning in (b"2", b"27:", REQUEST[:-1]):
            with capturedLogs() as events:
                wire = self.serve(beginning, b"")
                wire.tick()
            self.assertRefused(wire, events, "it ends too early")
            self.assertEqual(wire.socket.end, "clean")

    def test_onlyLooked(self) -> None:
        """
        A client that asks for nothing is not worth a line: monitoring does so.
        """
        with capturedLogs() as events:
            wire = self.serve(b"")
        self.assertEqual((wire.socket.end, events), ("clean", []))

    def test_leaves(self) -> None:
        """
        Nor is one that goes in the middle without a word.
        """
        with capturedLogs() as events:
            wire = self.serve(REQUEST[:5])
            wire.reset()
        self.assertTrue(wire.gone)
        self.assertEqual(events, [])
