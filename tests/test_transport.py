"""
Tests of L{fastpoetry.connection.transport}.
"""

from __future__ import annotations

import array
import contextlib
import errno
import gc
import os
import select
import socket
import struct
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IPushProducer,
    ISystemHandle,
    ITCPTransport,
    IUNIXTransport,
)
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from fastpoetry.connection.connections import Connections
from fastpoetry.connection.delivery import DeliveryFactory, DeliveryProtocol
from fastpoetry.connection.kernel import setReset
from fastpoetry.connection.transport import (
    PAGE,
    SENT_AT_ONCE,
    Transport,
    UNIXTransport,
)
from fastpoetry.listening.acceptor import Acceptor
from fastpoetry.protocol import PoetryFactory
from tests.processes import DEADLINE
from tests.support import (
    PretendedEpoll,
    PretendedSocket,
    Reactor,
    StaticSource,
    writeAnd,
)

POEM = b"one\r\ntwo\0\xff\n" * 10
BIG = bytes(range(256)) * 2000
PEER = IPv4Address("TCP", "192.0.2.1", 4321)
RESET, END = struct.pack("ii", 1, 0), struct.pack("ii", 0, 0)

# What a send fails with when the other side, the network or the memory has gone.
ERRORS = (
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.EPIPE,
    errno.EPERM,
    errno.ECONNRESET,
)


class RecordingSocket(PretendedSocket):
    """
    A pretended socket that writes down what is asked of it.

    @ivar calls: in this order: C{"data"}, or C{"data+"} with C{MSG_MORE}, of which
        the kernel took some; C{"end"}; C{"linger on"} and C{"linger off"};
        C{"close"}.  A call that fails has an exclamation mark.

    @ivar failures: the errors with which calls fail, in this order; with C{0} one
        does not fail.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__(capacity, resets=True)
        self.calls: list[str] = []
        self.failures: dict[str, list[int]] = {}

    def _record(self, name: str, call: str) -> None:
        failures = self.failures.get(name)
        code = failures.pop(0) if failures else 0
        self.calls.append(f"{call}!" if code else call)
        if code:
            raise OSError(code, os.strerror(code))

    def send(self, data: bytes, flags: int = 0) -> int:
        if self.capacity <= len(self.held) and data:
            raise BlockingIOError(errno.EWOULDBLOCK, "full")
        self._record("send", "data+" if flags & socket.MSG_MORE else "data")
        return super().send(data, flags)

    def shutdown(self, how: int) -> None:
        assert how == socket.SHUT_WR, how
        self._record("shutdown", "end")
        super().shutdown(how)

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        assert (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER)
        names = {RESET: "linger on", END: "linger off"}
        self._record("setsockopt", names[value])
        super().setsockopt(level, option, value)

    def close(self) -> None:
        super().close()
        self._record("close", "close")


class Speaker(Protocol):
    """
    A protocol that does what the test says.

    @ivar reasons: why it was lost, once each time.
    """

    def __init__(
        self, begin: Callable[[Any], object], hear: Callable[[bytes], object] = len
    ) -> None:
        """
        @param begin: what it does with its transport when it is connected.

        @param hear: what it does with what it hears.
        """
        self._begin = begin
        self._hear = hear
        self.reasons: list[type[BaseException]] = []

    def connectionMade(self) -> None:
        """
        Begin.
        """
        self._begin(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Hear something.
        """
        self._hear(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Write down why.
        """
        assert reason.type is not None
        self.reasons.append(reason.type)


@implementer(IHalfCloseableProtocol)
class HalfCloser(Speaker):
    """
    A L{Speaker} that knows half of a connection.

    @ivar ends: which halves have ended.

    @ivar ending: what it does with its transport when its own half has ended.
    """

    ending: Callable[[Any], object] = staticmethod(id)

    def readConnectionLost(self) -> None:
        """
        The other side has ended.
        """
        self.__dict__.setdefault("ends", []).append("read")

    def writeConnectionLost(self) -> None:
        """
        This side has ended.
        """
        self.__dict__.setdefault("ends", []).append("write")
        self.ending(self.transport)


@implementer(IPushProducer)
class Producer:
    """
    A producer that writes down what it is told.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        """
        Pause.
        """
        self.told.append("pause")

    def resumeProducing(self) -> None:
        """
        Resume.
        """
        self.told.append("resume")

    def stopProducing(self) -> None:
        """
        Stop.
        """
        self.told.append("stop")


class PretendedTests(SynchronousTestCase):
    """
    What tests over pretended sockets need.
    """

    def setUp(self) -> None:
        """
        Make connections; at the end none may be left.
        """
        self.reactor = Reactor()
        self.epoll = PretendedEpoll()
        self.connections = Connections(self.reactor, self.epoll)
        self.addCleanup(self.checkNothingLeft)

    def checkNothingLeft(self) -> None:
        """
        Every connection has an end, and takes everything with it.
        """
        self.connections.abort()
        self.reactor.advance(0)
        self.connections.close()
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.epoll.masks, {})

    def connect(self, protocol: Any, capacity: int = 2**20, **failures: Any) -> Any:
        """
        Begin a connection.

        @param failures: see L{RecordingSocket}.

        @return: its transport.
        """
        self.socket = RecordingSocket(capacity)
        self.socket.failures = failures
        self.epoll.sockets[self.socket.fileno()] = self.socket
        transport = Transport(self.socket, protocol, PEER, self.connections)
        self.connections.begin(transport)
        return transport

    def turn(self) -> None:
        """
        Give a turn to those for whom something has come.
        """
        self.connections.doRead()
        self.reactor.advance(0)

    def take(self) -> None:
        """
        The reader takes everything, as it comes.
        """
        while self.socket.held:
            self.socket.taken += self.socket.held
            self.socket.held.clear()
            self.turn()


class WriteTests(PretendedTests):
    """
    Tests of how L{Transport} sends.
    """

    def test_nothingCopied(self) -> None:
        """
        What is left to send is the very object that was written, however little it
        is, during the first turn and later.
        """
        data = bytes(1000)
        inTurn = self.connect(Speaker(writeAnd(data)), 999)
        later = self.connect(Speaker(id), 999)
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
        transport = self.connect(Speaker(writeAnd(BIG, "loseWriteConnection")), 1000)
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
            transport = self.connect(Speaker(begin))
            self.assertEqual((transport.dataBuffer, transport.offset), (b"", 0))

    def test_pieces(self) -> None:
        """
        The kernel gets so much at a time, unless no more than twice as much is left.
        """
        self.connect(Speaker(writeAnd(bytes(4 * SENT_AT_ONCE))), 2**23)
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

        transport = self.connect(Speaker(begin), 3)
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

        transport = self.connect(Speaker(begin))
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
        protocol: Any = HalfCloser(
            writeAnd(POEM, "loseWriteConnection"),
            lambda data: protocol.transport.write(data),
        )
        transport = self.connect(protocol)
        self.socket.said = [b"more"]
        self.turn()
        transport.write(b"more")
        self.turn()
        self.assertEqual(self.socket.held, POEM)
        self.assertEqual(transport.waits, select.EPOLLIN)

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

        transport = self.connect(Speaker(begin))
        self.assertEqual(refused, [TypeError])
        self.assertRaises(TypeError, transport.write, None)
        self.assertEqual(self.socket.calls, [])
        self.assertFalse(transport.waits & select.EPOLLOUT)

    def test_errorsComeLater(self) -> None:
        """
        When the other side has gone, C{write} returns as ever, and the connection
        is lost in a turn of its own.
        """
        protocol = Speaker(id)
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

        protocol = Speaker(begin)
        self.connect(protocol, send=[errno.EPIPE])
        self.assertEqual(seen, [([], 1)])
        self.assertEqual(protocol.reasons, [ConnectionLost])

    def test_deaf(self) -> None:
        """
        A transport that is paused reads nothing, until it is resumed.
        """
        heard: list[bytes] = []
        transport = self.connect(Speaker(id, heard.append))
        transport.pauseProducing()
        self.socket.said = [b"knock"]
        self.turn()
        self.assertEqual(heard, [])
        transport.resumeProducing()
        self.turn()
        self.assertEqual(heard, [b"knock"])

    def test_answer(self) -> None:
        """
        An answer is sent in the turn of the question.
        """
        protocol = Speaker(id, lambda data: protocol.transport.write(data))  # type: ignore[union-attr]
        transport = self.connect(protocol)
        self.socket.said = [b"echo"]
        self.turn()
        self.assertEqual(self.socket.held, b"echo")
        self.assertEqual(transport.waits, select.EPOLLIN)


class MoreTests(PretendedTests):
    """
    Tests of C{MSG_MORE}: the kernel may hold back what is followed by something,
    and must not hold back anything else.
    """

    def test_end(self) -> None:
        """
        Data that the end follows at once wait for it.
        """
        self.connect(Speaker(writeAnd(POEM, "loseWriteConnection")))
        self.assertEqual(self.socket.calls, ["data+", "end", "linger off"])

    def test_noEnd(self) -> None:
        """
        Data that nothing follows as yet go out.
        """
        transport = self.connect(Speaker(writeAnd(POEM)))
        transport.write(POEM)
        self.turn()
        self.assertEqual(self.socket.calls, ["data", "data"])

    def test_close(self) -> None:
        """
        So do data that a close follows, which sends what is there.
        """
        self.connect(Speaker(writeAnd(POEM, "loseConnection")))
        self.assertEqual(self.socket.calls, ["data", "linger off", "close"])

    def test_severalWrites(self) -> None:
        """
        Of several writes it is only the last that waits.
        """
        transport = self.connect(Speaker(writeAnd(BIG)), 2**21)
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
        self.connect(Speaker(writeAnd(BIG, "loseWriteConnection")), 2**21)
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

        self.connect(Speaker(begin))
        self.assertEqual(self.socket.calls[0], "data")

    def test_pullProducer(self) -> None:
        """
        Nor does what a pull producer writes.
        """
        producer = Producer()
        transport = self.connect(Speaker(id))
        transport.registerProducer(producer, False)
        for _ in range(3):
            transport.write(POEM)
            self.turn()
        self.assertEqual(self.socket.calls, ["data"] * 3)
        self.assertEqual(producer.told, ["resume"] * 4)


class DeliveryTests(PretendedTests):
    """
    Tests of the order of system calls: the close of a socket is a reset until
    everything, and the end, is with the kernel.
    """

    def deliver(self, poem: bytes, capacity: int = 2**20, **failures: Any) -> Any:
        """
        Deliver a poem to a reader who takes it all and ends.
        """
        factory = PoetryFactory(StaticSource(poem), 40.0, self.reactor)
        protocol: Any = factory.buildProtocol(PEER)
        transport = self.connect(protocol, capacity, **failures)
        self.take()
        if not transport.disconnected:
            self.turn()
            self.socket.said = [b""]
            self.reactor.pump([0.1] * 3)
        self.turn()
        self.assertTrue(transport.disconnected)
        return transport

    def test_small(self) -> None:
        """
        A small poem: the data, the end, no reset any more, the close.
        """
        self.deliver(POEM)
        self.assertEqual(self.socket.calls, ["data+", "end", "linger off", "close"])
        self.assertEqual((bytes(self.socket.taken), self.socket.seen), (POEM, "clean"))

    def test_empty(self) -> None:
        """
        An empty one: the same, without any data.
        """
        self.deliver(b"")
        calls = self.socket.calls[self.socket.calls.index("end") :]
        self.assertEqual(calls, ["end", "linger off", "close"])
        self.assertEqual(bytes(self.socket.taken), b"")

    def test_large(self) -> None:
        """
        A large poem: many times data, and the rest as for a small one.
        """
        self.deliver(BIG, 10_000)
        *data, end, off, close = self.socket.calls
        self.assertEqual((end, off, close), ("end", "linger off", "close"))
        self.assertLessEqual(set(data), {"data", "data+"})
        self.assertGreater(len(data), 50)
        self.assertEqual(bytes(self.socket.taken), BIG)

    def test_cut(self) -> None:
        """
        When a send fails in the middle, whatever the error, neither the end nor
        anything else comes before the close, which is a reset.
        """
        for code in ERRORS:
            self.deliver(BIG, 10_000, send=[0, 0, code])
            *data, failed, close = self.socket.calls
            self.assertLessEqual(set(data), {"data"}, errno.errorcode[code])
            self.assertEqual((failed[-1], close), ("!", "close"))
            self.assertEqual(self.socket.seen, "reset")

    def test_cutAtOnce(self) -> None:
        """
        Nor does it when the first send fails.
        """
        for code in ERRORS:
            self.deliver(POEM, send=[code])
            self.assertEqual(self.socket.calls, ["data+!", "close"])
            self.assertEqual(self.socket.seen, "reset")

    def test_noEnd(self) -> None:
        """
        Nor does it when the end cannot be sent, for a small poem and a large one.
        """
        for poem in (POEM, BIG):
            self.deliver(poem, 100_000, shutdown=[errno.ENOTCONN])
            self.assertEqual(self.socket.calls[-2:], ["end!", "close"])
            self.assertNotIn("linger off", self.socket.calls)
            self.assertEqual(self.socket.seen, "reset")

    def test_noLinger(self) -> None:
        """
        When a reset cannot be taken back, the connection is lost as one that is
        cut.
        """
        self.deliver(POEM, setsockopt=[errno.EINVAL])
        self.assertEqual(self.socket.calls, ["data+", "end", "linger off!", "close"])

    def test_aborted(self) -> None:
        """
        A delivery that is aborted in the middle is made a reset before the close,
        if it was not one.
        """
        factory = PoetryFactory(StaticSource(BIG), 40.0, self.reactor)
        self.connect(factory.buildProtocol(PEER), 1000)
        self.connections.abort()
        self.reactor.advance(0)
        self.assertEqual(self.socket.calls[-2:], ["linger on", "close"])
        self.assertNotIn("linger off", self.socket.calls)
        self.assertEqual(self.socket.seen, "reset")

    def test_abortedAfterTheEnd(self) -> None:
        """
        Nor does an end that is sent keep it from being one.
        """
        transport = self.connect(Speaker(writeAnd(POEM, "loseWriteConnection")))
        transport.abortConnection()
        self.reactor.advance(0)
        expected = ["data+", "end", "linger off", "linger on", "close"]
        self.assertEqual(self.socket.calls, expected)

    def test_closeFails(self) -> None:
        """
        A close that fails has closed the socket all the same, and the protocol is
        told.
        """
        protocol = Speaker(writeAnd(POEM, "loseConnection"))
        self.connect(protocol, close=[errno.EIO])
        self.assertEqual(self.socket.calls[-1], "close!")
        self.assertEqual(protocol.reasons, [ConnectionDone])
        self.assertEqual(len(self.connections), 0)


class EndTests(PretendedTests):
    """
    Tests of how connections of any protocol end.
    """

    def test_loseConnection(self) -> None:
        """
        C{loseConnection} sends everything, and ends without a reset.
        """
        for poem in (POEM, BIG):
            protocol = Speaker(writeAnd(poem, "loseConnection"))
            self.connect(protocol, 100_000)
            self.take()
            self.assertEqual(self.socket.calls[-2:], ["linger off", "close"])
            self.assertEqual(bytes(self.socket.taken), poem)
            self.assertEqual(protocol.reasons, [ConnectionDone])

    def test_loseConnectionOnly(self) -> None:
        """
        So does one that never said anything.
        """
        protocol = Speaker(id)
        transport = self.connect(protocol)
        transport.loseConnection()
        self.assertEqual(protocol.reasons, [])
        self.turn()
        self.assertEqual(self.socket.calls[-2:], ["linger off", "close"])

    def test_loseConnectionFails(self) -> None:
        """
        When an error comes before everything is sent, it is a reset.
        """
        protocol = Speaker(writeAnd(BIG, "loseConnection"))
        self.connect(protocol, 10_000, send=[0, errno.ENOBUFS])
        self.take()
        self.assertEqual(self.socket.calls, ["data", "data!", "close"])
        self.assertEqual(self.socket.seen, "reset")
        self.assertEqual(protocol.reasons, [ConnectionLost])

    def test_peerEndsFirst(self) -> None:
        """
        When the other side ends first, and nothing is left to send, so do we.
        """
        protocol = Speaker(writeAnd(POEM))
        self.connect(protocol)
        self.socket.said = [b""]
        self.turn()
        self.assertEqual(self.socket.calls, ["data", "linger off", "close"])
        self.assertEqual(protocol.reasons, [ConnectionDone])

    def test_peerEndsInTheMiddle(self) -> None:
        """
        When it ends while something is left to send, and the protocol knows no
        half of a connection, what was cut is not taken for whole.
        """
        for begin in (writeAnd(BIG), writeAnd(BIG, "loseWriteConnection")):
            protocol = Speaker(begin)
            self.connect(protocol, 1000)
            self.socket.said = [b""]
            self.turn()
            self.assertEqual(self.socket.calls[-1], "close")
            self.assertNotIn("linger off", self.socket.calls)
            self.assertEqual(self.socket.seen, "reset")
            self.assertEqual(protocol.reasons, [ConnectionDone])

    def test_leftInTwoBuffers(self) -> None:
        """
        What waits behind the first write is left to send as well.
        """

        def begin(transport: Any) -> None:
            transport.write(POEM)
            transport.write(POEM)

        self.connect(Speaker(begin), len(POEM))
        self.socket.said = [b""]
        self.turn()
        self.assertEqual(self.socket.seen, "reset")

    def test_halfClose(self) -> None:
        """
        A protocol that knows half of a connection is told of each, and goes on
        with the other.
        """
        heard: list[bytes] = []
        protocol: Any = HalfCloser(writeAnd(POEM, "loseWriteConnection"), heard.append)
        transport = self.connect(protocol)
        self.assertEqual(protocol.ends, ["write"])
        self.socket.said = [b"more"]
        self.turn()
        self.socket.said = [b""]
        self.turn()
        self.assertEqual((protocol.ends, heard), (["write", "read"], [b"more"]))
        self.assertFalse(transport.disconnected)
        self.assertEqual(transport.waits, 0)
        transport.loseConnection()
        self.assertEqual(protocol.reasons, [ConnectionDone])
        self.assertEqual(self.socket.calls[-3:], ["end", "linger off", "close"])

    def test_halfCloseThenLose(self) -> None:
        """
        C{loseConnection} after a half-close ends at once, also during the turn in
        which the half-close is said to have come.
        """
        protocol: Any = HalfCloser(writeAnd(POEM, "loseWriteConnection"))
        protocol.ending = lambda transport: transport.loseConnection()
        self.connect(protocol)
        self.assertEqual(protocol.reasons, [ConnectionDone])
        expected = ["data+", "end", "linger off", "close"]
        self.assertEqual(self.socket.calls, expected)

    def test_halfCloseAndLose(self) -> None:
        """
        C{loseConnection} right after C{loseWriteConnection}, before anything is
        sent, sends everything, and ends without a reset.
        """
        for poem in (POEM, BIG):
            protocol = Speaker(writeAnd(poem, "loseWriteConnection", "loseConnection"))
            self.connect(protocol, 100_000)
            self.take()
            self.assertEqual(bytes(self.socket.taken), poem)
            self.assertEqual(protocol.reasons, [ConnectionDone])
            self.assertEqual(self.socket.calls[-2:], ["linger off", "close"])

    def test_twice(self) -> None:
        """
        A connection is lost once, however often it is said to be.
        """
        protocol = Speaker(id)
        transport = self.connect(protocol)
        for _ in range(2):
            transport.connectionLost(Failure(CONNECTION_DONE))
            transport.loseConnection()
            transport.abortConnection()
        self.turn()
        self.assertEqual(protocol.reasons, [ConnectionDone])
        self.assertEqual(self.socket.calls, ["linger off", "close"])

    def test_abortedAndBroken(self) -> None:
        """
        A connection that breaks after it was aborted is lost once, as aborted.
        """
        protocol = Speaker(id)
        transport = self.connect(protocol)
        transport.abortConnection()
        self.socket.broken = True
        self.turn()
        self.turn()
        self.assertEqual(protocol.reasons, [ConnectionAborted])
        self.assertEqual(self.socket.calls, ["linger on", "close"])

    def test_abortedInTurn(self) -> None:
        """
        A protocol may abort as soon as it is connected: nothing is sent.
        """
        protocol = Speaker(writeAnd(POEM, "abortConnection"))
        self.connect(protocol)
        self.assertEqual(protocol.reasons, [])
        self.reactor.advance(0)
        self.assertEqual(protocol.reasons, [ConnectionAborted])
        self.assertEqual(self.socket.calls, ["linger on", "close"])

    def test_abortFails(self) -> None:
        """
        When a reset cannot be asked for, the socket is closed all the same.
        """
        self.connect(
            Speaker(writeAnd(POEM, "abortConnection")), setsockopt=[errno.EINVAL]
        )
        self.reactor.advance(0)
        self.assertEqual(self.socket.calls, ["linger on!", "close"])

    def test_usedAfterwards(self) -> None:
        """
        A protocol that goes on with a transport that is lost, when it is told or
        later, does no harm.
        """

        class Stubborn(Speaker):
            """
            A protocol that does not take no for an answer.
            """

            def connectionLost(self, reason: Failure = connectionDone) -> None:
                """
                Go on.
                """
                super().connectionLost(reason)
                goOn(self.transport)

        def goOn(transport: Any) -> None:
            transport.write(POEM)
            transport.writeSequence([POEM])
            transport.startReading()
            transport.startWriting()
            transport.loseWriteConnection()
            transport.resumeProducing()
            transport.unregisterProducer()
            transport.pauseProducing()
            transport.loseConnection()
            transport.abortConnection()

        other = Speaker(id)
        self.connect(other)
        protocol = Stubborn(id)
        transport = self.connect(protocol)
        self.socket.said = [b""]
        self.turn()
        goOn(transport)
        self.turn()
        self.assertEqual((protocol.reasons, other.reasons), ([ConnectionDone], []))
        self.assertEqual(self.socket.calls, ["linger off", "close"])


class ErrorTests(PretendedTests):
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
        The error is logged so many times, and others go on.
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
        self.connect(Speaker(id))
        self.other = self.socket

    def test_connectionMade(self) -> None:
        """
        One that fails at its beginning is reset, and told.
        """
        protocol = Speaker(self.breakDown)
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

        self.connect(Speaker(begin))
        self.assertEqual(self.socket.calls, ["close"])
        self.checkOthers()

    def test_dataReceived(self) -> None:
        """
        One that fails on what it hears is reset, and told.
        """
        protocol = Speaker(id, self.breakDown)
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
        protocol: Any = Speaker(id)
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
            protocol: Any = HalfCloser(writeAnd(POEM, "loseWriteConnection"))
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
        protocol = Speaker(id)
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
        protocol = Speaker(lambda transport: transport.registerProducer(producer, True))
        self.connect(protocol)
        self.socket.said = [b""]
        self.turn()
        self.assertEqual(self.socket.calls[-1], "close")
        self.assertEqual(protocol.reasons, [ConnectionDone])
        self.checkOthers()


class ProducerTests(PretendedTests):
    """
    Tests of producers.
    """

    def test_stopped(self) -> None:
        """
        A producer is stopped, once, when the connection is lost, and one that
        comes later is stopped at once.
        """
        producer, late = Producer(), Producer()
        transport = self.connect(Speaker(id))
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

        self.connect(Speaker(begin), 2**16)
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

        self.connect(Speaker(begin), 2**16)
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

        transport = self.connect(Speaker(begin))
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
        protocol = Speaker(id)
        transport = self.connect(protocol)
        transport.registerProducer(Producer(), True)
        transport.write(POEM)
        transport.loseConnection()
        transport.unregisterProducer()
        self.turn()
        self.assertEqual(self.socket.held, POEM)
        self.assertEqual(protocol.reasons, [ConnectionDone])


class TwistedTests(SynchronousTestCase):
    """
    Tests of what Twisted does not document and we lean on.
    """

    def connect(self, kind: Any = tcp.Connection, capacity: int = 10) -> Any:
        """
        Make a connection of Twisted's own.
        """
        self.socket = PretendedSocket(capacity)
        self.reactor = Reactor()
        protocol = Speaker(id)
        transport = kind(self.socket, protocol, self.reactor)
        transport.connected = 1
        protocol.makeConnection(transport)
        return transport

    def test_tempData(self) -> None:
        """
        C{_tempDataBuffer} has what was written since the last turn, and
        C{_tempDataLen} is its size.
        """
        transport = self.connect()
        self.assertEqual((transport._tempDataBuffer, transport._tempDataLen), ([], 0))
        transport.write(b"1")
        transport.writeSequence([b"23", b"4"])
        self.assertEqual(transport._tempDataBuffer, [b"1", b"23", b"4"])
        self.assertEqual((transport._tempDataLen, transport.dataBuffer), (4, b""))
        transport.doWrite()
        self.assertEqual((transport._tempDataBuffer, transport._tempDataLen), ([], 0))
        self.assertEqual(self.socket.held, b"1234")

    def test_dataBuffer(self) -> None:
        """
        What is left to send is C{dataBuffer} from C{offset} on, then
        C{_tempDataBuffer}; a C{dataBuffer} that we set is sent as one of its own.
        """
        transport = self.connect(capacity=3)
        transport.dataBuffer = b"12345"
        transport.SEND_LIMIT = SENT_AT_ONCE
        transport.doWrite()
        self.assertEqual((transport.dataBuffer, transport.offset), (b"12345", 3))
        transport.write(b"67")
        self.socket.capacity = 10
        while transport.offset or transport._tempDataLen:
            transport.doWrite()
        self.assertEqual((transport.dataBuffer, transport.offset), (b"", 0))
        self.assertEqual(self.socket.held, b"1234567")

    def test_sendLimit(self) -> None:
        """
        What is left is copied when it is less than C{SEND_LIMIT}: never, if that
        is 1.
        """
        for limit, isCopied in ((1, False), (1000, True)):
            transport = self.connect(capacity=0)
            transport.SEND_LIMIT = limit
            transport.writeSomeData = lambda data: 0
            transport.dataBuffer = data = b"12345"
            transport.write(b"6")
            transport.doWrite()
            self.assertEqual(transport.dataBuffer is not data, isCopied)

    def test_writeDisconnecting(self) -> None:
        """
        C{_writeDisconnecting} says that the end follows what is left to send.
        """
        transport = self.connect(capacity=0)
        self.assertIs(transport._writeDisconnecting, False)
        transport.write(b"1")
        self.assertIs(transport._writeDisconnecting, False)
        transport.loseWriteConnection()
        self.assertIs(transport._writeDisconnecting, True)
        transport.doWrite()
        self.assertIs(transport._writeDisconnecting, True)
        self.assertIsNone(self.socket.end)

    def test_writeDisconnected(self) -> None:
        """
        C{_writeDisconnected} says that the end is sent: nothing is written any
        more, and C{loseConnection} ends the connection at once.
        """
        transport = self.connect()
        self.assertIs(transport._writeDisconnected, False)
        transport.loseWriteConnection()
        self.assertIs(transport._writeDisconnected, False)
        transport.doWrite()
        self.assertIs(transport._writeDisconnected, True)
        self.assertEqual(self.socket.end, "half")
        transport.write(b"1")
        self.assertEqual(transport._tempDataLen, 0)
        transport.loseConnection()
        self.assertTrue(transport.disconnected)

    def test_closeWriteConnection(self) -> None:
        """
        C{_closeWriteConnection} is called once everything is sent, and what it
        returns ends the turn.
        """
        transport = self.connect(capacity=1)
        why, calls = object(), []

        def close() -> object:
            calls.append(bytes(self.socket.held))
            return why

        transport._closeWriteConnection = close
        transport.write(b"12")
        transport.loseWriteConnection()
        self.assertIsNone(transport.doWrite())
        self.assertEqual(calls, [])
        self.socket.capacity = 2
        self.assertIs(transport.doWrite(), why)
        self.assertEqual(calls, [b"12"])

    def test_aborting(self) -> None:
        """
        C{_aborting} says that C{abortConnection} was called, which has the
        connection lost a little later by the reactor.
        """
        transport = self.connect()
        self.assertIs(transport._aborting, False)
        transport.loseConnection()
        self.assertIs(transport._aborting, False)
        transport.abortConnection()
        self.assertIs(transport._aborting, True)
        self.assertEqual(transport.protocol.reasons, [])
        protocol = transport.protocol
        self.reactor.advance(0)
        self.assertEqual(protocol.reasons, [ConnectionAborted])

    def test_addressType(self) -> None:
        """
        C{_addressType} is what makes the address of C{getHost} of the socket's own.
        """
        self.assertIs(tcp.Server._addressType, IPv4Address)
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
        self.addCleanup(listener.close)
        transport: Any = tcp.Server.__new__(tcp.Server)
        transport.socket, transport._addressType = listener, IPv6Address
        self.assertIsInstance(transport.getHost(), IPv6Address)

    def test_sendmsgQueue(self) -> None:
        """
        C{_sendmsgQueue} has the descriptors of C{sendFileDescriptor} until they are
        sent, each with a byte.
        """
        server, reader = socket.socketpair()
        self.addCleanup(server.close)
        self.addCleanup(reader.close)
        transport = unix.Server(server, Protocol(), None, None, 0, Reactor())
        self.assertEqual(transport._sendmsgQueue, [])
        transport.sendFileDescriptor(reader.fileno())
        self.assertEqual(transport._sendmsgQueue, [reader.fileno()])
        transport.write(b"12")
        transport.doWrite()
        self.assertEqual(transport._sendmsgQueue, [])
        data, descriptors, _, _ = socket.recv_fds(reader, 10, 10)
        os.close(*descriptors)
        self.assertEqual(data[:1], b"1")


class RealTests(SynchronousTestCase):
    """
    What tests over real sockets need.
    """

    def setUp(self) -> None:
        """
        Make connections; at the end none may be left.
        """
        self.reactor = Reactor()
        self.connections = Connections(self.reactor)
        self.addCleanup(self.connections.close)
        self.addCleanup(self.reactor.advance, 0)
        self.addCleanup(self.connections.abort)

    def connect(self, protocol: Any, address: str = "127.0.0.1") -> Any:
        """
        Begin a connection.

        @return: the reader's socket, and the transport.
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.create_server((address, 0), family=family) as listener:
            setReset(listener, True)
            reader = socket.create_connection(listener.getsockname()[:2], DEADLINE)
            server, peer = listener.accept()
        self.addCleanup(reader.close)
        kind = IPv6Address if ":" in address else IPv4Address
        transport = Transport(server, protocol, kind("TCP", *peer), self.connections)
        self.connections.begin(transport)
        return reader, transport

    def readAll(self, reader: socket.socket, size: int = 2**16) -> tuple[bytes, int]:
        """
        Read until the end, while the connections have their turns.

        @param size: how much at a time.

        @return: what was read, and after how many bytes a descriptor came; never
            is -1.
        """
        data, proofAt = b"", -1
        while True:
            ready, _, _ = select.select([reader, self.connections], [], [], DEADLINE)
            self.assertTrue(ready, "nothing comes")
            if self.connections in ready:
                self.connections.doRead()
            if reader in ready:
                piece, descriptors = self.receive(reader, size)
                data += piece
                for descriptor in descriptors:
                    os.close(descriptor)
                    self.assertEqual(proofAt, -1, "two descriptors")
                    proofAt = len(data)
                if not piece:
                    return data, proofAt

    def receive(self, reader: socket.socket, size: int) -> tuple[bytes, list[int]]:
        """
        Receive once.

        @return: bytes and descriptors.
        """
        if reader.family != socket.AF_UNIX:
            return reader.recv(size), []
        data, ancillary, _, _ = reader.recvmsg(size, socket.CMSG_LEN(64))
        descriptors = array.array("i")
        for level, kind, content in ancillary:
            self.assertEqual((level, kind), (socket.SOL_SOCKET, socket.SCM_RIGHTS))
            descriptors.frombytes(content)
        return data, list(descriptors)

    def waitForTurn(self) -> None:
        """
        Wait until something has come for a connection, and give it its turn.
        """
        ready, _, _ = select.select([self.connections], [], [], DEADLINE)
        self.assertTrue(ready, "nothing comes")
        self.connections.doRead()


class TCPTests(RealTests):
    """
    Tests of L{Transport} over TCP.
    """

    def test_interfaces(self) -> None:
        """
        It is what Twisted's own is.
        """
        _, transport = self.connect(Speaker(id))
        verifyObject(ITCPTransport, transport)
        verifyObject(ISystemHandle, transport)
        self.assertEqual(repr(transport), "<Transport>")
        self.assertEqual(transport.logPrefix(), "Transport")
        self.assertIs(transport.getHandle(), transport.socket)
        transport.setTcpNoDelay(True)
        self.assertTrue(transport.getTcpNoDelay())

    def test_addresses(self) -> None:
        """
        It knows both addresses, of IPv4 and of IPv6.
        """
        for address, kind in (("127.0.0.1", IPv4Address), ("::1", IPv6Address)):
            reader, transport = self.connect(Speaker(id), address)
            host, port, *_ = reader.getsockname()
            self.assertEqual(transport.getPeer(), kind("TCP", host, port))
            host, port, *_ = reader.getpeername()
            self.assertEqual(transport.getHost(), kind("TCP", host, port))
            self.assertEqual(transport.getHost().host, address)

    def test_orderly(self) -> None:
        """
        Whoever reads from a connection that is orderly lost gets everything, then
        the end, with or without a half-close before.
        """
        for begin in (
            writeAnd(BIG, "loseConnection"),
            writeAnd(BIG, "loseWriteConnection"),
            writeAnd(BIG, "loseWriteConnection", "loseConnection"),
        ):
            reader, _ = self.connect(Speaker(begin))
            self.assertEqual(self.readAll(reader), (BIG, -1))

    def test_later(self) -> None:
        """
        So does one to which something is written later.
        """
        reader, transport = self.connect(Speaker(id))
        transport.write(BIG)
        transport.write(POEM)
        transport.loseConnection()
        self.assertEqual(self.readAll(reader), (BIG + POEM, -1))

    def test_echo(self) -> None:
        """
        What is said is heard, whole and in this order.
        """
        protocol = Speaker(id, lambda data: protocol.transport.write(data))  # type: ignore[union-attr]
        reader, _ = self.connect(protocol)
        for said in (b"one", BIG[:60_000]):
            reader.sendall(said)
            heard = b""
            while len(heard) < len(said):
                self.waitForTurn()
                reader.setblocking(False)
                try:
                    heard += reader.recv(2**16)
                except BlockingIOError:
                    pass
                reader.settimeout(DEADLINE)
            self.assertEqual(heard, said)
        reader.shutdown(socket.SHUT_WR)
        self.assertEqual(self.readAll(reader), (b"", -1))
        self.assertEqual(protocol.reasons, [ConnectionDone])

    def test_aborted(self) -> None:
        """
        Whoever reads from one that is aborted sees a reset.
        """
        reader, transport = self.connect(Speaker(writeAnd(POEM)))
        transport.abortConnection()
        self.reactor.advance(0)
        self.assertRaises(ConnectionResetError, self.readAll, reader)

    def test_failed(self) -> None:
        """
        So does whoever reads from a protocol that fails.
        """
        reader, _ = self.connect(Speaker(lambda transport: 1 // 0))
        self.assertRaises(ConnectionResetError, self.readAll, reader)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_halfClosedReader(self) -> None:
        """
        A reader that ends first gets everything from a protocol that knows half of
        a connection.
        """
        protocol: Any = HalfCloser(id)
        reader, transport = self.connect(protocol)
        reader.shutdown(socket.SHUT_WR)
        self.waitForTurn()
        self.assertEqual(protocol.ends, ["read"])
        transport.write(BIG)
        transport.loseConnection()
        self.assertEqual(self.readAll(reader), (BIG, -1))
        self.assertEqual(protocol.reasons, [ConnectionDone])


class RefusingSocket(socket.socket):
    """
    A UNIX socket on which sends fail.

    @ivar failures: the errors with which C{sendmsg} fails, in this order.

    @ivar sends: how many bytes were sent without a descriptor, each time.
    """

    failures: list[int]
    sends: list[int]

    def sendmsg(self, *arguments: Any) -> int:
        """
        Fail.
        """
        if self.failures:
            code = self.failures.pop(0)
            raise OSError(code, os.strerror(code))
        return super().sendmsg(*arguments)

    def send(self, data: Any, flags: int = 0) -> int:
        """
        Send.
        """
        self.sends.append(len(data))
        return super().send(data, flags)


class UNIXTests(RealTests):
    """
    Tests of L{UNIXTransport}: the last byte comes with a proof.
    """

    SIZES = (1, 2, PAGE - 1, PAGE, PAGE + 1, PAGE + 2, SENT_AT_ONCE + 1, 300_000)

    def connect(self, protocol: Any, *failures: int) -> Any:
        """
        Begin a connection.

        @param failures: see L{RefusingSocket}.

        @return: the reader's socket, and the transport.
        """
        reader, server = socket.socketpair()
        reader.settimeout(DEADLINE)
        self.addCleanup(reader.close)
        self.socket = RefusingSocket(fileno=server.detach())
        self.socket.failures, self.socket.sends = list(failures), []
        peer = UNIXAddress(None)
        transport = UNIXTransport(self.socket, protocol, peer, self.connections)
        self.connections.begin(transport)
        return reader, transport

    def serve(self, data: bytes, *failures: int) -> tuple[bytes, int]:
        """
        Write something, half-close, and read it.
        """
        begin = writeAnd(data, "loseWriteConnection")
        return self.readAll(self.connect(Speaker(begin), *failures)[0])

    def test_interfaces(self) -> None:
        """
        It is what Twisted's own is.
        """
        _, transport = self.connect(Speaker(id))
        verifyObject(IUNIXTransport, transport)
        self.assertEqual(transport.getHost(), UNIXAddress(""))
        self.assertEqual(transport.getPeer(), UNIXAddress(None))

    def test_proof(self) -> None:
        """
        Whatever its size, the proof of a whole poem comes with its last byte.
        """
        for size in self.SIZES:
            data = BIG[:size]
            self.assertEqual(self.serve(data), (data, size))

    def test_written(self) -> None:
        """
        So it does when the poem is written in pieces, or later.
        """

        def begin(transport: Any) -> None:
            transport.write(POEM)
            transport.write(POEM)
            transport.loseWriteConnection()

        reader, _ = self.connect(Speaker(begin))
        self.assertEqual(self.readAll(reader), (POEM + POEM, 2 * len(POEM)))
        reader, transport = self.connect(Speaker(writeAnd(POEM)))
        transport.write(BIG)
        transport.write(POEM)
        transport.loseWriteConnection()
        whole = POEM + BIG + POEM
        self.assertEqual(self.readAll(reader), (whole, len(whole)))

    def test_slowReader(self) -> None:
        """
        So it does when the reader takes little at a time.
        """
        begin = writeAnd(BIG, "loseWriteConnection")
        reader, _ = self.connect(Speaker(begin))
        self.assertEqual(self.readAll(reader, 1009), (BIG, len(BIG)))

    def test_smallBuffer(self) -> None:
        """
        A reader that takes less than a page at a time may have it before the last
        byte, but not before all that is left is with its kernel.
        """
        for size in self.SIZES:
            begin = writeAnd(BIG[:size], "loseWriteConnection")
            data, proofAt = self.readAll(self.connect(Speaker(begin))[0], 100)
            self.assertEqual(data, BIG[:size])
            self.assertGreater(proofAt, size - PAGE)

    def test_halfClosedAndQuick(self) -> None:
        """
        A reader that half-closes and has read everything so far, in the moment in
        which its delivery is checked, is not taken for one that has gone.
        """
        clock = Clock()
        factory = DeliveryFactory(reactor=clock)
        factory.protocol = DeliveryProtocol  # type: ignore[assignment]
        protocol: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
        reader, _ = self.connect(protocol)
        reader.shutdown(socket.SHUT_WR)
        self.connections.doRead()
        protocol.deliver(BIG)
        self.connections.doRead()
        reader.setblocking(False)
        taken = b""
        for _ in range(100):
            with contextlib.suppress(BlockingIOError):
                while piece := reader.recv(2**16):
                    taken += piece
            clock.advance(1.0)  # of what was written, everything is read
            self.connections.doRead()
        self.assertTrue(taken == BIG, f"{len(taken)} bytes")

    def test_rest(self) -> None:
        """
        However little is left of a poem: when some of it went before, the proof goes
        with the last byte alone, so that no piece that a reader takes has an end
        without it.
        """
        data = BIG[:300_000]
        begin = writeAnd(data, "loseWriteConnection")
        reader, _ = self.connect(Speaker(begin))
        taken, proofAt = self.readAll(reader, 1)
        self.assertEqual((taken == data, proofAt), (True, len(data)))

    def test_plainReader(self) -> None:
        """
        Whoever does not look for it gets the bytes, and nothing else.
        """
        gc.collect()  # garbage of other tests may have descriptors
        before = len(os.listdir("/proc/self/fd"))
        for size in self.SIZES:
            begin = writeAnd(BIG[:size], "loseWriteConnection")
            reader, transport = self.connect(Speaker(begin))
            data, piece = b"", b"first"
            reader.setblocking(False)
            while piece:
                self.connections.doRead()
                piece = reader.recv(2**20)
                data += piece
            self.assertEqual(data, BIG[:size])
            reader.close()
            self.connections.doRead()
            self.assertTrue(transport.disconnected)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_listener(self) -> None:
        """
        The connections that a listening UNIX socket accepts have it as well.
        """
        # A name of the kernel's own (unix(7)): a path may be too long.
        factory = PoetryFactory(StaticSource(BIG), 40.0, self.reactor)
        name = f"\0fastpoetry-{os.getpid()}"
        port: Any = unix.Port(name, factory, reactor=self.reactor)
        port.startListening()
        self.addCleanup(port.connectionLost, Failure(CONNECTION_DONE))
        acceptor = Acceptor(port, None, self.reactor, set())
        self.connections.close()
        self.connections = acceptor.connections
        acceptor.start()
        self.addCleanup(acceptor.stop)
        with socket.socket(socket.AF_UNIX) as reader:
            reader.settimeout(DEADLINE)
            reader.connect(port.socket.getsockname())
            acceptor.doRead()
            self.assertEqual(self.readAll(reader), (BIG, len(BIG)))
        self.reactor.pump([0.1] * 3)
        self.assertEqual(len(self.connections), 0)

    def test_aborted(self) -> None:
        """
        A connection that is aborted has no proof, whether nothing was sent or
        something.
        """
        for begin in (
            writeAnd(POEM, "loseWriteConnection", "abortConnection"),
            writeAnd(BIG, "loseWriteConnection"),
        ):
            reader, transport = self.connect(Speaker(begin))
            transport.abortConnection()
            self.reactor.advance(0)
            data, proofAt = self.readAll(reader)
            self.assertLess(len(data), len(BIG))
            self.assertEqual(proofAt, -1)

    def test_notEnded(self) -> None:
        """
        Nor has what no half-close follows, be it lost, written by a producer, or
        an empty poem.
        """
        for begin, data in (
            (writeAnd(POEM, "loseConnection"), POEM),
            (writeAnd(b"", "loseWriteConnection"), b""),
        ):
            reader, _ = self.connect(Speaker(begin))
            self.assertEqual(self.readAll(reader), (data, -1))
        reader, transport = self.connect(Speaker(id))
        transport.registerProducer(Producer(), True)
        transport.write(POEM)
        transport.loseWriteConnection()
        self.waitForTurn()
        self.assertEqual(self.receive(reader, 2**16), (POEM, []))

    def test_tooManyOnTheirWay(self) -> None:
        """
        When the kernel has too many descriptors on their way, or no memory for one,
        the rest goes without.
        """
        for code in (errno.ETOOMANYREFS, errno.ENOMEM):
            for size in self.SIZES:
                data = BIG[:size]
                self.assertEqual(self.serve(data, code), (data, -1))

    def test_full(self) -> None:
        """
        When the kernel takes no more just then, the last byte does not go without
        proof, though there may be room a moment later: it is tried again.
        """
        for size in (1, PAGE, PAGE + 1):
            data = BIG[:size]
            self.assertEqual(self.serve(data, errno.EAGAIN), (data, size))
            self.assertEqual(self.socket.sends, [PAGE] if size > PAGE else [])

    def test_cut(self) -> None:
        """
        When the other side has gone, the connection is lost.
        """
        for data in (POEM, BIG):
            protocol = Speaker(id)
            reader, transport = self.connect(protocol)
            reader.close()
            transport.stopReading()
            transport.write(data)
            transport.loseWriteConnection()
            self.waitForTurn()
            self.assertEqual(protocol.reasons, [ConnectionLost])

    def test_descriptors(self) -> None:
        """
        Those that a protocol sends are sent, each with a byte, and the proof with
        the last byte as ever; all that it has to send may be descriptors.
        """

        def begin(transport: Any) -> None:
            transport.write(POEM)
            transport.sendFileDescriptor(transport.fileno())
            transport.loseWriteConnection()

        reader, _ = self.connect(Speaker(begin))
        data, descriptors = self.receive(reader, 2**16)
        os.close(*descriptors)
        rest, proofAt = self.readAll(reader)
        self.assertEqual((data + rest, proofAt), (POEM, len(POEM) - 1))

    def test_tooManyDescriptors(self) -> None:
        """
        More descriptors than bytes cost the connection, as on Twisted's own, and
        nothing is logged.
        """

        def begin(transport: Any) -> None:
            transport.sendFileDescriptor(transport.fileno())
            transport.loseWriteConnection()

        protocol = Speaker(begin)
        reader, _ = self.connect(protocol)
        self.assertEqual(self.readAll(reader), (b"", -1))
        self.assertEqual(
            [one.__name__ for one in protocol.reasons], ["FileDescriptorOverrun"]
        )

    def test_oneProof(self) -> None:
        """
        There is one descriptor to prove with in a process, which nobody can write
        to and no child has, and no connection leaves another behind.
        """
        self.serve(POEM)
        self.connections.abort()
        self.reactor.advance(0)
        ((level, kind, content),) = UNIXTransport._proof
        (descriptor,) = struct.unpack("i", content)
        self.assertEqual((level, kind), (socket.SOL_SOCKET, socket.SCM_RIGHTS))
        self.assertFalse(os.get_inheritable(descriptor))
        self.assertRaises(OSError, os.write, descriptor, b"x")
        self.assertTrue(os.path.samestat(os.fstat(descriptor), os.stat(os.devnull)))
        gc.collect()  # garbage of other tests may have descriptors
        before = sorted(os.listdir("/proc/self/fd"))
        for size in self.SIZES:
            begin = writeAnd(BIG[:size], "loseWriteConnection")
            reader, _ = self.connect(Speaker(begin))
            self.readAll(reader)
            reader.close()
            self.connections.doRead()
        self.assertEqual(len(self.connections), 0)
        self.assertEqual(sorted(os.listdir("/proc/self/fd")), before)
        self.assertEqual(len(UNIXTransport._proof), 1)


class FactoryTests(SynchronousTestCase):
    """
    Tests of what a transport needs of its protocol.
    """

    def test_anyProtocol(self) -> None:
        """
        Nothing: a protocol of Twisted's own that does nothing will do.
        """
        connections = Connections(Reactor(), PretendedEpoll())
        one = PretendedSocket(10, resets=True)
        connections._epoll.sockets[one.fileno()] = one
        protocol = Factory.forProtocol(Protocol).buildProtocol(PEER)
        transport: Any = Transport(one, protocol, PEER, connections)
        connections.begin(transport)
        transport.write(POEM)
        connections.doRead()
        self.assertEqual(one.held, POEM[:10])
        connections.connectionLost(Failure(CONNECTION_LOST))
        self.assertEqual(one.seen, "reset")
