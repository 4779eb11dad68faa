"""
What the deliveries of one kind have in common: a timeout, counts, and one timer.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from zope.interface import implementer

from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.connection.outcome import Counts, Outcome
from fastpoetry.connection.state import State
from fastpoetry.interfaces import Figure, IHasFigures
from fastpoetry.text import printable

# Seconds to the next sweep, while a delivery that has begun waits for its first check.
TICK = 0.003

# Seconds to the next sweep otherwise.
SLOW_TICK = 0.05


@implementer(IHasFigures)
class DeliveryFactory(Factory):
    """
    Makes deliveries, and sweeps over them to check each.  One that has just begun is
    checked after one tick or two: by then most readers have everything.  After that
    each has a time for its next check.

    @ivar timeout: how many seconds a reader may take nothing.

    @ivar reactor: the clock.

    @ivar counts: what became of the readers.

    @ivar title: what the log calls that which is delivered.

    @ivar fromTitle: the same with C{from}, for lines of the log.

    @ivar watched: the deliveries that have a time for their next check.
    """

    _log = Logger()

    # Twisted's own lines about a factory have an address of memory in them.
    noisy = False

    def __init__(
        self, timeout: float = 60.0, reactor: Any = None, title: str = ""
    ) -> None:
        """
        @param timeout: how many seconds a reader may take nothing.

        @param reactor: the clock; by default the global reactor.

        @param title: what the log calls that which is delivered, where a process
            delivers several.
        """
        self.timeout = timeout
        self.counts = Counts()
        self.title = title
        self.fromTitle = f" from {printable(title)}" if title else ""
        self.reactor: Any = maybeGlobalReactor(reactor)
        self.watched: set[Any] = set()
        self._fresh: list[Any] = []  # begun since the last sweep
        self._older: list[Any] = []  # begun before the last sweep, not checked yet
        self._scanAt = 0.0  # when to look through the watched
        self._next: IDelayedCall | None = None
        self._isTicking = False  # whether the next sweep is within a tick

    def add(self, delivery: Any) -> None:
        """
        Check a delivery after one tick or two.

        @param delivery: a L{DeliveryProtocol
            <fastpoetry.connection.delivery.DeliveryProtocol>} that has begun.
        """
        self._fresh.append(delivery)
        if not self._isTicking:
            self._sweepIn(TICK)
        if not self.numPorts:  # it listens no longer, and the process may end soon
            self.logBegun([delivery])

    def watch(self, delivery: Any) -> None:
        """
        Check a delivery at its C{checkAt}.
        """
        self.watched.add(delivery)
        if self._next is None:
            self._sweepIn(SLOW_TICK)

    def forget(self, delivery: Any) -> None:
        """
        Do not check a delivery again: it is closed.
        """
        self.watched.discard(delivery)
        if not self.numPorts:
            self._stopTimerIfIdle()

    def logBegun(self, deliveries: list[Any]) -> None:
        """
        Override this to log deliveries that have begun since it was last called.

        @param deliveries: a L{DeliveryProtocol
            <fastpoetry.connection.delivery.DeliveryProtocol>} for each.
        """

    def flushLog(self) -> None:
        """
        Log now, and not at the next sweep, which deliveries have begun.
        """
        fresh, self._fresh = self._fresh, []
        self._older += fresh
        self.logBegun(fresh)

    def checkAll(self) -> None:
        """
        Check all deliveries now.
        """
        self._check([*self._older, *self._fresh, *self.watched], self.reactor.seconds())

    def figures(self) -> Iterator[Figure]:
        """
        @see: L{IHasFigures.figures}
        """
        counts = self.counts
        yield "fastpoetry_sent_bytes_total", {}, counts.taken
        yield "fastpoetry_poems_total", {"outcome": "whole"}, counts.whole
        for outcome in Outcome:
            labels = {"outcome": outcome.name.lower()}
            yield "fastpoetry_poems_total", labels, counts.cut[outcome]

    def stopFactory(self) -> None:
        """
        @see: L{twisted.internet.protocol.Factory.stopFactory}
        """
        self.flushLog()
        self._stopTimerIfIdle()

    def _stopTimerIfIdle(self) -> None:
        unchecked = self._fresh + self._older
        areOpen = any(one.state is not State.CLOSED for one in unchecked)
        if self._next is not None and not (areOpen or self.watched):
            self._next.cancel()
            self._next, self._isTicking = None, False

    def _sweepIn(self, delay: float) -> None:
        if self._next is not None:
            self._next.cancel()
        self._next = self.reactor.callLater(delay, self._handleSweep)
        self._isTicking = delay == TICK

    def _handleSweep(self) -> None:
        # Check what is due, and set the timer for the next sweep.
        self._next, self._isTicking = None, False
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
            self.logBegun(self._older)  # which were fresh before this sweep
        else:
            self._stopTimerIfIdle()

    def _check(self, deliveries: list[Any], now: float) -> None:
        for delivery in deliveries:
            if delivery.state is State.CLOSED:
                continue
            try:
                delivery.check(now)
            except BaseException:  # it must cost no other delivery its check
                self._log.failure("an error costs a connection")
                delivery.transport.abortConnection()
            if delivery.checkAt < inf:
                self.watched.add(delivery)
