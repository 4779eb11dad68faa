"""
Bytes down one connection: all of them, then the end; or a reset.

A delivery has these states, which on TCP are the kernel's own::

    WAITING --deliver()--> SENDING --end sent--> ENDED --all acknowledged-->
        ACKNOWLEDGED --the reader's end, or FIN_TIMEOUT--> CLOSED

Whatever else happens leads to CLOSED by a reset.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from enum import Enum, auto
from math import inf
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.connection import kernel
from fastpoetry.connection.outcome import Counts, Outcome, bytesTaken
from fastpoetry.interfaces import Figure, IHasFigures
from fastpoetry.text import peerName, printable

# Seconds between two sweeps: while a delivery that has begun waits for its first check,
# and otherwise.
TICK = 0.003
SLOW_TICK = 0.05

# Checks of a reader per timeout; a stall is detected at most a quarter late.
CHECKS_PER_TIMEOUT = 4

# Seconds to wait for the reader's FIN after it has acknowledged everything; behind a
# proxy, whose kernel it is that acknowledges, it is the timeout.
FIN_TIMEOUT = 2.0

# Seconds to the first check for the last acknowledgements, for which nothing wakes
# the reactor.  Each is twice as far from the one before.
CLOSING_CHECK = 0.05

# A reader that sends is read (and what it sends thrown away) up to so many bytes
# at a time, with so many seconds between: a flood then costs no processor time.  Each
# piece counts for so many bytes more, since it costs as much.
READ_QUOTA = 256 * 1024
READ_PAUSE = 0.1
READ_COST = 1024

# Lines of the log for those who do not get all of it.
NONE = "{peer} got nothing{title}: {why}"
CUT = "{peer} got {atMost}{taken} of {size} bytes{title}: {why}"
GAVE_UP = (
    "gave up on {peer}, which took nothing for {timeout} seconds: "
    "it got {atMost}{taken} of {size} bytes{title}"
)


class State(Enum):
    """
    How far a delivery has come.
    """

    WAITING = auto()  # for what is to be sent
    SENDING = auto()
    ENDED = auto()  # everything, and the end, is with the kernel
    ACKNOWLEDGED = auto()  # the reader's kernel has it all
    CLOSED = auto()


class ReadQuota:
    """
    Throws away what a reader sends, and holds a reader back that sends much.

    @ivar renewAt: when a reader that is held back may send again.
    """

    renewAt = inf
    _read = 0

    def throwAway(self, data: bytes, transport: Any, now: float) -> None:
        """
        @param transport: where the data came from.

        @param now: the time, in seconds.
        """
        self._read += len(data) + READ_COST
        # TLS may give more of what it has already, though it is told to pause.
        if self._read >= READ_QUOTA and self.renewAt == inf:
            self.renewAt = now + READ_PAUSE
            transport.pauseProducing()


@implementer(IHalfCloseableProtocol)
class DeliveryProtocol(Protocol):
    """
    Delivers something to a reader, and throws away what the reader sends
    meanwhile.

    What is delivered ends with a half-close, and the connection is held until the
    reader ends too: a socket that is closed with unread input makes the kernel
    reset the connection, and throw away what it had still to send.

    @ivar state: how far it has come.

    @ivar size: bytes that are delivered, once that is known.

    @ivar checkAt: when the next check is due, in seconds of the factory's clock.

    @ivar isQuiet: whether it is not to be counted, nor in the log: it is no reader's.

    @ivar outcome: what will have become of the reader, when this side cuts it off.

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
    _waitsFor: Deferred[bytes] | None = None
    _peerEnded = False
    _quota = ReadQuota()  # of readers who send nothing
    _progress: tuple[int, int] | None = None
    _progressAt = 0.0
    _closingCheck = CLOSING_CHECK
    outcome: Outcome | None = None

    def waitFor(self, data: Deferred[bytes]) -> None:
        """
        Have a L{Deferred} cancelled when the connection is lost before it fires.

        @param data: of what will be delivered.
        """
        self._waitsFor = data

    def deliver(self, data: bytes) -> None:
        """
        Send everything, and the end.

        @param data: what to send; it is not copied.  When the connection is lost
            by now, nothing is sent.
        """
        if self.state is State.CLOSED:
            return  # it comes too late
        transport = self.transport
        self.state = State.SENDING
        self.size = len(data)
        self.factory.begun(self)
        if not hasattr(type(transport), "loseWriteConnection"):
            # A wrapper, such as Twisted's own TLS, which would pass it on to TCP.
            transport.write(data)
            transport.loseConnection()
            return
        if not getattr(transport, "isBornReset", False):
            self._setReset(True)  # until the kernel has everything
        # Twisted 24.11 and later keep no copy of what is written at once.
        transport.write(data)
        transport.loseWriteConnection()

    def _setReset(self, resets: bool) -> None:
        with suppress(OSError):  # the reader has gone
            kernel.setReset(self.transport.socket, resets)

    def writeConnectionLost(self) -> None:
        """
        The kernel has everything, and the end.
        """
        transport = self.transport
        self.state = State.ENDED
        if not getattr(transport, "isBornReset", False):
            self._setReset(False)
        if self._progress is None:
            # Most readers end within a tick: nothing waits for them before that.
            transport.pauseProducing()
        else:
            self.checkAt = 0.0

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
        The reader has half-closed: it says no more, but takes what comes still.
        """
        self._peerEnded = True
        if self.state in (State.ENDED, State.ACKNOWLEDGED):
            self._closingCheck = CLOSING_CHECK
            self.check(self.factory.reactor.seconds())

    def check(self, now: float) -> None:
        """
        See what the reader has taken, and let go of one that is done with, or
        that has taken nothing for too long.

        @param now: the time, in seconds of the factory's clock.
        """
        transport, state = self.transport, self.state
        sent = None
        if state is State.ENDED or state is State.ACKNOWLEDGED:
            sent = self.size + getattr(transport, "overhead", 0)
            if kernel.hasAll(transport.socket, sent):
                self.state = State.ACKNOWLEDGED
                transport.loseConnection()
                return
        known = kernel.progress(transport.socket, sent)
        if known.isClosed and sent is not None:
            self._letGo(known.isComplete)
            return
        isPaused = state is State.ENDED and self._progress is None
        if self._quota.renewAt <= now:
            self._quota, isPaused = ReadQuota(), True
        if isPaused and self._quota.renewAt == inf and not self._peerEnded:
            transport.resumeProducing()
        if state is State.WAITING:
            self.checkAt = self._quota.renewAt
            return
        progress = transport.offset, known.acknowledged
        if progress != self._progress:
            self._progress, self._progressAt = progress, now
        if sent is not None and known.isComplete:
            self._checkEnd(now)
        else:
            self._checkStall(now)
        if self.checkAt < inf:  # or it is lost
            self.checkAt = min(self.checkAt, self._quota.renewAt)

    def _letGo(self, hasAll: bool) -> None:
        # The connection is closed already.
        if hasAll:
            self.state = State.ACKNOWLEDGED
            self.transport.loseConnection()
        else:
            self.outcome = Outcome.LEFT if self._peerEnded else Outcome.RESET
            self.transport.abortConnection()

    def _checkEnd(self, now: float) -> None:
        if self.state is State.ENDED:
            self.state, self._progressAt = State.ACKNOWLEDGED, now
        self.checkAt = self._progressAt + self.finTimeout
        if self._peerEnded or now >= self.checkAt:
            self.transport.loseConnection()

    def _checkStall(self, now: float) -> None:
        timeout = self.factory.timeout
        if now >= self._progressAt + timeout:
            self.outcome = Outcome.GAVE_UP
            self.transport.abortConnection()
        self.checkAt = min(
            now + timeout / CHECKS_PER_TIMEOUT, self._progressAt + timeout
        )
        if self.state is State.ENDED:
            self.checkAt = min(self.checkAt, now + self._closingCheck)
            self._closingCheck *= 2

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is gone, and whatever waited for it.
        """
        if self.isQuiet:
            pass
        elif self.state is State.ACKNOWLEDGED:
            self.factory.counts.addWhole(self.size)
        else:
            self._end(reason)
        self.state = State.CLOSED
        self.checkAt = inf
        self.factory.watched.discard(self)
        if not self.factory.numPorts:
            self.factory.rest()
        waitsFor, self._waitsFor = self._waitsFor, None
        if waitsFor is not None:
            waitsFor.cancel()

    def _end(self, reason: Failure) -> None:
        if self.state is State.WAITING and not (self._waitsFor or self.outcome):
            return  # nobody has asked
        counts = self.factory.counts
        taken, isKnown = bytesTaken(self.transport, self.size)
        # A transport that cannot half-close has ended by itself when it had sent all.
        isOver = self.state is State.SENDING and reason.check(ConnectionDone)
        hasAll = isKnown and taken == self.size and self.state is not State.WAITING
        if isOver or hasAll:
            counts.addWhole(self.size)
            return
        outcome = self.outcome or self._outcomeOf(reason)
        counts.add(outcome, taken)
        if outcome is Outcome.REFUSED:
            return
        level, line, why = LogLevel.info, CUT if self.size else NONE, outcome.value
        if outcome is Outcome.ABORTED:  # over TLS it may have been for something
            why = getattr(self.transport, "why", "") or why
        if outcome is Outcome.GAVE_UP:
            level, line = LogLevel.warn, GAVE_UP
        self._log.emit(
            level,
            line,
            peer=peerName(self.transport.getPeer()),
            atMost="" if isKnown else "at most ",
            taken=taken,
            size=self.size,
            title=self.factory.fromTitle,
            timeout=self.factory.timeout,
            why=why,
            outcome=outcome,
        )

    def _outcomeOf(self, reason: Failure) -> Outcome:
        if reason.check(ConnectionAborted):
            return Outcome.ABORTED
        if reason.check(ConnectionDone, ConnectionLost):
            return Outcome.LEFT if self._peerEnded else Outcome.RESET
        return Outcome.FAILED


@implementer(IHasFigures)
class DeliveryFactory(Factory):
    """
    What all deliveries have in common, and one sweep that checks them all.

    @ivar timeout: how many seconds a reader may take nothing.

    @ivar reactor: the clock.

    @ivar counts: what has become of the readers.

    @ivar title: what the log calls that which is delivered.

    @ivar fromTitle: what lines of the log say of the poem.

    @ivar watched: the deliveries that have a time for their next check.
    """

    _log = Logger()

    # Twisted's lines say at which address of memory it is.
    noisy = False

    def __init__(
        self, timeout: float = 60.0, reactor: Any = None, title: str = ""
    ) -> None:
        """
        @param reactor: the clock; by default the global reactor.

        @param title: what the log calls that which is delivered, where a process
            delivers several.
        """
        self.timeout = timeout
        self.counts = Counts()
        self.title = title
        self.fromTitle = f" from {printable(title)}" if title else ""
        self.reactor: IReactorTime = maybeGlobalReactor(reactor)
        self.watched: set[DeliveryProtocol] = set()
        self._fresh: list[DeliveryProtocol] = []  # that have begun since the last sweep
        self._older: list[DeliveryProtocol] = []  # that had begun by then
        self._scanAt = 0.0  # when the watched are to be looked through
        self._next: IDelayedCall | None = None
        self._ticks = False  # whether the next sweep is within a tick

    def begun(self, delivery: DeliveryProtocol) -> None:
        """
        A delivery has begun: it is checked after a tick or two.
        """
        self._fresh.append(delivery)
        if not self._ticks:
            self._sweepIn(TICK)
        if not self.numPorts:  # it listens no longer, and the process may end soon
            self.logBegun([delivery])

    def watch(self, delivery: DeliveryProtocol) -> None:
        """
        Have a delivery checked when its time comes.
        """
        self.watched.add(delivery)
        if self._next is None:
            self._sweepIn(SLOW_TICK)

    def logBegun(self, deliveries: list[DeliveryProtocol]) -> None:
        """
        Override this to log deliveries that have begun.
        """

    def checkAll(self) -> None:
        """
        Check all deliveries, be they due or not.
        """
        begun = [*self._older, *self._fresh, *self.watched]
        self._check(begun, self.reactor.seconds())

    def flushLog(self) -> None:
        """
        Have the log say now who has begun, and not at the next sweep.
        """
        fresh, self._fresh = self._fresh, []
        self._older += fresh
        self.logBegun(fresh)

    def figures(self) -> Iterator[Figure]:
        """
        @see: L{IHasFigures.figures}
        """
        counts = self.counts
        yield "fastpoetry_sent_bytes_total", {}, counts.size
        yield "fastpoetry_poems_total", {"outcome": "whole"}, counts.whole
        for outcome in Outcome:
            labels = {"outcome": outcome.name.lower()}
            yield "fastpoetry_poems_total", labels, counts.cut[outcome]

    def stopFactory(self) -> None:
        """
        It listens no longer.
        """
        self.logBegun(self._fresh)
        self.rest()

    def rest(self) -> None:
        """
        Sweep no more, if it listens no longer and all deliveries are at their end.
        """
        begun = self._fresh + self._older
        areOpen = any(one.state is not State.CLOSED for one in begun)
        if self._next is not None and not (areOpen or self.watched):
            self._next.cancel()
            self._next, self._ticks = None, False

    def _sweepIn(self, delay: float) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = self.reactor.callLater(delay, self._sweep)
        self._ticks = delay == TICK

    def _sweep(self) -> None:
        self._next, self._ticks = None, False
        now = self.reactor.seconds()
        due, self._older, self._fresh = self._older, self._fresh, []
        if now >= self._scanAt:
            self._scanAt = now + SLOW_TICK
            due += [one for one in self.watched if one.checkAt <= now]
        self._check(due, now)
        if self._older:
            self._sweepIn(TICK)
        elif self.watched:
            self._sweepIn(SLOW_TICK)
        if self.numPorts:
            self.logBegun(self._older)
        else:
            self.rest()

    def _check(self, deliveries: list[DeliveryProtocol], now: float) -> None:
        for delivery in deliveries:
            if delivery.state is State.CLOSED:
                continue
            try:
                delivery.check(now)
            except BaseException:  # it must cost nobody else the sweep
                self._log.failure("an error costs a connection")
                delivery.transport.abortConnection()
            if delivery.checkAt < inf:
                self.watched.add(delivery)
