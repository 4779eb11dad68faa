"""
Deadlines for a process that may stand still.

When a process is stopped (Ctrl-Z) and goes on, all that was due meanwhile is due at
once, and a reactor calls what is due before it reads what has come.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

# A call that comes so many seconds late comes from a process that stood still.
STANDSTILL = 1.0

_Result = TypeVar("_Result")


class Deadline:
    """
    Calls a function when a time is over.

    That is after one more turn of the reactor at the earliest, so that what has come
    is read first.  When the process stood still, there is as much time again as it
    did, up to the whole.
    """

    _call: IDelayedCall | None = None

    def __init__(self, clock: IReactorTime, missed: Callable[[], object]) -> None:
        """
        @param clock: measures the time.

        @param missed: what to call.
        """
        self._clock = clock
        self._missed = missed

    def start(self, seconds: float) -> None:
        """
        Start, or start again.

        @param seconds: how much time there is from now on.
        """
        self._seconds = seconds
        self._isLast = False
        self._due = self._clock.seconds() + seconds
        if self._call is None:
            self._call = self._clock.callLater(seconds, self._check)
        else:
            self._call.reset(seconds)

    def stop(self) -> None:
        """
        Call nothing any more.
        """
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _check(self) -> None:
        self._call = None
        late = max(0.0, self._clock.seconds() - self._due)
        if self._isLast and late < STANDSTILL:
            self._missed()
            return
        again = min(late, self._seconds)
        self._isLast = True
        self._due = self._clock.seconds() + again
        self._call = self._clock.callLater(again, self._check)


def addDeadline(
    deferred: Deferred[_Result], seconds: float, clock: IReactorTime
) -> Deferred[_Result]:
    """
    Cancel a L{Deferred} when a time is over.

    @param seconds: how much time there is.

    @param clock: measures it.

    @return: the same Deferred.  When the time was over and it did not succeed all the
        same, it fails with a L{TimeoutError}.
    """
    isOver = False

    def miss() -> None:
        nonlocal isOver
        isOver = True
        deferred.cancel()

    def end(result: _Result | Failure) -> _Result | Failure:
        deadline.stop()
        if isOver and isinstance(result, Failure):
            return Failure(TimeoutError())
        return result

    deadline = Deadline(clock, miss)
    deadline.start(seconds)
    return deferred.addBoth(end)
