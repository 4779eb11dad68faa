"""
Tests of L{fastpoetry.server}: how it stops.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import unix
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase

from fastpoetry import server as serverModule
from fastpoetry.connection.connections import REPORT_INTERVAL, Connections
from fastpoetry.error import ListenError
from fastpoetry.listening import acceptor as acceptorModule
from fastpoetry.listening.acceptor import ACCEPTORS
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import PoetryServer
from tests.support import (
    BIG,
    ListeningReactor,
    StaticSource,
    noPermission,
    noSpace,
    socketPath,
)
from tests.wire import PretendedEpoll, Wire


def pretendedConnections(reactor: Any) -> Connections:
    """
    @return: connections for a L{Wire}.
    """
    return Connections(reactor, PretendedEpoll())


def connectWires(server: Any, count: int, ticks: int = 1) -> list[Wire]:
    """
    Connect readers of BIG to a server that has L{pretendedConnections}, and let them
    be in the middle of it.

    @param ticks: how often time goes on then.
    """
    wires = [
        Wire(server.factory, 1000, server._acceptor.connections) for _ in range(count)
    ]
    for _ in range(ticks):
        wires[0].tick()
    return wires


def finish(wire: Wire) -> None:
    """
    Let a reader have its whole poem.
    """
    wire.socket.capacity = len(BIG)
    wire.take()
    wire.halfClose()
    wire.tick()


class DrainTests(SynchronousTestCase):
    """
    Tests of how L{PoetryServer} stops.
    """

    def setUp(self) -> None:
        """
        Start a server with two readers in the middle of a poem.
        """
        self.patch(acceptorModule, "Connections", pretendedConnections)
        self.reactor = ListeningReactor()
        factory = PoetryFactory(StaticSource(BIG), 60.0, self.reactor)
        self.server = PoetryServer(
            "tcp:0:interface=127.0.0.1", factory, grace=7.0, reactor=self.reactor
        )
        self.server.startService()
        self.wires = connectWires(self.server, 2)
        self.addCleanup(self.checkNothingLeft)

    def checkNothingLeft(self) -> None:
        """
        After the stop nothing is scheduled, and nothing waited for.
        """
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.getReaders(), [])

    def stop(self) -> Deferred[Any]:
        """
        Stop, and let the port be closed.
        """
        stopped = self.server.stopService()
        self.reactor.advance(0)
        return stopped

    def ends(self) -> list[str | None]:
        """
        How each connection ended.
        """
        return [wire.socket.end for wire in self.wires]

    def test_allFinish(self) -> None:
        """
        The stop waits until every reader has its poem.
        """
        stopped = self.stop()
        self.assertFalse(self.server.running)
        finish(self.wires[0])
        self.assertNoResult(stopped)
        finish(self.wires[1])
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(self.ends(), ["clean", "clean"])

    def test_stoppedTwice(self) -> None:
        """
        Who stops it while it stops waits for the same readers.
        """
        first, second = self.stop(), self.server.stopService()
        finish(self.wires[0])
        self.assertNoResult(second)
        finish(self.wires[1])
        self.assertIsNone(self.successResultOf(first))
        self.assertIsNone(self.successResultOf(second))

    def test_graceInTheLog(self) -> None:
        """
        The log has the seconds of a grace with one digit, also of what is left of one.
        """
        self.server.grace = 6.9991402626037598
        with capturedLogs() as events:
            stopped = self.stop()
            self.reactor.pump([7.0, 0])
        self.successResultOf(stopped)
        lines = [formatEvent(event) for event in events]
        self.assertIn("aborting the readers left after 7.0 seconds: 2", lines)

    def test_secondSignal(self) -> None:
        """
        Readers that have everything when a second signal comes are not cut, also when
        the stop ends with them.
        """
        stopped = self.stop()
        for wire in self.wires:
            wire.socket.capacity = len(BIG)
            wire.take()
            wire.socket.said.append(b"")  # its end, which the server does not know yet
        self.assertNoResult(stopped)
        self.server.abort()
        self.successResultOf(stopped)
        self.assertEqual(self.ends(), ["clean", "clean"])

    def test_closedAtOnce(self) -> None:
        """
        A stop closes the port at once: who comes while other services stop is refused,
        and not let into a queue that is reset.
        """
        port: Any = self.server.port
        address = port.socket.getsockname()
        stopped = self.server.stopService()
        with socket.socket() as reader:
            self.assertRaises(ConnectionRefusedError, reader.connect, address)
        self.reactor.pump([7.0, 0])
        self.successResultOf(stopped)

    def test_startedAgain(self) -> None:
        """
        One that is started again while the last readers are waited for knows its new
        ones when these have gone.
        """
        self.stop()
        self.server.startService()
        later = connectWires(self.server, 1)
        for wire in self.wires:
            finish(wire)
        stopped = self.stop()
        self.assertNoResult(stopped)
        finish(later[0])
        self.assertIsNone(self.successResultOf(stopped))

    def test_nobodyThere(self) -> None:
        """
        With nobody to wait for, the stop ends at once.
        """
        for wire in self.wires:
            wire.reset()
        self.assertIsNone(self.successResultOf(self.stop()))

    def test_grace(self) -> None:
        """
        Who is not done after the grace gets a reset, never a clean end; then
        the stop ends.
        """
        left: list[int] = []
        connections = self.wires[0].connections
        stopped = self.stop().addCallback(lambda _: left.append(len(connections)))
        finish(self.wires[0])
        self.reactor.advance(6.9)
        self.assertEqual(self.ends(), ["clean", None])
        self.reactor.advance(0.1)
        self.reactor.advance(0)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(self.ends(), ["clean", "reset"])
        self.assertEqual(left, [0])

    def test_abort(self) -> None:
        """
        A stop can be cut short.
        """
        stopped = self.server.stopService()
        self.server.abort()
        self.reactor.advance(0)
        self.assertEqual(self.ends(), ["reset", "reset"])
        self.assertIsNone(self.successResultOf(stopped))

    def test_checkReaders(self) -> None:
        """
        At any time it can be asked to look at its readers: the log says who has begun,
        once, and who has left.
        """
        with capturedLogs() as events:
            (wire,) = connectWires(self.server, 1, ticks=0)
            self.wires[0].socket.broken = True
            self.server.checkReaders()
        self.assertEqual(
            [formatEvent(event) for event in events],
            [
                f"sending {len(BIG)} bytes of poetry to 192.0.2.1:4321",
                f"192.0.2.1:4321 got 0 of {len(BIG)} bytes: it reset the connection",
            ],
        )
        factory: Any = self.server.factory
        self.assertIn(wire.protocol, factory.watched)
        with capturedLogs() as events:
            wire.tick()
            stopped = self.stop()
            connectWires(self.server, 1, ticks=0)  # it is in the log at once
            self.server.checkReaders()
        self.assertEqual(str(list(map(formatEvent, events))).count("sending"), 1)
        self.reactor.pump([7.0, 0])
        self.successResultOf(stopped)

    def test_log(self) -> None:
        """
        While it waits, the log says for how many readers, and in the end how
        many are aborted.
        """
        with capturedLogs() as events:
            stopped = self.stop()
            finish(self.wires[0])
            self.reactor.pump([REPORT_INTERVAL, 7.0 - REPORT_INTERVAL, 0])
        self.successResultOf(stopped)
        self.assertEqual(
            [
                (event["log_level"], formatEvent(event))
                for event in events
                if event["log_namespace"].startswith(
                    ("fastpoetry.server", "fastpoetry.connection")
                )
            ],
            [
                (LogLevel.info, "stopping, readers in flight: 2"),
                (LogLevel.info, "stopping, readers in flight: 1"),
                (LogLevel.warn, "aborting the readers left after 7.0 seconds: 1"),
                (
                    LogLevel.info,
                    "served on tcp:0:interface=127.0.0.1: 1 whole, 1 aborted; "
                    "1048576 bytes",
                ),
            ],
        )


class UNIXTests(SynchronousTestCase):
    """
    Tests of L{PoetryServer} on a UNIX socket.
    """

    def setUp(self) -> None:
        """
        Start a server in a directory of its own.
        """
        self.patch(acceptorModule, "Connections", pretendedConnections)
        self.reactor = ListeningReactor()
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "socket")
        self.factory = PoetryFactory(StaticSource(BIG), 60.0, self.reactor)
        self.server = PoetryServer(
            f"unix:{self.path}", self.factory, reactor=self.reactor
        )
        self.server.startService()
        port: Any = self.server.port
        self.addCleanup(port.socket.close)
        self.addCleanup(ACCEPTORS.discard, self.server._acceptor)

    def test_failedStart(self) -> None:
        """
        When the process fails to start, the socket does not stay.
        """
        self.assertEqual(os.listdir(self.directory), ["socket"])
        self.server.abort()
        self.assertEqual(os.listdir(self.directory), [])
        self.assertIsNone(self.server.port)
        self.server.abort()

    def test_failedStartWithoutPrivileges(self) -> None:
        """
        When it cannot be removed, there is no error beside that of the start.
        """
        os.unlink(self.path)
        self.server.abort()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_cannotRemove(self) -> None:
        """
        When the socket cannot be removed at a stop, readers have their poems all
        the same.
        """
        (wire,) = connectWires(self.server, 1)
        self.patch(os, "unlink", noPermission)
        with capturedLogs() as events:
            stopped = self.server.stopService()
            self.reactor.advance(0)
        self.assertNoResult(stopped)
        self.assertIn(
            f"cannot remove the socket: unix:{self.path}: Permission denied",
            [formatEvent(event) for event in events],
        )
        finish(wire)
        self.successResultOf(stopped)
        self.assertEqual(wire.socket.end, "clean")


class UNIXPortOfTwistedTests(SynchronousTestCase):
    """
    Tests of a L{PoetryServer} whose endpoint opens a port of Twisted's own, and whose
    socket somebody removes.
    """

    def setUp(self) -> None:
        self.path = self.mktemp()
        self.reactor = ListeningReactor()
        factory = PoetryFactory(StaticSource(BIG), 60.0, self.reactor)
        self.server: Any = PoetryServer("unix:x", factory, reactor=self.reactor)

    def openPort(self, endpoint: object, factory: Any) -> Any:
        """
        Stands in for L{fastpoetry.listening.endpoint.openPort}.
        """
        port = unix.Port(self.path, factory, reactor=self.reactor)
        port.startListening()
        return port

    def test_goneAtStop(self) -> None:
        """
        When it is gone at a stop, readers have their poems all the same.
        """
        self.patch(acceptorModule, "Connections", pretendedConnections)
        self.patch(serverModule, "openPort", self.openPort)
        self.server.startService()
        (wire,) = connectWires(self.server, 1)
        os.unlink(self.path)
        stopped = self.server.stopService()
        self.assertNoResult(stopped)
        finish(wire)
        self.successResultOf(stopped)
        self.assertEqual(wire.socket.end, "clean")

    def test_goneAtFailedStart(self) -> None:
        """
        When it is gone by the time that a start fails, the start says why it does.
        """

        def openPort(endpoint: object, factory: Any) -> Any:
            port = self.openPort(endpoint, factory)
            os.unlink(self.path)
            return port

        self.patch(acceptorModule, "Connections", noSpace)
        self.patch(serverModule, "openPort", openPort)
        error = self.assertRaises(ListenError, self.server.startService)
        self.assertEqual(str(error), "No space left on device: unix:x")
        self.assertEqual(self.reactor.getReaders(), [])


class UNIXReaderTests(SynchronousTestCase):
    """
    Tests of what L{PoetryServer} says of real readers on a UNIX socket.
    """

    def test_whole(self) -> None:
        """
        Who has read everything by the end of the grace, or when the stop is cut short,
        is not counted as aborted.
        """
        for isCutShort in (False, True):
            path = socketPath(self.addCleanup)
            reactor = ListeningReactor()
            factory = PoetryFactory(StaticSource(b"poem"), reactor=reactor)
            server: Any = PoetryServer(
                f"unix:{path}", factory, grace=0.01, reactor=reactor
            )
            server.startService()
            with socket.socket(socket.AF_UNIX) as reader:
                reader.connect(path)
                stopped = server.stopService()
                reactor.advance(0)
                self.assertNoResult(stopped)
                self.assertEqual(reader.recv(100), b"poem")
                if isCutShort:
                    server.abort()
                else:
                    reactor.advance(server.grace)
                reactor.advance(0)
                self.successResultOf(stopped)
            self.assertEqual(str(factory.counts), "1 whole; 4 bytes")


class PortTests(TestCase):
    """
    Tests of L{PoetryServer} on a real port.
    """

    def test_serves(self) -> Any:
        """
        A server on a TCP port lets readers in as far as it has room, and those
        who wait when it stops are not forgotten.
        """
        from twisted.internet import reactor
        from twisted.internet.threads import deferToThread

        factory = PoetryFactory(StaticSource(BIG))
        server = PoetryServer("tcp:0:interface=127.0.0.1", factory, maxConnections=5)
        server.startService()
        assert server.port is not None
        address: Any = server.port.getHost()

        def read(reader: socket.socket) -> int:
            with reader:
                size = 0
                while data := reader.recv(2**16):
                    size += len(data)
                return size

        readers = [
            socket.create_connection((address.host, address.port), 60) for _ in range(3)
        ]

        results = [deferToThread(read, reader) for reader in readers]
        stopped = Deferred[Any]()
        reactor.callLater(0, lambda: server.stopService().chainDeferred(stopped))

        async def check() -> None:
            for result in results:
                self.assertEqual(await result, len(BIG))
            await stopped

        return Deferred.fromCoroutine(check())
