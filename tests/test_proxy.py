"""
Tests of L{fastpoetry.proxy}.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from fastpoetry.client import (
    PoetryCutError,
    PoetryFetchError,
    PoetryTimeoutError,
    PoetryTooLongError,
)
from fastpoetry.error import UpstreamError
from fastpoetry.interfaces import IPoetrySource, IReloadable
from fastpoetry.protocol import PoetryFactory
from fastpoetry.proxy import FIRST_PAUSE, ProxyService
from fastpoetry.upstream import CHECK_INTERVAL
from tests.proxies import HERE, THERE, ProxyTestCase, Readers, Upstream
from tests.wire import Wire


class ProxyServiceTests(ProxyTestCase):
    """
    Tests of L{ProxyService}.
    """

    def test_interfaces(self) -> None:
        """
        It is a service, a source of poetry, and can be reloaded.
        """
        for interface in (IService, IPoetrySource, IReloadable):
            verifyObject(interface, self.proxy)

    def test_globalReactor(self) -> None:
        """
        By default the clock is the global reactor's.
        """
        from twisted.internet import reactor

        upstream: Any = Upstream()
        self.assertIs(ProxyService(upstream).reactor, reactor)

    def test_startsIdle(self) -> None:
        """
        Nothing is fetched before somebody asks.
        """
        self.assertEqual(self.upstream.connections, [])

    def test_oneFetch(self) -> None:
        """
        However many wait, there is one fetch, and all get its poem.
        """
        asked = [self.ask() for _ in range(1000)]
        self.assertEqual(len(self.upstream.connections), 1)
        with capturedLogs() as events:
            self.upstream.serve(b"poem")
        for one in asked:
            self.assertEqual(self.successResultOf(one), b"poem")
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["fetched 4 bytes of poetry from upstream:17"],
        )

    def test_printable(self) -> None:
        """
        The log can write of another server whose name is not UTF-8.
        """
        self.upstream.name = "upstr\udce9am"
        with capturedLogs() as events:
            self.fill()
            self.proxy.reload()
            self.ask()
            self.upstream.end(ConnectionLost())
        self.assertEqual(len(events), 2)
        for event in events:
            self.assertIn(r"upstr\xe9am", formatEvent(event))

    def test_endpointOfTwisted(self) -> None:
        """
        The log names the host and port of an endpoint that has no name of its own.
        """
        endpoint = TCP4ClientEndpoint(self.reactor, "192.0.2.1", 17)
        proxy = ProxyService(endpoint, reactor=self.reactor)
        stopped: Any = proxy.getPoem()
        self.assertEqual(
            self.failureResultOf(stopped, PoetryFetchError).getErrorMessage(),
            "192.0.2.1:17: the proxy does not run, 0 bytes received",
        )
        proxy.startService()
        for poem in b"poem", b"":
            proxy.reload()
            asked: Any = proxy.getPoem()
            protocol: Any = self.reactor.tcpClients[-1][2].buildProtocol(None)
            protocol.makeConnection(StringTransportWithDisconnection())
            with capturedLogs() as events:
                protocol.dataReceived(poem)
                protocol.connectionLost(Failure(ConnectionDone()))
            (event,) = events
            self.assertIn(" 192.0.2.1:17", formatEvent(event) or "")
        self.assertEqual(asked, b"poem")

    def test_kept(self) -> None:
        """
        A poem that was fetched is there at once, for ever.
        """
        self.fill()
        self.reactor.advance(10**9)
        self.assertEqual(self.ask(), b"old")
        self.assertEqual(len(self.upstream.connections), 1)

    def test_emptyPoem(self) -> None:
        """
        No bytes are no poem: a relay whose own server is down gives that.  Nothing is
        kept of it.
        """
        asked = self.ask()
        self.upstream.serve(b"")
        failure = self.failureResultOf(asked, PoetryFetchError)
        self.assertEqual(
            failure.getErrorMessage(), "upstream:17: there is no poem, 0 bytes received"
        )
        self.reactor.advance(FIRST_PAUSE)
        self.fill()
        self.proxy.reload()
        self.ask()
        self.upstream.serve(b"")
        self.assertEqual(self.ask(), b"old")

    def test_maxAge(self) -> None:
        """
        A poem that is too old is fetched anew, once.  Meanwhile nobody waits: the older
        one is served.
        """
        self.proxy = self.makeProxy(maxAge=5.0)
        self.fill()
        self.reactor.advance(4.9)
        self.assertEqual(self.ask(), b"old")
        self.assertEqual(len(self.upstream.connections), 1)
        self.reactor.advance(0.1)
        for _ in range(100):
            self.assertEqual(self.ask(), b"old")
        self.assertEqual(len(self.upstream.connections), 2)
        self.upstream.serve(b"new")
        self.assertEqual(self.ask(), b"new")
        self.assertEqual(len(self.upstream.connections), 2)

    def test_reload(self) -> None:
        """
        After a reload the poem is fetched anew when somebody asks, who gets the older
        one.
        """
        self.fill()
        self.proxy.reload()
        self.assertEqual(len(self.upstream.connections), 1)
        self.assertEqual(self.ask(), b"old")
        self.upstream.serve(b"new")
        self.assertEqual(self.ask(), b"new")

    def test_cut(self) -> None:
        """
        A poem that did not come whole is not kept: whoever waits gets the failure.
        """
        asked = [self.ask(), self.ask()]
        self.upstream.send(b"half")
        self.upstream.end(ConnectionLost())
        for one in asked:
            self.failureResultOf(one, PoetryCutError)
        self.reactor.advance(FIRST_PAUSE)
        self.fill(b"whole")

    def test_refused(self) -> None:
        """
        When the other server cannot be reached at all, that is a failure too.
        """
        self.upstream.refuses = True
        failure = self.failureResultOf(self.ask(), PoetryFetchError)
        self.assertIn("upstream:17: ", failure.getErrorMessage())
        self.upstream.refuses = False
        self.reactor.advance(FIRST_PAUSE)
        self.fill()

    def test_stalls(self) -> None:
        """
        A server that says nothing more is given up after the deadline.
        """
        asked = self.ask()
        self.upstream.send(b"half")
        self.reactor.pump([20.0, 0.0])
        self.failureResultOf(asked, PoetryTimeoutError)
        self.assertTrue(self.upstream.connections[0][1].disconnected)

    def test_trickles(self) -> None:
        """
        So is one that always says something, and takes longer than a fetch may.
        """
        asked = self.ask()
        for _ in range(29):
            self.upstream.send(b"x")
            self.assertNoResult(asked)
            self.reactor.advance(1.0)
        self.upstream.send(b"x")
        self.reactor.pump([1.0, 0.0])
        self.failureResultOf(asked, PoetryTimeoutError)
        self.assertTrue(self.upstream.connections[0][1].disconnected)

    def test_pauses(self) -> None:
        """
        After a fetch that failed there is a pause before the next, twice as long each
        time up to a minute, with one line in the log for each; meanwhile everybody gets
        that failure at once.
        """
        self.upstream.refuses = True
        pauses = []
        for _ in range(8):
            with capturedLogs() as events:
                for _ in range(100):
                    self.failureResultOf(self.ask(), PoetryFetchError)
            ((level, line),) = [(one["log_level"], formatEvent(one)) for one in events]
            self.assertEqual(level, LogLevel.warn)
            self.assertRegex(line, "^no poem: upstream:17: .*; the next fetch is not ")
            pause = float(line.split()[-2])
            pauses.append(pause)
            self.reactor.advance(pause - 0.5)
            self.failureResultOf(self.ask(), PoetryFetchError)
            self.reactor.advance(0.5)
        self.assertEqual(pauses, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0])
        self.upstream.refuses = False
        self.fill()
        self.upstream.refuses = True
        self.proxy.reload()
        with capturedLogs() as events:
            self.assertEqual(self.ask(), b"old")
        self.assertIn("1 seconds", formatEvent(events[0]))

    def test_reloadEndsPause(self) -> None:
        """
        A reload has the next fetch begin as soon as somebody asks.
        """
        self.upstream.refuses = True
        self.failureResultOf(self.ask(), PoetryFetchError)
        self.upstream.refuses = False
        self.proxy.reload()
        self.fill()

    def test_olderPoem(self) -> None:
        """
        When a fetch fails and an older poem is there, that is served on, with a
        warning; after the pause it is tried again.
        """
        self.fill()
        self.proxy.reload()
        self.assertEqual(self.ask(), b"old")
        with capturedLogs() as events:
            self.upstream.send(b"ha")
            self.upstream.end(ConnectionLost())
        self.assertEqual(self.ask(), b"old")
        (event,) = events
        self.assertEqual(event["log_level"], LogLevel.warn)
        self.assertRegex(
            formatEvent(event), "^serving an older poem: upstream:17: .* 2 bytes"
        )
        self.assertEqual(len(self.upstream.connections), 2)
        self.reactor.advance(FIRST_PAUSE)
        self.assertEqual(self.ask(), b"old")
        self.upstream.serve(b"new")
        self.assertEqual(self.ask(), b"new")

    def test_nobodyWaits(self) -> None:
        """
        While an older poem is served, nobody waits for the fetch, and it goes on.
        """
        self.fill()
        self.proxy.reload()
        self.ask()
        self.reactor.advance(10.0)
        self.assertFalse(self.upstream.connections[1][1].disconnected)
        self.upstream.serve(b"new")
        self.assertEqual(self.ask(), b"new")

    def test_reloadDuringFetch(self) -> None:
        """
        A poem that was on its way when the reload came is served to those who
        wait, and the next one who asks has it fetched anew.
        """
        asked = self.ask()
        self.proxy.reload()
        self.upstream.serve(b"old")
        self.assertEqual(self.successResultOf(asked), b"old")
        self.assertEqual(self.ask(), b"old")
        self.upstream.serve(b"new")
        self.assertEqual(self.ask(), b"new")

    def test_itself(self) -> None:
        """
        A fetch ends soon whose other side is a reader of this proxy, and of no other.
        """
        asked = self.ask()
        services = MultiService()
        self.proxy.setServiceParent(services)
        servers = [Readers(self.proxy, set()), Readers(None, {(HERE, THERE)})]
        for server in servers:
            server.setServiceParent(services)
        self.reactor.advance(CHECK_INTERVAL)
        self.assertNoResult(asked)
        servers[0].readers.add((HERE, THERE))
        self.reactor.advance(CHECK_INTERVAL)
        failure = self.failureResultOf(asked, PoetryFetchError)
        self.assertEqual(
            failure.getErrorMessage(),
            "upstream:17: the proxy fetches from itself, 0 bytes received",
        )
        self.assertTrue(self.upstream.connections[0][1].disconnected)
        self.failureResultOf(self.ask(), PoetryFetchError)
        self.proxy.disownServiceParent()

    def test_tooLong(self) -> None:
        """
        A poem that does not end is given up.
        """
        self.proxy.maxLength = 3
        asked = self.ask()
        self.upstream.send(b"four")
        self.failureResultOf(asked, PoetryTooLongError)

    def test_text(self) -> None:
        """
        The upstream may be text; when that is no address the proxy does not
        start, and says so in a sentence.
        """
        proxy = ProxyService("example.org:17", reactor=self.reactor)
        proxy.startService()
        self.assertEqual(str(proxy.upstream), "example.org:17")
        proxy = ProxyService("example.org:http", reactor=self.reactor)
        error = self.assertRaises(UpstreamError, proxy.startService)
        self.assertIn("Not an upstream: ", str(error))
        self.assertIn("example.org:http", str(error))
        self.assertFalse(proxy.running)

    def test_behindTheFactory(self) -> None:
        """
        Readers of a proxy get the whole poem, or a reset when there is none.
        """
        factory = PoetryFactory(self.proxy, reactor=self.reactor)
        wire = Wire(factory)
        self.assertEqual(wire.socket.end, None)
        self.upstream.send(b"ha")
        self.upstream.end(ConnectionLost())
        wire.turn()
        self.assertEqual((wire.socket.end, wire.socket.taken), ("reset", b""))

        self.reactor.advance(FIRST_PAUSE)
        wire = Wire(factory)
        self.upstream.serve(b"poem")
        wire.turn()
        wire.take()
        wire.halfClose()
        wire.tick()
        self.assertEqual((wire.socket.end, wire.socket.taken), ("clean", b"poem"))
