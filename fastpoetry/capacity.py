"""
What all requests of a process share: memory, and a thread.  Both serve requests in the
order in which they ask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.threads import callInThread


class Memory:
    """
    Counts bytes.  Whoever asks for more than are left waits.

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
        Take some bytes as soon as that many are left.

        @param size: how many; one that is above L{Memory.size} waits for ever.

        @return: a L{Deferred} that fires with C{size}.  It can be cancelled.
        """
        waiting: Deferred[int] = Deferred(self._handleCancel)
        self._waiting[waiting] = size
        self._give()
        return waiting

    def exchange(self, old: int, new: int) -> None:
        """
        Give bytes back and take others at once, even when fewer are left.

        @param old: how many are given back.

        @param new: how many are taken.
        """
        self.taken += new - old
        self._give()

    def _handleCancel(self, waiting: Deferred[int]) -> None:
        del self._waiting[waiting]
        self._give()

    def _give(self) -> None:
        # A callback may acquire or exchange bytes, which this loop then takes into
        # account.
        if self._isGiving:
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


class Share:
    """
    The bytes that one request has of a L{Memory}.

    @ivar size: how many.
    """

    size = 0
    _asked: Deferred[int] | None = None

    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    @property
    def hasAsked(self) -> bool:
        """
        Whether it has asked for some.
        """
        return self._asked is not None

    def ask(self, size: int, handleMemory: Callable[[], object]) -> None:
        """
        Ask for some bytes.  This can be done once.

        @param size: how many.

        @param handleMemory: called when it has them, which may be before this returns.
        """

        def keep(size: int) -> None:
            self.size = size
            handleMemory()

        self._asked = self._memory.acquire(size)
        self._asked.addCallbacks(keep, lambda failure: None)

    def resize(self, size: int) -> None:
        """
        Change how many bytes it has, even to more than are left.
        """
        old, self.size = self.size, size
        if size != old:
            self._memory.exchange(old, size)

    def release(self) -> None:
        """
        Give everything back, and do not wait any more.
        """
        if self._asked is not None:
            self._asked.cancel()
        self.resize(0)


class OneThread:
    """
    Calls functions in a thread, one at a time.  Several threads would not be faster,
    since Python runs one at a time.  A process that ends does not wait for a function
    that does not return (see L{fastpoetry.threads}).
    """

    def __init__(self, reactor: Any = None) -> None:
        """
        @param reactor: in whose thread results are told; by default the global reactor.
        """
        self._reactor: Any = maybeGlobalReactor(reactor)
        self._waiting: dict[Deferred[Any], Callable[[], Any]] = {}
        self._isBusy = False

    def call(self, function: Callable[[], Any]) -> Deferred[Any]:
        """
        Call a function when it is its turn.

        @param function: what to call, without arguments.

        @return: a L{Deferred} of what it returns.  When it is cancelled, the function
            is not called; one that is being called goes on, and its result is dropped.
        """
        waiting: Deferred[Any] = Deferred(self._handleCancel)
        self._waiting[waiting] = function
        self._callNext()
        return waiting

    def _handleCancel(self, waiting: Deferred[Any]) -> None:
        self._waiting.pop(waiting, None)

    def _callNext(self) -> None:
        while self._waiting and not self._isBusy:
            waiting, function = next(iter(self._waiting.items()))
            del self._waiting[waiting]
            try:
                calling = callInThread(self._reactor, function)
            except RuntimeError as error:  # the system allows no other thread
                waiting.errback(error)
            else:
                self._isBusy = True
                calling.addBoth(self._handleResult, waiting)

    def _handleResult(self, result: Any, waiting: Deferred[Any]) -> None:
        self._isBusy = False
        if not waiting.called:  # it is, when it was cancelled
            waiting.callback(result)
        self._callNext()
