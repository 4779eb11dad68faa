"""
Tests of L{fastpoetry.endpoints.tlstransport} with foreign protocols.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost

from fastpoetry.endpoints.tlswriter import RECORD
from tests.support import POEM, writeAnd
from tests.tlspeer import BIG, VERSIONS, Listener, TLSProtocolTestCase, WholeListener


class WriteTests(TLSProtocolTestCase):
    """
    Tests of what is written.
    """

    def test_order(self) -> None:
        """
        Long and short writes keep their order, and an end comes after all of them.
        """
        sizes = (5, RECORD + 1, 7, 1, 3 * RECORD, 2 * RECORD, 0, RECORD, 11)
        pieces = [bytes([65 + at]) * size for at, size in enumerate(sizes)]

        def begin(transport: Any) -> None:
            for piece in pieces:
                transport.write(piece)
            transport.writeSequence([b"x", BIG])
            transport.loseWriteConnection()

        for version in VERSIONS.values():
            wire, client = self.begin(Listener(begin), 100, version=version)
            heard = self.hear(wire, client)
            self.assertEqual(heard, b"".join(pieces) + b"x" + BIG)
            self.assertTrue(client.hasEnd)
            self.assertEqual(len(wire.sent), len(heard) + wire.tls.overhead)
            wire.tls.abortConnection()
            wire.turn()
            self.checkNothingLeft(wire)

    def test_later(self) -> None:
        """
        So do writes after a long one that is done.
        """
        protocol = Listener()
        wire, client = self.begin(protocol)
        for piece in (BIG, POEM, BIG):
            protocol.transport.write(piece)
            wire.turn()
        self.assertEqual(self.hear(wire, client), BIG + POEM + BIG)
        self.assertIs(wire.transport.producer, None)
        self.assertFalse(client.hasEnd)

    def test_nothing(self) -> None:
        """
        Nothing that is written changes nothing, nor does it hurry what is on its way.
        """
        protocol = Listener(writeAnd(BIG))
        wire, _ = self.begin(protocol, 0)
        waiting = wire.waiting
        protocol.transport.write(b"")
        protocol.transport.writeSequence([])
        self.assertEqual(wire.waiting, waiting)

    def test_notBytes(self) -> None:
        """
        What is no bytes is refused at once.
        """
        protocol = Listener()
        wire, client = self.begin(protocol)
        for data in ("poem", bytearray(POEM), None, 17, ""):
            self.assertRaises(TypeError, protocol.transport.write, data)
        self.assertEqual(self.hear(wire, client), b"")

    def test_afterTheEnd(self) -> None:
        """
        What is written after the end was asked for is not sent, nor does it hurry, or
        hurt, what was written before.
        """
        for end in ("loseWriteConnection", "loseConnection"):
            for data in (POEM, BIG):
                protocol = Listener(writeAnd(data))
                wire, client = self.begin(protocol, 0)
                getattr(protocol.transport, end)()
                waiting = wire.waiting
                for more in (POEM, BIG):
                    protocol.transport.write(more)
                self.assertEqual(wire.waiting, waiting)
                self.assertEqual(self.hear(wire, client), data)
                self.assertTrue(client.hasEnd)
                protocol.transport.write(POEM)
                self.assertEqual(self.hear(wire, client), data)

    def test_endTwice(self) -> None:
        """
        There is one end, however often it is asked for.
        """
        for data in (POEM, BIG):
            protocol = Listener(writeAnd(data))
            wire, client = self.begin(protocol, 100)
            for _ in range(2):
                protocol.transport.loseWriteConnection()
            self.assertEqual(self.hear(wire, client), data)
            protocol.transport.loseWriteConnection()
            protocol.transport.unregisterProducer()
            self.assertEqual(self.hear(wire, client), data)
            self.assertEqual(protocol.events, ["made", "write"])
            self.assertEqual(len(wire.sent), len(data) + wire.tls.overhead)


class EndTests(TLSProtocolTestCase):
    """
    Tests of how connections end.
    """

    def test_loseConnection(self) -> None:
        """
        C{loseConnection} sends everything, C{close_notify} and the end, and hears no
        more, and so does C{stopProducing}.
        """
        for kind, name in (
            (Listener, "loseConnection"),
            (WholeListener, "loseConnection"),
            (Listener, "stopProducing"),
        ):
            for data in (b"", POEM, BIG):
                protocol = kind(writeAnd(data, name))
                wire, client = self.begin(protocol, 100)
                self.assertEqual(self.hear(wire, client), data)
                self.assertTrue(client.hasEnd)
                self.assertEqual(wire.socket.seen, "clean")
                self.assertEqual(protocol.events, ["made", ConnectionDone])
                self.checkNothingLeft(wire)

    def test_halfThenWhole(self) -> None:
        """
        C{loseConnection} after C{loseWriteConnection}, at once or when that is done,
        loses nothing.
        """
        for data in (POEM, BIG):
            for isAtOnce in (False, True):
                protocol = Listener(writeAnd(data))
                wire, client = self.begin(protocol, 100)
                protocol.transport.loseWriteConnection()
                if isAtOnce:
                    protocol.transport.loseConnection()
                self.assertEqual(self.hear(wire, client), data)
                protocol.transport.loseConnection()
                self.hear(wire, client)
                self.assertTrue(client.hasEnd)
                self.assertEqual(protocol.events[-1], ConnectionDone)
                self.assertEqual(wire.socket.seen, "clean")
                self.assertEqual(wire.sends.count("end"), int(not isAtOnce))
                self.checkNothingLeft(wire)

    def test_peerEnds(self) -> None:
        """
        A protocol that knows no halves is lost when the peer ends, after what it has
        written: in order after C{close_notify}, and otherwise not.
        """
        for says, expected in ((True, ConnectionDone), (False, ConnectionLost)):
            for data in (b"", POEM, BIG):
                protocol = WholeListener(writeAnd(data))
                wire, client = self.begin(protocol, 100)
                if says:
                    wire.say(client.notify())
                wire.halfClose()
                self.assertEqual(self.hear(wire, client), data)
                self.assertEqual(protocol.events, ["made", expected])
                self.assertTrue(client.hasEnd)
                self.checkNothingLeft(wire)

    def test_halves(self) -> None:
        """
        One that knows them is told once, whichever way it is, and goes on.
        """
        for names in (["notify"], ["halfClose"], ["notify", "halfClose"]):
            protocol = Listener()
            wire, client = self.begin(protocol)
            if "notify" in names:
                wire.say(client.notify())
            if "halfClose" in names:
                wire.halfClose()
            self.assertEqual(protocol.events, ["made", "read"])
            protocol.transport.write(BIG)
            protocol.transport.loseWriteConnection()
            self.assertEqual(self.hear(wire, client), BIG)
            self.assertEqual(protocol.events, ["made", "read", "write"])
            protocol.transport.loseConnection()
            self.assertEqual(protocol.events[-1], ConnectionDone)
            self.checkNothingLeft(wire)

    def test_halfOfOneThatKnowsNone(self) -> None:
        """
        One that knows none may half-close all the same, and hear on.
        """
        protocol = WholeListener(writeAnd(b"", "loseWriteConnection"))
        wire, client = self.begin(protocol)
        self.assertEqual(self.hear(wire, client), b"")
        self.assertTrue(client.hasEnd)
        client.say(POEM)
        self.assertEqual(protocol.events, ["made", POEM])
        wire.halfClose()
        self.assertEqual(protocol.events[-1], ConnectionLost)
        self.checkNothingLeft(wire)

    def test_aborted(self) -> None:
        """
        A protocol that aborts hears nothing more of what has come, and can say
        nothing more.
        """

        class Aborting(Listener):
            """
            Aborts at the first word.
            """

            def dataReceived(self, data: bytes) -> None:
                """
                Hear it.
                """
                super().dataReceived(data)
                self.transport.abortConnection()
                self.transport.write(BIG)
                self.transport.loseConnection()

        protocol = Aborting()
        wire, client = self.begin(protocol)
        client.listen()
        sent = len(wire.sent)
        client.tls.send(b"1")
        client.tls.send(b"2")
        wire.say(client.flush() + client.notify())
        self.assertEqual(protocol.events, ["made", b"1", ConnectionAborted])
        self.assertEqual(len(wire.sent), sent)
        self.assertEqual(wire.socket.seen, "reset")
        self.checkNothingLeft(wire)

    def test_usedAfterwards(self) -> None:
        """
        A protocol that goes on with a transport that is lost, when it is told or
        later, or in the middle of a long write, does no harm.
        """
        stopped: list[None] = []
        producer = SimpleNamespace(stopProducing=lambda: stopped.append(None))

        def goOn(transport: Any) -> None:
            self.assertFalse(transport.connected)
            self.assertIs(transport.getHandle(), None)
            transport.write(BIG)
            transport.writeSequence([POEM])
            transport.registerProducer(producer, True)
            transport.registerProducer(producer, False)
            writeAnd(
                b"",
                "unregisterProducer",
                "pauseProducing",
                "resumeProducing",
                "loseWriteConnection",
                "loseConnection",
                "abortConnection",
            )(transport)
            self.assertIs(transport.negotiatedProtocol, None)

        class Stubborn(Listener):
            """
            Does not take no for an answer.
            """

            def connectionLost(self, *reason: Any) -> None:
                """
                Go on.
                """
                super().connectionLost(*reason)
                goOn(self.transport)

        for data in (b"", BIG):
            protocol = Stubborn(writeAnd(data))
            wire, _ = self.begin(protocol, 100)
            wire.reset()
            goOn(protocol.transport)
            wire.turn()
            self.assertEqual(protocol.events, ["made", ConnectionLost])
            self.checkNothingLeft(wire)
        self.assertEqual(len(stopped), 8)
