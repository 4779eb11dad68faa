"""
Threads for what may hang: a name that is looked up, a file on a disk that is gone.

The end of a process waits for the threads of its reactor.  For these nobody waits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

_T = TypeVar("_T")


def callInThread(
    reactor: IReactorFromThreads, function: Callable[..., _T], *arguments: Any
) -> Deferred[_T]:
    """
    Call a function in a daemon thread of its own.

    @param reactor: where whoever asks gets the result.

    @return: a L{Deferred} of what the function gives.  When it is cancelled, that is
        dropped.

    @raise RuntimeError: when the system has no room for another thread.
    """
    waiting: Deferred[_T] = Deferred()

    def call() -> None:
        result: Any
        try:
            result = function(*arguments)
        except BaseException:
            result = Failure()
        reactor.callFromThread(waiting.callback, result)

    threading.Thread(target=call, daemon=True).start()
    return waiting
