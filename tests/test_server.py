"""
Tests of L{fastpoetry.server}.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.application.service import IService
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.testing import RaisingMemoryReactor
from twisted.internet.unix import Port as UNIXPort
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from fastpoetry import server as serverModule
from fastpoetry.error import ListenError
from fastpoetry.interfaces import IAbortable
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import REPORT, PoetryServer
from tests.support import Reactor, StaticSource, Wire

BIG = b"x" * 2**20


class ListenTests(SynchronousTestCase):
    """
    Tests of how L{PoetryServer} starts.
    """

    def makeServer(self, description: str, reactor: Any) -> PoetryServer:
        """
        Make a server.
        """
        factory = PoetryFactory(StaticSource(b"poem"), reactor=reactor)
        return PoetryServer(description, factory, reactor=reactor)

    def assertRefused(self, description: str, reactor: Any) -> str:
        """
        Assert that a server cannot start.

        @return: why.
        """
        server = self.makeServer(description, reactor)
        error = self.assertRaises(ListenError, server.startService)
        self.assertFalse(server.running)
        self.assertIsNone(server.port)
        return str(error)

    def test_interfaces(self) -> None:
        """
        It is a service that can be aborted.
        """
        server = self.makeServer("tcp:17", Reactor())
        for interface in (IService, IAbortable):
            verifyObject(interface, server)

    def test_privileged(self) -> None:
        """
        The port is opened while the process has its privileges, once.
        """
        reactor = Reactor()
        server = self.makeServer("tcp:17:interface=127.0.0.1", reactor)
        server.privilegedStartService()
        server.startService()
        self.assertTrue(server.running)
        self.assertEqual(reactor.tcpServers, [(17, server.factory, 50, "127.0.0.1")])

    def test_unprivileged(self) -> None:
        """
        The port is opened, too, by a runner that does not start services with
        privileges first.
        """
        reactor = Reactor()
        self.makeServer("tcp:17", reactor).startService()
        self.assertEqual(len(reactor.tcpServers), 1)

    def test_globalReactor(self) -> None:
        """
        By default the server listens with the global reactor.
        """
        from twisted.internet import reactor

        server = PoetryServer("tcp:17", PoetryFactory(StaticSource(b"")))
        self.assertIs(server.reactor, reactor)

    def test_malformed(self) -> None:
        """
        What is no description of an endpoint cannot be listened on.
        """
        reason = self.assertRefused("nonsense:17", Reactor())
        self.assertTrue(reason.startswith("Not an endpoint: nonsense:17 ("), reason)

    def test_cannotListen(self) -> None:
        """
        The reason why a port cannot be opened is told with its description.
        """
        error = CannotListenError("", 17, OSError(13, "Permission denied"))
        self.assertEqual(
            self.assertRefused("tcp:17", RaisingMemoryReactor(listenException=error)),
            "Permission denied: tcp:17",
        )

    def test_otherError(self) -> None:
        """
        The same holds for errors that are not about the port as such.
        """
        error = OverflowError("port must be 0-65535.")
        self.assertEqual(
            self.assertRefused(
                "tcp:70000", RaisingMemoryReactor(listenException=error)
            ),
            "port must be 0-65535: tcp:70000",
        )

    def test_listensLater(self) -> None:
        """
        An endpoint that cannot tell at once whether it listens is refused: the
        daemon might live on without it.
        """
        cancelled: list[object] = []

        class Later:
            def listen(self, factory: object) -> Deferred[Any]:
                return Deferred(cancelled.append)

        self.patch(serverModule, "parseEndpoint", lambda *_: Later())
        self.assertEqual(
            self.assertRefused("later:", Reactor()),
            "Cannot tell at once if it listens: later:",
        )
        self.assertEqual(len(cancelled), 1)

    def test_stopUnstarted(self) -> None:
        """
        A server that never started has nothing to stop.
        """
        server = self.makeServer("tcp:17", Reactor())
        self.assertIsNone(self.successResultOf(server.stopService()))


class DrainTests(SynchronousTestCase):
    """
    Tests of how L{PoetryServer} stops.
    """

    def setUp(self) -> None:
        """
        Start a server with two readers in the middle of a poem.
        """
        self.reactor = Reactor()
        factory = PoetryFactory(StaticSource(BIG), 60.0, self.reactor)
        self.server = PoetryServer("tcp:17", factory, grace=7.0, reactor=self.reactor)
        self.server.startService()
        self.wires = [Wire(factory, capacity=1000) for _ in range(2)]
        self.addCleanup(self.checkNothingLeft)

    def checkNothingLeft(self) -> None:
        """
        After the stop nothing is scheduled.
        """
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def ends(self) -> list[str | None]:
        """
        How each connection ended.
        """
        return [wire.socket.end for wire in self.wires]

    def finish(self, wire: Wire) -> None:
        """
        Let a reader have its whole poem.
        """
        wire.socket.capacity = len(BIG)
        wire.take()
        wire.halfClose()

    def test_allFinish(self) -> None:
        """
        The stop waits until every reader has its poem.
        """
        stopped = self.server.stopService()
        self.assertFalse(self.server.running)
        self.finish(self.wires[0])
        self.assertNoResult(stopped)
        self.finish(self.wires[1])
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(self.ends(), ["clean", "clean"])

    def test_nobodyThere(self) -> None:
        """
        With nobody to wait for, the stop ends at once.
        """
        for wire in self.wires:
            wire.reset()
        self.assertIsNone(self.successResultOf(self.server.stopService()))

    def test_grace(self) -> None:
        """
        Who is not done after the grace gets a reset, never a clean end; then
        the stop ends.
        """
        stopped = self.server.stopService()
        self.finish(self.wires[0])
        self.reactor.advance(6.9)
        self.assertEqual(self.ends(), ["clean", None])
        self.reactor.advance(0.1)
        self.reactor.advance(0)
        self.assertEqual(self.ends(), ["clean", "reset"])
        self.assertIsNone(self.successResultOf(stopped))

    def test_abort(self) -> None:
        """
        A stop can be cut short.
        """
        stopped = self.server.stopService()
        self.server.abort()
        self.reactor.advance(0)
        self.assertEqual(self.ends(), ["reset", "reset"])
        self.assertIsNone(self.successResultOf(stopped))

    def test_log(self) -> None:
        """
        While it waits, the log says for how many readers, and in the end how
        many are aborted.
        """
        with capturedLogs() as events:
            stopped = self.server.stopService()
            self.finish(self.wires[0])
            self.reactor.pump([REPORT, 7.0 - REPORT, 0])
        self.successResultOf(stopped)
        self.assertEqual(
            [(event["log_level"], formatEvent(event)) for event in events],
            [
                (LogLevel.info, "stopping, readers in flight: 2"),
                (LogLevel.info, "stopping, readers in flight: 1"),
                (LogLevel.warn, "aborting the readers left after 7.0 seconds: 1"),
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
        self.reactor = Reactor()
        self.patch(self.reactor, "listenUNIX", self.listen)
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "socket")
        self.factory = PoetryFactory(StaticSource(BIG), 60.0, self.reactor)
        self.server = PoetryServer(
            f"unix:{self.path}", self.factory, reactor=self.reactor
        )
        self.server.startService()

    def listen(
        self, path: str, factory: Any, backlog: int, mode: int, wantPID: bool
    ) -> UNIXPort:
        """
        Listen with a real socket.
        """
        port = UNIXPort(path, factory, backlog, mode, self.reactor, wantPID)
        port.startListening()
        self.addCleanup(port.socket.close)
        return port

    def test_failedStart(self) -> None:
        """
        When the process fails to start, the socket does not stay.
        """
        self.assertEqual(sorted(os.listdir(self.directory)), ["socket", "socket.lock"])
        self.server.abort()
        self.assertEqual(os.listdir(self.directory), [])
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
        wire = Wire(self.factory, capacity=1000)
        os.unlink(self.path)
        with capturedLogs() as events:
            stopped = self.server.stopService()
            self.reactor.advance(0)
        self.assertNoResult(stopped)
        self.assertIn(
            f"cannot remove the socket: unix:{self.path}: No such file or directory",
            [formatEvent(event) for event in events],
        )
        wire.socket.capacity = len(BIG)
        wire.take()
        wire.halfClose()
        self.successResultOf(stopped)
        self.assertEqual(wire.socket.end, "clean")


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
        address = server.port.getHost()

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
