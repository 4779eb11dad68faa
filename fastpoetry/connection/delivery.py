"""
Bytes down one connection: all of them, then the end of the line; or a reset.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IReactorTime,
    ISSLTransport,
    IUNIXTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.connection import kernel
from fastpoetry.connection.connections import Connections
from fastpoetry.text import peerName

# How many looks at a reader's progress fit in one deadline: it is found out to
# have stalled at most a quarter of the deadline too late.
LOOKS = 4

# A reader that has taken everything and does not close is let go so many seconds
# after the look that finds it out.
LINGER = 2.0

# When both sides have ended and only the reader's last acknowledgement is
# missing, the first look for it is due after so many seconds.
LAST_LOOK = 0.05

# A reader that sends is read (and what it sends thrown away) up to so many bytes
# at a time, with so many seconds between: a flood then costs no processor time.
DOSE = 256 * 1024
DOSE_PAUSE = 0.1


@implementer(IHalfCloseableProtocol)
class DeliveryProtocol(Protocol):
    """
    Delivers something to a reader, and throws away what the reader sends
    meanwhile.

    What is delivered ends with a half-close, and the connection is held until the
    reader ends too: a socket that is closed with unread input makes the kernel
    reset the connection, and throw away what it had still to send.
    """

    _log = Logger()

    factory: DeliveryFactory
    transport: Any  # TCP, TLS or UNIX; no interface of Twisted's has all of it

    _ended = False  # everything, and its end, is with the kernel
    _readerEnded = False
    _taken = False  # the reader's kernel has it all, as of the last look
    _look: IDelayedCall | None = None
    _lastLook = LAST_LOOK
    _received = 0
    _file: io.BytesIO | None = None
    _resumption: IDelayedCall | None = None

    def connectionMade(self) -> None:
        """
        Be counted.
        """
        self.factory.connections.add(self)

    def deliver(self, data: bytes) -> None:
        """
        Send everything, and the end.
        """
        self._watch()
        if ISSLTransport.providedBy(self.transport) or IUNIXTransport.providedBy(
            self.transport
        ):
            # TLS would encrypt all of one write into memory, and on a UNIX
            # socket only the place in the file tells the progress.
            self._file = io.BytesIO(data)
            sent = FileSender().beginFileTransfer(self._file, self.transport)
            sent.addCallbacks(lambda _: self._end(), lambda _: None)
        else:
            # Until the kernel has everything, an end of the process is a reset.
            kernel.setReset(self.transport.getHandle(), True)
            # Twisted 24.11 and later keep no copy of what is written at once.
            self.transport.write(data)
            self._end()

    def linger(self) -> None:
        """
        Take over a connection on which somebody else has sent everything, and the
        end.
        """
        self._watch()
        self.writeConnectionLost()

    def _watch(self) -> None:
        self._progress = (0, kernel.Progress(0, 0))
        self._progressAt = self.factory.reactor.seconds()
        self._lookAgain()

    def _end(self) -> None:
        if ISSLTransport.providedBy(self.transport):
            self.transport.loseConnection()  # TLS says so itself, and waits
        else:
            self.transport.loseWriteConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        Throw away what the reader sends, a dose at a time.
        """
        self._received += len(data)
        # TLS may give more of what it has already, though it is told to pause.
        if self._received >= DOSE and self._resumption is None:
            self.transport.pauseProducing()
            self._resumption = self.factory.reactor.callLater(DOSE_PAUSE, self._resume)

    def _resume(self) -> None:
        self._received = 0
        self._resumption = None
        self.transport.resumeProducing()

    def readConnectionLost(self) -> None:
        """
        The reader has half-closed: it says no more, but takes what comes still.
        """
        self._readerEnded = True
        self._lastLook = LAST_LOOK
        if self._ended:
            self._check()

    def writeConnectionLost(self) -> None:
        """
        The kernel has everything, and the end.
        """
        self._ended = True
        if self._file is None:
            kernel.setReset(self.transport.getHandle(), False)
        self._check()

    def _check(self) -> None:
        """
        See what the reader has taken, and let go of one that is done with, or
        that has taken nothing for too long.
        """
        timeout, now = self.factory.timeout, self.factory.reactor.seconds()
        place = self._file.tell() if self._file else 0
        known = self.factory.progress(self.transport.fileno())
        if (place, known) != self._progress:
            self._progress, self._progressAt = (place, known), now
        taken = self._ended and not known.pending
        if known.closed or (taken and (self._readerEnded or self._taken)):
            self.transport.loseConnection()
        elif not taken and now >= self._progressAt + timeout:
            self._log.warn(
                "gave up on {peer}, which took nothing for {timeout} seconds",
                peer=peerName(self.transport.getPeer()),
                timeout=timeout,
            )
            self.transport.abortConnection()
        else:
            self._taken = taken
            self._lookAgain()

    def _lookAgain(self) -> None:
        timeout, now = self.factory.timeout, self.factory.reactor.seconds()
        wait = timeout / LOOKS
        if self._taken:
            wait = min(wait, LINGER)
        else:
            wait = min(wait, self._progressAt + timeout - now)
            if self._ended:
                # Only the last acknowledgements are missing, for which nothing
                # wakes the reactor: it looks less and less often.
                if not self._readerEnded:
                    self._lastLook = max(self._lastLook, LINGER)
                wait = min(wait, self._lastLook)
                self._lastLook *= 2
        if self._look is not None and self._look.active():
            self._look.cancel()
        self._look = self.factory.reactor.callLater(wait, self._check)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is gone, and whatever waited for it.
        """
        for call in (self._look, self._resumption):
            if call is not None and call.active():
                call.cancel()
        # A call that was made keeps its function: together they would keep the poem
        # until Python looks for cycles.
        self._look = self._resumption = None
        self.factory.connections.remove(self)


class DeliveryFactory(Factory):
    """
    What all connections have in common.

    @ivar timeout: how many seconds a reader may take nothing.

    @ivar connections: those that are open.
    """

    def __init__(
        self,
        timeout: float = 60.0,
        reactor: Any = None,
        progress: Callable[[int], kernel.Progress] = kernel.progress,
    ) -> None:
        """
        @param reactor: the clock; by default the global reactor.

        @param progress: how to ask the kernel about a descriptor.
        """
        if reactor is None:
            from twisted.internet import reactor
        self.timeout = timeout
        self.connections = Connections()
        self.reactor: IReactorTime = reactor
        self.progress = progress
