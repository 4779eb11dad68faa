"""
Tests of L{fastpoetry.connection.transport}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.main import CONNECTION_LOST
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection.transport import (
    SENT_AT_ONCE,
    EndedTransport,
    PoetryTransport,
)
from fastpoetry.listening.acceptor import UNSENT
from tests.support import PretendedSocket


class TransportTests(SynchronousTestCase):
    """
    Tests of L{PoetryTransport} and L{EndedTransport}.
    """

    def connect(self, kind: type[PoetryTransport], capacity: int) -> Any:
        """
        Make a connection whose kernel holds so many bytes.
        """
        self.socket = PretendedSocket(capacity)
        protocol = Protocol()
        transport = kind(
            self.socket,  # type: ignore[arg-type]
            protocol,
            ("192.0.2.1", 4321),
            None,  # type: ignore[arg-type]
            0,
            MemoryReactorClock(),
        )
        protocol.makeConnection(transport)
        return transport

    def test_nothingCopied(self) -> None:
        """
        What is left to send is never copied, however little it is.
        """
        data = bytes(1000)
        transport = self.connect(PoetryTransport, 999)
        transport.write(data)
        for _ in range(2):
            self.assertIsNone(transport.doWrite())
            self.assertEqual(transport.offset, 999)
            self.assertIs(transport.dataBuffer, data)

    def test_atOnce(self) -> None:
        """
        The kernel gets so much at a time, and has room for more then.
        """
        transport = self.connect(PoetryTransport, 2**23)
        transport.write(bytes(2**23))
        transport.doWrite()
        self.assertEqual(len(self.socket.held), SENT_AT_ONCE)
        self.assertLess(SENT_AT_ONCE, UNSENT)

    def test_lost(self) -> None:
        """
        A connection that is gone is found out.
        """
        transport = self.connect(PoetryTransport, 10)
        transport.write(b"poem")
        self.socket.broken = True
        self.assertIs(transport.doWrite(), CONNECTION_LOST)

    def test_ended(self) -> None:
        """
        A connection whose end is sent closes at once.
        """
        transport = self.connect(EndedTransport, 10)
        transport.loseConnection()
        self.assertEqual(self.socket.end, "clean")
        self.assertTrue(transport.disconnected)
