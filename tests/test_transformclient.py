"""
Tests of L{fastpoetry.transformclient}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import (
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.transformclient import (
    ANSWER_CLOSE_TIMEOUT,
    TransformError,
    TransformProxy,
)
from tests.support import Reactor
from tests.transforms import ANSWER, REQUEST, PlayedServer, ServerTransport


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
        With something after it, an answer is none, in whatever pieces both come.
        """
        for pieces in ((ANSWER + b"x",), (ANSWER, b"\n"), (ANSWER[:5], ANSWER[5:] * 2)):
            server = PlayedServer()
            server.transport.holds = True
            for piece in pieces:
                server.say(piece)
            self.assertEqual(server.transport.end, "reset")
            self.assertFails(server, "The server sent more than its answer")
            server.say(b"more")

    def test_moreTooLate(self) -> None:
        """
        An answer does not wait for what might follow it.
        """
        server = PlayedServer()
        server.say(ANSWER)
        self.assertPoem(server, "clean")
        server.say(b"x")

    def test_holds(self) -> None:
        """
        A server that holds the connection after its answer is let go.
        """
        server = PlayedServer()
        server.transport.holds = True
        server.say(ANSWER)
        server.reactor.advance(ANSWER_CLOSE_TIMEOUT)
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

    def test_stoodStill(self) -> None:
        """
        A process that stood still first reads what has come meanwhile, each time, and
        be it the connection.
        """
        server = PlayedServer(connects=False)
        # In a reactor's turn, calls that are due come before what is read.
        server.reactor.callLater(1000.0, server.accept)
        server.reactor.advance(1000.0)
        for piece in (ANSWER[:3], ANSWER[3:]):
            server.reactor.callLater(1000.0, server.say, piece)
            server.reactor.advance(1000.0)
        self.assertPoem(server, "clean")

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

    def test_totalTimeout(self) -> None:
        """
        An answer that comes steadily, but not in time, is given up; the time that it
        takes to connect counts.
        """
        server = PlayedServer(connects=False, totalTimeout=10.0)
        server.reactor.advance(4.0)
        server.accept()
        for byte in ANSWER[:5]:
            server.reactor.advance(1.0)
            server.say(bytes([byte]))
        self.assertNoResult(server.poem)
        server.reactor.advance(1.0)
        self.assertEqual(server.transport.end, "reset")
        self.assertFails(server, "No whole answer in 10 seconds")

    def test_answerInTime(self) -> None:
        """
        A whole answer is kept, though the time for all of it ends before the server has
        closed the connection.
        """
        server = PlayedServer(totalTimeout=1.0)
        server.transport.holds = True
        server.say(ANSWER)
        self.assertLess(1.0, ANSWER_CLOSE_TIMEOUT)
        server.reactor.advance(1.0)
        self.assertNoResult(server.poem)
        server.reactor.advance(ANSWER_CLOSE_TIMEOUT - 1.0)
        self.assertPoem(server, "reset")

    def test_connectedTooLate(self) -> None:
        """
        A connection that is made although the request was given up is closed, and
        nothing is sent.
        """
        factories: list[Any] = []

        class Stubborn:
            def connect(self, factory: object) -> Deferred[Any]:
                factories.append(factory)
                return Deferred()

        endpoint: Any = Stubborn()
        poem = TransformProxy(endpoint, reactor=Reactor()).xform("cummingsify", b"")
        poem.cancel()
        self.failureResultOf(poem, CancelledError)
        transport = ServerTransport()
        transport.protocol = factories[0].buildProtocol(None)
        transport.protocol.makeConnection(transport)
        self.assertEqual(transport.end, "reset")
        self.assertEqual(transport.value(), b"")

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
            factory: Any = server.reactor.tcpClients[0][2]
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
