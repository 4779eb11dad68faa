"""
Tests of what Twisted does not document and L{fastpoetry.connection.transport}
leans on.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection.transport import SENT_AT_ONCE
from tests.protocols import Listener
from tests.support import Reactor
from tests.wire import PretendedSocket


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
        protocol = Listener()
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
