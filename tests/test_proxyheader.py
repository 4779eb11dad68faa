"""
Tests of L{fastpoetry.listening.proxyheader}.
"""

from __future__ import annotations

import socket
from ipaddress import ip_network
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from fastpoetry.connection.delivery import CLOSING_INTERVAL, FIN_TIMEOUT
from fastpoetry.connection.factory import SLOW_TICK
from fastpoetry.endpoints.tlstransport import TLSFactory
from fastpoetry.listening.access import REPORT_INTERVAL, Access
from fastpoetry.listening.proxyheader import HEADER_TIMEOUT, HeaderFactory
from fastpoetry.protocol import PoetryFactory
from fastpoetry.transform import TransformFactory, TransformService
from tests.headers import LOCAL, raw2, version1, version2
from tests.support import POEM, Reactor, StaticSource, linesOf
from tests.test_proxyheader_parser import READER, headers
from tests.tlspeer import Client, Creator
from tests.wire import Wire


class HeaderTestCase(SynchronousTestCase):
    """
    Connections from a proxy.
    """

    def setUp(self) -> None:
        """
        Make a factory of a poem behind a proxy, which has the address of a L{Wire}.
        """
        self.reactor = Reactor()
        self.poems = PoetryFactory(StaticSource(POEM), reactor=self.reactor)
        self.poems.numPorts = 1
        self.options: dict[str, Any] = {}

    def connect(self, factory: Any = None) -> Wire:
        """
        Connect from the proxy.

        @param factory: by default that of the poem.
        """
        return Wire(self.makeFactory(factory or self.poems))

    def makeFactory(self, factory: Any) -> HeaderFactory:
        """
        Put a header before its protocols.
        """
        self.access = Access(reactor=self.reactor, **self.options)
        proxies = [ip_network("192.0.2.0/30"), ip_network("2001:db8::/32")]
        return HeaderFactory(factory, proxies, self.access, self.reactor)

    def finish(self, wire: Wire) -> bytes:
        """
        See a reader to its end, and that nothing is left.

        @return: all that it got, if it got a clean end.
        """
        wire.take()
        wire.halfClose()
        wire.tick()
        self.reactor.pump([CLOSING_INTERVAL] * 4)
        self.assertGone(wire)
        self.assertEqual(wire.socket.seen, "clean")
        return bytes(wire.socket.taken)

    def assertGone(self, wire: Wire) -> None:
        """
        Assert that a connection is over, and all that it had.
        """
        self.assertTrue(wire.gone)
        self.assertEqual(len(wire.connections), 0)
        self.reactor.pump([1, REPORT_INTERVAL, REPORT_INTERVAL])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def assertReset(self, wire: Wire) -> None:
        """
        Assert that a reader got nothing, and a reset.
        """
        self.assertGone(wire)
        self.assertEqual((wire.socket.seen, wire.socket.taken), ("reset", b""))


class HeaderTests(HeaderTestCase):
    """
    Tests of L{HeaderFactory} and its protocol.
    """

    def test_interface(self) -> None:
        """
        The protocol hears of half-closes.
        """
        protocol = self.makeFactory(self.poems).buildProtocol(UNIXAddress(None))
        verifyObject(IHalfCloseableProtocol, protocol)

    def test_poem(self) -> None:
        """
        Nothing is sent before the header; then the poem; and the reader in the log is
        that of the header.
        """
        for header in (version1(READER), version2(READER)):
            wire = self.connect()
            wire.say(header[:-1])
            wire.take()
            self.assertEqual(wire.socket.taken, b"")
            wire.say(header[-1:])
            self.assertEqual(wire.transport.getPeer().host, READER)
            lines = linesOf(wire.tick)
            self.assertEqual(
                lines, [f"sending {len(POEM)} bytes of poetry to {READER}:4321"]
            )
            self.assertEqual(self.finish(wire), POEM)
        self.assertEqual(self.poems.counts.whole, 2)

    @given(headers, st.lists(st.integers(1, 60)), st.booleans())
    def test_fragmentation(self, header: bytes, sizes: list[int], ends: bool) -> None:
        """
        However it comes, and if the reader has something to say and ends at once.
        """
        self.setUp()
        wire = self.connect()
        data = header + b"hello"
        for size in sizes:
            part, data = data[:size], data[size:]
            if part:
                wire.say(part)
        if ends:
            wire.socket.said.append(data)
            wire.halfClose()
        elif data:
            wire.say(data)
        wire.tick()
        self.assertEqual(self.finish(wire), POEM)

    def test_rest(self) -> None:
        """
        What comes with the header is the first that the next protocol hears.
        """
        service = TransformService()
        factory = TransformFactory(service, reactor=self.reactor)
        request = b"27:cummingsify.HERE IS MY POEM,"
        wire = self.connect(factory)
        wire.say(version1(READER) + request)
        self.assertEqual(self.finish(wire), b"15:here is my poem,")

    def test_noProtocol(self) -> None:
        """
        Who gets no protocol is reset.
        """

        class Full(Factory):
            def buildProtocol(self, address: Any) -> None:
                return None

        wire = self.connect(Full())
        self.assertEqual(linesOf(wire.say, version1(READER)), [])
        self.assertReset(wire)

    def test_untrusted(self) -> None:
        """
        From elsewhere there is no connection, and a line for the network it is from; on
        a UNIX socket there is one.
        """
        factory = self.makeFactory(self.poems)
        for host in ("192.0.2.4", "198.51.100.1"):
            self.assertIsNone(factory.buildProtocol(IPv4Address("TCP", host, 1)))
        outside = IPv6Address("TCP", "2001:db9::1", 1)
        self.assertIsNone(factory.buildProtocol(outside))
        lines = linesOf(self.reactor.advance, REPORT_INTERVAL)
        self.assertIn("refused 1 readers of 2001:db9::/56", lines)
        self.assertEqual(self.access.refused, 3)
        inside = IPv6Address("TCP", "::ffff:192.0.2.3", 1)
        for peer in (UNIXAddress(None), inside):
            self.assertIsNotNone(factory.buildProtocol(peer))

    def test_noHeader(self) -> None:
        """
        Whoever says something else is reset at once, with a line.
        """
        wire = self.connect()
        self.assertEqual(
            linesOf(wire.say, b"GET / HTTP/1.1\r\n"),
            ["no header from 192.0.2.1:4321: it sends something else"],
        )
        self.assertReset(wire)

    def test_late(self) -> None:
        """
        A header has a few seconds in all, however steadily it comes; from then on the
        reader's own deadline holds.
        """
        wire = self.connect()
        wire.say(b"P")
        self.reactor.advance(HEADER_TIMEOUT / 2)
        wire.say(b"R")
        why = f"it takes longer than {HEADER_TIMEOUT} seconds"
        self.assertEqual(
            linesOf(self.reactor.advance, HEADER_TIMEOUT / 2),
            [f"no header from 192.0.2.1:4321: {why}"],
        )
        self.assertReset(wire)
        wire = self.connect()
        wire.say(version1(READER))
        self.reactor.advance(HEADER_TIMEOUT)
        self.assertFalse(wire.gone)
        self.assertEqual(self.finish(wire), POEM)

    def test_shortTimeout(self) -> None:
        """
        It has no more time than the reader.
        """
        self.poems.timeout = 0.5
        self.assertEqual(self.makeFactory(self.poems).timeout, 0.5)
        self.assertEqual(self.makeFactory(Factory()).timeout, HEADER_TIMEOUT)

    def test_left(self) -> None:
        """
        Who leaves in the middle of a header is reset, and in the log; who has said
        nothing is not in it.
        """
        for data, lines in [
            (b"", []),
            (b"PROXY TC", ["no header from 192.0.2.1:4321: it left"]),
        ]:
            for leave in (Wire.halfClose, Wire.reset):
                wire = self.connect()
                if data:
                    wire.say(data)
                self.assertEqual(linesOf(leave, wire), lines)
                self.assertReset(wire)

    def test_aborted(self) -> None:
        """
        A stop that does not wait any more says so.
        """
        wire = self.connect()
        wire.say(b"PROXY")
        wire.connections.abort()
        self.assertEqual(
            linesOf(self.reactor.advance, 0),
            ["no header from 192.0.2.1:4321: aborted"],
        )
        self.assertReset(wire)

    def test_checks(self) -> None:
        """
        A header without an address, or with that of a proxy, is of a health check: it
        gets a poem, and whether it takes it or leaves, nothing is in the log, nor
        counted, and no limit holds.
        """
        self.options = {"deny": ["0.0.0.0/0", "::/0"], "maxPerAddress": 1}
        for header in (
            b"PROXY UNKNOWN\r\n",
            raw2(LOCAL, 0, b""),
            version2(None),
            version1("192.0.2.2"),
            version2("2001:db8::7"),
        ):
            wire = self.connect()
            with capturedLogs() as events:
                wire.say(header)
                wire.tick()
                self.assertEqual(self.finish(wire), POEM)
                for leave in (Wire.halfClose, Wire.reset):
                    wire = self.connect()
                    wire.socket.capacity = 4
                    wire.say(header)
                    leave(wire)
                    self.reactor.pump([self.poems.timeout / 4] * 8)
                    self.assertGone(wire)
            self.assertEqual(events, [])
        counts = self.poems.counts
        self.assertEqual((counts.whole, counts.taken, counts.cut), (0, 0, {}))

    def test_neverEnds(self) -> None:
        """
        A proxy that has everything may have a reader that is slow: it is let go after
        the timeout of readers; a health check as who comes without a proxy.
        """
        for header, seconds in (
            (version2(READER), self.poems.timeout),
            (raw2(LOCAL, 0, b""), FIN_TIMEOUT),
        ):
            wire = self.connect()
            wire.say(header)
            wire.take()
            wire.tick()
            self.reactor.advance(seconds - 1.0)
            self.assertFalse(wire.gone)
            self.reactor.pump([1.0, SLOW_TICK])
            self.assertEqual(wire.socket.end, "clean")

    def test_access(self) -> None:
        """
        The reader's own address is what counts for who may read; who is refused is
        reset, and its place is free again when it leaves.
        """
        self.options = {"maxPerAddress": 1, "deny": ["203.0.113.0/24"]}
        factory = self.makeFactory(self.poems)
        first = Wire(factory)
        first.say(version1(READER))
        for host in ("203.0.113.1", "198.51.100.99"):
            wire = Wire(factory)
            wire.say(version2(host))
            self.assertEqual((wire.gone, wire.socket.seen), (True, "reset"))
            self.assertEqual(wire.socket.taken, b"")
        self.assertEqual(self.access.refused, 2)
        self.assertEqual(self.finish(first), POEM)
        again = Wire(factory)
        again.say(version1("198.51.100.99"))
        self.assertEqual(self.finish(again), POEM)

    def test_host(self) -> None:
        """
        The address of this side is of its own family.
        """
        left, right = socket.socketpair(socket.AF_UNIX)
        for one in (left, right):
            self.addCleanup(one.close)
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
        self.addCleanup(listener.close)
        wire = self.connect()
        wire.transport.socket = listener
        self.assertEqual(wire.transport.getHost().host, "::1")
        wire.transport.socket = wire.socket
        wire.reset()


class TLSTests(HeaderTestCase):
    """
    Tests of headers before TLS.
    """

    def connect(self, factory: Any = None) -> Wire:
        """
        Connect from the proxy.
        """
        tls: Any = TLSFactory(Creator(), factory or self.poems, self.reactor)
        return super().connect(tls)

    def read(self, header: bytes) -> list[str | None]:
        """
        Read the poem, with the first word of the handshake in one segment with the
        header.

        @return: what is in the log.
        """
        wire: Any = self.connect()
        client = Client(wire)
        client.decrypt(b"")
        with capturedLogs() as events:
            wire.say(header + client.flush())
            client.talk()
            wire.tick()
            client.talk()
            wire.say(client.notify())
            wire.halfClose()
            wire.tick()
        self.assertEqual((bytes(client.heard), client.hasEnd), (POEM, True))
        self.assertTrue(wire.gone)
        return [formatEvent(event) for event in events]

    def test_poem(self) -> None:
        """
        The header comes before the handshake.
        """
        for header in (version1(READER), version2(READER)):
            self.assertEqual(
                self.read(header),
                [f"sending {len(POEM)} bytes of poetry to {READER}:4321"],
            )

    def test_noHeader(self) -> None:
        """
        A handshake without a header is none.
        """
        wire: Any = self.connect()
        client = Client(wire)
        client.decrypt(b"")
        self.assertEqual(
            linesOf(wire.say, client.flush()),
            ["no header from 192.0.2.1:4321: it sends something else"],
        )
        self.assertReset(wire)

    def test_noTLS(self) -> None:
        """
        Who leaves before its handshake is in the log by its own address.
        """
        wire = self.connect()
        wire.say(version1(READER))
        self.assertEqual(linesOf(wire.reset), [f"no TLS with {READER}:4321: it left"])
        self.assertGone(wire)

    def test_checks(self) -> None:
        """
        A health check is not in the log, neither with a handshake nor without.
        """
        self.assertEqual(self.read(raw2(LOCAL, 0, b"")), [])
        self.assertEqual(self.poems.counts.whole, 0)
        wire = self.connect()
        wire.say(raw2(LOCAL, 0, b""))
        self.assertEqual(linesOf(wire.reset), [])
        self.assertGone(wire)
