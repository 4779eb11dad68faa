"""
Deadlines that a process which stood still does not make anybody miss.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

from twisted.internet.interfaces import IDelayedCall, IReactorTime

# Who is called so many seconds late did not only have much to do.
STANDSTILL = 1.0


class Deadline:
    """
    Calls a function when a time is over and the reactor has had one more turn.

    When the process itself stood still (Ctrl-Z, a machine that was suspended), the time
    is over before anything is read that has come meanwhile.  In that turn it is, and
    whoever reads it can start the deadline again.  As much time as was lost comes on
    top.
    """

    _call: IDelayedCall | None = None
    _endsAt = inf
    _isOver = False  # and there is one more turn, or the time that was lost
    _lost = 0.0

    def __init__(self, reactor: IReactorTime, missed: Callable[[], object]) -> None:
        """
        @param reactor: the clock.

        @param missed: what to call, without arguments.
        """
        self._reactor = reactor
        self._missed = missed

    @property
    def lost(self) -> float:
        """
        How many seconds the process stood still at the end of the time.
        """
        return self._lost if self._isOver else self._late()

    def _late(self) -> float:
        late = self._reactor.seconds() - self._endsAt
        return late if late >= STANDSTILL else 0.0

    def start(self, seconds: float) -> None:
        """
        Start, or start again.

        @param seconds: how much time there is from now on.
        """
        self._isOver = False
        self._endsAt = self._reactor.seconds() + seconds
        if self._call is None:
            self._call = self._reactor.callLater(seconds, self._end)
        else:
            self._call.reset(seconds)

    def stop(self) -> None:
        """
        Call nothing any more.
        """
        call, self._call = self._call, None
        self._isOver, self._endsAt = False, inf
        if call is not None:
            call.cancel()

    def _end(self) -> None:
        self._call = None
        late = self._late()  # it may have stood still again
        if self._isOver and not late:
            self._missed()
        else:
            self._lost, self._isOver = late, True
            self._endsAt = self._reactor.seconds() + late
            self._call = self._reactor.callLater(late, self._end)
