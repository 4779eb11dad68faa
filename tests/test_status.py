"""
Tests of L{fastpoetry.doors.status}.
"""

from __future__ import annotations

import gc
import socket
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from fastpoetry.doors.status import EXPOSITION, StatusServer, addStatus
from fastpoetry.interfaces import IPoetrySource
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import PoetryServer
from tests.support import ListeningReactor, StaticSource, socketPath
from tests.webclient import WebTestCase


@implementer(IPoetrySource)
class Source(Service):
    """
    Has a poem.

    @ivar poem: what it gives or raises.

    @ivar asked: how many times it was asked.
    """

    poem: Any = b"poem"
    asked = 0

    def getPoem(self) -> Any:
        """
        Give the poem.
        """
        self.asked += 1
        if isinstance(self.poem, Exception):
            raise self.poem
        return self.poem


class Server(PoetryServer):
    """
    Drains until the test says so.
    """

    def __init__(self) -> None:
        factory = PoetryFactory(StaticSource(b""), reactor=ListeningReactor())
        super().__init__("tcp:10000", factory, reactor=factory.reactor)
        self.port: Any = object()
        self.drained: Deferred[None] = Deferred()

    def stopService(self) -> Any:
        """
        Drain.
        """
        self.port = None
        return self.drained


class StatusTestCase(WebTestCase):
    """
    Has services, of which the status is.
    """

    def setUp(self) -> None:
        """
        Make a source and a server, in a collection of their own.
        """
        super().setUp()
        self.services = MultiService()
        deployment = MultiService()
        deployment.setServiceParent(self.services)
        self.source, self.server = Source(), Server()
        self.source.setServiceParent(deployment)
        self.server.setServiceParent(deployment)
        addStatus(self.root, self.services)


class HealthTests(StatusTestCase):
    """
    Tests of F{/healthz}.
    """

    def assertHealth(self, code: int, text: str) -> None:
        """
        Assert what is told.
        """
        answer = self.ask("/healthz")
        self.assertEqual((answer.status, answer.body.decode()), (code, f"{text}\n"))

    def test_serves(self) -> None:
        """
        It serves.  A source that had a poem has one, and is not asked again: one may
        count those who ask.
        """
        for _ in range(3):
            self.assertHealth(200, "ok")
        self.assertEqual(self.source.asked, 1)

    def test_noPoem(self) -> None:
        """
        It has no poem, until it has one.
        """
        self.source.poem = ValueError("secret")
        self.assertHealth(503, "no poem")
        self.source.poem = fail(ValueError("secret"))
        self.assertHealth(503, "no poem")
        self.source.poem = succeed(b"poem")
        self.assertHealth(200, "ok")

    def test_fetches(self) -> None:
        """
        A poem that is fetched is waited for.  For one who has left it is not.
        """
        gone: list[Any] = []
        self.source.poem = Deferred(gone.append)
        wire = self.connect()
        wire.say(b"GET /healthz HTTP/1.1\r\n\r\n")
        self.assertEqual(self.hear(wire), b"")
        wire.reset()
        self.assertEqual(len(gone), 1)
        poem = self.source.poem = Deferred()
        wire = self.connect()
        wire.say(b"GET /healthz HTTP/1.1\r\n\r\n")
        poem.callback(b"poem")
        self.assertIn(b" 200 OK\r\n", self.hear(wire))

    def test_drains(self) -> None:
        """
        It drains, whatever it has.
        """
        self.server.stopService()
        self.source.poem = ValueError()
        self.assertHealth(503, "draining")
        self.assertEqual(self.source.asked, 0)


class MetricsTests(StatusTestCase):
    """
    Tests of F{/metrics}.
    """

    def test_metrics(self) -> None:
        """
        All services are asked, and whoever asks is told in which format.
        """
        answer = self.ask("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.getheader("Content-Type"), EXPOSITION)
        self.assertIn(
            b'\nfastpoetry_poems_total{listener="tcp:10000",outcome="whole"} 0\n',
            answer.body,
        )


class StatusServerTests(StatusTestCase):
    """
    Tests of L{StatusServer}.
    """

    def start(self) -> StatusServer:
        """
        Start one, last in the collection.
        """
        reactor = ListeningReactor()
        self.path = socketPath(self.addCleanup)
        server = StatusServer(f"unix:{self.path}", self.site, reactor=reactor)
        server.setServiceParent(self.services)
        self.addCleanup(reactor.advance, 0)
        server.startService()
        return server

    def test_stopsLast(self) -> None:
        """
        It listens until the others have drained, though it is told first to stop, and
        tells that they do.
        """
        server = self.start()
        stopped = self.services.stopService()
        self.assertIs(self.server.port, None)
        self.assertIsNot(server.port, None)
        self.assertEqual(self.ask("/healthz").status, 503)
        self.assertNoResult(stopped)
        self.server.drained.callback(None)
        self.assertIs(server.port, None)

    def test_grace(self) -> None:
        """
        It has what the others have left of the grace, be it nothing.
        """
        for others, left in ((20.0, 10.0), (31.0, 0.0)):
            server: Any = self.start()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(self.path)
                server._acceptor.doRead()
                stopped = server.stopService()
                server.reactor.advance(others)
                drained, self.server.drained = self.server.drained, Deferred()
                drained.callback(None)
                if left:
                    server.reactor.advance(left - 1)
                    self.assertNoResult(stopped)
                server.reactor.advance(1)
                server.reactor.advance(0)
                self.successResultOf(stopped)
            self.assertEqual(server.grace, 30.0)
            server.disownServiceParent()

    def test_othersFail(self) -> None:
        """
        It stops, too, when another cannot.
        """
        server = self.start()
        stopped = server.stopService()
        self.server.drained.errback(ValueError())
        server.reactor.advance(0)
        self.successResultOf(stopped)
        self.assertIs(server.port, None)
        self.server.drained = stopped = Deferred()
        gc.collect()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_abortedMeanwhile(self) -> None:
        """
        It may be aborted while it waits, and stops afterwards as any other.
        """
        server = self.start()
        stopped = server.stopService()
        server.abort()
        self.assertIsNot(server.port, None)
        self.server.drained.callback(None)
        server.reactor.advance(0)
        self.successResultOf(stopped)
        self.assertIs(server.port, None)
        self.assertNotIn(server._acceptor, [*server.reactor.getReaders()])

    def test_alone(self) -> None:
        """
        Without a collection it just stops.
        """
        server = self.start()
        server.disownServiceParent()
        stopped = server.stopService()
        server.reactor.advance(0)
        self.successResultOf(stopped)
        self.assertIs(server.port, None)
