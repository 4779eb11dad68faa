"""
Tests of L{fastpoetry.connection.transport}: how connections end.
"""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.main import CONNECTION_DONE
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from fastpoetry.protocol import PoetryFactory
from tests.protocols import HalfListener, Listener
from tests.support import BIG, POEM, StaticSource, writeAnd
from tests.transports import TransportTestCase
from tests.wire import PEER

# What a send fails with when the other side, the network or the memory has gone.
ERRORS = (
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.EPIPE,
    errno.EPERM,
    errno.ECONNRESET,
)


class DeliveryTests(TransportTestCase):
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
        transport = self.connect(Listener(writeAnd(POEM, "loseWriteConnection")))
        transport.abortConnection()
        self.reactor.advance(0)
        expected = ["data+", "end", "linger off", "linger on", "close"]
        self.assertEqual(self.socket.calls, expected)

    def test_closeFails(self) -> None:
        """
        A close that fails has closed the socket all the same, and the protocol is
        told.
        """
        protocol = Listener(writeAnd(POEM, "loseConnection"))
        self.connect(protocol, close=[errno.EIO])
        self.assertEqual(self.socket.calls[-1], "close!")
        self.assertEqual(protocol.reasons, [ConnectionDone])
        self.assertEqual(len(self.connections), 0)


class EndTests(TransportTestCase):
    """
    Tests of how connections of any protocol end.
    """

    def test_loseConnection(self) -> None:
        """
        C{loseConnection} sends everything, and ends without a reset.
        """
        for poem in (POEM, BIG):
            protocol = Listener(writeAnd(poem, "loseConnection"))
            self.connect(protocol, 100_000)
            self.take()
            self.assertEqual(self.socket.calls[-2:], ["linger off", "close"])
            self.assertEqual(bytes(self.socket.taken), poem)
            self.assertEqual(protocol.reasons, [ConnectionDone])

    def test_loseConnectionOnly(self) -> None:
        """
        So does one that never said anything.
        """
        protocol = Listener()
        transport = self.connect(protocol)
        transport.loseConnection()
        self.assertEqual(protocol.reasons, [])
        self.turn()
        self.assertEqual(self.socket.calls[-2:], ["linger off", "close"])

    def test_loseConnectionFails(self) -> None:
        """
        When an error comes before everything is sent, it is a reset.
        """
        protocol = Listener(writeAnd(BIG, "loseConnection"))
        self.connect(protocol, 10_000, send=[0, errno.ENOBUFS])
        self.take()
        self.assertEqual(self.socket.calls, ["data", "data!", "close"])
        self.assertEqual(self.socket.seen, "reset")
        self.assertEqual(protocol.reasons, [ConnectionLost])

    def test_peerEndsFirst(self) -> None:
        """
        When the other side ends first, and nothing is left to send, so do we.
        """
        protocol = Listener(writeAnd(POEM))
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
            protocol = Listener(begin)
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

        self.connect(Listener(begin), len(POEM))
        self.socket.said = [b""]
        self.turn()
        self.assertEqual(self.socket.seen, "reset")

    def test_halfClose(self) -> None:
        """
        A protocol that knows half of a connection is told of each, and goes on
        with the other.
        """
        protocol = HalfListener(writeAnd(POEM, "loseWriteConnection"))
        transport = self.connect(protocol)
        self.assertEqual(protocol.ends, ["write"])
        self.socket.said = [b"more"]
        self.turn()
        self.socket.said = [b""]
        self.turn()
        self.assertEqual(
            (protocol.ends, protocol.heard), (["write", "read"], [b"more"])
        )
        self.assertFalse(transport.disconnected)
        self.assertEqual(transport.registered, 0)
        transport.loseConnection()
        self.assertEqual(protocol.reasons, [ConnectionDone])
        self.assertEqual(self.socket.calls[-3:], ["end", "linger off", "close"])

    def test_halfCloseThenLose(self) -> None:
        """
        C{loseConnection} after a half-close ends at once, also during the turn in
        which the half-close is said to have come.
        """
        protocol = HalfListener(writeAnd(POEM, "loseWriteConnection"))
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
            protocol = Listener(writeAnd(poem, "loseWriteConnection", "loseConnection"))
            self.connect(protocol, 100_000)
            self.take()
            self.assertEqual(bytes(self.socket.taken), poem)
            self.assertEqual(protocol.reasons, [ConnectionDone])
            self.assertEqual(self.socket.calls[-2:], ["linger off", "close"])

    def test_twice(self) -> None:
        """
        A connection is lost once, however often it is said to be.
        """
        protocol = Listener()
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
        protocol = Listener()
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
        protocol = Listener(writeAnd(POEM, "abortConnection"))
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
            Listener(writeAnd(POEM, "abortConnection")), setsockopt=[errno.EINVAL]
        )
        self.reactor.advance(0)
        self.assertEqual(self.socket.calls, ["linger on!", "close"])

    def test_usedAfterwards(self) -> None:
        """
        A protocol that goes on with a transport that is lost, when it is told or
        later, does no harm.
        """

        class Stubborn(Listener):
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

        other = Listener()
        self.connect(other)
        protocol = Stubborn(id)
        transport = self.connect(protocol)
        self.socket.said = [b""]
        self.turn()
        goOn(transport)
        self.turn()
        self.assertEqual((protocol.reasons, other.reasons), ([ConnectionDone], []))
        self.assertEqual(self.socket.calls, ["linger off", "close"])
