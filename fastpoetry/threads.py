"""
Threads for calls that may hang, such as the lookup of a name, or a file on a disk that
has failed.

When a process ends it waits for the threads of its reactor, but not for these.
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

    @param reactor: in whose thread the L{Deferred} fires.

    @param function: what to call, with the arguments that follow.

    @return: a L{Deferred} of what the function returns or raises.  To cancel it drops
        that, but the function goes on.

    @raise RuntimeError: when the system allows no other thread.
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
