"""
What the tests of connections share: protocols that write down what they are told, and
an C{epoll} whose events the test may say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from fastpoetry.connection.connections import Connections
from fastpoetry.connection.transport import Transport
from tests.support import Reactor
from tests.wire import PEER, PretendedEpoll, PretendedSocket


class Listener(Protocol):
    """
    A protocol that writes down what it is told.

    @ivar begin: what it does with its transport when it is connected.

    @ivar hear: what it does when it hears something.
    """

    begin: Callable[[Any], object] = staticmethod(id)
    hear: Callable[[bytes], object] = staticmethod(len)

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.reasons: list[type[BaseException]] = []
        self.ends: list[str] = []

    def connectionMade(self) -> None:
        """
        Begin.
        """
        self.begin(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Hear something.
        """
        self.heard.append(data)
        self.hear(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Write down why.
        """
        assert reason.type is not None
        self.reasons.append(reason.type)


@implementer(IHalfCloseableProtocol)
class HalfListener(Listener):
    """
    One that knows half of a connection.
    """

    def readConnectionLost(self) -> None:
        """
        The other side has ended.
        """
        self.ends.append("read")

    def writeConnectionLost(self) -> None:
        """
        This side has ended.
        """
        self.ends.append("write")


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


class PretendedTests(SynchronousTestCase):
    """
    What tests over pretended sockets need.
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
