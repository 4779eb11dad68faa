"""
A poem on the wire: all of it, then the end of the line; or a reset.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from fastpoetry.connection.delivery import DeliveryFactory, DeliveryProtocol
from fastpoetry.interfaces import IPoetrySource
from fastpoetry.text import peerName

# Characters of names in one line of the log: syslog may cut a line at 2,048 bytes
# (RFC 5424, 6.1).
NAMES_PER_LINE = 1900


class PoetryProtocol(DeliveryProtocol):
    """
    Sends one poem down one connection.  What the reader sends is thrown away,
    as RFC 865 says.
    """

    _log = Logger()

    factory: PoetryFactory

    _poem: Deferred[bytes] | None = None

    def connectionMade(self) -> None:
        """
        Ask for the poem, and send it when it is there.
        """
        try:
            poem = self.factory.getPoem()
        except Exception:
            self._refuse(Failure())
            return
        if not isinstance(poem, bytes) and isinstance(poem, Deferred):
            self._poem = poem
            poem.addCallbacks(self._send, self._refuse)
        else:
            self._send(poem)

    def _send(self, poem: bytes) -> None:
        if not isinstance(poem, bytes):
            self._refuse(Failure(TypeError(f"it is {type(poem).__name__}, not bytes")))
            return
        self.factory.logReader(len(poem), peerName(self.transport.getPeer()))
        self.deliver(poem)

    def _refuse(self, failure: Failure) -> None:
        if self.transport.connected:  # or the reader has left
            self._log.error(
                "no poem for {peer}: {reason}",
                peer=peerName(self.transport.getPeer()),
                reason=failure.getErrorMessage(),
            )
            self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is gone, and whatever waited for it.
        """
        poem, self._poem = self._poem, None
        if poem is not None:
            poem.cancel()
        super().connectionLost(reason)


class PoetryFactory(DeliveryFactory):
    """
    Sends the poem of one source to every reader.

    @ivar source: whose poem it is.
    """

    protocol = PoetryProtocol  # type: ignore[assignment]

    def __init__(
        self, source: IPoetrySource, timeout: float = 60.0, reactor: Any = None
    ) -> None:
        """
        @param source: what has the poem: an L{IPoetrySource}, or anything with the
            poem as its attribute C{poem}.

        @see: L{DeliveryFactory}
        """
        super().__init__(timeout, reactor)
        self.source = source
        self._size = 0
        self._peers: list[str] = []  # who was sent so many bytes; not logged yet

    @property
    def service(self) -> IPoetrySource:
        """
        The source, by the name that it has in the published protocol.
        """
        return self.source

    def getPoem(self) -> bytes | Deferred[bytes]:
        """
        @see: L{IPoetrySource.getPoem}
        """
        source: Any = self.source
        if hasattr(source, "getPoem"):
            poem: bytes | Deferred[bytes] = source.getPoem()
        else:
            poem = source.poem
        return poem

    def logReader(self, size: int, peer: str) -> None:
        """
        Have the log say who is sent the poem.  There is one event for all who come
        in one tick.

        @param size: bytes of the poem.

        @param peer: the reader.
        """
        if size != self._size:
            self._logReaders()
            self._size = size
        self._peers.append(peer)
        if not self.numPorts:  # it listens no longer, and the process may end soon
            self._logReaders()

    def _logReaders(self) -> None:
        peers, self._peers = self._peers, []
        if not peers:
            return
        step = max(1, NAMES_PER_LINE // (len(max(peers, key=len)) + 2))
        for first in range(0, len(peers), step):
            some = peers[first : first + step]
            self._log.info(
                "sending {size} bytes of poetry to {peer}",
                size=self._size,
                peer=", ".join(some),
                peers=some,
                poem=self.source,
            )

    def sweep(self) -> None:
        """
        @see: L{DeliveryFactory.sweep}
        """
        self._logReaders()
        super().sweep()

    def stopFactory(self) -> None:
        """
        No more readers come.
        """
        self._logReaders()
