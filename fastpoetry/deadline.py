"""
Deadlines that nobody misses because this process stood still.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from twisted.internet.interfaces import IDelayedCall, IReactorTime

# Seconds by which a call may come late.  If it is later than that, the process did not
# only have much to do, but stood still.
STANDSTILL = 1.0


class Deadline:
    """
    Calls a function when a time is over and the reactor has had one more turn.

    When the process stood still (Ctrl-Z, a machine that was suspended), calls that are
    due come before anything is read that has arrived meanwhile.  It is read in that one
    turn, and whoever reads it can start the deadline again.  The time for which the
    process stood still is added.
    """

    _call: IDelayedCall | None = None
    _endsAt = inf
    _isOver = False  # but there is one more turn, or the added time

    def __init__(
        self, reactor: IReactorTime, handleMissed: Callable[[], object]
    ) -> None:
        """
        @param reactor: the clock.

        @param handleMissed: called, without arguments, when the deadline is missed.
        """
        self._reactor = reactor
        self._handleMissed = handleMissed

    @property
    def left(self) -> float:
        """
        How many seconds there are left, 0 when the time is over.
        """
        return max(0.0, self._endsAt - self._reactor.seconds())

    def start(self, seconds: float) -> None:
        """
        Start, or start again.

        @param seconds: how much time there is from now on.
        """
        self._isOver = False
        self._endsAt = self._reactor.seconds() + seconds
        if self._call is None:
            self._call = self._reactor.callLater(seconds, self._handleEnd)
        else:
            self._call.reset(seconds)

    def stop(self) -> None:
        """
        Call nothing any more, unless it is started again.
        """
        call, self._call = self._call, None
        self._isOver, self._endsAt = False, inf
        if call is not None:
            call.cancel()

    def _handleEnd(self) -> None:
        self._call = None
        late = self._reactor.seconds() - self._endsAt
        if late < STANDSTILL:
            late = 0.0
        if self._isOver and not late:
            self._handleMissed()
        else:
            self._isOver = True  # it may stand still again
            self._endsAt = self._reactor.seconds() + late
            self._call = self._reactor.callLater(late, self._handleEnd)
