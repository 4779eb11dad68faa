"""
Tests of L{fastpoetry.connection.transport}: UNIX sockets.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import socket
import struct
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IUNIXTransport
from twisted.internet.task import Clock
from zope.interface.verify import verifyObject

from fastpoetry.connection.delivery import DeliveryProtocol
from fastpoetry.connection.factory import DeliveryFactory
from fastpoetry.connection.transport import SENT_AT_ONCE
from fastpoetry.endpoints.unixsocket import PAGE, UNIXTransport, listenUNIX
from fastpoetry.listening.acceptor import Acceptor
from fastpoetry.protocol import PoetryFactory
from sandbox import DEADLINE
from tests.protocols import Listener, Producer
from tests.support import BIG, POEM, StaticSource, openDescriptors, writeAnd
from tests.transports import RealTransportTestCase


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


class UNIXTests(RealTransportTestCase):
    """
    Tests of L{UNIXTransport}: the last byte comes with a proof.
    """

    SIZES = (1, 2, PAGE - 1, PAGE, PAGE + 1, PAGE + 2, SENT_AT_ONCE + 1, 300_000)

    def connect(  # type: ignore[override]
        self, protocol: Any, *failures: int
    ) -> Any:
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
        return self.readAll(self.connect(Listener(begin), *failures)[0])

    def test_interfaces(self) -> None:
        """
        It is what Twisted's own is.
        """
        _, transport = self.connect(Listener())
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

        reader, _ = self.connect(Listener(begin))
        self.assertEqual(self.readAll(reader), (POEM + POEM, 2 * len(POEM)))
        reader, transport = self.connect(Listener(writeAnd(POEM)))
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
        reader, _ = self.connect(Listener(begin))
        self.assertEqual(self.readAll(reader, 1009), (BIG, len(BIG)))

    def test_smallBuffer(self) -> None:
        """
        A reader that takes less than a page at a time may have it before the last
        byte, but not before all that is left is with its kernel.
        """
        for size in self.SIZES:
            begin = writeAnd(BIG[:size], "loseWriteConnection")
            data, proofAt = self.readAll(self.connect(Listener(begin))[0], 100)
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
        protocol: Any = factory.buildProtocol(None)
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
        reader, _ = self.connect(Listener(begin))
        taken, proofAt = self.readAll(reader, 1)
        self.assertEqual((taken == data, proofAt), (True, len(data)))

    def test_plainReader(self) -> None:
        """
        Whoever does not look for it gets the bytes, and nothing else.
        """
        gc.collect()  # garbage of other tests may have descriptors
        before = len(openDescriptors())
        for size in self.SIZES:
            begin = writeAnd(BIG[:size], "loseWriteConnection")
            reader, transport = self.connect(Listener(begin))
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
        self.assertEqual(len(openDescriptors()), before)

    def test_listener(self) -> None:
        """
        The connections that a listening UNIX socket accepts have it as well.
        """
        # A name of the kernel's own (unix(7)): a path may be too long.
        factory = PoetryFactory(StaticSource(BIG), 40.0, self.reactor)
        name = f"\0fastpoetry-{os.getpid()}"
        port = listenUNIX(self.reactor, name, factory, 0o666)
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
            reader, transport = self.connect(Listener(begin))
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
            reader, _ = self.connect(Listener(begin))
            self.assertEqual(self.readAll(reader), (data, -1))
        reader, transport = self.connect(Listener())
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
            protocol = Listener()
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

        reader, _ = self.connect(Listener(begin))
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

        protocol = Listener(begin)
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
        before = openDescriptors()
        for size in self.SIZES:
            begin = writeAnd(BIG[:size], "loseWriteConnection")
            reader, _ = self.connect(Listener(begin))
            self.readAll(reader)
            reader.close()
            self.connections.doRead()
        self.assertEqual(len(self.connections), 0)
        self.assertEqual(openDescriptors(), before)
        self.assertEqual(len(UNIXTransport._proof), 1)
