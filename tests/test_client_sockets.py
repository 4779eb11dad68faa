"""
Tests of L{fastpoetry.client} over UNIX sockets, and with real ones.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IUNIXTransport
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from fastpoetry.address import clientEndpoint
from fastpoetry.client import PoetryConnectError, PoetryCutError, getPoetry
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import PoetryServer
from tests.support import StaticSource, socketPath
from tests.test_client import ClientTestCase


@implementer(IUNIXTransport)
class UNIXStringTransport(StringTransport):
    """
    A connection in memory that passes for one over a UNIX socket.
    """

    def sendFileDescriptor(self, descriptor: int) -> None:
        """
        A client sends none.
        """
        raise NotImplementedError


class ProofTests(ClientTestCase):
    """
    Tests of L{getPoetry} over UNIX sockets, where a poem that was cut ends cleanly
    and only a descriptor with the last bytes proves that they are the last.
    """

    def connect(self) -> tuple[Deferred[bytes], Any]:
        """
        Ask for a poem, and connect.

        @return: the poem, and the client.
        """
        poem = getPoetry(
            UNIXClientEndpoint(self.reactor, "/poem"), reactor=self.reactor
        )
        client = self.reactor.unixClients[-1][1].buildProtocol(None)
        client.makeConnection(UNIXStringTransport())
        return poem, client

    def prove(self, client: Any) -> None:
        """
        A descriptor comes, and is closed at once.
        """
        descriptor = os.open(os.devnull, os.O_RDONLY)
        client.fileDescriptorReceived(descriptor)
        self.assertRaises(OSError, os.fstat, descriptor)

    def end(self, client: Any) -> None:
        """
        The server ends, or is killed.
        """
        client.connectionLost(Failure(ConnectionDone()))

    def assertCut(self, poem: Deferred[bytes]) -> None:
        """
        Assert that this is no poem.
        """
        error = self.failureResultOf(poem, PoetryCutError).value
        self.assertEqual(error.reason, "Nothing proves that this is all of it")

    def test_proven(self) -> None:
        """
        With a descriptor before its last bytes it is a whole poem.
        """
        poem, client = self.connect()
        client.dataReceived(b"po")
        self.prove(client)
        client.dataReceived(b"em")
        self.end(client)
        self.assertEqual(self.successResultOf(poem), b"poem")

    def test_notProven(self) -> None:
        """
        Without one it is a cut poem, and so is one of no bytes.
        """
        for data in (b"po", b""):
            poem, client = self.connect()
            if data:
                client.dataReceived(data)
            self.end(client)
            self.assertCut(poem)

    def test_more(self) -> None:
        """
        A descriptor proves nothing of what comes after it.
        """
        poem, client = self.connect()
        self.prove(client)
        client.dataReceived(b"po")
        client.dataReceived(b"em")
        self.end(client)
        self.assertCut(poem)


class SocketTests(TestCase):
    """
    Tests of L{getPoetry} with real sockets.
    """

    def test_unix(self) -> Any:
        """
        Our own server proves on a UNIX socket that a poem is whole; one that is
        cut short there is a failure.
        """
        from twisted.internet import reactor

        path = socketPath(self.addCleanup)
        poem = b"poem\n" * 2**20
        server: Any = PoetryServer(f"unix:{path}", PoetryFactory(StaticSource(poem)))
        server.startService()
        connections = server._acceptor.connections

        async def check() -> None:
            endpoint = UNIXClientEndpoint(reactor, path)
            self.assertEqual(await getPoetry(endpoint), poem)
            with self.assertRaises(PoetryCutError):
                await getPoetry(endpoint, received=lambda size: connections.abort())
            await server.stopService()

        return Deferred.fromCoroutine(check())

    def fill(self, path: str) -> socket.socket:
        """
        Listen on a UNIX socket, and fill its queue, which has one place.
        """
        server = socket.socket(socket.AF_UNIX)
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(server.close)
        self.addCleanup(client.close)
        server.bind(path)
        server.listen(0)
        server.settimeout(20.0)  # if nobody comes
        client.connect(path)
        return server

    def test_fullQueue(self) -> Any:
        """
        At a UNIX socket whose queue is full a client waits for a place.  An endpoint of
        Twisted's own does not; what it says has no traceback.
        """
        from twisted.internet import reactor

        path = socketPath(self.addCleanup)
        server = self.fill(path)

        async def check() -> None:
            poem = getPoetry(clientEndpoint(reactor, f"unix:{path}"))
            with self.assertRaises(PoetryConnectError) as caught:
                await getPoetry(UNIXClientEndpoint(reactor, path))
            reason = "Resource temporarily unavailable"
            self.assertEqual(caught.exception.reason, reason)
            server.accept()[0].close()  # who had the place
            connection, _ = await deferToThread(server.accept)
            with connection, open(os.devnull) as proof:
                socket.send_fds(connection, [b"poem"], [proof.fileno()])
            self.assertEqual(await poem, b"poem")

        return Deferred.fromCoroutine(check())

    def test_server(self) -> Any:
        """
        By default a poem comes by the global reactor, from our own server among
        others; and nobody listens there afterwards.
        """
        poem = b"poem\n" * 2**20
        server = PoetryServer(
            "tcp:0:interface=127.0.0.1", PoetryFactory(StaticSource(poem))
        )
        server.startService()
        port: Any = server.port
        address = ("127.0.0.1", port.getHost().port)

        async def check() -> None:
            self.assertEqual(await getPoetry(address), poem)
            await server.stopService()
            with self.assertRaises(PoetryConnectError) as caught:
                await getPoetry(address)
            self.assertEqual(caught.exception.reason, "Connection refused")

        return Deferred.fromCoroutine(check())
