"""
Signals, handled in the reactor's turn.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from types import FrameType
from typing import Any


class _Handler:
    """
    Calls a function in the reactor's turn when a signal comes.

    It is false: C{twistd} sets its own handler for SIGUSR1, which rotates the log
    file, only where C{signal.getsignal} gives something false.
    """

    def __init__(
        self, reactor: Any, function: Callable[..., object], *arguments: Any
    ) -> None:
        self._reactor = reactor
        self._call = (function, *arguments)

    def __bool__(self) -> bool:
        return False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(*self._call)


def setHandler(
    reactor: Any,
    number: signal.Signals,
    function: Callable[..., object],
    *arguments: Any,
) -> object:
    """
    Have a function called when a signal comes.  A signal that comes before the reactor
    runs has its effect when it runs.

    @param reactor: an L{IReactorFromThreads
        <twisted.internet.interfaces.IReactorFromThreads>}.

    @param number: the signal.

    @param function: what is called, with the arguments.

    @return: the handler, as C{signal.getsignal} gives it.
    """
    handler = _Handler(reactor, function, *arguments)
    signal.signal(number, handler)
    return handler
