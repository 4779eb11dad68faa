"""
Tests of L{fastpoetry.server}.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from typing import Any

from twisted.application.service import IService
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.testing import RaisingMemoryReactor
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface.verify import verifyObject

from fastpoetry import server as serverModule
from fastpoetry.connection import kernel
from fastpoetry.connection.connections import Connections
from fastpoetry.error import ListenError
from fastpoetry.interfaces import IAbortable, IHasReaders, IReloadable
from fastpoetry.listening import acceptor as acceptorModule
from fastpoetry.listening.acceptor import ACCEPTORS
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import REPORT, PoetryServer
from fastpoetry.service import PoetryService
from tests.support import (
    ListeningReactor,
    PretendedEpoll,
    Reactor,
    StaticSource,
    Wire,
    noSpace,
    socketPath,
)

BIG = b"x" * 2**20


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
        for interface in (IService, IAbortable, IHasReaders, IReloadable):
            verifyObject(interface, server)

    def start(self, description: str, privileged: bool) -> PoetryServer:
        """
        Start a server on a real port, and stop it after the test.
        """
        reactor = ListeningReactor()
        server = self.makeServer(description, reactor)
        self.addCleanup(reactor.advance, 0)
        self.addCleanup(server.stopService)
        if privileged:
            server.privilegedStartService()
        else:
            server.startService()
        return server

    def test_privileged(self) -> None:
        """
        The port is opened while the process has its privileges, once.
        """
        server = self.start("tcp:0:interface=127.0.0.1", True)
        port: Any = server.port
        self.assertEqual(port.getHost().host, "127.0.0.1")
        server.startService()
        self.assertTrue(server.running)
        self.assertIs(server.port, port)

    def test_unprivileged(self) -> None:
        """
        The port is opened, too, by a runner that does not start services with
        privileges first.
        """
        self.assertIsNotNone(self.start("tcp:0:interface=127.0.0.1", False).port)

    def test_unix(self) -> None:
        """
        A UNIX socket is made when the privileges have been given up: it belongs to the
        user that the process runs as.
        """
        server = self.start(f"unix:{socketPath(self.addCleanup)}", True)
        self.assertIsNone(server.port)
        server.startService()
        self.assertIsNotNone(server.port)

    def test_log(self) -> None:
        """
        The log says once where it listens, with the poem if that has a name, and
        nothing about objects in memory.
        """
        path = socketPath(self.addCleanup)
        service = PoetryService("/srv/poem\n.txt")
        for description, source, title, where in (
            ("tcp:0:interface=127.0.0.1", StaticSource(b""), "", "127.0.0.1:{port}"),
            (r"tcp:0:interface=\:\:1", StaticSource(b""), "", "[::1]:{port}"),
            ("tcp:0", service, "", "0.0.0.0:{port}, with the poem /srv/poem^J.txt"),
            (f"unix:{path}", service, "b\xe9a", f"{path}, with the poem b\xe9a"),
        ):
            reactor: Any = ListeningReactor()
            factory = PoetryFactory(source, reactor=reactor, title=title)
            server: Any = PoetryServer(description, factory, reactor=reactor)
            with capturedLogs() as events:
                server.privilegedStartService()
                server.startService()
                port = getattr(server.port.getHost(), "port", None)
                stopped = server.stopService()
                reactor.advance(0)
            self.successResultOf(stopped)
            lines = [formatEvent(event) or "" for event in events]
            listening = [line for line in lines if "listening" in line]
            self.assertEqual(listening, [f"listening on {where.format(port=port)}"])
            self.assertNotIn(" at 0x", " ".join(lines))

    def test_settings(self) -> None:
        """
        What a F{.tac} file sets to something impossible is refused in a sentence.
        """
        for settings, sentence in (
            ({"description": 17}, "Not an endpoint: 17 (it is no text)"),
            (
                {"maxConnections": 0},
                "maxConnections is no whole number above 0: 0",
            ),
            (
                {"maxConnections": "many"},
                "maxConnections is no whole number above 0: 'many'",
            ),
            ({"grace": -1}, "grace is no number of seconds, 0 or more: -1"),
            ({"grace": "long"}, "grace is no number of seconds, 0 or more: 'long'"),
        ):
            arguments: dict[str, Any] = {"description": "tcp:0", **settings}
            server = PoetryServer(factory=Factory(), reactor=Reactor(), **arguments)
            for start in (server.privilegedStartService, server.startService):
                error = self.assertRaises(ListenError, start)
                self.assertEqual(str(error), sentence)

    def test_globalReactor(self) -> None:
        """
        By default the server listens with the global reactor.
        """
        from twisted.internet import reactor

        server = PoetryServer("tcp:17", PoetryFactory(StaticSource(b"")))
        self.assertIs(server.reactor, reactor)

    def test_otherFactories(self) -> None:
        """
        The factory may be one of any protocol: there is no summary then.
        """
        reactor = ListeningReactor()
        server = PoetryServer("tcp:0:interface=127.0.0.1", Factory(), reactor=reactor)
        server.startService()
        with capturedLogs() as events:
            server.checkReaders()
            stopped = server.stopService()
            reactor.advance(0)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertNotIn("served on", str([formatEvent(event) for event in events]))

    def test_reloadNothing(self) -> None:
        """
        A reload is of the certificate, where there is one.
        """
        server = self.start("tcp:0:interface=127.0.0.1", False)
        with capturedLogs() as events:
            server.reload()
        self.assertEqual(events, [])

    def test_hasReader(self) -> None:
        """
        It knows from where its readers have come, for the source that they read from,
        be it by IPv4 at a port of both families.
        """
        server: Any = self.start(r"tcp6:0:interface=\:\:", False)
        source = server.factory.source
        here = ("127.0.0.1", server.port.getHost().port)
        with socket.create_connection(here, 30) as reader:
            address = IPv4Address("TCP", *reader.getsockname())
            there = IPv4Address("TCP", *here)
            self.assertFalse(server.hasReader(source, address, there))
            select.select([server._acceptor], [], [], 30)
            server._acceptor.doRead()
            self.assertTrue(server.hasReader(source, address, there))
            self.assertFalse(server.hasReader(object(), address, there))
            self.assertFalse(server.hasReader(source, None, None))
            for transport in server._acceptor.connections:
                transport.abortConnection()
            server.reactor.advance(0)
        self.assertFalse(server.hasReader(source, address, there))

    def test_sameReaderElsewhere(self) -> None:
        """
        Who has come from the same address to another server is not a reader of this
        one.
        """
        server: Any = self.start("tcp:0:interface=127.0.0.1", False)
        here = ("127.0.0.1", server.port.getHost().port)
        with socket.create_connection(here, 30) as reader:
            select.select([server._acceptor], [], [], 30)
            server._acceptor.doRead()
            address = IPv4Address("TCP", *reader.getsockname())
            elsewhere = IPv4Address("TCP", "127.0.0.1", address.port)
            self.assertFalse(
                server.hasReader(server.factory.source, address, elsewhere)
            )
            for transport in server._acceptor.connections:
                transport.abortConnection()
            server.reactor.advance(0)

    def test_hasNoReaderOnUNIX(self) -> None:
        """
        Readers on a UNIX socket are nobody that has come from an address of TCP, from
        none, or from another UNIX socket.
        """
        path = socketPath(self.addCleanup)
        server: Any = self.start(f"unix:{path}", False)
        with socket.socket(socket.AF_UNIX) as reader:
            reader.connect(path)
            select.select([server._acceptor], [], [], 30)
            server._acceptor.doRead()
            self.assertEqual(server.readers, 1)
            for address in None, UNIXAddress(None), IPv4Address("TCP", "127.0.0.1", 17):
                self.assertFalse(
                    server.hasReader(server.factory.source, address, address)
                )
            for transport in server._acceptor.connections:
                transport.abortConnection()
            server.reactor.advance(0)

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
            self.assertRefused("tcp:0", RaisingMemoryReactor(listenException=error)),
            "Permission denied: tcp:0",
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

    def test_cannotAccept(self) -> None:
        """
        A port for whose readers nothing can wait, since the process has no
        descriptor left, is told with its description, too, and closed: another start
        finds it as if there had been none.
        """
        description = "tcp:0:interface=127.0.0.1"
        patch = self.patch(acceptorModule, "Connections", noSpace)
        reactor = ListeningReactor()
        server: Any = self.makeServer(description, reactor)
        error = self.assertRaises(ListenError, server.startService)
        self.assertEqual(str(error), f"No space left on device: {description}")
        self.assertFalse(server.running)
        reactor.advance(0)
        self.assertEqual(reactor.getReaders(), [])
        patch.restore()
        server.startService()
        self.assertIsNotNone(server._acceptor)
        server.stopService()
        reactor.advance(0)

    def test_stopUnstarted(self) -> None:
        """
        A server that never started has nothing to stop.
        """
        server = self.makeServer("tcp:17", Reactor())
        self.assertIsNone(self.successResultOf(server.stopService()))


class OtherSystemTests(SynchronousTestCase):
    """
    Tests of L{PoetryServer} where the kernel does not tell what readers have.
    """

    def setUp(self) -> None:
        """
        Start a server.
        """
        self.patch(kernel, "TELLS", False)
        self.reactor = ListeningReactor()
        factory = PoetryFactory(StaticSource(b"poem"), reactor=self.reactor)
        self.server: Any = PoetryServer(
            "tcp:0:interface=127.0.0.1", factory, reactor=self.reactor
        )
        with capturedLogs() as events:
            self.server.startService()
        self.warnings = [
            formatEvent(event)
            for event in events
            if event["log_level"] is LogLevel.warn
        ]
        self.addCleanup(self.stop)

    def stop(self) -> None:
        """
        Stop it, which cuts nobody who is in flight, and waits for nobody.
        """
        stopped = self.server.stopService()
        self.reactor.advance(0)
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_warns(self) -> None:
        """
        One line of the log says which promises do not hold there.
        """
        (line,) = self.warnings
        self.assertEqual(
            line,
            "this system has no epoll or no TCP_INFO: on tcp:0:interface=127.0.0.1 "
            "there is no limit, a stop cuts who is in flight, and a poem that is cut "
            "may end as if it were whole",
        )

    def test_serves(self) -> None:
        """
        Twisted's own port and transport serve the readers.
        """
        port = self.server.port
        self.assertEqual(self.reactor.getReaders(), [port])
        with socket.create_connection(port.socket.getsockname(), 30) as reader:
            select.select([port], [], [], 30)
            port.doRead()
            (transport,) = self.reactor.getWriters()
            transport.doWrite()
            self.assertEqual(reader.recv(5), b"poem")
            self.assertEqual(reader.recv(5), b"")
            transport.connectionLost(Failure(ConnectionDone()))

    def test_abort(self) -> None:
        """
        Such a server, too, can be told to look at its readers and to abort, though
        there is nothing that it could do.
        """
        self.server.checkReaders()
        self.server.abort()
        self.assertTrue(self.server.port.connected)


class LimitTests(SynchronousTestCase):
    """
    Tests of how many readers L{PoetryServer} lets in.
    """

    def test_limit(self) -> None:
        """
        No more readers are served at once than its limit says.
        """
        reactor = ListeningReactor()
        factory = PoetryFactory(StaticSource(b"poem"), reactor=reactor)
        server: Any = PoetryServer(
            "tcp:0:interface=127.0.0.1", factory, maxConnections=2, reactor=reactor
        )
        server.startService()
        for _ in range(3):
            reader = socket.create_connection(server.port.socket.getsockname(), 30)
            self.addCleanup(reader.close)
        acceptor = server._acceptor
        for _ in range(2):  # the second may be on its way yet
            select.select([acceptor], [], [], 30)
            acceptor.doRead()
        self.assertEqual((len(acceptor.connections), server.readers), (2, 2))
        self.assertNotIn(acceptor, reactor.getReaders())
        stopped = server.stopService()
        server.abort()
        reactor.advance(0)
        self.assertEqual((len(acceptor.connections), server.readers), (0, 0))
        self.assertIsNone(self.successResultOf(stopped))
        self.assertEqual(reactor.getDelayedCalls(), [])


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

    def test_closedAtOnce(self) -> None:
        """
        A stop closes the port at once: who comes while other services stop is refused,
        and not let into a queue that is reset.
        """
        address = self.server.port.socket.getsockname()  # type: ignore[union-attr, attr-defined]
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
        self.assertIn(wire.protocol, self.server.factory.watched)
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
            self.reactor.pump([REPORT, 7.0 - REPORT, 0])
        self.successResultOf(stopped)
        self.assertEqual(
            [
                (event["log_level"], formatEvent(event))
                for event in events
                if event["log_namespace"] == "fastpoetry.server.PoetryServer"
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

        def fail(path: bytes) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

        self.patch(os, "unlink", fail)
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
