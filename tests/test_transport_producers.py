"""
Tests of L{fastpoetry.connection.transport}: producers.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.main import CONNECTION_LOST
from twisted.python.failure import Failure

from tests.protocols import Listener, Producer
from tests.support import POEM
from tests.transports import TransportTestCase


class ProducerTests(TransportTestCase):
    """
    Tests of producers.
    """

    def test_stopped(self) -> None:
        """
        A producer is stopped, once, when the connection is lost, and one that
        comes later is stopped at once.
        """
        producer, late = Producer(), Producer()
        transport = self.connect(Listener())
        transport.registerProducer(producer, True)
        self.socket.broken = True
        self.turn()
        transport.connectionLost(Failure(CONNECTION_LOST))
        transport.registerProducer(late, True)
        self.assertEqual((producer.told, late.told), (["stop"], ["stop"]))

    def test_paused(self) -> None:
        """
        A push producer that writes more than the reader takes is paused, and
        resumed when everything is sent, though it wrote during the turn.
        """
        producer = Producer()

        def begin(transport: Any) -> None:
            transport.registerProducer(producer, True)
            transport.write(bytes(2**17))

        self.connect(Listener(begin), 2**16)
        self.assertEqual(producer.told, ["pause"])
        self.take()
        self.assertEqual(producer.told, ["pause", "resume"])

    def test_pausedAfterWrite(self) -> None:
        """
        What was written before the producer came counts as well.
        """
        producer = Producer()

        def begin(transport: Any) -> None:
            transport.write(bytes(2**17))
            transport.registerProducer(producer, True)
            transport.write(b"1")

        self.connect(Listener(begin), 2**16)
        self.assertEqual(producer.told, ["pause"])

    def test_lateHalfClose(self) -> None:
        """
        A half-close waits for a pull producer, which is asked for more first.
        """
        producer = Producer()

        def begin(transport: Any) -> None:
            transport.write(POEM)
            transport.registerProducer(producer, False)
            transport.loseWriteConnection()

        transport = self.connect(Listener(begin))
        self.assertEqual(producer.told, ["resume", "resume"])
        self.assertIsNone(self.socket.end)
        transport.write(POEM)
        transport.unregisterProducer()
        self.turn()
        self.assertEqual(self.socket.held, POEM + POEM)
        self.assertEqual(self.socket.end, "half")

    def test_lateEnd(self) -> None:
        """
        A connection that is to be lost waits for its producer.
        """
        protocol = Listener()
        transport = self.connect(protocol)
        transport.registerProducer(Producer(), True)
        transport.write(POEM)
        transport.loseConnection()
        transport.unregisterProducer()
        self.turn()
        self.assertEqual(self.socket.held, POEM)
        self.assertEqual(protocol.reasons, [ConnectionDone])
