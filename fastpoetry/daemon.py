"""
What a process does for all of its services.

  - SIGHUP reloads every service that provides L{IReloadable}.  SIGUSR2 logs the figures
    of all services.  SIGUSR1 does nothing where C{twistd} has no log file to rotate.
    By default each of the three would end the process.

  - The first SIGTERM or SIGINT stops the services.  The second aborts every service
    that provides L{IAbortable}, which ends the process at once.

  - When a service cannot start, the operator gets one sentence, not a traceback, and
    every service that provides L{IAbortable} is aborted, so that it leaves nothing.

  - A supervisor that has set C{NOTIFY_SOCKET} is told when the process serves, reloads
    and stops, and that its reactor turns.
"""

from __future__ import annotations

import gc
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from signal import (
    SIG_DFL,
    SIGHUP,
    SIGINT,
    SIGTERM,
    SIGUSR1,
    SIGUSR2,
    default_int_handler,
    getsignal,
)
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.copyright import version as twistedVersion
from twisted.logger import Logger
from zope.interface import implementer

from fastpoetry import __version__
from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.collection import allProviders, allServices, callAll
from fastpoetry.descriptors import raiseDescriptorLimit
from fastpoetry.error import FastPoetryError
from fastpoetry.interfaces import (
    Figure,
    IAbortable,
    IHasFigures,
    IHasReaders,
    IReloadable,
)
from fastpoetry.log import isLogStandard, openStreams
from fastpoetry.reload import Reloads
from fastpoetry.signals import setEarlyHandler, setHandler

if TYPE_CHECKING:
    from fastpoetry.notify import Supervisor


@implementer(IHasFigures)
class DaemonService(Service):
    """
    Does for a process what a daemon needs.  It must be the first service of its
    collection.
    """

    _log = Logger()

    _isScheduled = _isStopping = False
    _isAborting = False  # whether a second signal came before the stop began
    _supervisor: Supervisor | None = None

    def __init__(self, reactor: Any = None) -> None:
        """
        @param reactor: by default the global one.

        @raise SystemExit: when the process may have too few descriptors.
        """
        openStreams()  # before a reactor takes their descriptors
        raiseDescriptorLimit()  # before the reactor is made, which needs some
        self.reactor: Any = maybeGlobalReactor(reactor)
        self._madeAt = time.time()
        self._reloads = Reloads(self._handleReloaded)
        # The first line of a log, which keeps what comes before it begins.
        self._log.info(
            "fastpoetry {version}, Python {python}, Twisted {twisted}",
            version=__version__,
            python=platform.python_version(),
            twisted=twistedVersion,
        )
        # twistd writes its pid file before services start: signals may come already.
        setHandler(self.reactor, SIGHUP, self._handleHangUp)
        setHandler(self.reactor, SIGUSR2, self._handleUser2)
        # A log that was made before has its own handler.
        if getsignal(SIGUSR1) == SIG_DFL:
            setHandler(self.reactor, SIGUSR1, self._handleUser1)
        if "NOTIFY_SOCKET" in os.environ:
            from fastpoetry.notify import Supervisor

            self._supervisor = Supervisor(self.reactor)

    def privilegedStartService(self) -> None:
        """
        Prepare for a start that fails, and for a stop before the reactor runs.
        """
        sys.excepthook = self._handleError
        setEarlyHandler(self.reactor, SIGTERM)
        setEarlyHandler(self.reactor, SIGINT)

    def startService(self) -> None:
        """
        Begin to work when the reactor runs.
        """
        self.privilegedStartService()  # which not every runner calls
        super().startService()
        self._isStopping = self._isAborting = False
        if not self._isScheduled:  # else it has been started again
            self._isScheduled = True
            self.reactor.callWhenRunning(self._handleRunning)

    def stopService(self) -> None:
        """
        From now on, a signal to stop is the second one.  That may have come already:
        all other services have begun to stop by now.
        """
        super().stopService()
        self._isStopping = True
        if self._supervisor is not None:
            self._supervisor.stopping(self._countReaders)
            self._supervisor = None  # it is told nothing more
        if self._isAborting:
            self._abort()

    def figures(self) -> Iterator[Figure]:
        """
        @see: L{IHasFigures.figures}
        """
        yield "process_start_time_seconds", {}, self._madeAt

    def _handleRunning(self) -> None:
        # The reactor has set its handlers by now, and all services have started.
        for number in (SIGTERM, SIGINT):
            stop = getsignal(number)
            if stop == default_int_handler:  # or an early handler: it has none
                stop = self._stopReactor
            if callable(stop):  # a command in the background of a shell ignores SIGINT
                setHandler(self.reactor, number, self._handleStop, number, stop)
        # Garbage collections skip what there is by now.  To look through all of it
        # would stop everybody for a hundredth of a second, again and again.
        gc.freeze()
        if self._supervisor is not None:
            self._supervisor.start()

    def _handleHangUp(self) -> None:
        self._log.info("received SIGHUP, reloading")
        if self._supervisor is not None:
            self._supervisor.reloading()
        self._reloads.begin(allProviders(IReloadable, self.parent))

    def _handleReloaded(self) -> None:
        if self._supervisor is not None:
            self._supervisor.reloaded()

    def _handleUser1(self) -> None:
        self._log.info("received SIGUSR1, but the log is not a file of twistd's")

    def _handleUser2(self) -> None:
        from fastpoetry.figures import exposition  # not needed before

        self._log.info("received SIGUSR2, these are the figures")
        for line in exposition(allServices(self.parent)).splitlines():
            if not line.startswith("#"):
                self._log.info("{figure}", figure=line)

    def _handleStop(self, number: int, stop: Callable[..., object]) -> None:
        # The reactor's own handler logs.  Called as Python calls it, in the middle of a
        # line to the log file, it would wait for the lock of that file for ever (seen
        # in 2 of 150 stops with readers).
        if not self._isStopping:
            self._isStopping = True
            # Readers who were served before the signal are in the log before it.
            callAll(IHasReaders, "checkReaders", self.parent)
            stop(number, None)
        elif self.running:  # the stop has not begun
            self._isAborting = True
        else:
            self._abort()

    def _stopReactor(self, number: int, frame: FrameType | None) -> None:
        self.reactor.stop()

    def _handleError(
        self, kind: Any, error: BaseException, traceback: TracebackType | None
    ) -> None:
        # Take the place of sys.excepthook.  twistd lets the error of a service that
        # cannot start end the process, and Python would print a traceback.
        if isinstance(error, FastPoetryError):
            self._log.error("cannot start: {error}", error=error)
            callAll(IAbortable, "abort", self.parent)  # first: to print may fail
            if not isLogStandard():
                print(f"cannot start: {error}", file=sys.__stderr__)
        else:
            sys.__excepthook__(kind, error, traceback)

    def _countReaders(self) -> int:
        return sum(each.readers for each in allProviders(IHasReaders, self.parent))

    def _abort(self) -> None:
        self._log.warn("received a second signal, stopping at once")
        callAll(IAbortable, "abort", self.parent)
