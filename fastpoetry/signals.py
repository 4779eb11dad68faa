"""
Signals, handled in the reactor's turn.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from signal import SIG_DFL, default_int_handler, getsignal, raise_signal
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


class _EarlyHandler(_Handler):
    """
    Raises a signal again when the reactor runs.

    It equals C{default_int_handler}: only in place of that does the reactor set its own
    handler for SIGINT.
    """

    def __init__(self, reactor: Any, number: signal.Signals) -> None:
        super().__init__(reactor, raise_signal, number)

    def __eq__(self, other: object) -> bool:
        return other is self or other is default_int_handler

    __hash__ = _Handler.__hash__


def setEarlyHandler(reactor: Any, number: signal.Signals) -> None:
    """
    Have a signal that comes before the reactor runs wait until it does, and has its own
    handler.  By default SIGTERM would end the process at once, and SIGINT would raise
    C{KeyboardInterrupt} wherever it is, which Twisted's log and its L{Deferred
    <twisted.internet.defer.Deferred>} take for an error.

    @param reactor: as in L{setHandler}.

    @param number: the signal.  One that is ignored, or has a handler, keeps that.
    """
    if getsignal(number) in (SIG_DFL, default_int_handler):
        signal.signal(number, _EarlyHandler(reactor, number))


def setHandler(
    reactor: Any,
    number: signal.Signals,
    function: Callable[..., object],
    *arguments: Any,
) -> None:
    """
    Have a function called when a signal comes.  A signal that comes before the reactor
    runs has its effect when it runs.

    @param reactor: an L{IReactorFromThreads
        <twisted.internet.interfaces.IReactorFromThreads>}.

    @param number: the signal.

    @param function: what is called, with the arguments.
    """
    signal.signal(number, _Handler(reactor, function, *arguments))
