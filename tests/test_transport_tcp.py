"""
Tests of L{fastpoetry.connection.transport}: TCP, over real sockets.
"""

from __future__ import annotations

import socket

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISystemHandle, ITCPTransport
from zope.interface.verify import verifyObject

from sandbox import DEADLINE
from tests.protocols import HalfListener, Listener
from tests.support import BIG, POEM, writeAnd
from tests.transports import RealTransportTestCase


class TCPTests(RealTransportTestCase):
    """
    Tests of L{Transport} over TCP.
    """

    def test_interfaces(self) -> None:
        """
        It is what Twisted's own is.
        """
        _, transport = self.connect(Listener())
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
            reader, transport = self.connect(Listener(), address)
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
            reader, _ = self.connect(Listener(begin))
            self.assertEqual(self.readAll(reader), (BIG, -1))

    def test_later(self) -> None:
        """
        So does one to which something is written later.
        """
        reader, transport = self.connect(Listener())
        transport.write(BIG)
        transport.write(POEM)
        transport.loseConnection()
        self.assertEqual(self.readAll(reader), (BIG + POEM, -1))

    def test_echo(self) -> None:
        """
        What is said is heard, whole and in this order.
        """
        protocol = Listener(id, lambda data: protocol.transport.write(data))
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
        reader, transport = self.connect(Listener(writeAnd(POEM)))
        transport.abortConnection()
        self.reactor.advance(0)
        self.assertRaises(ConnectionResetError, self.readAll, reader)

    def test_failed(self) -> None:
        """
        So does whoever reads from a protocol that fails.
        """
        reader, _ = self.connect(Listener(lambda transport: 1 // 0))
        self.assertRaises(ConnectionResetError, self.readAll, reader)
        self.flushLoggedErrors(ZeroDivisionError)

    def test_halfClosedReader(self) -> None:
        """
        A reader that ends first gets everything from a protocol that knows half of
        a connection.
        """
        protocol = HalfListener()
        reader, transport = self.connect(protocol)
        reader.shutdown(socket.SHUT_WR)
        self.waitForTurn()
        self.assertEqual(protocol.ends, ["read"])
        transport.write(BIG)
        transport.loseConnection()
        self.assertEqual(self.readAll(reader), (BIG, -1))
        self.assertEqual(protocol.reasons, [ConnectionDone])
