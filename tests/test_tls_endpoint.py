"""
Tests of L{fastpoetry.endpoints.tls}: the endpoint, and a server with one.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import capturedLogs, formatEvent
from zope.interface.verify import verifyObject

import fastpoetry.server
from fastpoetry.endpoints.tls import TLSEndpoint
from fastpoetry.endpoints.tlstransport import TLSFactory
from fastpoetry.error import ListenError
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import PoetryServer
from tests.certificatecase import DH, LEAF, MIDDLE, CertificateTestCase
from tests.support import Reactor, StaticSource
from tests.tlspeer import Only


class EndpointTests(CertificateTestCase):
    """
    Tests of L{TLSEndpoint}, and of a server with one.
    """

    def test_listen(self) -> None:
        """
        It listens on TCP, with TLS under the protocols.
        """
        path, reactor = self.write(LEAF.pem(), LEAF.keyPEM()), Reactor()
        endpoint = TLSEndpoint(reactor, "17", path, interface="127.0.0.1")
        self.assertTrue(verifyObject(IStreamServerEndpoint, endpoint))
        factory: Any = Only(None)
        self.successResultOf(endpoint.listen(factory))
        ((port, listening, _, interface),) = reactor.tcpServers
        tls: Any = listening
        self.assertEqual((port, interface), (17, "127.0.0.1"))
        self.assertIsInstance(tls, TLSFactory)
        self.assertIs(tls.wrappedFactory, factory)
        self.assertIs(tls.creator, endpoint.certificate)

    def test_files(self) -> None:
        """
        It takes as many files as there are.
        """
        key, file = self.write(LEAF.keyPEM()), self.write(LEAF.pem())
        extra, dh = self.write(MIDDLE.pem()), self.write(DH)
        endpoint = TLSEndpoint(
            Reactor(), "0", key, file, extraCertChain=extra, dhParameters=dh
        )
        self.assertEqual(self.served(endpoint.certificate), ["localhost", "middle"])

    def server(self) -> PoetryServer:
        """
        Make a server on a port of this machine.
        """
        path, reactor = self.write(LEAF.pem(), LEAF.keyPEM()), Reactor()
        factory = PoetryFactory(StaticSource(b""), 60.0, reactor)
        self.patch(
            reactor, "adoptStreamPort", lambda *_: reactor.listenTCP(17, factory)
        )
        return PoetryServer(f"ssl:0:privateKey={path}", factory, reactor=reactor)

    def test_server(self) -> None:
        """
        A server tells of its certificate, reloads it, and leaves nothing when it stops.
        """
        server = self.server()
        for _ in range(2):
            with capturedLogs() as events:
                server.startService()
                threads = self.holdThreads()
                reloading = server.reload()
                threads.finish()
            assert reloading is not None
            self.assertIsNone(self.successResultOf(reloading))
            self.assertEqual(len(self.lines(events)), 2)
            self.assertIn(" with TLS", str([formatEvent(event) for event in events]))
            self.assertEqual(len(server.reactor.getDelayedCalls()), 1)
            self.successResultOf(server.stopService())
            self.assertEqual(server.reactor.getDelayedCalls(), [])

    def test_noDescriptor(self) -> None:
        """
        Nor does one leave anything that cannot listen.
        """

        def fail(*arguments: object) -> None:
            raise OSError(24, "Too many open files")

        self.patch(fastpoetry.server, "Acceptor", fail)
        self.patch(fastpoetry.server, "Port", SimpleNamespace)
        lost: list[Any] = []
        server = self.server()
        port = SimpleNamespace(connectionLost=lost.append)
        server.reactor.adoptStreamPort = lambda *_: port
        self.assertRaises(ListenError, server.startService)
        self.assertEqual(len(lost), 1)
        self.assertEqual(server.reactor.getDelayedCalls(), [])

    def test_badCertificate(self) -> None:
        """
        A server with a certificate that cannot be used does not listen, and says why.
        """
        path, reactor = self.write(LEAF.pem()), Reactor()
        server = PoetryServer(f"ssl:0:privateKey={path}", Factory(), reactor=reactor)
        error = self.assertRaises(ListenError, server.startService)
        self.assertTrue(str(error).startswith(f"No private key in: {path}"), error)
        self.assertEqual(reactor.tcpServers, [])
