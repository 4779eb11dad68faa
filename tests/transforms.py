"""
What the tests of transforms share: clients of a server, and a server that is played by
the test.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry import capacity
from fastpoetry.capacity import Memory
from fastpoetry.connection.factory import SLOW_TICK
from fastpoetry.transform import EXPANSION, TransformFactory, TransformService
from fastpoetry.transformclient import TransformProxy
from tests.support import Reactor
from tests.threads import PlayedThreads
from tests.wire import Wire

REQUEST = b"27:cummingsify.HERE IS MY POEM,"
ANSWER = b"15:here is my poem,"

# The longest request of the tests.
LIMIT = 2**20


def netstring(payload: bytes) -> bytes:
    """
    @return: a netstring.
    """
    return b"%d:%b," % (len(payload), payload)


# One that is nearly as long, and what answers it.
LONG = b"LINE\n" * 200_000
LONG_REQUEST = netstring(b"cummingsify." + LONG)
LONG_ANSWER = netstring(LONG.lower())


class TransformTestCase(SynchronousTestCase):
    """
    Serves transforms to clients that are played by the test.  There is memory for two
    of the longest requests.
    """

    def setUp(self) -> None:
        """
        Start a clock; at the end nothing may be left on it, and nobody counted.
        """
        self.reactor = Reactor()
        self.threads = PlayedThreads()
        self.patch(capacity, "callInThread", self.threads.callInThread)
        self.memory = Memory(2 * EXPANSION * LIMIT)
        self.factory = TransformFactory(
            TransformService(),
            timeout=40.0,
            maxLength=LIMIT,
            reactor=self.reactor,
            requestTimeout=100.0,
            memory=self.memory,
        )
        self.addCleanup(self.checkNothingLeft)

    def checkNothingLeft(self) -> None:
        """
        Every connection has an end, and takes everything with it.
        """
        self.reactor.pump([SLOW_TICK] * 3)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.reactor.getWriters(), [])
        self.assertEqual(self.threads.waiting, [])
        self.assertEqual(self.memory.taken, 0)

    def work(self, *wires: Wire) -> None:
        """
        Transform what waits for that, in pretended threads, and send it.
        """
        while self.threads.waiting:
            self.threads.finish()
            self.reactor.advance(0)
        for wire in wires:
            wire.turn()

    def serve(self, *said: bytes, capacity: int = 2**22) -> Wire:
        """
        Connect a client that says something.
        """
        wire = Wire(self.factory, capacity)
        for data in said:
            wire.say(data)
        return wire

    def ask(self, name: str, poem: bytes, capacity: int = 2**22) -> Wire:
        """
        Connect a client with a request.
        """
        wire = self.serve(netstring(name.encode() + b"." + poem), capacity=capacity)
        self.work(wire)
        return wire

    def assertAnswered(self, wire: Wire, answer: bytes) -> None:
        """
        Assert that a client gets an answer, whole, and the end of the line.
        """
        wire.take()
        self.assertEqual(bytes(wire.socket.taken), answer)
        self.assertEqual(wire.socket.end, "half")
        wire.halfClose()
        wire.tick()
        self.assertEqual(wire.socket.end, "clean")
        self.assertTrue(wire.gone)


class ServerTransport(StringTransport):
    """
    A connection to a server that is played by the test.

    @ivar holds: whether the server holds the connection when the client closes.

    @ivar end: how it ended.
    """

    protocol: Any
    holds = False
    end: str | None = None

    def loseConnection(self) -> None:
        """
        The client closes.
        """
        self.end = "clean"
        if not self.holds:
            self.lose(ConnectionDone())

    def abortConnection(self) -> None:
        """
        The client resets the connection.
        """
        self.end = "reset"
        self.lose(ConnectionAborted())

    def lose(self, error: Exception) -> None:
        """
        It is over.
        """
        self.end = self.end or "server"
        self.protocol.connectionLost(Failure(error))


class PlayedServer:
    """
    A server, played by the test, and a client that has asked it.
    """

    def __init__(
        self,
        name: str = "cummingsify",
        poem: bytes = b"HERE IS MY POEM",
        maxLength: int = 1000,
        connects: bool = True,
        totalTimeout: float | None = None,
    ) -> None:
        self.reactor = Reactor()
        proxy = TransformProxy(
            TCP4ClientEndpoint(self.reactor, "192.0.2.1", 11000),
            timeout=20.0,
            connectTimeout=5.0,
            totalTimeout=totalTimeout,
            maxLength=maxLength,
            reactor=self.reactor,
        )
        self.poem: Deferred[bytes] = proxy.xform(name, poem)
        if connects:
            self.accept()

    def accept(self) -> None:
        """
        Let the client connect.
        """
        self.transport = ServerTransport()
        factory: Any = self.reactor.tcpClients[0][2]
        self.protocol: Any = factory.buildProtocol(None)
        self.transport.protocol = self.protocol
        self.protocol.makeConnection(self.transport)

    def say(self, data: bytes) -> None:
        """
        Say something to the client.
        """
        self.protocol.dataReceived(data)
