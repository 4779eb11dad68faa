"""
What a process does for all of its services.
"""

from __future__ import annotations

import gc
import os
import platform
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from twisted.application.service import IService, IServiceCollection, Service
from twisted.copyright import version as twistedVersion
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger, globalLogPublisher
from twisted.python.failure import Failure
from twisted.python.reflect import qual
from zope.interface import Interface, implementer

from fastpoetry import __version__
from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.error import FastPoetryError
from fastpoetry.interfaces import (
    Figure,
    IAbortable,
    IHasFigures,
    IHasReaders,
    IReloadable,
)
from fastpoetry.log import openStreams

if TYPE_CHECKING:
    from fastpoetry.notify import Supervisor

# As many as a daemon has with one port, its log and one reader.
LEAST_DESCRIPTORS = 15


def raiseDescriptorLimit() -> None:
    """
    Let this process have all the descriptors that it may have.

    @raise SystemExit: with a sentence, when they are too few to start with.
        Whatever else is raised in a C{.tac} has a traceback of C{twistd}'s.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < LEAST_DESCRIPTORS:
        raise SystemExit(
            f"cannot start: the limit of open files (ulimit -n) is {hard}, and at "
            f"least {LEAST_DESCRIPTORS} are needed"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def isLogStandard() -> bool:
    """
    @return: whether the log goes to the standard output or error of this process.
    """
    # What knows it has no public name in Twisted.  A filter is what twist has.
    for observer in getattr(globalLogPublisher, "_observers", ()):
        observer = getattr(observer, "_observer", observer)
        try:
            fd = observer._outFile.fileno()
            if any(os.path.sameopenfile(fd, standard) for standard in (1, 2)):
                return True
        except (AttributeError, OSError, ValueError):
            continue
    return False


class _Handler:
    """
    Calls in the reactor's turn when a signal comes.  C{twistd}, which would rotate its
    log file on SIGUSR1 where there is no handler yet, takes it for none.
    """

    def __init__(
        self, reactor: Any, call: Callable[..., object], *arguments: Any
    ) -> None:
        self._reactor = reactor
        self._call = (call, *arguments)

    def __bool__(self) -> bool:
        return False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._reactor.callFromThread(*self._call)


def allServices(collection: Any) -> Iterator[IService]:
    """
    Walk a service collection, and all collections in it.

    @param collection: an L{IServiceCollection}.
    """
    for service in collection:
        yield service
        if IServiceCollection.providedBy(service):
            yield from allServices(service)


@implementer(IHasFigures)
class DaemonService(Service):
    """
    Makes a good daemon of a process.  It stands first in the service collection
    that it works for:

      - SIGHUP reloads every L{IReloadable} service of the collection (one whose
        reload is under way, once more after that), SIGUSR1 does nothing where
        C{twistd} has no log file to rotate, and SIGUSR2 logs the figures of all
        services.  Each would kill the process otherwise.  One that comes before the
        reactor runs has its effect then.

      - A second SIGTERM or SIGINT aborts every L{IAbortable} service, which ends
        the process at once.

      - The process gets all the descriptors that it may have, and its collector of
        garbage passes over what has been made before anybody is served.

      - A service that cannot start gives one sentence, not a traceback, and every
        L{IAbortable} service is aborted, so that nothing is left.

      - A supervisor that has asked for it (C{NOTIFY_SOCKET}) hears when the process
        serves, reloads and stops, and that its reactor turns.
    """

    _log = Logger()

    _prepared = False
    _isWatching = False
    _stopping = False
    _aborting = False
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
        self._reloading: set[Any] = set()  # services
        self._again: set[Any] = set()  # those of them that are to be reloaded again
        # The first line of a log, which keeps what comes before it begins.
        self._log.info(
            "fastpoetry {version}, Python {python}, Twisted {twisted}",
            version=__version__,
            python=platform.python_version(),
            twisted=twistedVersion,
        )
        # As soon as there is a pid file, which twistd writes before any service
        # starts, somebody may send a signal.
        self._onSignal(signal.SIGHUP, self._reload)
        self._onSignal(signal.SIGUSR2, self._logFigures)
        # A log that was made before has its own.
        if signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL:
            effect = "received SIGUSR1, but the log is not a file of twistd's"
            self._onSignal(signal.SIGUSR1, self._log.info, effect)
        if "NOTIFY_SOCKET" in os.environ:
            from fastpoetry.notify import Supervisor

            self._supervisor = Supervisor(self.reactor)

    def privilegedStartService(self) -> None:
        """
        Prepare the process, before any other service starts.
        """
        self._prepared = True
        sys.excepthook = self._reportFailure
        # It would leave the pid file.  The reactor, which has its own handler when
        # it runs, gets it then.
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            self._onSignal(signal.SIGTERM, signal.raise_signal, signal.SIGTERM)

    def startService(self) -> None:
        """
        Prepare the process, unless L{privilegedStartService} did.
        """
        if not self._prepared:
            self.privilegedStartService()
        super().startService()
        self._stopping = self._aborting = False
        if self._isWatching:  # it has been started again
            return
        self._isWatching = True
        # The reactor sets its own signal handlers when it begins to run.
        self.reactor.callWhenRunning(self._watchForStop)
        # What has been made by then stays: to look through all of it for garbage
        # would hold everybody up for a hundredth of a second, again and again.
        self.reactor.callWhenRunning(gc.freeze)
        # All other services have started by then.
        if self._supervisor is not None:
            self.reactor.callWhenRunning(self._supervisor.start)

    def stopService(self) -> None:
        """
        From here on, a signal to stop is the second.  It may have come already: all
        other services have begun to stop.
        """
        super().stopService()
        self._stopping = True
        if self._supervisor is not None:
            self._supervisor.stopping(self._countReaders)
            self._supervisor = None  # it has nothing more to hear
        if self._aborting:
            self._abort()

    def _onSignal(
        self, number: signal.Signals, call: Callable[..., object], *arguments: Any
    ) -> None:
        signal.signal(number, _Handler(self.reactor, call, *arguments))

    def _watchForStop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            stop = signal.getsignal(number)
            # A shell that starts a command in the background ignores SIGINT.
            if callable(stop):
                self._onSignal(number, self._stop, number, stop)

    def _stop(
        self, number: int, stop: Callable[[int, FrameType | None], object]
    ) -> None:
        # The reactor's own handlers log while the signal is handled.  When that
        # interrupts a line on its way to a log file, both want the lock of the
        # file, and the process hangs (seen in 2 of 150 stops with readers); so
        # they are called here, in the reactor's turn.
        if not self._stopping:
            self._stopping = True
            # Who was served before the signal is in the log before it.
            self._callEach(IHasReaders, "checkReaders")
            stop(number, None)
        elif self.running:  # the stop is yet to begin
            self._aborting = True
        else:
            self._abort()

    def _each(self, interface: type[Interface]) -> Iterator[Any]:
        for service in allServices(self.parent):
            if interface.providedBy(service):
                yield service

    def _countReaders(self) -> int:
        return sum(service.readers for service in self._each(IHasReaders))

    def _reload(self) -> None:
        self._log.info("received SIGHUP, reloading")
        if self._supervisor is not None:
            self._supervisor.reloading()
        self._reloading.add(self)  # until all have begun
        for service in self._each(IReloadable):
            self._reloadOne(service)
        self._reloaded(None, self)

    def _reloadOne(self, service: Any) -> None:
        if service in self._reloading:
            self._again.add(service)
        elif service.running:  # or it is about to stop
            self._reloading.add(service)
            self._call(service, "reload").addCallback(self._reloaded, service)

    def _reloaded(self, _: object, service: Any) -> None:
        self._reloading.remove(service)
        if service in self._again:
            self._again.remove(service)
            self._reloadOne(service)
        elif self._supervisor is not None and not self._reloading:
            self._supervisor.reloaded()

    def figures(self) -> Iterator[Figure]:
        """
        @see: L{IHasFigures.figures}
        """
        yield "process_start_time_seconds", {}, self._madeAt

    def _logFigures(self) -> None:
        # Not before somebody asks for them.
        from fastpoetry.figures import exposition

        self._log.info("received SIGUSR2, these are the figures")
        for line in exposition(allServices(self.parent)).splitlines():
            if not line.startswith("#"):
                self._log.info("{figure}", figure=line)

    def _abort(self) -> None:
        self._log.warn("received a second signal, stopping at once")
        self._callEach(IAbortable, "abort")

    def _callEach(self, interface: type[Interface], name: str) -> None:
        for service in self._each(interface):
            self._call(service, name)

    def _call(self, service: Any, name: str) -> Deferred[Any]:
        def failed(failure: Failure) -> None:  # it must cost no other service the call
            self._log.failure(
                "an error in {name} of {service}",
                failure,
                name=name,
                service=qual(type(service)),
            )

        return maybeDeferred(getattr(service, name)).addErrback(failed)

    def _reportFailure(
        self,
        kind: type[BaseException],
        error: BaseException,
        traceback: TracebackType | None,
    ) -> None:
        # twistd lets the error of a service that cannot start end the process,
        # and it is the interpreter that prints the traceback.
        if isinstance(error, FastPoetryError):
            self._log.error("cannot start: {error}", error=error)
            # Before it is told, which may fail or take its time.
            self._callEach(IAbortable, "abort")
            if not isLogStandard():
                print(f"cannot start: {error}", file=sys.__stderr__)
        else:
            sys.__excepthook__(kind, error, traceback)
