"""
A poem on the wire: all of it, then the end of the line; or a reset.

For small poems over plain TCP, L{fastpoetry.lane} does the same at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from fastpoetry.connection.delivery import DeliveryFactory, DeliveryProtocol
from fastpoetry.connection.kernel import Progress, progress
from fastpoetry.interfaces import IPoetrySource
from fastpoetry.text import peerName


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
        super().connectionMade()
        source: Any = self.factory.source
        self._poem = maybeDeferred(source.getPoem)
        self._poem.addCallbacks(self._send, self._refuse)

    def _send(self, poem: bytes) -> None:
        self._log.info(
            "sending {size} bytes of poetry to {peer}",
            size=len(poem),
            peer=peerName(self.transport.getPeer()),
        )
        self.deliver(poem)

    def _refuse(self, failure: Failure) -> None:
        if self._poem is not None:  # or the reader has left
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
        self,
        source: IPoetrySource,
        timeout: float = 60.0,
        reactor: Any = None,
        progress: Callable[[int], Progress] = progress,
    ) -> None:
        """
        @see: L{DeliveryFactory}
        """
        super().__init__(timeout, reactor, progress)
        self.source = source
