"""
Tests of L{fastpoetry.server}: how it starts, and whom it lets in.
"""

from __future__ import annotations

import select
import socket
from typing import Any

from twisted.application.service import IService
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.testing import RaisingMemoryReactor
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from fastpoetry import server as serverModule
from fastpoetry.connection import kernel
from fastpoetry.error import ListenError
from fastpoetry.interfaces import IAbortable, IHasReaders, IReloadable
from fastpoetry.listening import acceptor as acceptorModule
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import PoetryServer
from fastpoetry.service import PoetryService
from tests.support import ListeningReactor, Reactor, StaticSource, noSpace, socketPath


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

    def test_interrupted(self) -> None:
        """
        What is no mistake ends the start as what it is.
        """

        class Interrupted:
            def listen(self, factory: object) -> Deferred[Any]:
                return fail(KeyboardInterrupt())

        self.patch(serverModule, "parseEndpoint", lambda *_: Interrupted())
        server = self.makeServer("tcp:0", Reactor())
        self.assertRaises(KeyboardInterrupt, server.startService)

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
        self.patch(kernel, "HAS_PROGRESS", False)
        with capturedLogs() as events:
            self.start("tcp:0:interface=127.0.0.1")
        self.warnings = [
            formatEvent(event)
            for event in events
            if event["log_level"] is LogLevel.warn
        ]

    def start(self, description: str) -> None:
        """
        Start a server.
        """
        self.reactor = ListeningReactor()
        factory = PoetryFactory(StaticSource(b"poem"), reactor=self.reactor)
        self.server: Any = PoetryServer(description, factory, reactor=self.reactor)
        self.server.startService()

    def tearDown(self) -> None:
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
        self.assertServes(socket.AF_INET)

    def test_servesOnUNIX(self) -> None:
        """
        They do on a UNIX socket, too.
        """
        self.tearDown()
        self.start(f"unix:{socketPath(self.addCleanup)}")
        self.assertServes(socket.AF_UNIX)

    def assertServes(self, family: socket.AddressFamily) -> None:
        """
        Assert that a reader gets the poem, and its end.
        """
        port = self.server.port
        self.assertEqual(self.reactor.getReaders(), [port])
        with socket.socket(family) as reader:
            reader.settimeout(30)
            reader.connect(port.socket.getsockname())
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
