"""
Bytes down one connection: all of them, then the end; or a reset.

A delivery has these states, which on TCP are the kernel's own::

    WAITING --deliver()--> SENDING --end sent--> ENDED --all acknowledged-->
        ACKNOWLEDGED --the reader's end, or FIN_TIMEOUT--> CLOSED

Whatever else happens leads to CLOSED by a reset.
"""

from __future__ import annotations

import io
from contextlib import suppress
from enum import Enum, auto
from math import inf
from typing import Any

from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IReactorTime,
    ISSLTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.connection import kernel
from fastpoetry.text import peerName

# Seconds between two sweeps while somebody has come since the last but one.
TICK = 0.005

# Seconds between two sweeps otherwise, at the least: many checks are made together.
SWEEP_PAUSE = 0.05

# Checks of a reader per timeout; a stall is detected at most a quarter late.
CHECKS_PER_TIMEOUT = 4

# Seconds to wait for the reader's FIN after it has acknowledged everything.
FIN_TIMEOUT = 2.0

# Seconds to the first check for the last acknowledgements, for which nothing wakes
# the reactor.  Each is twice as far from the one before.
FIRST_CLOSING_CHECK = 0.05

# A reader that sends is read (and what it sends thrown away) up to so many bytes
# at a time, with at least so many seconds between: a flood then costs no processor
# time.
READ_QUOTA = 256 * 1024
READ_PAUSE = 0.1


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

    @ivar isUsedUp: whether the reader is held back.
    """

    isUsedUp = False
    _read = 0

    def __init__(self, transport: Any) -> None:
        """
        @param transport: what is read from.
        """
        self._transport = transport

    def throwAway(self, data: bytes) -> bool:
        """
        @return: whether the reader is to be held back from now on.
        """
        self._read += len(data)
        # TLS may give more of what it has already, though it is told to pause.
        if self._read < READ_QUOTA or self.isUsedUp:
            return False
        self.isUsedUp = True
        self._transport.pauseProducing()
        return True

    def renew(self) -> None:
        """
        Read on.
        """
        self.isUsedUp = False
        self._read = 0
        self._transport.resumeProducing()


@implementer(IHalfCloseableProtocol)
class DeliveryProtocol(Protocol):
    """
    Delivers something to a reader, and throws away what the reader sends
    meanwhile.

    What is delivered ends with a half-close, and the connection is held until the
    reader ends too: a socket that is closed with unread input makes the kernel
    reset the connection, and throw away what it had still to send.

    @ivar state: how far it has come.

    @ivar checkAt: when the next check is due, in seconds of the factory's clock.
    """

    _log = Logger()

    factory: DeliveryFactory
    transport: Any  # TCP, TLS or UNIX; no interface of Twisted's has all of it

    state = State.WAITING
    checkAt = inf
    _peerEnded = False
    _quota: ReadQuota | None = None
    _progress: tuple[int, int] | None = None
    _progressAt = 0.0
    _closingInterval = FIRST_CLOSING_CHECK

    def deliver(self, data: bytes) -> None:
        """
        Send everything, and the end.
        """
        transport = self.transport
        self.state = State.SENDING
        self.factory.addFresh(self)
        if ISSLTransport.providedBy(transport):
            # TLS would encrypt all of one write into memory, and says the end in
            # its own way.
            sent = FileSender().beginFileTransfer(io.BytesIO(data), transport)
            sent.addCallbacks(lambda _: transport.loseConnection(), lambda _: None)
            return
        if not getattr(transport, "isBornReset", False):
            self._setReset(True)
        # Twisted 24.11 and later keep no copy of what is written at once.
        transport.write(data)
        transport.loseWriteConnection()

    def _setReset(self, resets: bool) -> None:
        # Until the kernel has everything, an end of the process is a reset.
        with suppress(OSError):  # the reader has gone
            kernel.setReset(self.transport.socket, resets)

    def dataReceived(self, data: bytes) -> None:
        """
        Throw away what the reader sends.
        """
        if self._quota is None:
            self._quota = ReadQuota(self.transport)
        if self._quota.throwAway(data):
            self.checkAt = self.factory.reactor.seconds() + READ_PAUSE
            self.factory.watch(self)

    def readConnectionLost(self) -> None:
        """
        The reader has half-closed: it says no more, but takes what comes still.
        """
        self._peerEnded = True
        if self.state in (State.ENDED, State.ACKNOWLEDGED):
            self._closingInterval = FIRST_CLOSING_CHECK
            self.check(self.factory.reactor.seconds())
            self.factory.watch(self)

    def writeConnectionLost(self) -> None:
        """
        The kernel has everything, and the end.
        """
        self.state = State.ENDED
        if not getattr(self.transport, "isBornReset", False):
            self._setReset(False)
        # Most readers end within a tick, and nothing waits for them before that.
        self.transport.pauseProducing()
        if self._progress is not None:
            self.factory.addFresh(self)

    def check(self, now: float) -> None:
        """
        See what the reader has taken, and let go of one that is done with, or
        that has taken nothing for too long.

        @param now: the time, in seconds of the factory's clock.
        """
        transport = self.transport
        if self.state is State.ENDED and kernel.isClosed(transport.socket):
            transport.loseConnection()
            return
        if self._quota is not None and self._quota.isUsedUp:
            self._quota.renew()
        elif self.state is State.ENDED and not self._peerEnded:
            transport.resumeProducing()
        if self.state is State.WAITING:
            self.checkAt = inf
        elif not self._letGo(now):
            self.checkAt = now + self._untilNextCheck(now)

    def _letGo(self, now: float) -> bool:
        """
        @return: whether the reader was let go.
        """
        known = kernel.progress(self.transport.socket)
        progress = self.transport.offset, known.acknowledged
        if progress != self._progress:
            self._progress, self._progressAt = progress, now
        if self.state is not State.SENDING and known.isComplete:
            if self.state is State.ENDED:
                self.state, self._progressAt = State.ACKNOWLEDGED, now
            if self._peerEnded or now >= self._progressAt + FIN_TIMEOUT:
                self.transport.loseConnection()
                return True
        elif known.isClosed:
            self.transport.abortConnection()
            return True
        elif now >= self._progressAt + self.factory.timeout:
            self._log.warn(
                "gave up on {peer}, which took nothing for {timeout} seconds",
                peer=peerName(self.transport.getPeer()),
                timeout=self.factory.timeout,
            )
            self.transport.abortConnection()
            return True
        return False

    def _untilNextCheck(self, now: float) -> float:
        if self.state is State.ACKNOWLEDGED:
            return self._progressAt + FIN_TIMEOUT - now
        timeout = self.factory.timeout
        wait = min(timeout / CHECKS_PER_TIMEOUT, self._progressAt + timeout - now)
        if self.state is State.ENDED:
            wait = min(wait, self._closingInterval)
            self._closingInterval *= 2
        return wait

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is gone, and whatever waited for it.
        """
        self.state = State.CLOSED
        if self.checkAt != inf:
            self.factory.forget(self)


class DeliveryFactory(Factory):
    """
    What all deliveries have in common, and one sweep that checks them all.

    @ivar timeout: how many seconds a reader may take nothing.

    @ivar reactor: the clock.
    """

    _log = Logger()

    def __init__(self, timeout: float = 60.0, reactor: Any = None) -> None:
        """
        @param reactor: the clock; by default the global reactor.
        """
        self.timeout = timeout
        self.reactor: IReactorTime = maybeGlobalReactor(reactor)
        self._fresh: list[DeliveryProtocol] = []  # who came since the last sweep
        self._older: list[DeliveryProtocol] = []  # who came in the tick before that
        self._watched: set[DeliveryProtocol] = set()  # who has a time for a check
        self._checkAt = inf  # the first of these times
        self._sweep: IDelayedCall | None = None
        self._ticks = False  # whether the next sweep is due within a tick

    def addFresh(self, delivery: DeliveryProtocol) -> None:
        """
        Have a delivery checked after one or two ticks.
        """
        self._fresh.append(delivery)
        if not self._ticks:
            self._ticks = True
            self._schedule(TICK)

    def watch(self, delivery: DeliveryProtocol) -> None:
        """
        Have a delivery checked when its time comes.
        """
        if delivery.state is not State.CLOSED:
            self._watched.add(delivery)
            if delivery.checkAt < self._checkAt:
                self._checkAt = delivery.checkAt
                if not self._ticks:
                    self._schedule(self._checkAt - self.reactor.seconds())

    def forget(self, delivery: DeliveryProtocol) -> None:
        """
        A delivery is at its end.
        """
        self._watched.discard(delivery)
        if not self._watched and not self._ticks:
            self._checkAt = inf
            self._schedule(inf)

    def _schedule(self, delay: float) -> None:
        if self._sweep is not None and self._sweep.active():
            self._sweep.cancel()
        if delay < inf:
            self._sweep = self.reactor.callLater(max(0.0, delay), self.sweep)

    def sweep(self) -> None:
        """
        Check all whose time has come.
        """
        now = self.reactor.seconds()
        older, self._older, self._fresh = self._older, self._fresh, []
        self._ticks = True
        self._check(older, now)
        if now >= self._checkAt:
            self._check([one for one in self._watched if one.checkAt <= now], now)
            first = min((one.checkAt for one in self._watched), default=inf)
            self._checkAt = max(first, now + SWEEP_PAUSE)
        self._ticks = bool(self._older or self._fresh)
        if self._watched or self._ticks:
            self._schedule(TICK if self._ticks else self._checkAt - now)

    def _check(self, deliveries: list[DeliveryProtocol], now: float) -> None:
        for delivery in deliveries:
            if delivery.state is State.CLOSED:
                continue
            try:
                delivery.check(now)
            except Exception:  # it must cost nobody else the sweep
                self._log.failure("an error costs a connection")
                delivery.transport.abortConnection()
            if delivery.checkAt != inf:
                self.watch(delivery)
