"""
The protocols of the dialogues: servers that know nothing of this package, and a
client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IPullProducer,
    IPushProducer,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.basic import LineReceiver, NetstringReceiver
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from tests.support import BIG

PIECE = 10_007


class Published(Protocol):
    """
    The server of the tutorial: all of the poem, then the end.
    """

    factory: Any

    def connectionMade(self) -> None:
        """
        Send the poem.
        """
        self.transport.write(self.factory.poem)  # type: ignore[union-attr]
        self.transport.loseConnection()  # type: ignore[union-attr]


class Echo(Protocol):
    """
    Says what it hears.
    """

    def dataReceived(self, data: bytes) -> None:
        """
        Say it.
        """
        self.transport.write(data)  # type: ignore[union-attr]


@implementer(IHalfCloseableProtocol)
class Reverser(Protocol):
    """
    Hears until the client half-closes, and then says all of it backwards, and
    half-closes, too.
    """

    _heard = b""
    transport: Any

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it.
        """
        self._heard += data

    def readConnectionLost(self) -> None:
        """
        Answer.
        """
        self.transport.write(self._heard[::-1])
        self.transport.loseWriteConnection()

    def writeConnectionLost(self) -> None:
        """
        That was all.
        """
        self.transport.loseConnection()


@implementer(IPullProducer)
class Pulled:
    """
    Says something in pieces, one whenever it is asked.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._offset = 0
        transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """
        Say a piece, and after the last one the end.
        """
        self._transport.write(BIG[self._offset : self._offset + PIECE])
        self._offset += PIECE
        if self._offset >= len(BIG):
            self._transport.unregisterProducer()
            self._transport.loseConnection()

    def stopProducing(self) -> None:
        """
        The client has gone.
        """


@implementer(IPushProducer)
class Pushing:
    """
    Says something in pieces until it is told to pause.

    @ivar pauses: how many times it was.
    """

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._offset = 0
        self.pauses = 0
        self._isPaused = False
        transport.registerProducer(self, True)
        self.resumeProducing()

    def pauseProducing(self) -> None:
        """
        Say nothing.
        """
        assert not self._isPaused
        self._isPaused = True
        self.pauses += 1

    def resumeProducing(self) -> None:
        """
        Say pieces, and after the last one the end.
        """
        self._isPaused = False
        while not self._isPaused and self._offset < len(BIG):
            self._transport.write(BIG[self._offset : self._offset + PIECE])
            self._offset += PIECE
        if self._offset >= len(BIG):
            self._transport.unregisterProducer()
            self._transport.loseConnection()

    def stopProducing(self) -> None:
        """
        The client has gone.
        """


class Lines(LineReceiver):
    """
    Says a line for a line, and at the last one a lot.
    """

    producers: ClassVar[dict[bytes, Any]] = {b"pull": Pulled, b"push": Pushing}
    factory: Any
    transport: Any

    def connectionMade(self) -> None:
        """
        Greet.
        """
        self.sendLine(b"which?")

    def lineReceived(self, line: bytes) -> None:
        """
        Answer.
        """
        if line in self.producers:
            self.factory.producer = self.producers[line](self.transport)
        elif line == b"tls":
            self.transport.startTLS(self.factory.tls)
        else:
            self.sendLine(line.upper())


class Netstrings(NetstringReceiver):
    """
    Says a netstring for a netstring, backwards.
    """

    def stringReceived(self, string: bytes) -> None:
        """
        Answer.
        """
        self.sendString(string[::-1])


class Page(Resource):
    """
    A page of 1 MB.
    """

    isLeaf = True

    def __init__(self, isChunked: bool = False) -> None:
        """
        @param isChunked: whether its length is not known at first, so that it comes in
            chunks.
        """
        super().__init__()
        self._isChunked = isChunked

    def render_GET(self, request: Any) -> Any:
        """
        Give the page.
        """
        if not self._isChunked:
            return BIG
        pieces = [BIG[at : at + PIECE] for at in range(0, len(BIG), PIECE)]

        class Chunks:
            """
            A producer of its pieces.
            """

            def resumeProducing(self) -> None:
                """
                Give one.
                """
                request.write(pieces.pop(0))
                if not pieces:
                    request.unregisterProducer()
                    request.finish()

            def stopProducing(self) -> None:
                """
                The client has gone.
                """

        request.registerProducer(Chunks(), False)
        return NOT_DONE_YET


class Client(Protocol):
    """
    Hears, and answers as it is told.

    @ivar heard: what it heard.

    @ivar lost: fires with the kind of the reason when the connection is lost.
    """

    transport: Any

    def __init__(self) -> None:
        self.heard = bytearray()
        self.lost: Deferred[type[BaseException]] = Deferred()
        self._awaited: tuple[Callable[[bytes], bool], Deferred[bytes]] | None = None

    def until(self, condition: Callable[[bytes], bool]) -> Deferred[bytes]:
        """
        @return: what was heard since the last time, as soon as it is enough.
        """
        heard: Deferred[bytes] = Deferred()
        self._awaited = condition, heard
        self._check()
        return heard

    def hear(self, size: int) -> Deferred[bytes]:
        """
        @return: what was heard since the last time, as soon as it is this many bytes.
        """
        return self.until(lambda heard: len(heard) >= size)

    def _check(self) -> None:
        if self._awaited is not None and self._awaited[0](bytes(self.heard)):
            _, heard = self._awaited
            self._awaited = None
            data = bytes(self.heard)
            self.heard.clear()
            heard.callback(data)

    def dataReceived(self, data: bytes) -> None:
        """
        Hear it.
        """
        self.heard += data
        self._check()

    def end(self) -> None:
        """
        End what has not ended.
        """
        if not self.lost.called:
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        It has ended.
        """
        assert reason.type is not None
        self.lost.callback(reason.type)
