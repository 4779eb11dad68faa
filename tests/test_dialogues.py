"""
Protocols that know nothing of this package have the same dialogues on its transports
as on Twisted's, over TCP and over UNIX sockets, with the real reactor.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.endpoints import (
    TCP4ClientEndpoint,
    UNIXClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from fastpoetry.connection.transport import Transport
from fastpoetry.endpoints.unixsocket import listenUNIX
from fastpoetry.listening.acceptor import Acceptor
from sandbox import DEADLINE
from tests.certificates import makeCertificate
from tests.dialogues import Client, Echo, Lines, Netstrings, Page, Published, Reverser
from tests.support import BIG, POEM

# close_notify was sent and received.
BOTH = SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN

# What Twisted's web server says before a page.
PLAIN = {b"HTTP/1.1 200 OK", b"Content-Type: text/html", b"Content-Length: 1048576"}
CHUNKED = {
    b"HTTP/1.1 200 OK",
    b"Content-Type: text/html",
    b"Transfer-Encoding: chunked",
}


class Dialogues:
    """
    The dialogues.  Whoever mixes this in says how the server listens.
    """

    timeout = DEADLINE
    isOurs: ClassVar[bool]
    addCleanup: Callable[..., Any]
    assertEqual: Callable[..., Any]
    assertGreater: Callable[..., Any]
    assertIs: Callable[..., Any]
    assertIsInstance: Callable[..., Any]
    listen: Callable[..., Any]
    port: Any = None
    acceptor: Any = None

    def serve(self, factory: Any) -> Any:
        """
        Serve a factory.

        @return: an endpoint of a client.
        """
        from twisted.internet import reactor

        factory.noisy = False
        self.transports: list[Any] = []
        build = factory.buildProtocol

        def buildProtocol(address: Any) -> Any:
            protocol = build(address)
            made = protocol.makeConnection

            def makeConnection(transport: Any) -> None:
                self.transports.append(transport)
                made(transport)

            protocol.makeConnection = makeConnection
            return protocol

        factory.buildProtocol = buildProtocol
        self.port, endpoint = self.listen(reactor, factory)
        if self.isOurs:
            self.acceptor = Acceptor(self.port, None, reactor, set())
            self.acceptor.start()
            self.addCleanup(self.acceptor.connections.whenNone)
        self.addCleanup(self.stop)
        return endpoint

    async def stop(self) -> None:
        """
        Stop listening.
        """
        port, acceptor, self.port, self.acceptor = self.port, self.acceptor, None, None
        if acceptor is not None:
            acceptor.stop()
        elif port is not None:
            await port.stopListening()

    async def connect(self, endpoint: Any) -> Client:
        """
        Connect a client.
        """
        factory = Factory.forProtocol(Client)
        factory.noisy = False
        client: Client = await endpoint.connect(factory)
        self.addCleanup(client.end)
        return client

    async def whole(self, client: Client) -> bytes:
        """
        Wait for a clean end.

        @return: what was heard since the last time.
        """
        self.assertIs(await client.lost, ConnectionDone)
        for transport in self.transports:
            self.assertEqual(isinstance(transport, Transport), self.isOurs)
        return bytes(client.heard)

    async def test_published(self) -> None:
        """
        The server of the tutorial: all of the poem, whatever its size, and the end.
        """
        factory: Any = Factory.forProtocol(Published)
        endpoint = self.serve(factory)
        for poem in (b"", b"1", POEM, BIG, BIG * 8):
            factory.poem = poem
            client = await self.connect(endpoint)
            self.assertEqual(await self.whole(client), poem)

    async def test_addresses(self) -> None:
        """
        A protocol may ask for both addresses.
        """
        endpoint = self.serve(Factory.forProtocol(Echo))
        client = await self.connect(endpoint)
        client.transport.write(POEM)
        self.assertEqual(await client.hear(len(POEM)), POEM)
        (transport,) = self.transports
        self.assertEqual(transport.getHost(), client.transport.getPeer())
        peer, host = transport.getPeer(), client.transport.getHost()
        # That of a UNIX client has no name.
        self.assertEqual(getattr(peer, "name", peer) or host, host)
        client.transport.loseConnection()
        await self.whole(client)

    async def test_halves(self) -> None:
        """
        Both sides half-close: the answer is whole.
        """
        endpoint = self.serve(Factory.forProtocol(Reverser))
        client = await self.connect(endpoint)
        client.transport.write(BIG)
        client.transport.loseWriteConnection()
        # Before it hears of any end, the client must not end by itself.
        self.assertEqual(await self.whole(client), BIG[::-1])

    async def test_echo(self) -> None:
        """
        A megabyte comes back.
        """
        endpoint = self.serve(Factory.forProtocol(Echo))
        client = await self.connect(endpoint)
        client.transport.write(BIG)
        heard = await client.hear(len(BIG))
        self.assertEqual(heard, BIG)
        client.transport.loseConnection()
        self.assertEqual(await self.whole(client), b"")

    async def converse(self, last: bytes) -> Any:
        """
        Have a dialogue in lines.

        @param last: the last line.

        @return: the factory.
        """
        factory: Any = Factory.forProtocol(Lines)
        client = await self.connect(self.serve(factory))
        heard = await client.until(lambda heard: heard.endswith(b"\r\n"))
        self.assertEqual(heard, b"which?\r\n")
        client.transport.write(b"a\r\nb\r\nc\r")
        client.transport.write(b"\n" + last + b"\r\n")
        self.assertEqual(await self.whole(client), b"A\r\nB\r\nC\r\n" + BIG)
        return factory

    async def test_pullProducer(self) -> None:
        """
        Lines, then a megabyte by a pull producer.
        """
        await self.converse(b"pull")

    async def test_pushProducer(self) -> None:
        """
        Lines, then a megabyte by a push producer, which is told to pause.
        """
        factory = await self.converse(b"push")
        self.assertGreater(factory.producer.pauses, 2)

    async def test_netstrings(self) -> None:
        """
        Netstrings, several on one connection, and one that is broken.
        """
        endpoint = self.serve(Factory.forProtocol(Netstrings))
        client = await self.connect(endpoint)
        for size in (0, 1, 1000, 99_999):
            said = BIG[:size]
            client.transport.write(b"%d:%b," % (size, said))
            expected = b"%d:%b," % (size, said[::-1])
            heard = await client.hear(len(expected))
            self.assertEqual(heard, expected)
        client.transport.write(b"3:abc,2:xy,nonsense")
        self.assertEqual(await self.whole(client), b"3:cba,2:yx,")

    async def test_abort(self) -> None:
        """
        When the server aborts, what the client has is not all.
        """
        endpoint = self.serve(Factory.forProtocol(Echo))
        client = await self.connect(endpoint)
        client.transport.write(POEM)
        self.assertEqual(await client.hear(len(POEM)), POEM)
        (transport,) = self.transports
        transport.write(BIG * 16)
        transport.abortConnection()
        lost = await client.lost
        # A UNIX socket has no reset.
        isTCP = hasattr(client.transport.getPeer(), "port")
        self.assertIs(lost, ConnectionLost if isTCP else ConnectionDone)

    async def test_tls(self) -> None:
        """
        A megabyte comes back over TLS, and both sides say the end of it
        (C{close_notify}), whoever is the first.
        """
        certificate = makeCertificate()
        factory = Factory.forProtocol(Echo)
        factory.noisy = False
        tls = TLSMemoryBIOFactory(certificate.options(), False, factory)
        options = ssl.optionsForClientTLS("localhost", trustRoot=certificate)
        endpoint = wrapClientTLS(options, self.serve(tls))
        for isServerFirst in (True, False):
            client = await self.connect(endpoint)
            client.transport.write(BIG)
            heard = await client.hear(len(BIG))
            self.assertEqual(heard, BIG)
            handle = client.transport.getHandle()
            first = self.transports[-1].protocol if isServerFirst else client.transport
            first.loseConnection()
            # The lower transport of the client may take a UNIX socket that the
            # server has closed for one that is broken.
            await client.lost
            self.assertEqual((handle.get_shutdown(), client.heard), (BOTH, b""))

    async def test_startTLS(self) -> None:
        """
        A connection may begin without TLS, and go on with it.
        """
        certificate = makeCertificate()
        factory: Any = Factory.forProtocol(Lines)
        factory.tls = certificate.options()
        client = await self.connect(self.serve(factory))
        client.transport.write(b"a\r\ntls\r\n")
        heard = await client.until(lambda heard: heard.count(b"\r\n") == 2)
        self.assertEqual(heard, b"which?\r\nA\r\n")
        options = ssl.optionsForClientTLS("localhost", trustRoot=certificate)
        client.transport.startTLS(options)
        client.transport.write(b"b\r\npush\r\n")
        self.assertEqual(await self.whole(client), b"B\r\n" + BIG)

    async def test_web(self) -> None:
        """
        Twisted's web server: several requests on one connection, with and without
        a body, and in chunks; then the end.
        """
        site = Resource()
        site.putChild(b"page", Page())
        site.putChild(b"chunks", Page(isChunked=True))
        endpoint = self.serve(Site(site, reactor=self.clock()))
        client = await self.connect(endpoint)

        async def ask(what: bytes, isEnd: Callable[[bytes], bool]) -> bytes:
            client.transport.write(what + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return await client.until(isEnd)

        def hasBody(heard: bytes) -> bool:
            return len(heard.partition(b"\r\n\r\n")[2]) >= len(BIG)

        for _ in range(2):
            heard = await ask(b"GET /page", hasBody)
            self.assertEqual(self.split(heard), (PLAIN, BIG))
            heard = await ask(b"HEAD /page", lambda heard: b"\r\n\r\n" in heard)
            self.assertEqual(self.split(heard), (PLAIN, b""))
            heard = await ask(
                b"GET /chunks", lambda heard: heard.endswith(b"\r\n0\r\n\r\n")
            )
            head, body = self.split(heard)
            self.assertEqual((head, self.unchunked(body)), (CHUNKED, BIG))
        client.transport.write(
            b"GET /page HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )
        head, body = self.split(await self.whole(client))
        self.assertEqual((head - PLAIN, body), ({b"Connection: close"}, BIG))

    def split(self, answer: bytes) -> tuple[set[bytes], bytes]:
        """
        @return: the lines of the head but the date and the server, and the body.
        """
        head, _, body = answer.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        return {one for one in lines if one[:5] not in (b"Date:", b"Serve")}, body

    def clock(self) -> Any:
        """
        @return: the real reactor.
        """
        from twisted.internet import reactor

        return reactor

    def unchunked(self, body: bytes) -> bytes:
        """
        @return: what is in the chunks of a body.
        """
        data = b""
        while body != b"0\r\n\r\n":
            size, _, body = body.partition(b"\r\n")
            data += body[: int(size, 16)]
            body = body[int(size, 16) + 2 :]
        return data

    async def test_stopped(self) -> None:
        """
        Who is connected when the port stops goes on to the end.
        """
        endpoint = self.serve(Factory.forProtocol(Echo))
        clients = [await self.connect(endpoint) for _ in range(2)]
        for client in clients:
            client.transport.write(b"1")
            await client.until(bool)
        await self.stop()
        for client in clients:
            client.transport.write(BIG)
            heard = await client.hear(len(BIG))
            self.assertEqual(heard, BIG)
            client.transport.loseConnection()
            self.assertEqual(await self.whole(client), b"")


class TCP:
    """
    Over TCP.
    """

    def listen(self, reactor: Any, factory: Any) -> Any:
        """
        Listen.

        @return: a port, and an endpoint of a client.
        """
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        return port, TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)


class UNIX:
    """
    Over a UNIX socket.
    """

    def listen(self, reactor: Any, factory: Any) -> Any:
        """
        Listen.

        @return: a port, and an endpoint of a client.
        """
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)  # type: ignore[attr-defined]
        path = str(Path(directory.name) / "socket")
        if self.isOurs:  # type: ignore[attr-defined]
            port: Any = listenUNIX(reactor, path, factory, 0o666)
        else:
            port = reactor.listenUNIX(path, factory)
        return port, UNIXClientEndpoint(reactor, path)


class TwistedTCPTests(TCP, Dialogues, TestCase):
    """
    The dialogues on Twisted's own transport.
    """

    isOurs = False


class TwistedUNIXTests(UNIX, Dialogues, TestCase):
    """
    The dialogues on Twisted's own transport.
    """

    isOurs = False


class TransportTests(TCP, Dialogues, TestCase):
    """
    The dialogues on L{fastpoetry.connection.transport.Transport}.
    """

    isOurs = True


class UNIXTransportTests(UNIX, Dialogues, TestCase):
    """
    The dialogues on L{fastpoetry.endpoints.unixsocket.UNIXTransport}.
    """

    isOurs = True
