"""
Bytes down one connection: all of them, then the end; or a reset.
"""

from __future__ import annotations

from contextlib import suppress
from math import inf
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.connection import kernel
from fastpoetry.connection.factory import DeliveryFactory
from fastpoetry.connection.outcome import Outcome, bytesTaken, report
from fastpoetry.connection.readquota import ReadQuota
from fastpoetry.connection.state import State

# Checks of a reader per timeout; a stall is detected at most a quarter late.
CHECKS_PER_TIMEOUT = 4

# Seconds to wait for the reader's FIN after it has acknowledged everything.  Behind a
# proxy, whose kernel it is that acknowledges, it is the timeout.
FIN_TIMEOUT = 2.0

# Seconds to the first check for the last acknowledgements, of which the kernel tells
# nobody.  Each next one is twice as far away.
CLOSING_INTERVAL = 0.05


@implementer(IHalfCloseableProtocol)
class DeliveryProtocol(Protocol):
    """
    Delivers something to a reader, and throws away what the reader sends meanwhile.

    After all of it comes a half-close, and the connection stays open until the reader
    ends too: the kernel resets a socket that is closed with unread input, and throws
    away what it had still to send.

    @ivar state: how far it has come.

    @ivar size: how many bytes are delivered, once that is known.

    @ivar checkAt: when the next check is due, in seconds of the factory's clock.

    @ivar isQuiet: whether it is neither counted nor logged at its end: a health check
        of a proxy, or one that is counted already.

    @ivar outcome: why the reader will not get all of it, if that is known already.

    @ivar finTimeout: how many seconds to wait for the reader's end after it has
        acknowledged everything.
    """

    _log = Logger()

    factory: DeliveryFactory
    transport: Any  # TCP, TLS or UNIX; no interface of Twisted's has all of it

    state = State.WAITING
    size = 0
    checkAt = inf
    isQuiet = False
    finTimeout = FIN_TIMEOUT
    outcome: Outcome | None = None
    _waitsFor: Deferred[bytes] | None = None
    _peerEnded = False
    _quota = ReadQuota()  # shared by readers that send nothing
    _progress: tuple[int, int] | None = None
    _progressAt = 0.0
    _closingInterval = CLOSING_INTERVAL

    def waitFor(self, data: Deferred[bytes]) -> None:
        """
        Cancel a L{Deferred} if the connection is lost before it fires.

        @param data: of what will be delivered.
        """
        self._waitsFor = data

    def deliver(self, data: bytes) -> None:
        """
        Send everything, and the end.

        @param data: what to send; it is not copied.  Nothing is sent if the connection
            is lost already.
        """
        if self.state is State.CLOSED:
            return
        transport = self.transport
        self.state = State.SENDING
        self.size = len(data)
        self.factory.add(self)
        if not hasattr(type(transport), "loseWriteConnection"):
            # A wrapper, such as Twisted's own TLS, which would pass it on to TCP.
            transport.write(data)
            transport.loseConnection()
            return
        self._setReset(True)  # until the kernel has everything
        # Twisted 24.11 and later keep no copy of what is written at once.
        transport.write(data)
        transport.loseWriteConnection()

    def _setReset(self, isReset: bool) -> None:
        if not getattr(self.transport, "isBornReset", False):
            with suppress(OSError):  # the reader has gone
                kernel.setReset(self.transport.socket, isReset)

    def writeConnectionLost(self) -> None:
        """
        The kernel has everything, and the end.
        """
        self.state = State.SENT
        self._setReset(False)
        if self._progress is None:  # it was never checked
            # Most readers end within a tick: do not wait for their end before that.
            self.transport.pauseProducing()
        else:
            self.checkAt = 0.0  # at the next sweep

    def dataReceived(self, data: bytes) -> None:
        """
        Throw away what the reader sends.

        @see: L{twisted.internet.protocol.Protocol.dataReceived}
        """
        if self._quota is DeliveryProtocol._quota:
            self._quota = ReadQuota()
        self._quota.throwAway(data, self.transport, self.factory.reactor.seconds())
        if self._quota.renewAt < self.checkAt:
            self.checkAt = self._quota.renewAt
            self.factory.watch(self)

    def readConnectionLost(self) -> None:
        """
        The reader has half-closed: it sends no more, but still takes what comes.
        """
        self._peerEnded = True
        if self.state in (State.SENT, State.ACKNOWLEDGED):
            self._closingInterval = CLOSING_INTERVAL
            self.check(self.factory.reactor.seconds())

    def check(self, now: float) -> None:
        """
        Ask the kernel what the reader has taken.  Close the connection of one that has
        everything, and abort that of one that has taken nothing for too long.  Read
        again, when a pause is over.

        @param now: the time, in seconds of the factory's clock.
        """
        transport, state = self.transport, self.state
        isEnded = state is State.SENT or state is State.ACKNOWLEDGED
        sent = self.size + getattr(transport, "overhead", 0) if isEnded else None
        known = kernel.progress(transport.socket, sent)
        if isEnded and known.isClosed:
            self._handleClosed(known.isComplete)
            return
        # Paused until its first check, by writeConnectionLost, or by its quota.
        isPaused = state is State.SENT and self._progress is None
        if self._quota.renewAt <= now:
            self._quota, isPaused = ReadQuota(), True
        if isPaused and self._quota.renewAt == inf and not self._peerEnded:
            transport.resumeProducing()
        if state is State.WAITING:
            self.checkAt = self._quota.renewAt
            return
        # Both: on a UNIX socket the second falls when more is sent, and rises when some
        # is read, so that by itself it may look unchanged.
        progress = transport.offset, known.acknowledged
        if progress != self._progress:
            self._progress, self._progressAt = progress, now
        if isEnded and known.isComplete:
            self._checkEnd(now)
        else:
            self._checkStall(now)
        if self.checkAt < inf:  # else it is lost
            self.checkAt = min(self.checkAt, self._quota.renewAt)

    def _handleClosed(self, hasAll: bool) -> None:
        if hasAll:
            self.state = State.ACKNOWLEDGED
            self.transport.loseConnection()
        else:
            self.outcome = Outcome.LEFT if self._peerEnded else Outcome.RESET
            self.transport.abortConnection()

    def _checkEnd(self, now: float) -> None:
        if self.state is State.SENT:
            self.state, self._progressAt = State.ACKNOWLEDGED, now
        self.checkAt = self._progressAt + self.finTimeout
        if self._peerEnded or now >= self.checkAt:
            self.transport.loseConnection()

    def _checkStall(self, now: float) -> None:
        timeout = self.factory.timeout
        giveUpAt = self._progressAt + timeout
        if now >= giveUpAt:
            self.outcome = Outcome.GAVE_UP
            self.transport.abortConnection()
        self.checkAt = min(now + timeout / CHECKS_PER_TIMEOUT, giveUpAt)
        if self.state is State.SENT:
            self.checkAt = min(self.checkAt, now + self._closingInterval)
            self._closingInterval *= 2

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Count what became of the reader, and cancel what was waited for.
        """
        if not self.isQuiet:
            self._count(reason)
        self.state = State.CLOSED
        self.checkAt = inf
        self.factory.forget(self)
        waitsFor, self._waitsFor = self._waitsFor, None
        if waitsFor is not None:
            waitsFor.cancel()

    def _count(self, reason: Failure) -> None:
        # Count the reader by its outcome; log one that did not get all of it.
        counts = self.factory.counts
        if self.state is State.ACKNOWLEDGED:
            counts.addWhole(self.size)
            return
        if self.state is State.WAITING and not (self._waitsFor or self.outcome):
            return  # nothing was to be delivered yet
        taken, isKnown = bytesTaken(self.transport, self.size)
        # A transport that cannot half-close ends by itself when it has sent all.
        isOver = self.state is State.SENDING and reason.check(ConnectionDone)
        hasAll = isKnown and taken == self.size and self.state is not State.WAITING
        if isOver or hasAll:
            counts.addWhole(self.size)
            return
        outcome = self.outcome or self._outcomeOf(reason)
        counts.add(outcome, taken)
        if outcome is not Outcome.REFUSED:
            report(outcome, self, taken, isKnown, self._log)

    def _outcomeOf(self, reason: Failure) -> Outcome:
        if reason.check(ConnectionAborted):
            return Outcome.ABORTED
        if reason.check(ConnectionDone, ConnectionLost):
            return Outcome.LEFT if self._peerEnded else Outcome.RESET
        return Outcome.FAILED
