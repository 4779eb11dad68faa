"""
What the tests of connections share: two of them, over pretended sockets, and an
C{epoll} whose events the test may say.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.main import CONNECTION_LOST
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection.connections import Connections
from fastpoetry.connection.transport import Transport
from tests.protocols import Listener
from tests.support import Reactor
from tests.wire import PEER, PretendedEpoll, PretendedSocket


class ListedEpoll(PretendedEpoll):
    """
    A pretended C{epoll} whose events the test may say.

    @ivar calls: what was asked of it.

    @ivar events: what it says next, if it is not what there is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.events: list[tuple[int, int]] | None = None
        self.isClosed = False

    def register(self, fd: int, mask: int) -> None:
        self.calls.append(f"register {mask}")
        super().register(fd, mask)

    def modify(self, fd: int, mask: int) -> None:
        self.calls.append(f"modify {mask}")
        super().modify(fd, mask)

    def unregister(self, fd: int) -> None:
        self.calls.append("unregister")
        super().unregister(fd)

    def poll(self, timeout: float, maxevents: int = 1023) -> list[tuple[int, int]]:
        events, self.events = self.events, None
        return super().poll(timeout, maxevents) if events is None else events

    def close(self) -> None:
        super().close()
        self.isClosed = True


class ConnectionsTestCase(SynchronousTestCase):
    """
    Has two connections over pretended sockets.
    """

    def setUp(self) -> None:
        """
        Make two connections.
        """
        self.reactor = Reactor()
        self.epoll = ListedEpoll()
        self.connections = Connections(self.reactor, self.epoll)
        self.one, self.two = Listener(), Listener()
        self.first, self.second = self.connect(self.one), self.connect(self.two)
        self.epoll.calls.clear()
        self.addCleanup(self.checkNothingLeft)

    def checkNothingLeft(self) -> None:
        """
        Nobody is left in the C{epoll}, and nothing on the clock.
        """
        self.connections.abort()
        self.reactor.advance(0)
        self.assertEqual(self.epoll.masks, {})
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def connect(self, protocol: Any, capacity: int = 1000) -> Any:
        """
        Begin a connection.
        """
        one = PretendedSocket(capacity, resets=True)
        self.epoll.sockets[one.fileno()] = one
        transport: Any = Transport(one, protocol, PEER, self.connections)
        self.sockets = [*getattr(self, "sockets", []), one]
        self.connections.begin(transport)
        return transport

    def lose(self, transport: Any) -> None:
        """
        Lose a connection.
        """
        transport.connectionLost(Failure(CONNECTION_LOST))
