"""
Tests of L{fastpoetry.endpoints.tlstransport}: the handshake.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IPushProducer, ISSLTransport
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from fastpoetry.endpoints.tlstransport import TLSFactory
from tests.support import POEM, Reactor
from tests.tlspeer import (
    PLAIN_CLOSE_NOTIFY,
    VERSIONS,
    Client,
    Creator,
    Listener,
    Only,
    TLSTestCase,
    TLSWire,
    WholeListener,
)

ALERT = 0x15  # the first byte of one in plain text


def onlyRSA(context: SSL.Context) -> None:
    """
    Have a client know nothing that a server with another key knows.
    """
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(b"AES128-GCM-SHA256")


class HandshakeTests(TLSTestCase):
    """
    Tests of what comes before the protocol.
    """

    def refuse(self, protocol: Any = None, **options: Any) -> tuple[TLSWire, Client]:
        """
        Connect a client whose handshake fails.
        """
        self.listener = protocol or Listener()
        return self.connect(self.listener, **options)

    def checkRefused(
        self, wire: TLSWire, events: Sequence[LogEvent], reason: str
    ) -> None:
        """
        See that one line says why, and no protocol knows.
        """
        self.checkNothingLeft(wire)
        (line,) = map(formatEvent, events)
        self.assertEqual(line, f"no TLS with 192.0.2.1:4321: {reason}")
        self.assertEqual(self.listener.events, [])

    def test_first(self) -> None:
        """
        A protocol begins with the last byte of the handshake, be it in one piece or
        not, and not before.
        """
        for version in VERSIONS.values():
            protocol = Listener()
            wire, _ = self.connect(protocol)
            client = Client(wire, version)
            for _ in range(2):
                client.listen()
                for byte in client.flush():
                    self.assertEqual(protocol.events, [])
                    wire.say(bytes([byte]))
            client.listen()
            self.assertEqual(protocol.events, ["made"])
            self.assertEqual(wire.reactor.getDelayedCalls(), [])
            client.say(POEM)
            self.assertEqual(protocol.events, ["made", POEM])

    def test_together(self) -> None:
        """
        What comes with the last byte of the handshake is heard after the beginning.
        """
        protocol = Listener()
        wire, client = self.connect(protocol)
        word = client.lastWord()
        client.tls.send(POEM)
        wire.say(word + client.flush() + client.notify())
        self.assertEqual(protocol.events, ["made", POEM, "read"])

    def test_interfaces(self) -> None:
        """
        To the protocol, it is a transport of TLS, and a producer.
        """
        protocol = Listener()
        _, client = self.connect(protocol)
        client.begin()
        self.assertTrue(verifyObject(ISSLTransport, protocol.transport))
        self.assertTrue(verifyObject(IPushProducer, protocol.transport))

    def test_deadline(self) -> None:
        """
        A handshake that takes too long is reset, whether the client says something
        or not.
        """
        for says in (False, True):
            wire, client = self.refuse()
            client.listen()
            for byte in client.flush()[:6]:
                wire.reactor.advance(1)
                if says:
                    wire.say(bytes([byte]))
            wire.reactor.advance(0.5)
            self.assertFalse(wire.gone)
            with capturedLogs() as events:
                wire.reactor.advance(0.5)
                wire.turn()
            self.checkRefused(wire, events, "it takes longer than 7.0 seconds")
            self.assertEqual(wire.socket.seen, "reset")

    def test_timeout(self) -> None:
        """
        Where a factory has no timeout, a handshake may take a minute.
        """
        factory: Any = Only(None)
        factory.timeout = None
        self.assertEqual(TLSFactory(Creator(), factory, None).timeout, 60)
        del factory.timeout
        self.assertEqual(TLSFactory(Creator(), factory, None).timeout, 60)

    def test_notTLS(self) -> None:
        """
        Who does not speak TLS is let go, with one line that says what it was.
        """
        for said, reason in (
            (b"GET / HTTP/1.0\r\n\r\n", "SSL routines: http request"),
            (b"which poem?\r\n", "SSL routines: wrong version number"),
        ):
            wire, _ = self.refuse()
            with capturedLogs() as events:
                wire.say(said)
                wire.say(said)
            self.checkRefused(wire, events, reason)

    def test_alert(self) -> None:
        """
        A client that the server has nothing in common with gets an alert, and then the
        end.
        """
        wire, client = self.refuse(prepare=onlyRSA)
        client.listen()
        with capturedLogs() as events:
            wire.say(client.flush())
        self.assertEqual(wire.socket.held[0], ALERT)
        client.listen()
        self.assertIn("alert", str(client.error))
        self.assertEqual(wire.socket.seen, "clean")
        self.checkRefused(wire, events, "SSL routines: no shared cipher")

    def test_alertNotTaken(self) -> None:
        """
        A client that does not take its alert is reset at the deadline, without
        another line.
        """
        wire, client = self.refuse(prepare=onlyRSA, capacity=0)
        client.listen()
        with capturedLogs() as events:
            wire.say(client.flush())
            self.assertFalse(wire.gone)
            wire.reactor.advance(7)
            wire.turn()
        self.assertEqual(wire.socket.seen, "reset")
        self.checkRefused(wire, events, "SSL routines: no shared cipher")

    def test_leaves(self) -> None:
        """
        A client that leaves before the handshake is done costs one line, be its end
        one of TCP, a reset, or C{close_notify}, and wherever it comes.  It sees a
        reset: to the client, the handshake may be done.
        """
        for version in VERSIONS.values():
            for steps in range(2):
                for end in ("FIN", "reset", "close_notify"):
                    wire, _ = self.refuse()
                    client = Client(wire, version)
                    client.listen()
                    if steps:
                        wire.say(client.flush())
                    with capturedLogs() as events:
                        if end == "FIN":
                            wire.halfClose()
                        elif end == "reset":
                            wire.reset()
                        elif steps:
                            wire.say(PLAIN_CLOSE_NOTIFY)
                        else:
                            continue  # OpenSSL expects something else
                    self.checkRefused(wire, events, "it left")
                    self.assertEqual(wire.socket.seen, "reset")

    def test_stop(self) -> None:
        """
        A client that is cut off in the handshake, as at a stop, has not left.
        """
        wire, client = self.refuse()
        client.listen()
        wire.say(client.flush())
        with capturedLogs() as events:
            wire.connections.abort()
            wire.turn()
        self.checkRefused(wire, events, "aborted")
        self.assertEqual(wire.socket.seen, "reset")

    def test_knowsNoHalves(self) -> None:
        """
        A protocol that knows no halves is not told of C{close_notify} in the
        handshake, either.
        """
        wire, client = self.refuse(WholeListener())
        client.listen()
        wire.say(client.flush())
        with capturedLogs() as events:
            wire.say(PLAIN_CLOSE_NOTIFY)
        self.checkRefused(wire, events, "it left")

    def test_noProtocol(self) -> None:
        """
        A factory may turn a client away.
        """
        factory = TLSFactory(Creator(), Only(None), Reactor())
        self.assertIs(factory.buildProtocol(None), None)

    def test_noConnection(self) -> None:
        """
        An error of OpenSSL's before the first byte costs the connection, and leaves
        nothing.
        """

        class None_(SSL.Connection):
            """
            One that cannot be made.
            """

            def __init__(self, *arguments: Any) -> None:
                raise SSL.Error([("SSL routines", "", "malloc failure")])

        wire, _ = self.refuse(creator=Creator(None_))
        self.assertEqual(len(self.flushLoggedErrors(SSL.Error)), 1)
        self.checkNothingLeft(wire)
        self.assertEqual(self.listener.events, [])

    def test_beginningFails(self) -> None:
        """
        A protocol that fails when it begins is reset, and told.
        """

        def fail(transport: Any) -> None:
            raise ValueError("the dog ate it")

        protocol = Listener(fail)
        wire, client = self.connect(protocol)
        client.begin()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(protocol.events, ["made", ValueError])
        self.assertEqual(wire.socket.seen, "reset")
        self.checkNothingLeft(wire)


class TwistedTests(SynchronousTestCase):
    """
    Tests of what L{TLSMemoryBIOProtocol} does not document.
    """

    def test_connection(self) -> None:
        """
        Its protocol keeps the connection of OpenSSL where what asks for it looks.
        """

        class Negotiated:
            """
            A connection of OpenSSL.
            """

            def get_alpn_proto_negotiated(self) -> bytes:
                """
                @return: a protocol.
                """
                return b"poetry"

            def get_peer_certificate(self) -> str:
                """
                @return: a certificate.
                """
                return "certificate"

        factory = TLSMemoryBIOFactory(Creator(), False, Only(None), Reactor())  # type: ignore[arg-type]
        protocol: Any = TLSMemoryBIOProtocol(factory, Listener())
        self.assertIs(protocol._handshakeDone, False)
        self.assertIs(protocol._reason, None)
        protocol._tlsConnection = Negotiated()
        self.assertIs(protocol.getHandle(), protocol._tlsConnection)
        self.assertEqual(protocol.negotiatedProtocol, b"poetry")
        self.assertEqual(protocol.getPeerCertificate(), "certificate")
        self.assertEqual(protocol.disconnecting, 0)
