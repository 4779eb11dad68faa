"""
Tests of L{fastpoetry.client}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
)
from twisted.internet.error import (
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    UserError,
)
from twisted.internet.interfaces import (
    IReactorPluggableNameResolver,
    IStreamClientEndpoint,
)
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from fastpoetry.address import clientEndpoint, parseAddress
from fastpoetry.client import (
    PoetryCancelledError,
    PoetryConnectError,
    PoetryCutError,
    PoetryFetchError,
    getPoetry,
)
from tests.support import Reactor


class Server:
    """
    The server's side of one connection in memory.
    """

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.transport: Any = StringTransport()
        protocol.makeConnection(self.transport)

    @property
    def isAborted(self) -> bool:
        """
        Whether the client has let go.
        """
        return bool(self.transport.disconnected)

    def send(self, data: bytes) -> None:
        """
        Send a piece.
        """
        self.protocol.dataReceived(data)

    def end(self, reason: Exception | None = None) -> None:
        """
        End cleanly, or for another reason.
        """
        self.protocol.connectionLost(Failure(reason or ConnectionDone()))

    def sendPoem(self, poem: bytes) -> None:
        """
        Do all that a server does.
        """
        self.send(poem)
        self.end()


@implementer(IReactorPluggableNameResolver)
class ClientReactor(Reactor):
    """
    A reactor in memory that knows one host, and that a test plays the servers of.

    @ivar resolves: whether the name server answers.
    """

    resolves = True

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver: Any = self

    def installNameResolver(self, resolver: Any) -> Any:
        """
        There is only one.
        """
        raise NotImplementedError

    def resolveHostName(
        self, receiver: Any, hostName: str, portNumber: int = 0, *_: Any
    ) -> Any:
        """
        Find an address.
        """
        receiver.resolutionBegan(None)
        if hostName == "localhost":
            receiver.addressResolved(IPv4Address("TCP", "127.0.0.1", portNumber))
        if self.resolves:
            receiver.resolutionComplete()

    @property
    def ports(self) -> list[int]:
        """
        Where clients wanted to connect to, in their order.
        """
        return [client[1] for client in self.tcpClients]

    def accept(self, number: int = -1) -> Server:
        """
        Accept one of the connections asked for.
        """
        factory = self.tcpClients[number][2]
        return Server(factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1)))

    def refuse(self, number: int = -1) -> None:
        """
        Refuse one of them.
        """
        error = ConnectionRefusedError(111, "Connection refused")
        factory = self.tcpClients[number][2]
        factory.clientConnectionFailed(self.connectors[number], Failure(error))
        self.advance(HostnameEndpoint._DEFAULT_ATTEMPT_DELAY)  # for other addresses


class ClientTestCase(SynchronousTestCase):
    """
    Has a reactor in memory, and sees that nothing is left scheduled.
    """

    def setUp(self) -> None:
        """
        Make a reactor.
        """
        self.reactor = ClientReactor()
        self.addCleanup(self.checkNothingLeft)

    def checkNothingLeft(self) -> None:
        """
        After each test nothing is scheduled.
        """
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class GetPoetryTestCase(ClientTestCase):
    """
    Asks for a poem.
    """

    def get(self, **options: Any) -> Deferred[bytes]:
        """
        Ask for a poem.
        """
        return getPoetry(("localhost", 17), reactor=self.reactor, **options)

    def assertFails(
        self, poem: Deferred[bytes], kind: type[PoetryFetchError], text: str
    ) -> None:
        """
        Assert that there is no poem, and what the error says.
        """
        error = self.failureResultOf(poem, kind).value
        self.assertIs(type(error), kind)
        self.assertEqual(str(error), text)


class GetPoetryTests(GetPoetryTestCase):
    """
    Tests of L{getPoetry}.
    """

    def test_poem(self) -> None:
        """
        What came until a clean end is the poem, in its order, byte by byte.
        """
        poem = self.get()
        server = self.reactor.accept()
        server.send(b"\xef\xbb\xbfone\r\n")
        server.send(b"\0two\xff")
        self.assertNoResult(poem)
        server.end()
        self.assertEqual(self.successResultOf(poem), b"\xef\xbb\xbfone\r\n\0two\xff")

    def test_empty(self) -> None:
        """
        A clean end without a byte is an empty poem.
        """
        poem = self.get()
        self.reactor.accept().end()
        self.assertEqual(self.successResultOf(poem), b"")

    def test_await(self) -> None:
        """
        A poem can be awaited.
        """

        async def read() -> bytes:
            return b"<" + await self.get() + b">"

        reading = Deferred.fromCoroutine(read())
        self.reactor.accept().sendPoem(b"poem")
        self.assertEqual(self.successResultOf(reading), b"<poem>")

    def test_saysNothing(self) -> None:
        """
        The client sends nothing, and leaves the end to the server.
        """
        self.get()
        server = self.reactor.accept()
        server.send(b"poem")
        self.assertEqual(server.transport.value(), b"")
        self.assertFalse(server.transport.disconnecting)
        server.end()

    def test_cut(self) -> None:
        """
        An end that is not clean is a failure, whatever came before.
        """
        for piece in (b"half", b""):
            poem = self.get()
            server = self.reactor.accept()
            server.send(piece)
            server.end(ConnectionLost())
            self.assertFails(
                poem,
                PoetryCutError,
                "localhost:17: Connection lost before the end, "
                f"{len(piece)} bytes received",
            )

    def test_cutOtherwise(self) -> None:
        """
        Any other reason of a bad end is told as it is.
        """
        poem = self.get()
        self.reactor.accept().end(UserError())
        self.assertFails(
            poem,
            PoetryCutError,
            "localhost:17: User aborted connection, 0 bytes received",
        )

    def test_refused(self) -> None:
        """
        A connection that is refused is a failure.
        """
        poem = self.get()
        self.reactor.refuse()
        self.assertFails(
            poem,
            PoetryConnectError,
            "localhost:17: Connection refused, 0 bytes received",
        )

    def test_unknownHost(self) -> None:
        """
        A host without an address is a failure that names it.
        """
        poem = getPoetry(("nowhere", 17), reactor=self.reactor)
        self.assertFails(
            poem,
            PoetryConnectError,
            "nowhere:17: DNS lookup failed: no results for hostname lookup: nowhere, "
            "0 bytes received",
        )

    def test_endpointRaises(self) -> None:
        """
        An endpoint that raises instead of failing makes no difference.
        """

        class Broken:
            def connect(self, factory: object) -> Any:
                raise RuntimeError("broken.")

            def __str__(self) -> str:
                return "here"

        poem = getPoetry(Broken(), reactor=self.reactor)  # type: ignore[arg-type]
        self.assertFails(poem, PoetryConnectError, "here: broken, 0 bytes received")

    def test_cancel(self) -> None:
        """
        To cancel in the middle of a poem closes the connection at once, and that
        is the only result.
        """
        poem = self.get()
        server = self.reactor.accept()
        server.send(b"half")
        poem.cancel()
        self.assertTrue(server.isAborted)
        self.assertFails(
            poem, PoetryCancelledError, "localhost:17: cancelled, 4 bytes received"
        )
        server.send(b"what was on the way")
        self.checkNothingLeft()
        server.end(ConnectionLost())

    def test_cancelConnecting(self) -> None:
        """
        To cancel while connecting ends that.
        """
        poem = self.get()
        poem.cancel()
        self.assertTrue(self.reactor.connectors[0].stoppedConnecting)
        error = self.failureResultOf(poem, PoetryCancelledError).value
        self.assertEqual((error.reason, error.received), ("cancelled", 0))

    def test_cancelResolving(self) -> None:
        """
        To cancel while the host is looked for is no mistake in its name.
        """
        self.reactor.resolves = False
        poem = self.get()
        poem.cancel()
        self.failureResultOf(poem, PoetryCancelledError)

    def test_cancelledIsConventional(self) -> None:
        """
        Whoever knows of Deferreds only knows a cancelled poem, and can set a
        timeout of their own.
        """
        poem = self.get()
        poem.cancel()
        self.failureResultOf(poem, CancelledError)
        poem = self.get().addTimeout(1.0, self.reactor)
        self.reactor.accept()
        self.reactor.advance(1.0)
        self.failureResultOf(poem, TimeoutError)

    def test_connectedTooLate(self) -> None:
        """
        A connection that is made all the same after the poem was given up is
        closed.
        """
        factories: list[Any] = []

        class Stubborn:
            def connect(self, factory: Any) -> Deferred[Any]:
                factories.append(factory)
                return Deferred()

        endpoint: Any = Stubborn()
        poem = getPoetry(endpoint, reactor=self.reactor)
        poem.cancel()
        server = Server(factories[0].buildProtocol(None))
        self.assertTrue(server.isAborted)
        server.end()
        self.failureResultOf(poem, PoetryCancelledError)

    def test_firesOnce(self) -> None:
        """
        Whatever a callback does, and however the connection ends, the poem is
        there once.
        """
        poem = self.get()
        server = self.reactor.accept()
        results: list[object] = []

        def endAgain(result: object) -> None:
            results.append(result)
            server.end(ConnectionLost())
            poem.cancel()

        poem.addBoth(endAgain)
        server.sendPoem(b"poem")
        self.assertEqual(results, [b"poem"])

    def test_names(self) -> None:
        """
        The error calls the server by host and port where it can, and by what
        the endpoint calls itself otherwise.
        """
        unix = UNIXClientEndpoint(self.reactor, "/poem")
        endpoints: list[tuple[Any, str]] = [
            (HostnameEndpoint(self.reactor, "localhost", 17), "localhost:17"),
            (TCP4ClientEndpoint(self.reactor, "192.0.2.1", 17), "192.0.2.1:17"),
            (TCP6ClientEndpoint(self.reactor, "::1", 17), "[::1]:17"),
            (clientEndpoint(self.reactor, "unix:/poem"), "unix:/poem"),
            (unix, str(unix)),
            (("::1", 17), "[::1]:17"),
        ]
        for endpoint, name in endpoints:
            poem = getPoetry(endpoint, reactor=self.reactor)
            poem.cancel()
            error = self.failureResultOf(poem, PoetryFetchError).value
            self.assertEqual(error.address, name)


class AddressTests(ClientTestCase):
    """
    Tests of L{parseAddress} and L{clientEndpoint}.
    """

    def test_parse(self) -> None:
        """
        An address has a port, and may have a host.
        """
        for text, address in {
            "10000": ("localhost", 10000),
            "1": ("localhost", 1),
            "localhost:65535": ("localhost", 65535),
            "192.0.2.1:17": ("192.0.2.1", 17),
            "po\xe9sie.example:17": ("po\xe9sie.example", 17),
            "[::1]:10000": ("::1", 10000),
            "[fe80::1%lo]:17": ("fe80::1%lo", 17),
        }.items():
            self.assertEqual(parseAddress(text), address)

    def test_refused(self) -> None:
        """
        Anything else is refused, in one sentence with the reason and the value.
        """
        port = "not a port number from 1 to 65535: "
        shape = "not [HOST:]PORT, with an IPv6 address in brackets ([::1]:10000): "
        for text, reason in {
            "": port,
            "localhost": port,
            "localhost:": port,
            "0": port,
            "65536": port,
            "-1": port,
            "1.0": port,
            " 17": port,
            "\u0661": port,
            ":17": shape,
            "::1:17": shape,
            "[::1:17": shape,
            "::1]:17": shape,
            "[localhost]:17": shape,
            "[]:17": shape,
            "a:b:17": shape,
        }.items():
            error = self.assertRaises(ValueError, parseAddress, text)
            self.assertEqual(str(error), reason + text)

    def test_endpoint(self) -> None:
        """
        An address makes an endpoint that connects to it, and that calls itself
        by it in full.
        """
        endpoint = clientEndpoint(self.reactor, "10000", timeout=7.0)
        verifyObject(IStreamClientEndpoint, endpoint)
        self.assertEqual(str(endpoint), "localhost:10000")
        poem = getPoetry(endpoint, reactor=self.reactor)
        ((host, port, _, timeout, _),) = self.reactor.tcpClients
        self.assertEqual((host, port, timeout), ("127.0.0.1", 10000, 7.0))
        self.reactor.accept().sendPoem(b"poem")
        self.assertEqual(self.successResultOf(poem), b"poem")

    def test_description(self) -> None:
        """
        So does the description of any client endpoint.
        """
        endpoint = clientEndpoint(self.reactor, "unix:/run/poem.sock")
        self.assertEqual(str(endpoint), "unix:/run/poem.sock")
        poem = getPoetry(endpoint, reactor=self.reactor)
        self.assertEqual(self.reactor.unixClients[0][0], "/run/poem.sock")
        poem.cancel()
        self.failureResultOf(poem, PoetryCancelledError)

    def test_noEndpoint(self) -> None:
        """
        What is neither is refused for what it looks like.
        """
        for text, sentence in {
            "70000": "not a port number from 1 to 65535: 70000",
            "localhost:http": "not a port number from 1 to 65535: localhost:http",
            "::1:x": "not a port number from 1 to 65535: ::1:x",
            "[2001:db8:1:1:1:1:1:1]:x": (
                "not a port number from 1 to 65535: [2001:db8:1:1:1:1:1:1]:x"
            ),
            "tcp:localhost:x": (
                "not an endpoint: tcp:localhost:x "
                "(not a port number from 1 to 65535: x)"
            ),
            "bogus:1:2": "not an endpoint: bogus:1:2 (unknown kind: bogus)",
        }.items():
            error = self.assertRaises(ValueError, clientEndpoint, self.reactor, text)
            self.assertEqual(str(error), sentence)
