"""
Tests of L{fastpoetry.protocol.PoetryProtocol} over transports that cannot
half-close.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection.factory import SLOW_TICK
from fastpoetry.connection.readquota import READ_PAUSE, READ_QUOTA
from fastpoetry.protocol import PoetryFactory
from tests.support import BIG, Reactor, StaticSource
from tests.wire import PretendedSocket


class Wrapper(StringTransport):
    """
    As much of a transport that wraps another as the protocol uses: such as Twisted's
    own for TLS, of which C{loseWriteConnection} would be that of TCP below.
    """

    offset = 0

    def __init__(self) -> None:
        super().__init__(lenient=True)
        self.socket = PretendedSocket(0)

    def __getattr__(self, name: str) -> Any:
        if name == "loseWriteConnection":
            raise AssertionError("it ends what is below")
        raise AttributeError(name)


class OtherTransportTests(SynchronousTestCase):
    """
    Tests of L{fastpoetry.protocol.PoetryProtocol} over transports that cannot
    half-close.
    """

    def connect(self) -> tuple[Any, Any]:
        """
        Connect a reader.
        """
        self.reactor = Reactor()
        factory = PoetryFactory(StaticSource(BIG), 40.0, self.reactor)
        transport = Wrapper()
        protocol: Any = factory.buildProtocol(None)
        protocol.makeConnection(transport)
        return protocol, transport

    def test_ends(self) -> None:
        """
        The transport gets the poem, and is told to end the connection its own way.
        """
        protocol, transport = self.connect()
        self.assertEqual(transport.value(), BIG)
        self.assertTrue(transport.disconnecting)
        self.assertFalse(transport.disconnected)
        protocol.connectionLost()

    def test_progress(self) -> None:
        """
        What the reader's kernel has acknowledged below TLS is progress.
        """
        protocol, transport = self.connect()
        for number in range(4):
            transport.socket.taken += b"x" * number
            self.reactor.pump([1.0] * 39)
        self.assertFalse(transport.disconnected)
        self.reactor.pump([1.0] * 11)
        self.assertTrue(transport.disconnected)
        protocol.connectionLost()

    def test_flood(self) -> None:
        """
        A reader that floods is held back, once, though TLS gives more of what it
        has.
        """
        protocol, transport = self.connect()
        for _ in range(3):
            protocol.dataReceived(b"x" * READ_QUOTA)
        self.assertEqual(transport.producerState, "paused")
        self.reactor.pump([READ_PAUSE / 4] * 5)
        self.assertEqual(transport.producerState, "producing")
        protocol.connectionLost()
        self.reactor.pump([SLOW_TICK] * 3)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_lost(self) -> None:
        """
        A connection that is lost in the middle leaves nothing.
        """
        protocol, _ = self.connect()
        protocol.connectionLost()
        self.reactor.pump([SLOW_TICK] * 3)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
