"""
What all the requests of a process have in common: memory, and a thread.  Both go to
those who came first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from fastpoetry.clock import maybeGlobalReactor


class Memory:
    """
    Counts bytes, and has those wait for whom there are none left.

    @ivar size: how many bytes there are.

    @ivar taken: how many of them are in use.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.taken = 0
        self._waiting: dict[Deferred[int], int] = {}
        self._isGiving = False

    def acquire(self, size: int) -> Deferred[int]:
        """
        Take some bytes, when there is room for them.

        @param size: how many; of more than there are nobody would ever have them.

        @return: a L{Deferred} that fires with C{size}.  It can be cancelled.
        """
        waiting: Deferred[int] = Deferred(self._leave)
        self._waiting[waiting] = size
        self._give()
        return waiting

    def exchange(self, old: int, new: int) -> None:
        """
        Give some bytes back, and take others, though there be no room for them.
        """
        self.taken += new - old
        self._give()

    def _leave(self, waiting: Deferred[int]) -> None:
        del self._waiting[waiting]
        self._give()

    def _give(self) -> None:
        if self._isGiving:  # it goes on with those who come or leave meanwhile
            return
        self._isGiving = True
        while self._waiting:
            waiting, size = next(iter(self._waiting.items()))
            if self.taken + size > self.size:
                break
            del self._waiting[waiting]
            self.taken += size
            waiting.callback(size)
        self._isGiving = False


class OneThread:
    """
    Has functions called in a thread of the reactor's, one at a time.  More at a time
    would be no faster, since Python runs one at a time anyway.
    """

    def __init__(self, reactor: Any = None) -> None:
        """
        @param reactor: whose thread it is; by default the global reactor.
        """
        self._reactor: Any = maybeGlobalReactor(reactor)
        self._waiting: dict[Deferred[Any], Callable[[], Any]] = {}
        self._isBusy = False

    def call(self, function: Callable[[], Any]) -> Deferred[Any]:
        """
        Have a function called.

        @return: a L{Deferred} of what it gives.  To cancel it is not to have the
            function called or, when it is being called, not to have what it gives.
        """
        waiting: Deferred[Any] = Deferred(self._leave)
        self._waiting[waiting] = function
        self._callNext()
        return waiting

    def _leave(self, waiting: Deferred[Any]) -> None:
        self._waiting.pop(waiting, None)

    def _callNext(self) -> None:
        if self._isBusy or not self._waiting:
            return
        waiting, function = next(iter(self._waiting.items()))
        del self._waiting[waiting]
        self._isBusy = True
        pool = self._reactor.getThreadPool()
        deferToThreadPool(self._reactor, pool, function).addBoth(self._done, waiting)

    def _done(self, result: Any, waiting: Deferred[Any]) -> None:
        self._isBusy = False
        if not waiting.called:  # or it was cancelled
            waiting.callback(result)
        self._callNext()
