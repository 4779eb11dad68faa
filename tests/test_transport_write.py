"""
Tests of L{fastpoetry.connection.transport}: how it sends.
"""

from __future__ import annotations

import errno
import select
from typing import Any

from twisted.internet.error import ConnectionLost

from fastpoetry.connection.transport import SENT_AT_ONCE
from tests.protocols import HalfListener, Listener, Producer
from tests.support import BIG, POEM, writeAnd
from tests.transports import TransportTestCase


class WriteTests(TransportTestCase):
    """
    Tests of how L{Transport} sends.
    """

    def test_nothingCopied(self) -> None:
        """
        What is left to send is the very object that was written, however little it
        is, during the first turn and later.
        """
        data = bytes(1000)
        inTurn = self.connect(Listener(writeAnd(data)), 999)
        later = self.connect(Listener(), 999)
        later.write(data)
        for transport in (inTurn, later):
            for _ in range(2):
                self.turn()
                self.assertEqual(transport.offset, 999)
                self.assertIs(transport.dataBuffer, data)

    def test_nothingCopiedAtEnd(self) -> None:
        """
        Nor is it copied when the end follows.
        """
        transport = self.connect(Listener(writeAnd(BIG, "loseWriteConnection")), 1000)
        self.turn()
        self.assertIs(transport.dataBuffer, BIG)

    def test_nothingKept(self) -> None:
        """
        What is sent is kept no longer, whatever ends the connection.
        """
        for begin in (
            writeAnd(POEM),
            writeAnd(POEM, "loseWriteConnection"),
            writeAnd(POEM, "loseWriteConnection", "loseConnection"),
        ):
            transport = self.connect(Listener(begin))
            self.assertEqual((transport.dataBuffer, transport.offset), (b"", 0))

    def test_pieces(self) -> None:
        """
        The kernel gets so much at a time, unless no more than twice as much is left.
        """
        self.connect(Listener(writeAnd(bytes(4 * SENT_AT_ONCE))), 2**23)
        for pieces in (1, 2, 4):
            self.assertEqual(len(self.socket.held), pieces * SENT_AT_ONCE)
            self.connections.doRead()

    def test_order(self) -> None:
        """
        Whatever is written, during the turn or not, at once or one after the other,
        goes out in this order.
        """

        def begin(transport: Any) -> None:
            transport.write(b"1")
            transport.write(b"2")
            transport.writeSequence([b"3", b"4"])

        transport = self.connect(Listener(begin), 3)
        transport.write(b"5")
        transport.writeSequence([b"6"])
        transport.loseWriteConnection()
        while self.socket.end is None:
            self.take()
            self.turn()
        self.assertEqual(bytes(self.socket.taken + self.socket.held), b"123456")

    def test_writtenAfterTheEndWasAskedFor(self) -> None:
        """
        What is written between C{loseWriteConnection} and the end itself is sent,
        as Twisted does it, and nothing after the end.
        """

        def begin(transport: Any) -> None:
            transport.write(b"1")
            transport.loseWriteConnection()
            transport.write(b"2")

        transport = self.connect(Listener(begin))
        self.turn()
        transport.write(b"3")
        self.turn()
        self.assertEqual(bytes(self.socket.held), b"12")
        self.assertEqual(self.socket.calls[1:], ["data+", "end", "linger off"])

    def test_writtenAfterTheEnd(self) -> None:
        """
        What is written after the end, during a turn or not, is not sent, and costs
        nothing.
        """
        protocol = HalfListener(
            writeAnd(POEM, "loseWriteConnection"),
            lambda data: protocol.transport.write(data),
        )
        transport = self.connect(protocol)
        self.socket.said = [b"more"]
        self.turn()
        transport.write(b"more")
        self.turn()
        self.assertEqual(self.socket.held, POEM)
        self.assertEqual(transport.registered, select.EPOLLIN)

    def test_notBytes(self) -> None:
        """
        What is no bytes is refused at once, and nothing at all changes nothing.
        """
        refused: list[type[Exception]] = []

        def begin(transport: Any) -> None:
            transport.write(b"")
            try:
                transport.write("poem")
            except TypeError as error:
                refused.append(type(error))

        transport = self.connect(Listener(begin))
        self.assertEqual(refused, [TypeError])
        self.assertRaises(TypeError, transport.write, None)
        self.assertEqual(self.socket.calls, [])
        self.assertFalse(transport.registered & select.EPOLLOUT)

    def test_errorsComeLater(self) -> None:
        """
        When the other side has gone, C{write} returns as ever, and the connection
        is lost in a turn of its own.
        """
        protocol = Listener()
        transport = self.connect(protocol)
        self.socket.broken = True
        transport.write(POEM)
        transport.loseWriteConnection()
        self.assertEqual((protocol.reasons, self.socket.calls), ([], []))
        self.turn()
        self.assertEqual(protocol.reasons, [ConnectionLost])

    def test_errorsComeAfterTheTurn(self) -> None:
        """
        Nor does C{write} fail, or lose the connection, during the turn.
        """
        seen: list[Any] = []

        def begin(transport: Any) -> None:
            writeAnd(POEM, "loseWriteConnection")(transport)
            seen.append((list(self.socket.calls), transport.connected))

        protocol = Listener(begin)
        self.connect(protocol, send=[errno.EPIPE])
        self.assertEqual(seen, [([], 1)])
        self.assertEqual(protocol.reasons, [ConnectionLost])

    def test_deaf(self) -> None:
        """
        A transport that is paused reads nothing, until it is resumed.
        """
        protocol = Listener()
        transport = self.connect(protocol)
        transport.pauseProducing()
        self.socket.said = [b"knock"]
        self.turn()
        self.assertEqual(protocol.heard, [])
        transport.resumeProducing()
        self.turn()
        self.assertEqual(protocol.heard, [b"knock"])

    def test_answer(self) -> None:
        """
        An answer is sent in the turn of the question.
        """
        protocol = Listener(id, lambda data: protocol.transport.write(data))
        transport = self.connect(protocol)
        self.socket.said = [b"echo"]
        self.turn()
        self.assertEqual(self.socket.held, b"echo")
        self.assertEqual(transport.registered, select.EPOLLIN)


class MoreTests(TransportTestCase):
    """
    Tests of C{MSG_MORE}: the kernel may hold back what is followed by something,
    and must not hold back anything else.
    """

    def test_end(self) -> None:
        """
        Data that the end follows at once wait for it.
        """
        self.connect(Listener(writeAnd(POEM, "loseWriteConnection")))
        self.assertEqual(self.socket.calls, ["data+", "end", "linger off"])

    def test_noEnd(self) -> None:
        """
        Data that nothing follows as yet go out.
        """
        transport = self.connect(Listener(writeAnd(POEM)))
        transport.write(POEM)
        self.turn()
        self.assertEqual(self.socket.calls, ["data", "data"])

    def test_close(self) -> None:
        """
        So do data that a close follows, which sends what is there.
        """
        self.connect(Listener(writeAnd(POEM, "loseConnection")))
        self.assertEqual(self.socket.calls, ["data", "linger off", "close"])

    def test_severalWrites(self) -> None:
        """
        Of several writes it is only the last that waits.
        """
        transport = self.connect(Listener(writeAnd(BIG)), 2**21)
        transport.write(POEM)
        transport.loseWriteConnection()
        while self.socket.end is None:
            self.turn()
        *data, last = [call for call in self.socket.calls if "data" in call]
        self.assertEqual((set(data), last), ({"data"}, "data+"))
        self.assertEqual(self.socket.calls[-3:], ["data+", "end", "linger off"])

    def test_pieces(self) -> None:
        """
        Of the pieces of a large poem it is only the last.
        """
        self.connect(Listener(writeAnd(BIG, "loseWriteConnection")), 2**21)
        while self.socket.end is None:
            self.turn()
        pieces = -(-len(BIG) // SENT_AT_ONCE) - 1  # the last two go together
        expected = ["data"] * (pieces - 1) + ["data+", "end", "linger off"]
        self.assertEqual(self.socket.calls, expected)

    def test_producer(self) -> None:
        """
        With a producer nobody knows which is the last, and none waits.
        """
        producer = Producer()

        def begin(transport: Any) -> None:
            transport.registerProducer(producer, True)
            writeAnd(POEM, "loseWriteConnection")(transport)

        self.connect(Listener(begin))
        self.assertEqual(self.socket.calls[0], "data")

    def test_pullProducer(self) -> None:
        """
        Nor does what a pull producer writes.
        """
        producer = Producer()
        transport = self.connect(Listener())
        transport.registerProducer(producer, False)
        for _ in range(3):
            transport.write(POEM)
            self.turn()
        self.assertEqual(self.socket.calls, ["data"] * 3)
        self.assertEqual(producer.told, ["resume"] * 4)
