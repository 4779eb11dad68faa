"""
A poem on the wire: all of it, then the end; or a reset.
"""

from __future__ import annotations

from itertools import groupby
from operator import attrgetter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from fastpoetry.connection.delivery import DeliveryProtocol
from fastpoetry.connection.factory import DeliveryFactory
from fastpoetry.connection.outcome import Outcome
from fastpoetry.interfaces import IPoetrySource
from fastpoetry.renamed import warnOfNoEffect
from fastpoetry.text import peerName, printable

# Characters of names in one line of the log: syslog may cut a line at 2,048 bytes
# (RFC 5424, 6.1).
NAMES_LENGTH = 1900


class PoetryProtocol(DeliveryProtocol):
    """
    Sends one poem down one connection.  What the reader sends is thrown away, as
    U{RFC 865<https://www.rfc-editor.org/rfc/rfc865>} says.
    """

    factory: PoetryFactory

    def connectionMade(self) -> None:
        """
        Ask for the poem, and send it when it is there.
        """
        try:
            poem = self.factory.getPoem()
            if isinstance(poem, Deferred):
                self.waitFor(poem)
                poem.addCallback(self._send).addErrback(self._refuse)
            else:
                self._send(poem)
        except BaseException:  # also asyncio's CancelledError, which is no Exception
            self._refuse(Failure())

    def _send(self, poem: bytes) -> None:
        if not isinstance(poem, bytes):
            raise TypeError(f"it is no bytes: {poem!r:.40}")
        self.deliver(poem)

    def _refuse(self, failure: Failure) -> None:
        if self.transport.connected:  # else the reader has left
            self._log.error(
                "no poem for {peer}: {reason}",
                peer=peerName(self.transport.getPeer()),
                reason=printable(failure.getErrorMessage()),
            )
            self.outcome = Outcome.REFUSED
            self.transport.abortConnection()


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
        title: str = "",
        progress: object = None,
    ) -> None:
        """
        @param source: an L{IPoetrySource}, or anything with the poem as its attribute
            C{poem}.

        @param timeout: how many seconds a reader may take nothing.

        @param reactor: the clock; by default the global reactor.

        @param title: what the log calls the poem, where a process serves several.

        @param progress: of no effect; it was in 1.0.
        """
        super().__init__(timeout, reactor, title)
        if progress is not None:
            warnOfNoEffect("progress")
        self.source = source

    @property
    def service(self) -> IPoetrySource:
        """
        The source, under the name that the first published protocol has for it, in
        C{examples/first-published.tac}.
        """
        return self.source

    def getPoem(self) -> bytes | Deferred[bytes]:
        """
        @see: L{IPoetrySource.getPoem}
        """
        source: Any = self.source
        try:
            getPoem = source.getPoem
        except AttributeError:
            return source.poem  # type: ignore[no-any-return]
        return getPoem()  # type: ignore[no-any-return]

    def logBegun(self, deliveries: list[DeliveryProtocol]) -> None:
        """
        Log who is sent a poem: one line, or a few, for all that came since the last
        sweep.  An observer that wants a line for each finds them in the event:
        C{size}, C{peers} (a list of names) and C{poem} (the source).
        """
        readers = [one for one in deliveries if not one.isQuiet]
        for size, group in groupby(readers, key=attrgetter("size")):
            peers = [peerName(one.transport.getPeer()) for one in group]
            step = max(1, NAMES_LENGTH // (len(max(peers, key=len)) + 2))
            for first in range(0, len(peers), step):
                some = peers[first : first + step]
                self._log.info(
                    "sending {size} bytes of poetry to {peer}{title}",
                    size=size,
                    title=self.fromTitle,
                    peer=", ".join(some),
                    peers=some,
                    poem=self.source,
                )
