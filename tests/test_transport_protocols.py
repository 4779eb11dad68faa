"""
Tests of L{fastpoetry.connection.transport}: protocols that fail, and one that does
nothing.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection.connections import Connections
from fastpoetry.connection.transport import Transport
from tests.protocols import HalfListener, Listener, Producer
from tests.support import POEM, Reactor, writeAnd
from tests.transports import TransportTestCase
from tests.wire import PEER, PretendedEpoll, PretendedSocket


class ErrorTests(TransportTestCase):
    """
    Tests of protocols that fail: it costs their connection, and no other.
    """

    def breakDown(self, *_: object) -> None:
        """
        Fail.
        """
        raise ZeroDivisionError

    def checkOthers(self, count: int = 1) -> None:
        """
        The error is logged this many times, and others go on.
        """
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), count)
        self.assertEqual(len(self.connections), 1)
        other = next(iter(self.connections))
        other.write(POEM)
        self.turn()
        self.assertEqual(self.other.held, POEM)

    def setUp(self) -> None:
        """
        Make another connection.
        """
        super().setUp()
        self.connect(Listener())
        self.other = self.socket

    def test_connectionMade(self) -> None:
        """
        One that fails at its beginning is reset, and told.
        """
        protocol = Listener(self.breakDown)
        self.connect(protocol)
        self.assertEqual(protocol.reasons, [ZeroDivisionError])
        self.assertEqual(self.socket.seen, "reset")
        self.checkOthers()

    def test_failsAfterWriting(self) -> None:
        """
        What it wrote before is not sent.
        """

        def begin(transport: Any) -> None:
            writeAnd(POEM, "loseWriteConnection")(transport)
            self.breakDown()

        self.connect(Listener(begin))
        self.assertEqual(self.socket.calls, ["close"])
        self.checkOthers()

    def test_dataReceived(self) -> None:
        """
        One that fails on what it hears is reset, and told.
        """
        protocol = Listener(id, self.breakDown)
        self.connect(protocol)
        self.socket.said = [b"knock"]
        self.turn()
        self.assertEqual(protocol.reasons, [ZeroDivisionError])
        self.assertEqual(self.socket.seen, "reset")
        self.checkOthers()

    def test_connectionLost(self) -> None:
        """
        One that fails at its end is closed, and forgotten.
        """
        protocol: Any = Listener()
        protocol.connectionLost = self.breakDown
        self.connect(protocol)
        self.socket.said = [b""]
        self.turn()
        self.assertEqual(self.socket.calls, ["linger off", "close"])
        self.checkOthers()

    def test_halves(self) -> None:
        """
        So is one that fails when a half has ended.
        """
        for name, said in (("writeConnectionLost", []), ("readConnectionLost", [b""])):
            protocol = HalfListener(writeAnd(POEM, "loseWriteConnection"))
            setattr(protocol, name, self.breakDown)
            self.connect(protocol)
            self.socket.said = list(said)
            self.turn()
            self.assertEqual(protocol.reasons, [ZeroDivisionError])
            self.assertEqual(self.socket.calls[-2:], ["linger off", "close"])
        self.checkOthers(2)

    def test_resumeProducing(self) -> None:
        """
        So is one whose producer fails.
        """
        producer: Any = Producer()
        protocol = Listener()
        transport = self.connect(protocol)
        transport.registerProducer(producer, False)
        transport.write(POEM)
        producer.resumeProducing = self.breakDown
        self.turn()
        self.assertEqual(protocol.reasons, [ZeroDivisionError])
        self.assertEqual(producer.told, ["resume", "stop"])
        self.checkOthers()

    def test_stopProducing(self) -> None:
        """
        So is one whose producer cannot be stopped: its protocol is told.
        """
        producer: Any = Producer()
        producer.stopProducing = self.breakDown
        protocol = Listener(
            lambda transport: transport.registerProducer(producer, True)
        )
        self.connect(protocol)
        self.socket.said = [b""]
        self.turn()
        self.assertEqual(self.socket.calls[-1], "close")
        self.assertEqual(protocol.reasons, [ConnectionDone])
        self.checkOthers()


class FactoryTests(SynchronousTestCase):
    """
    Tests of what a transport needs of its protocol.
    """

    def test_anyProtocol(self) -> None:
        """
        Nothing: a protocol of Twisted's own that does nothing will do.
        """
        epoll = PretendedEpoll()
        connections = Connections(Reactor(), epoll)
        one = PretendedSocket(10, resets=True)
        epoll.sockets[one.fileno()] = one
        protocol = Factory.forProtocol(Protocol).buildProtocol(PEER)
        transport: Any = Transport(one, protocol, PEER, connections)
        connections.begin(transport)
        transport.write(POEM)
        connections.doRead()
        self.assertEqual(one.held, POEM[:10])
        connections.connectionLost(Failure(CONNECTION_LOST))
        self.assertEqual(one.seen, "reset")
