"""
Protocols and producers that do what a test says, and write down what they are told.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer


class Listener(Protocol):
    """
    A protocol that does what the test says.

    @ivar begin: what it does with its transport when it is connected.

    @ivar hear: what it does with what it hears.

    @ivar heard: what it heard, once each time.

    @ivar reasons: why it was lost, once each time.

    @ivar ends: which halves of its connection have ended.
    """

    transport: Any

    def __init__(
        self,
        begin: Callable[[Any], object] = id,
        hear: Callable[[bytes], object] = len,
    ) -> None:
        self.begin = begin
        self.hear = hear
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
    A L{Listener} that knows half of a connection.

    @ivar ending: what it does with its transport when its own half has ended.
    """

    ending: Callable[[Any], object] = staticmethod(id)

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
