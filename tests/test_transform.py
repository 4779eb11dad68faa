"""
Tests of L{fastpoetry.transform}.
"""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.application.service import IService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
)
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from fastpoetry.connection.delivery import (
    FIN_TIMEOUT,
    READ_PAUSE,
    READ_QUOTA,
    SLOW_TICK,
)
from fastpoetry.interfaces import ITransformService
from fastpoetry.transform import (
    TRANSFORMS,
    TransformFactory,
    TransformService,
    UnknownTransform,
)
from fastpoetry.transformclient import LINGER, TransformError, TransformProxy
from tests.support import Reactor, Wire

REQUEST = b"27:cummingsify.HERE IS MY POEM,"
ANSWER = b"15:here is my poem,"

SENT_NOTHING = "sent nothing for 40.0 seconds"

# The longest request of the tests below, and what answers it.
LIMIT = 2**20
LONG = b"LINE\n" * 200_000
LONG_ANSWER = b"%d:%b," % (len(LONG), LONG.lower())

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


class ServedCase(SynchronousTestCase):
    """
    What the tests of the server's side share.
    """

    def setUp(self) -> None:
        """
        Start a clock; at the end nothing may be left on it, and nobody counted.
        """
        self.reactor = Reactor()
        self.factory = TransformFactory(
            TransformService(), 40.0, LIMIT, reactor=self.reactor
        )
        self.addCleanup(self.checkNothingLeft)

    def checkNothingLeft(self) -> None:
        """
        Every connection has an end, and takes everything with it.
        """
        self.reactor.pump([SLOW_TICK] * 3)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.reactor.getWriters(), [])

    def serve(self, *said: bytes, capacity: int = 2**22) -> Wire:
        """
        Connect a client that says something.
        """
        wire = Wire(self.factory, capacity)  # type: ignore[arg-type]
        for data in said:
            wire.say(data)
        return wire

    def ask(self, name: str, poem: bytes, capacity: int = 2**22) -> Wire:
        """
        Connect a client with a request.
        """
        payload = name.encode() + b"." + poem
        return self.serve(b"%d:%b," % (len(payload), payload), capacity=capacity)

    def assertAnswered(self, wire: Wire, answer: bytes) -> None:
        """
        Assert that a client gets an answer, whole, and the end of the line.
        """
        wire.take()
        self.assertEqual(bytes(wire.socket.taken), answer)
        self.assertEqual(wire.socket.end, "half")
        wire.halfClose()
        wire.tick()
        self.assertEqual(wire.socket.end, "clean")
        self.assertTrue(wire.gone)


class AnswerTests(ServedCase):
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
        a dose at a time.
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
        and there is no answer.
        """
        self.factory.service = TransformService({"lookup": lambda poem: {}[poem]})
        wire = self.ask("lookup", b"poem")
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertAnswered(wire, b"")

    def test_defaults(self) -> None:
        """
        By default the clock is that of the global reactor, and requests of up to
        1 MiB are taken.
        """
        from twisted.internet import reactor

        factory = TransformFactory(TransformService())
        self.assertIs(factory.reactor, reactor)
        self.assertEqual((factory.maxLength, factory.timeout), (2**20, 60.0))


class RefusalTests(ServedCase):
    """
    Tests of what L{fastpoetry.transform.TransformProtocol} does not answer.
    """

    def setUp(self) -> None:
        """
        Take short requests only.
        """
        super().setUp()
        self.factory.maxLength = 64

    def assertRefused(self, wire: Wire, events: list[Any], reason: str) -> None:
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
        What is no request is refused as soon as that can be seen.
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

    def test_stillSending(self) -> None:
        """
        What a client sends of a request that is too long is read for a while, so
        that it sees a clean end, not a reset; and it is not kept.
        """
        with capturedLogs() as events:
            wire = self.serve(b"1000000:cummingsify.", *[bytes(2**16)] * 3)
            wire.tick()
        self.assertEqual((wire.socket.said, wire.socket.end), ([], "half"))
        self.assertEqual(wire.protocol._remainingData, b"1000000:cummingsify.")
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


class DeadlineTests(ServedCase):
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
                    f"gave up on 192.0.2.1:4321, which {did}",
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
        wire = self.serve()
        for byte in REQUEST:
            wire.say(bytes([byte]))
            self.reactor.pump([1.0] * 39)
        self.assertAnswered(wire, ANSWER)

    def test_stalled(self) -> None:
        """
        A client that takes nothing of its answer is given up.
        """
        wire = self.ask("cummingsify", LONG, capacity=1000)
        wire.take(10)
        got = f"it got 10 of {len(LONG_ANSWER)} bytes"
        self.assertGivenUp(wire, f"took nothing for 40.0 seconds: {got}")

    def test_lastByte(self) -> None:
        """
        So is one that does not acknowledge the end of a short answer.
        """
        wire = self.serve(REQUEST)
        got = f"it got 0 of {len(ANSWER)} bytes"
        self.assertGivenUp(wire, f"took nothing for 40.0 seconds: {got}")

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


def netstring(payload: bytes) -> bytes:
    """
    @return: a netstring.
    """
    return b"%d:%b," % (len(payload), payload)


def judge(said: bytes, limit: int) -> bytes | None:
    """
    Say, in another way than the server does, what a client is to get.

    @return: the answer, or L{None} for none.
    """
    header = re.match(rb"(0|[1-9][0-9]*):", said)
    if header is None or int(header[1]) > limit:
        return None
    payload = said[header.end() :][: int(header[1])]
    if said[header.end() + int(header[1]) :][:1] != b",":
        return None
    found = re.match(rb"(cummingsify|proclaim|backwards)\.", payload)
    if found is None:
        return None
    try:
        poem = payload[found.end() :].decode()
    except UnicodeDecodeError:
        return None
    return netstring(TRANSFORMS[found[1].decode()](poem).encode())


NAMES = st.sampled_from([*map(str.encode, TRANSFORMS), b"", b"shorten"])
POEMS = st.one_of(st.text(max_size=30).map(str.encode), st.binary(max_size=30))
REQUESTS = st.builds(lambda name, poem: netstring(name + b"." + poem), NAMES, POEMS)
PIECES = st.one_of(
    REQUESTS,
    st.binary(max_size=40).map(netstring),
    st.binary(max_size=40),
    st.from_regex(rb"[0-9]{0,12}[:,.\n]{0,2}", fullmatch=True),
)
SAID = st.one_of(
    st.builds(bytes.__add__, REQUESTS, PIECES),
    st.lists(PIECES, max_size=3).map(b"".join),
    # A request with something in place of a part of it.
    st.builds(
        lambda request, start, other, size: (
            request[:start] + other + request[start + size :]
        ),
        REQUESTS,
        st.integers(0, 50),
        st.binary(max_size=3),
        st.integers(0, 3),
    ),
)
CUTS = st.lists(st.integers(0, 80), max_size=6).map(sorted)


def cut(said: bytes, cuts: list[int]) -> list[bytes]:
    """
    @return: the pieces between some places, none of them empty.
    """
    places = zip([0, *cuts], [*cuts, len(said)])
    return [said[start:stop] for start, stop in places if said[start:stop]]


class FuzzTests(SynchronousTestCase):
    """
    Tests of both sides with what nobody would say.
    """

    @settings(max_examples=500, derandomize=True, deadline=None)
    @given(SAID, CUTS, st.booleans())
    def test_server(self, said: bytes, cuts: list[int], closes: bool) -> None:
        """
        Whatever a client says, and in whatever pieces, it has the one right
        answer, or none and there is one warning; and the connection has an end.
        """
        reactor = Reactor()
        factory = TransformFactory(TransformService(), 40.0, 64, reactor=reactor)
        with capturedLogs() as events:
            wire = Wire(factory)  # type: ignore[arg-type]
            for piece in cut(said, cuts):
                wire.say(piece)
            if closes:
                wire.halfClose()
            wire.take()
            reactor.pump([10.0] * 5)
        answer = judge(said, 64)
        self.assertTrue(wire.gone)
        self.assertEqual(bytes(wire.socket.taken), answer or b"")
        warnings = [e for e in events if e["log_level"] == LogLevel.warn]
        isFine = answer is not None or (closes and not said)
        self.assertEqual(len(warnings), 0 if isFine else 1)
        self.assertEqual(len(events), 1 if answer is not None else len(warnings))
        self.assertEqual(reactor.getDelayedCalls(), [])
        self.assertEqual(reactor.getReaders(), [])

    @settings(max_examples=200, derandomize=True, deadline=None)
    @given(SAID, CUTS)
    def test_client(self, said: bytes, cuts: list[int]) -> None:
        """
        Whatever a server says, the client has the one right answer, or one error.
        """
        server = PlayedServer(maxLength=64)
        for piece in cut(said, cuts):
            if server.transport.end is None:
                server.protocol.dataReceived(piece)
        if server.transport.end is None:
            server.transport.lose(ConnectionDone())
        header = re.match(rb"(0|[1-9][0-9]?):", said)
        size = int(header[1]) if header else 65
        rest = said[header.end() :] if header else b""
        if size <= 64 and rest[size : size + 1] == b",":
            self.assertEqual(self.successResultOf(server.poem), rest[:size])
        else:
            self.failureResultOf(server.poem, TransformError)
        self.assertEqual(server.reactor.getDelayedCalls(), [])


class ServerTransport(StringTransport):
    """
    A connection to a server that is played by the test.

    @ivar holds: whether the server holds the connection when the client closes.

    @ivar end: how it ended.
    """

    protocol: Any
    holds = False
    end: str | None = None

    def loseConnection(self) -> None:
        """
        The client closes.
        """
        self.end = "clean"
        if not self.holds:
            self.lose(ConnectionDone())

    def abortConnection(self) -> None:
        """
        The client resets the connection.
        """
        self.end = "reset"
        self.lose(ConnectionAborted())

    def lose(self, error: Exception) -> None:
        """
        It is over.
        """
        self.end = self.end or "server"
        self.protocol.connectionLost(Failure(error))


class PlayedServer:
    """
    A server, played by the test, and a client that has asked it.
    """

    def __init__(
        self,
        name: str = "cummingsify",
        poem: bytes = b"HERE IS MY POEM",
        maxLength: int = 1000,
        connects: bool = True,
    ) -> None:
        self.reactor = Reactor()
        proxy = TransformProxy(
            TCP4ClientEndpoint(self.reactor, "192.0.2.1", 11000),
            timeout=20.0,
            connectTimeout=5.0,
            maxLength=maxLength,
            reactor=self.reactor,
        )
        self.poem: Deferred[bytes] = proxy.xform(name, poem)
        if connects:
            self.transport = ServerTransport()
            factory = self.reactor.tcpClients[0][2]
            self.protocol = factory.buildProtocol(None)
            self.transport.protocol = self.protocol
            self.protocol.makeConnection(self.transport)

    def say(self, data: bytes) -> None:
        """
        Say something to the client.
        """
        self.protocol.dataReceived(data)


class TransformProxyTests(SynchronousTestCase):
    """
    Tests of L{TransformProxy}.
    """

    def assertFails(self, server: PlayedServer, sentence: str) -> None:
        """
        Assert that the client has nothing but one sentence, and left nothing.
        """
        failure = self.failureResultOf(server.poem, TransformError)
        self.assertEqual(failure.getErrorMessage(), sentence)
        self.assertEqual(server.reactor.getDelayedCalls(), [])

    def assertPoem(self, server: PlayedServer, end: str) -> None:
        """
        Assert that the client has its poem, and left nothing.
        """
        self.assertEqual(self.successResultOf(server.poem), b"here is my poem")
        self.assertEqual(server.transport.end, end)
        self.assertEqual(server.reactor.getDelayedCalls(), [])

    def test_request(self) -> None:
        """
        The request is one netstring.
        """
        server = PlayedServer()
        self.assertEqual(server.transport.value(), REQUEST)
        server.poem.cancel()
        self.failureResultOf(server.poem, CancelledError)

    def test_answer(self) -> None:
        """
        The poem is there when the answer is, be the server about to close or not.
        """
        server = PlayedServer()
        for byte in ANSWER[:-1]:
            server.say(bytes([byte]))
        self.assertNoResult(server.poem)
        server.say(ANSWER[-1:])
        self.assertPoem(server, "clean")

    def test_answerAndMore(self) -> None:
        """
        What follows the answer is ignored.
        """
        server = PlayedServer()
        server.transport.holds = True
        server.say(ANSWER + b"x")
        server.say(ANSWER.upper())
        server.transport.lose(ConnectionDone())
        self.assertPoem(server, "clean")

    def test_holds(self) -> None:
        """
        A server that holds the connection after its answer is let go.
        """
        server = PlayedServer()
        server.transport.holds = True
        server.say(ANSWER)
        server.reactor.advance(LINGER)
        self.assertPoem(server, "reset")

    def test_resetAfterTheAnswer(self) -> None:
        """
        A whole answer is one however the connection ends.
        """
        server = PlayedServer()
        server.transport.holds = True
        server.say(ANSWER)
        server.transport.lose(ConnectionLost())
        self.assertPoem(server, "clean")

    def test_noAnswer(self) -> None:
        """
        A server that closes has refused.
        """
        server = PlayedServer()
        server.transport.lose(ConnectionDone())
        self.assertFails(server, "The server closed without an answer")

    def test_halfAnAnswer(self) -> None:
        """
        Half an answer is none.
        """
        server = PlayedServer()
        server.say(ANSWER[:-1])
        server.transport.lose(ConnectionDone())
        self.assertFails(server, "The server closed in the middle of its answer")

    def test_reset(self) -> None:
        """
        A connection that breaks is told from one that is closed.
        """
        server = PlayedServer()
        server.transport.lose(ConnectionLost("cable cut."))
        failure = self.failureResultOf(server.poem, TransformError)
        self.assertEqual(
            failure.getErrorMessage(),
            "The connection was lost: Connection to the other side was lost in a "
            "non-clean fashion: cable cut",
        )

    def test_malformed(self) -> None:
        """
        What is no netstring, or too long, is not waited for.
        """
        for answer in (b"x", b"1001:", b"1000000000:", b"1:xx"):
            server = PlayedServer()
            server.say(answer)
            self.assertEqual(server.transport.end, "reset")
            self.assertFails(
                server, "The answer is not a netstring of up to 1000 bytes"
            )

    def test_silent(self) -> None:
        """
        A server that says nothing for the deadline is given up.
        """
        server = PlayedServer()
        server.reactor.advance(19.0)
        server.say(ANSWER[:3])
        server.reactor.advance(19.0)
        self.assertNoResult(server.poem)
        server.reactor.advance(1.0)
        self.assertEqual(server.transport.end, "reset")
        self.assertFails(server, "The server sent nothing for 20.0 seconds")

    def test_cancel(self) -> None:
        """
        A request that is cancelled closes its connection.
        """
        server = PlayedServer()
        server.say(ANSWER[:3])
        server.poem.cancel()
        self.assertEqual(server.transport.end, "reset")
        self.failureResultOf(server.poem, CancelledError)
        self.assertEqual(server.reactor.getDelayedCalls(), [])

    def test_cancelConnecting(self) -> None:
        """
        A request can be cancelled before there is a connection.
        """
        server = PlayedServer(connects=False)
        server.poem.cancel()
        self.failureResultOf(server.poem, CancelledError)
        self.assertTrue(server.reactor.connectors[0].stoppedConnecting)
        self.assertEqual(server.reactor.getDelayedCalls(), [])

    def test_connectTimeout(self) -> None:
        """
        A connection that does not come is given up.
        """
        server = PlayedServer(connects=False)
        server.reactor.advance(5.0)
        self.assertTrue(server.reactor.connectors[0].stoppedConnecting)
        self.assertFails(server, "Cannot connect within 5.0 seconds")

    def test_cannotConnect(self) -> None:
        """
        The reason why there is no connection is told in a few words.
        """
        errors = {
            "Connection refused": ConnectionRefusedError(111, "Connection refused"),
            "DNS lookup failed: no such host": DNSLookupError("no such host"),
        }
        for reason, error in errors.items():
            server = PlayedServer(connects=False)
            factory = server.reactor.tcpClients[0][2]
            factory.clientConnectionFailed(None, Failure(error))
            self.assertFails(server, f"Cannot connect: {reason}")

    def test_cancelledEndpoint(self) -> None:
        """
        An endpoint that is cancelled by somebody else counts as cancelled.
        """

        class Cancelled:
            def connect(self, factory: object) -> Deferred[Any]:
                return Deferred()

        reactor = Reactor()
        poem = TransformProxy(
            Cancelled(),  # type: ignore[arg-type]
            reactor=reactor,
        ).xform("cummingsify", b"")
        poem.cancel()
        self.failureResultOf(poem, CancelledError)
        self.assertEqual(reactor.getDelayedCalls(), [])

    def test_badName(self) -> None:
        """
        What cannot be sent as a name is not: the server would take a part of it
        for one.
        """
        for name in ("a.b", "\ud800"):
            server = PlayedServer(name, connects=False)
            self.assertEqual(server.reactor.tcpClients, [])
            self.assertFails(server, f"Not the name of a transform: {name!r}")

    def test_globalReactor(self) -> None:
        """
        By default the clock is that of the global reactor.
        """
        from twisted.internet import reactor

        endpoint = TCP4ClientEndpoint(reactor, "192.0.2.1", 11000)
        self.assertIs(TransformProxy(endpoint)._reactor, reactor)
