"""
What the tests of proxies share: the other server, which is played by the test, and a
proxy of it.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from fastpoetry.interfaces import IHasReaders
from fastpoetry.proxy import ProxyService
from tests.support import Reactor

HERE = IPv4Address("TCP", "192.0.2.1", 5432)
THERE = IPv4Address("TCP", "192.0.2.2", 17)


class Upstream:
    """
    An endpoint whose server is played by the test.

    @ivar connections: the protocol and the transport of each connection.

    @ivar refuses: whether nobody listens.

    @ivar name: what it calls itself.
    """

    name = "upstream:17"

    def __init__(self) -> None:
        self.connections: list[tuple[Any, StringTransport]] = []
        self.refuses = False

    def __str__(self) -> str:
        return self.name

    def connect(self, factory: Factory) -> Deferred[Any]:
        """
        Connect.
        """
        if self.refuses:
            return fail(ConnectionRefusedError())
        protocol: Any = factory.buildProtocol(THERE)
        transport = StringTransport(HERE, THERE)
        protocol.makeConnection(transport)
        self.connections.append((protocol, transport))
        connected: Deferred[Any] = Deferred()
        connected.callback(protocol)
        return connected

    def send(self, data: bytes) -> None:
        """
        Send something on the newest connection.
        """
        self.connections[-1][0].dataReceived(data)

    def end(self, reason: Exception) -> None:
        """
        End the newest connection.
        """
        self.connections[-1][0].connectionLost(Failure(reason))

    def serve(self, poem: bytes) -> None:
        """
        Send a whole poem.
        """
        self.send(poem)
        self.end(ConnectionDone())


@implementer(IHasReaders)
class Readers(Service):
    """
    A service with readers.
    """

    def __init__(self, source: Any, readers: set[Any]) -> None:
        self.source = source
        self.readers = readers

    def hasReader(
        self, source: object, peer: IAddress | None, host: IAddress | None
    ) -> bool:
        """
        Look for a reader.
        """
        return source is self.source and (peer, host) in self.readers

    def checkReaders(self) -> None:
        """
        Nothing becomes of them.
        """


class ProxyTestCase(SynchronousTestCase):
    """
    Has a proxy whose other server is played by the test.
    """

    def setUp(self) -> None:
        """
        Start a proxy; at the end nothing may be left on its clock.
        """
        self.reactor = Reactor()
        self.upstream = Upstream()
        self.proxy = self.makeProxy()
        self.addCleanup(self.checkNothingLeft)

    def makeProxy(self, maxAge: float | None = None) -> ProxyService:
        """
        Make a proxy and start it.
        """
        proxy = ProxyService(
            self.upstream,  # type: ignore[arg-type]
            maxAge,
            timeout=20.0,
            connectTimeout=10.0,
            fetchTimeout=30.0,
            reactor=self.reactor,
        )
        proxy.startService()
        return proxy

    def checkNothingLeft(self) -> None:
        """
        Every fetch has an end.
        """
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def ask(self) -> Any:
        """
        Ask for the poem.
        """
        return self.proxy.getPoem()

    def fill(self, poem: bytes = b"old") -> None:
        """
        Have the proxy keep a poem.
        """
        asked = self.ask()
        self.upstream.serve(poem)
        self.assertEqual(self.successResultOf(asked), poem)
