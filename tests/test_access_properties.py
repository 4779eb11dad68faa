"""
Properties of L{fastpoetry.listening.access} and what it lets in.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from fastpoetry.doors.site import Site
from fastpoetry.endpoints.tlstransport import TLSFactory
from fastpoetry.listening.access import Access
from fastpoetry.listening.proxyheader import HeaderFactory
from fastpoetry.protocol import PoetryFactory
from tests.headers import version1, version2
from tests.support import Reactor, StaticSource
from tests.tlspeer import Creator
from tests.wire import Wire

HEADERS = [version1("203.0.113.9"), version2("203.0.113.9"), b"PROXY UNKNOWN\r\n"]
GET = b"GET / HTTP/1.1\r\n\r\n"
LONG = b"a" * 300_000

steps = some.one_of(
    some.tuples(some.just("say"), some.integers(1, 60)),
    some.tuples(some.just("take"), some.integers(1, 1000)),
    some.tuples(some.just("advance"), some.sampled_from([0.003, 2.0, 6.0, 60.0])),
    some.tuples(some.sampled_from(["halfClose", "reset", "abort"]), some.none()),
)


class PlacesTests(SynchronousTestCase):
    """
    Tests of the places that a network has.
    """

    def makeFactory(self, isWeb: bool, poem: Any, isTLS: bool) -> HeaderFactory:
        """
        Make what is behind a proxy.
        """
        factory: Any
        if isWeb:
            factory = Site(Resource(), reactor=self.reactor)
        else:
            factory = PoetryFactory(StaticSource(poem), reactor=self.reactor)
        factory.doStart()
        if isTLS:
            factory = TLSFactory(Creator(), factory, self.reactor)
        proxies = [ip_network("192.0.2.0/30")]
        return HeaderFactory(factory, proxies, self.access, self.reactor)

    def step(self, wire: Wire, said: bytearray, name: str, value: Any) -> None:
        """
        Have something happen to a connection.

        @param said: what the client is about to say.
        """
        if name == "advance":
            self.reactor.advance(value)
        elif wire.gone:
            return
        elif name == "say":
            data = bytes(said[:value])
            del said[:value]
            if data:
                wire.say(data)
        elif name == "abort":
            wire.connections.abort()
        elif name == "take":
            wire.take(value)
        else:
            getattr(wire, name)()
        wire.turn()

    @settings(max_examples=300, deadline=None)
    @given(
        some.booleans(),
        some.sampled_from([b"", b"poem", LONG, ValueError("none"), None]),
        some.booleans(),
        some.sampled_from([b"none", *HEADERS, *(one + GET for one in HEADERS)]),
        some.lists(some.tuples(some.integers(0, 2), steps), max_size=30),
    )
    def test_givenBack(
        self,
        isWeb: bool,
        poem: bytes | Exception | None,
        isTLS: bool,
        said: bytes,
        happens: list[tuple[int, tuple[str, Any]]],
    ) -> None:
        """
        Whatever becomes of connections, and in whatever order, none keeps its place.
        """
        self.reactor = Reactor()
        self.access: Any = Access(maxPerAddress=2, reactor=self.reactor)
        source: Any = Deferred() if poem is None else poem
        factory = self.makeFactory(isWeb, source, isTLS)
        wires = [Wire(factory, 1000) for _ in range(3)]
        rest = [bytearray(said) for _ in wires]
        for number, step in happens:
            self.step(wires[number], rest[number], *step)
            self.assertLessEqual(sum(self.access._connections.values()), 2)
        for wire in wires:
            self.step(wire, bytearray(), "reset", None)
            self.step(wire, bytearray(), "abort", None)
            self.assertTrue(wire.gone)
        self.assertEqual(self.access._connections, {})
