"""
Tests of L{fastpoetry.daemon}.
"""

from __future__ import annotations

import gc
import io
import os
import platform
import resource
import signal
import sys
from typing import Any

from twisted.application.service import IService, MultiService, Service
from twisted.copyright import version
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    LogPublisher,
    capturedLogs,
    formatEvent,
    textFileLogObserver,
)
from twisted.scripts._twistd_unix import UnixAppLogger
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from fastpoetry import __version__
from fastpoetry import log as logModule
from fastpoetry.collection import allServices
from fastpoetry.daemon import DaemonService
from fastpoetry.descriptors import LEAST_DESCRIPTORS
from fastpoetry.error import PoemError
from fastpoetry.interfaces import IHasFigures, IHasReaders
from fastpoetry.service import PoetryService
from tests.support import Reactor, Recorder, keepProcess


@implementer(IHasReaders)
class Watched(Service):
    """
    A service that has readers, and a mistake.
    """

    readers = 0

    def __init__(self, stops: list[int]) -> None:
        """
        @param stops: the signals that have come to the reactor's handlers.
        """
        self.stops = stops

    def hasReader(self, source: object, peer: object, host: object) -> bool:
        """
        @see: L{IHasReaders.hasReader}
        """
        return False

    def checkReaders(self) -> None:
        """
        @see: L{IHasReaders.checkReaders}
        """
        raise ZeroDivisionError(f"after {len(self.stops)} signals")


class Stream(io.StringIO):
    """
    A text file that has a descriptor, or none.
    """

    def __init__(self, number: int | None) -> None:
        super().__init__()
        self.number = number

    def fileno(self) -> int:
        """
        @return: the descriptor.
        """
        return super().fileno() if self.number is None else self.number


class DaemonServiceTests(SynchronousTestCase):
    """
    Tests of L{DaemonService}, with real signals to this process.
    """

    def setUp(self) -> None:
        """
        Remember what the service changes in the process, and put a service tree
        of two levels beside it.
        """
        keepProcess(self.addCleanup)
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        # A script that runs these tests in the background ignores SIGINT.
        signal.signal(signal.SIGINT, signal.default_int_handler)

        self.reactor = Reactor()
        self.parent = MultiService()
        self.daemon = DaemonService(self.reactor)
        self.daemon.setServiceParent(self.parent)
        inner = MultiService()
        inner.setServiceParent(self.parent)
        self.recorders = [Recorder(), Recorder()]
        self.recorders[0].setServiceParent(self.parent)
        self.recorders[1].setServiceParent(inner)
        Service().setServiceParent(inner)

    def receive(self, number: int) -> list[str]:
        """
        Send this process a signal.

        @return: what the log says then.
        """
        with capturedLogs() as events:
            os.kill(os.getpid(), number)
            self.reactor.advance(0)
        return [formatEvent(event) for event in events]

    def assertAsked(self, *calls: str) -> None:
        """
        Assert that every service was asked the same.
        """
        for recorder in self.recorders:
            self.assertEqual(recorder.asked, list(calls))

    def test_versions(self) -> None:
        """
        As soon as it is made, the log says which versions these are.
        """
        with capturedLogs() as events:
            DaemonService(self.reactor)
        (event,) = events
        self.assertEqual(
            formatEvent(event),
            f"fastpoetry {__version__}, Python {platform.python_version()}, "
            f"Twisted {version}",
        )

    def test_service(self) -> None:
        """
        It is a service, with the global reactor by default.
        """
        from twisted.internet import reactor

        verifyObject(IService, self.daemon)
        self.assertIs(DaemonService().reactor, reactor)

    def test_garbage(self) -> None:
        """
        When the reactor begins to run, and not before, the collector of garbage is
        told to pass over what there is.
        """
        frozen: list[bool] = []
        self.patch(gc, "freeze", lambda: frozen.append(True))
        self.parent.startService()
        self.assertEqual(frozen, [])
        self.reactor.run()
        self.assertEqual(frozen, [True])

    def test_figures(self) -> None:
        """
        SIGUSR2 has the figures of all services in the log, among them when the process
        was started.
        """
        verifyObject(IHasFigures, self.daemon)
        self.daemon._madeAt = 12.5
        path = self.mktemp()
        with open(path, "w") as file:
            file.write("poem")
        poem = PoetryService(path)
        poem.setServiceParent(self.recorders[1].parent)
        self.parent.startService()
        self.assertEqual(
            self.receive(signal.SIGUSR2),
            [
                "received SIGUSR2, these are the figures",
                f'fastpoetry_poem_bytes{{poem="{poem.path}"}} 4',
                "process_start_time_seconds 12.5",
            ],
        )

    def test_allServices(self) -> None:
        """
        All services of a collection are found, those of inner ones, too.
        """
        found = list(allServices(self.parent))
        self.assertEqual(len(found), 5)
        for service in (self.daemon, *self.recorders):
            self.assertIn(service, found)

    def test_hangUp(self) -> None:
        """
        SIGHUP reloads everything that can be reloaded, each time.
        """
        self.parent.privilegedStartService()
        self.parent.startService()
        self.assertEqual(self.receive(signal.SIGHUP), ["received SIGHUP, reloading"])
        self.assertAsked("reload")
        self.receive(signal.SIGHUP)
        self.assertAsked("reload", "reload")

    def test_withoutPrivilegedStart(self) -> None:
        """
        Everything works with a runner that has no privileged start.
        """
        self.parent.startService()
        self.receive(signal.SIGHUP)
        self.assertAsked("reload")

    def test_nothing(self) -> None:
        """
        SIGUSR1 harms nobody when there is no log file to rotate.
        """
        self.parent.startService()
        self.assertEqual(
            self.receive(signal.SIGUSR1),
            ["received SIGUSR1, but the log is not a file of twistd's"],
        )

    def test_beforeTheStart(self) -> None:
        """
        A signal that comes before any service has started has its effect once the
        reactor runs.
        """
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
            os.kill(os.getpid(), number)
        self.assertAsked()
        self.parent.privilegedStartService()
        self.parent.startService()
        self.reactor.advance(0)
        self.assertAsked("reload")

    def test_rotateLogFile(self) -> None:
        """
        When C{twistd} rotates its log file on SIGUSR1, it goes on doing that: it sets
        its handler, which is made later, where it finds none.
        """
        options = {"logfile": self.mktemp(), "nodaemon": False}
        log = UnixAppLogger(options)._getLogObserver()
        self.addCleanup(log._outFile.close)
        rotate = signal.getsignal(signal.SIGUSR1)
        self.assertEqual(getattr(rotate, "__name__", ""), "rotateLog")
        self.parent.startService()
        self.assertIs(signal.getsignal(signal.SIGUSR1), rotate)

    def test_otherLog(self) -> None:
        """
        A log that was made before the service goes on having its own handler.
        """
        rotations: list[int] = []
        signal.signal(signal.SIGUSR1, lambda number, frame: rotations.append(number))
        DaemonService(self.reactor)
        self.assertEqual(self.receive(signal.SIGUSR1), [])
        self.assertEqual(rotations, [signal.SIGUSR1])

    def test_stopBeforeTheReactorRuns(self) -> None:
        """
        A signal to stop that comes while services start is for the reactor, once it
        runs.  The reactor sets its handler for SIGINT only in the place of Python's.
        """
        stops: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            self.setUp()
            self.parent.privilegedStartService()
            os.kill(os.getpid(), number)
            self.parent.startService()
            self.assertEqual(signal.getsignal(number), signal.default_int_handler)
            signal.signal(number, lambda number, frame: stops.append(number))
            self.reactor.run()
            self.reactor.advance(0)
            self.reactor.advance(0)
        self.assertEqual(stops, [signal.SIGTERM, signal.SIGINT])

    def test_startedLater(self) -> None:
        """
        Started when the reactor runs, it leaves the reactor's handler alone.
        """
        stops: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, frame: stops.append(number))
        self.parent.privilegedStartService()
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        self.assertEqual(stops, [signal.SIGTERM, signal.SIGINT])

    def runs(self) -> list[int]:
        """
        Start, and let the reactor run, which has handlers of its own.

        @return: the signals that come to those.
        """
        stops: list[int] = []
        self.parent.startService()
        for number in (signal.SIGTERM, signal.SIGINT):
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda number, frame: stops.append(number))
        self.reactor.run()
        return stops

    def test_reactorWithoutHandlers(self) -> None:
        """
        Where the reactor runs without handlers of its own, a signal stops it, too.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            self.setUp()
            self.parent.startService()
            self.reactor.run()
            self.reactor.hasStopped = False
            self.receive(number)
            self.assertTrue(self.reactor.hasStopped)
            self.assertAsked()

    def test_firstSignal(self) -> None:
        """
        The first signal to stop is the reactor's, in its own turn: it logs, and
        that must not interrupt something else that does.
        """
        stops = self.runs()
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(stops, [])
        self.reactor.advance(0)
        self.assertEqual(stops, [signal.SIGTERM])
        self.assertAsked()

    def test_startedAgain(self) -> None:
        """
        After a stop and another start, the next signal to stop is the first again.
        """
        stops = self.runs()
        for _ in range(2):
            self.parent.stopService()
            self.parent.startService()
            self.receive(signal.SIGTERM)
        self.assertEqual(stops, [signal.SIGTERM] * 2)
        self.assertAsked()
        self.parent.stopService()
        self.receive(signal.SIGTERM)
        self.assertAsked("abort")

    def test_readersFirst(self) -> None:
        """
        Who was served before the signal is looked at before the stop begins, and a
        service that cannot do that holds up none.
        """
        stops = self.runs()
        for _ in range(2):
            Watched(stops).setServiceParent(self.parent)
        self.receive(signal.SIGTERM)
        errors = self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual([str(each.value) for each in errors], ["after 0 signals"] * 2)
        self.assertEqual(stops, [signal.SIGTERM])

    def test_secondSignal(self) -> None:
        """
        The second signal to stop aborts all that can be aborted, whichever of
        the two it is.
        """
        stops = self.runs()
        self.receive(signal.SIGTERM)
        self.parent.stopService()
        self.assertEqual(
            self.receive(signal.SIGINT), ["received a second signal, stopping at once"]
        )
        self.assertAsked("abort")
        self.receive(signal.SIGTERM)
        self.assertAsked("abort", "abort")
        self.assertEqual(stops, [signal.SIGTERM])

    def test_twoSignalsAtOnce(self) -> None:
        """
        When the second signal comes together with the first, it takes effect when
        all services have begun to stop.
        """
        self.runs()
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        self.reactor.advance(0)
        self.assertAsked()
        self.parent.stopService()
        self.assertAsked("abort")

    def test_stoppedOtherwise(self) -> None:
        """
        When the services stop by something else than a signal, the first signal
        cuts that short.
        """
        stops = self.runs()
        self.parent.stopService()
        self.receive(signal.SIGTERM)
        self.assertAsked("abort")
        self.assertEqual(stops, [])

    def test_ignoredInterrupt(self) -> None:
        """
        A process in the background of a script, where SIGINT is ignored, goes
        on ignoring it.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self.runs()
        self.parent.stopService()
        self.assertEqual(self.receive(signal.SIGINT), [])
        self.assertAsked()

    def test_descriptors(self) -> None:
        """
        The process gets as many descriptors as it may have, before anything else.
        """
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard // 2, hard))
        DaemonService(self.reactor)
        self.assertEqual(resource.getrlimit(resource.RLIMIT_NOFILE), (hard, hard))

    def test_tooFewDescriptors(self) -> None:
        """
        With fewer than a daemon takes there is no service, but a sentence.
        """
        hard = resource.RLIM_INFINITY
        self.patch(resource, "setrlimit", lambda number, limits: None)
        self.patch(resource, "getrlimit", lambda number: (5, hard))
        DaemonService(self.reactor)
        hard = LEAST_DESCRIPTORS
        DaemonService(self.reactor)
        hard -= 1
        error = self.assertRaises(SystemExit, DaemonService, self.reactor)
        self.assertEqual(
            error.code,
            "cannot start: the limit of open files (ulimit -n) is 14, and at least 15 "
            "are needed",
        )

    def test_cannotStart(self) -> None:
        """
        When an operator's mistake ends the process, the log and the terminal
        get one sentence, and nothing that was made so far is left.
        """
        self.parent.startService()
        self.patch(sys, "__stderr__", io.StringIO())
        error = PoemError("Is empty: bottle")
        with capturedLogs() as events:
            sys.excepthook(PoemError, error, None)
        self.assertEqual(
            [(event["log_level"], formatEvent(event)) for event in events],
            [(LogLevel.error, "cannot start: Is empty: bottle")],
        )
        self.assertEqual(
            sys.__stderr__.getvalue(),  # type: ignore[union-attr]
            "cannot start: Is empty: bottle\n",
        )
        self.assertAsked("abort")

    def test_cannotStartOnTheTerminal(self) -> None:
        """
        Where the log is the standard output or error, the sentence is told once.
        """
        self.parent.startService()
        error = PoemError("Is empty: bottle")
        predicate = LogLevelFilterPredicate()
        for number in (1, 2, 3, None):
            log = textFileLogObserver(Stream(number))
            for observer in (log, FilteringLogObserver(log, [predicate])):
                self.patch(logModule, "globalLogPublisher", LogPublisher(observer))
                self.patch(sys, "__stderr__", io.StringIO())
                sys.excepthook(PoemError, error, None)
                said: Any = sys.__stderr__
                isTold = number in (1, 2)
                self.assertEqual(said.getvalue() == "", isTold, number)
        for publisher in (LogPublisher(), object()):
            self.patch(logModule, "globalLogPublisher", publisher)
            self.assertFalse(logModule.isLogStandard())

    def test_cannotBeTold(self) -> None:
        """
        Nothing is left either where the sentence cannot be told, as on a full disk.
        """
        self.parent.startService()
        stderr = io.StringIO()
        stderr.close()
        self.patch(sys, "__stderr__", stderr)
        error = PoemError("Is empty: bottle")
        with capturedLogs():
            self.assertRaises(ValueError, sys.excepthook, PoemError, error, None)
        self.assertAsked("abort")

    def test_otherErrors(self) -> None:
        """
        Any other error that ends the process has its traceback.
        """
        self.parent.startService()
        stderr = io.StringIO()
        self.patch(sys, "stderr", stderr)
        error = ValueError("ours")
        sys.excepthook(ValueError, error, None)
        self.assertEqual(stderr.getvalue(), "ValueError: ours\n")
