"""
Tests of L{fastpoetry.endpoints.tlstransport} with foreign producers.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer

from fastpoetry.endpoints.tlswriter import RECORD
from tests.protocols import Producer
from tests.support import POEM, writeAnd
from tests.tlspeer import (
    BIG,
    Client,
    Listener,
    TLSProtocolTestCase,
    TLSWire,
    WholeListener,
)


@implementer(IPushProducer, IPullProducer)
class PieceProducer(Producer):
    """
    Writes pieces, one whenever it is asked.
    """

    def __init__(self, transport: Any, pieces: list[bytes]) -> None:
        super().__init__()
        self.transport = transport
        self.pieces = pieces

    def resumeProducing(self) -> None:
        """
        Write a piece; after the last one there is nothing.
        """
        super().resumeProducing()
        if self.pieces:
            self.transport.write(self.pieces.pop(0))
        else:
            self.transport.unregisterProducer()


class ProducerTests(TLSProtocolTestCase):
    """
    Tests of producers.
    """

    def register(
        self, isPush: bool, pieces: list[bytes], *names: str, kind: Any = WholeListener
    ) -> tuple[TLSWire, Client]:
        """
        Connect a protocol that registers a producer.

        @param names: of the methods of its transport that it calls then.
        """

        def begin(transport: Any) -> None:
            self.producer = PieceProducer(transport, list(pieces))
            transport.registerProducer(self.producer, isPush)
            writeAnd(b"", *names)(transport)

        self.protocol = kind(begin)
        return self.begin(self.protocol, 100)

    def test_pull(self) -> None:
        """
        A pull producer is asked again when the kernel has what it wrote, and an end
        that was asked for before waits for it.
        """
        pieces = [POEM, BIG, b"x", bytes(RECORD)]
        for name in ("loseConnection", "loseWriteConnection"):
            wire, client = self.register(False, pieces, name)
            self.assertEqual(self.producer.told, ["resume"])
            self.assertEqual(self.hear(wire, client), b"".join(pieces))
            self.assertTrue(client.hasEnd)
            self.assertEqual(self.producer.told, ["resume"] * 5)
            self.assertEqual(wire.socket.seen, "clean")

    def test_push(self) -> None:
        """
        A push producer is told to pause when there is more than enough, and an end
        that was asked for before waits until it is done.
        """
        for name in ("loseConnection", "loseWriteConnection"):
            wire, client = self.register(True, [], name)
            transport = self.protocol.transport
            transport.write(bytes(RECORD))
            self.assertEqual(self.producer.told, [])
            transport.write(bytes(RECORD))
            self.assertEqual(self.producer.told, ["pause"])
            self.producer.pieces = [POEM, BIG]
            heard = self.hear(wire, client)
            self.assertFalse(client.hasEnd)
            self.assertEqual(heard, bytes(2 * RECORD) + POEM)
            transport.write(BIG)
            transport.unregisterProducer()
            transport.write(b"too late")
            self.assertEqual(self.hear(wire, client), heard + BIG)
            self.assertTrue(client.hasEnd)
            self.assertEqual(wire.socket.seen, "clean")

    def test_pausedOnce(self) -> None:
        """
        It is told once, however many records it has written, and again when it has gone
        on; and so is the next one.
        """
        wire, client = self.register(True, [BIG, BIG])
        self.protocol.transport.write(BIG)
        self.assertEqual(self.producer.told, ["pause"])
        self.assertEqual(self.hear(wire, client), 3 * BIG)
        self.assertEqual(self.producer.told, ["pause", "resume"] * 3)
        self.register(True, [])
        transport = self.protocol.transport
        transport.write(BIG)
        transport.unregisterProducer()
        other = PieceProducer(transport, [])
        transport.registerProducer(other, True)
        transport.write(BIG)
        self.assertEqual(other.told, ["pause"])

    def test_afterALongWrite(self) -> None:
        """
        What a producer writes comes after a long write that is on its way.
        """
        for isPush in (False, True):

            def begin(transport: Any, isPush: bool = isPush) -> None:
                transport.write(BIG)
                transport.registerProducer(PieceProducer(transport, [POEM]), isPush)
                if isPush:
                    transport.write(POEM)
                    transport.unregisterProducer()
                transport.loseConnection()

            protocol = WholeListener(begin)
            wire, client = self.begin(protocol, 100)
            self.assertEqual(self.hear(wire, client), BIG + POEM)
            self.assertEqual(protocol.events, ["made", ConnectionDone])
            self.checkNothingLeft(wire)

    def test_none(self) -> None:
        """
        A protocol that unregisters a producer which it has not, in the middle of a
        long write, cuts nothing short.
        """
        protocol = Listener(writeAnd(BIG))
        wire, client = self.begin(protocol, 100)
        writeAnd(b"", "unregisterProducer", "loseWriteConnection")(protocol.transport)
        protocol.transport.unregisterProducer()
        self.assertFalse(wire.sends.count("end"))
        self.assertEqual(self.hear(wire, client), BIG)
        self.assertTrue(client.hasEnd)

    def test_two(self) -> None:
        """
        There is one at a time.
        """
        self.register(True, [])
        self.assertRaises(
            RuntimeError, self.protocol.transport.registerProducer, object(), True
        )

    def test_afterTheEnd(self) -> None:
        """
        One that comes after the end was asked for is stopped.
        """
        for data in (POEM, BIG):
            protocol = Listener(writeAnd(data))
            wire, client = self.begin(protocol, 100)
            protocol.transport.loseConnection()
            producer = PieceProducer(protocol.transport, [b"too late"])
            protocol.transport.registerProducer(producer, False)
            self.assertEqual(producer.told, ["stop"])
            self.assertEqual(self.hear(wire, client), data)
            self.checkNothingLeft(wire)

    def test_lost(self) -> None:
        """
        One whose connection is lost is stopped, once.
        """
        wire, _ = self.register(True, [])
        wire.reset()
        self.assertEqual(self.producer.told, ["stop"])
        self.checkNothingLeft(wire)

    def test_peerEnds(self) -> None:
        """
        So is one that is not done when the peer ends, of a protocol that knows no
        halves: it might never be.
        """
        for isPush in (False, True):
            for says in (False, True):
                wire, client = self.register(isPush, [BIG, POEM])
                if says:
                    wire.say(client.notify())
                else:
                    wire.halfClose()
                self.hear(wire, client)
                self.assertEqual(self.producer.told[-1:], ["stop"])
                self.assertEqual(self.producer.told.count("stop"), 1)
                self.assertTrue(client.hasEnd)
                self.assertEqual(len(self.protocol.events), 2)
                self.checkNothingLeft(wire)

    def test_peerHalfCloses(self) -> None:
        """
        One of a protocol that knows halves goes on.
        """
        wire, client = self.register(False, [BIG, POEM], kind=Listener)
        wire.say(client.notify())
        wire.halfClose()
        self.assertEqual(self.hear(wire, client), BIG + POEM)
        self.assertEqual(self.protocol.events, ["made", "read"])
