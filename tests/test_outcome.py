"""
Tests of L{fastpoetry.connection.outcome}, and of what the log says of readers who do
not get all of a poem.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection.connections import Connections
from fastpoetry.connection.outcome import Counts, Outcome, bytesTaken
from fastpoetry.endpoints.unixsocket import UNIXTransport
from fastpoetry.protocol import PoetryFactory
from tests.support import Reactor, StaticSource
from tests.wire import Wire

POEM = b"verse\n" * 100_000


class CountsTests(SynchronousTestCase):
    """
    Tests of L{Counts} and L{bytesTaken}.
    """

    def test_words(self) -> None:
        """
        The numbers in one line, those who have it all first.
        """
        counts = Counts()
        self.assertEqual(str(counts), "0 whole; 0 bytes")
        counts.addWhole(10)
        counts.addWhole(10)
        for outcome in (Outcome.RESET, Outcome.GAVE_UP, Outcome.RESET):
            counts.add(outcome, 3)
        self.assertEqual(str(counts), "2 whole, 1 gave up, 2 reset; 29 bytes")

    def test_taken(self) -> None:
        """
        What the reader's kernel has acknowledged is taken, without what TLS needs
        besides, and without the end.
        """
        for acknowledged, taken in (
            (0, 0),
            (90, 0),
            (150, 50),
            (1100, 1000),
            (1101, 1000),
        ):
            transport = SimpleNamespace(acknowledged=acknowledged, overhead=100)
            self.assertEqual(bytesTaken(transport, 1000), (taken, True))

    def test_unknown(self) -> None:
        """
        Where nobody knows that, it is no more than was handed to the kernel.
        """
        transport = SimpleNamespace(dataBuffer=b"x" * 700, offset=100)
        self.assertEqual(bytesTaken(transport, 1000), (400, False))
        self.assertEqual(bytesTaken(SimpleNamespace(offset=0), 1000), (1000, False))


class ReaderTests(SynchronousTestCase):
    """
    Tests of what is said and counted of a reader.
    """

    def setUp(self) -> None:
        """
        Serve a poem.
        """
        self.reactor: Any = Reactor()
        self.factory = PoetryFactory(StaticSource(POEM), 40.0, self.reactor)

    def serve(self, capacity: int = 1000) -> Wire:
        """
        @return: a reader in the middle of the poem.
        """
        wire = Wire(self.factory, capacity)
        wire.take(300)
        return wire

    def assertSaid(self, events: Sequence[LogEvent], line: str, counts: str) -> None:
        """
        Assert that the log has this line, and no other, and what is counted.
        """
        (event,) = (one for one in events if "bytes of poetry" not in formatEvent(one))
        self.assertEqual(event["log_level"], LogLevel.info)
        self.assertEqual(formatEvent(event), f"192.0.2.1:4321 got {line}")
        self.assertEqual(str(self.factory.counts), counts)

    def test_left(self) -> None:
        """
        A reader leaves when it says that it ends, and then goes.
        """
        with capturedLogs() as events:
            wire = self.serve()
            wire.halfClose()
            wire.reset()
            wire.take()
        self.assertSaid(
            events, "300 of 600000 bytes: it left", "0 whole, 1 left; 300 bytes"
        )

    def test_reset(self) -> None:
        """
        One that goes without a word has reset the connection.
        """
        with capturedLogs() as events:
            self.serve().reset()
        self.assertSaid(
            events,
            "300 of 600000 bytes: it reset the connection",
            "0 whole, 1 reset; 300 bytes",
        )

    def test_aborted(self) -> None:
        """
        Whom a stop cuts off is aborted.
        """
        with capturedLogs() as events:
            wire = self.serve()
            wire.connections.abort()
            wire.turn()
        self.assertSaid(
            events, "300 of 600000 bytes: aborted", "0 whole, 1 aborted; 300 bytes"
        )

    def test_failed(self) -> None:
        """
        An error of the protocol's is one, and has its traceback besides.
        """
        with capturedLogs() as events:
            wire = self.serve()
            wire.protocol.dataReceived = None
            wire.say(b"hello")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)
        self.assertSaid(
            [one for one in events if one["log_level"] is LogLevel.info],
            "300 of 600000 bytes: an error",
            "0 whole, 1 failed; 300 bytes",
        )

    def test_refused(self) -> None:
        """
        Of whom there was no poem for, there is a line already.
        """
        coming: Deferred[bytes] = Deferred()
        self.factory.source = StaticSource(coming)
        wire = Wire(self.factory)
        with capturedLogs() as events:
            coming.errback(ValueError("no poem"))
            wire.turn()
        (event,) = events
        self.assertEqual(formatEvent(event), "no poem for 192.0.2.1:4321: no poem")
        self.assertEqual(str(self.factory.counts), "0 whole, 1 refused; 0 bytes")

    def test_allButTheEnd(self) -> None:
        """
        A reader who has every byte when it goes, and only not the end, has it all.
        """
        self.factory.source = StaticSource(b"poem")
        with capturedLogs() as events:
            wire = Wire(self.factory)
            wire.socket.taken += wire.socket.held
            wire.reset()
            wire.tick()
        self.assertEqual([one for one in events if " got " in formatEvent(one)], [])
        self.assertEqual(str(self.factory.counts), "1 whole; 4 bytes")

    def test_whole(self) -> None:
        """
        Who has it all is counted, without a line.
        """
        with capturedLogs() as events:
            wire = self.serve(len(POEM))
            wire.take()
            wire.halfClose()
            wire.tick()
        self.assertEqual([one for one in events if " got " in formatEvent(one)], [])
        self.assertEqual(str(self.factory.counts), "1 whole; 600000 bytes")

    def test_title(self) -> None:
        """
        Where a process has several poems, each line says which.
        """
        self.factory = PoetryFactory(
            StaticSource(POEM), 40.0, self.reactor, title="ecstasy.txt"
        )
        with capturedLogs() as events:
            wire = self.serve()
            wire.tick()
            wire.reset()
        self.assertEqual(
            [formatEvent(event) for event in events],
            [
                "sending 600000 bytes of poetry to 192.0.2.1:4321 from ecstasy.txt",
                "192.0.2.1:4321 got 300 of 600000 bytes from ecstasy.txt: "
                "it reset the connection",
            ],
        )

    def test_printableTitle(self) -> None:
        """
        The log can write of a poem whose name is not UTF-8.
        """
        self.factory = PoetryFactory(
            StaticSource(ValueError("no p\udce9")),
            reactor=self.reactor,
            title="p\udce9.txt",
        )
        with capturedLogs() as events:
            Wire(self.factory)
        (event,) = events
        self.assertEqual(formatEvent(event), r"no poem for 192.0.2.1:4321: no p\xe9")
        self.assertEqual(self.factory.fromTitle, r" from p\xe9.txt")

    def test_gaveUp(self) -> None:
        """
        Who is given up is counted so.
        """
        self.serve()
        self.reactor.pump([1.0] * 51)
        self.assertEqual(str(self.factory.counts), "0 whole, 1 gave up; 300 bytes")

    def test_unix(self) -> None:
        """
        On a UNIX socket nobody knows what was read: the log says how much that is at
        the most.
        """
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        connections = Connections(self.reactor)
        protocol: Any = self.factory.buildProtocol(None)
        transport = UNIXTransport(ours, protocol, None, connections)
        connections.begin(transport)
        sent = transport.offset
        self.assertGreater(sent, 0)
        with capturedLogs() as events:
            theirs.close()
            connections.doRead()
        connections.close()
        line = f"None got at most {sent} of 600000 bytes: it reset the connection"
        self.assertIn(line, [formatEvent(event) for event in events])

    def test_otherTransports(self) -> None:
        """
        On a transport that knows nothing of it, it is what was written to it.
        """
        transport: Any = StringTransport()
        transport.offset, transport.loseWriteConnection = 0, lambda: None
        transport.socket = Wire(self.factory).socket
        for reason, why in (
            (ConnectionLost(), "reset"),
            (ConnectionAborted(), "aborted"),
        ):
            protocol: Any = self.factory.buildProtocol(None)
            protocol.makeConnection(transport)
            protocol.connectionLost(Failure(reason))
            self.assertIn(f"1 {why}", str(self.factory.counts))

    def test_endsByItself(self) -> None:
        """
        A transport that cannot half-close ends when it has sent everything.
        """
        transport: Any = StringTransport()
        transport.offset, transport.socket = 0, Wire(self.factory).socket
        protocol: Any = self.factory.buildProtocol(None)
        protocol.makeConnection(transport)
        self.assertTrue(transport.disconnecting)
        protocol.connectionLost()
        self.assertEqual(str(self.factory.counts), "1 whole; 600000 bytes")
