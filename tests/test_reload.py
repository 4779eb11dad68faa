"""
Tests of how poems are read anew, in threads that are played by the test.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from fastpoetry import files
from fastpoetry.daemon import DaemonService
from fastpoetry.interfaces import IAbortable, IReloadable
from fastpoetry.service import PoetryService
from tests.support import Reactor, Recorder
from tests.threads import PlayedThreads, noThread


class ReloadTestCase(SynchronousTestCase):
    """
    Has poems, and threads.
    """

    def setUp(self) -> None:
        """
        Take the place of threads.
        """
        self.reactor = Reactor()
        self.threads = PlayedThreads()
        self.patch(files, "callInThread", self.threads.callInThread)

    def makeService(self) -> PoetryService:
        """
        Make a service of a poem.
        """
        service = PoetryService(self.mktemp(), self.reactor)
        self.write(service, b"first\n")
        return service

    def write(self, service: PoetryService, poem: bytes) -> None:
        """
        Write its poem.
        """
        with open(service.path, "wb") as file:
            file.write(poem)


class Unreadable:
    """
    A file that cannot be read.
    """

    def __init__(self, error: Exception) -> None:
        self._error = error

    def readall(self) -> bytes:
        """
        Fail.
        """
        raise self._error

    def __enter__(self) -> Unreadable:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class PoemTests(ReloadTestCase):
    """
    Tests of L{PoetryService.reload}.
    """

    def setUp(self) -> None:
        """
        Start a service.
        """
        super().setUp()
        self.service = self.makeService()
        self.service.startService()

    def reload(self) -> Deferred[None]:
        """
        Ask for a reload.
        """
        return self.service.reload()

    def test_servesMeanwhile(self) -> None:
        """
        While a poem is read, the old one is served; then the new one is, at once, and
        who has the old one keeps it.
        """
        old = self.service.getPoem()
        self.write(self.service, b"second\n")
        reloading = self.reload()
        self.assertNoResult(reloading)
        self.assertIs(self.service.getPoem(), old)
        self.threads.finish()
        self.assertEqual(self.service.getPoem(), b"second\n")
        self.assertEqual(old, b"first\n")
        self.assertIs(self.successResultOf(reloading), None)

    def assertKeeps(self, reason: str) -> None:
        """
        Assert that a reload keeps the old poem, and that the log says why.
        """
        with capturedLogs() as events:
            reloading = self.reload()
            if self.threads.waiting:
                self.threads.finish()
        self.assertIs(self.successResultOf(reloading), None)
        self.assertEqual(self.service.poem, b"first\n")
        self.assertEqual(
            [(event["log_level"], formatEvent(event)) for event in events],
            [(LogLevel.error, f"kept the old poem: {reason}")],
        )

    def test_disappears(self) -> None:
        """
        When the file has gone, the old poem stays.
        """
        os.remove(self.service.path)
        self.assertKeeps(f"No such file or directory: {self.service.path}")

    def test_noMemory(self) -> None:
        """
        The same when it does not fit into the memory, however that shows.
        """
        for error in (MemoryError(), OverflowError()):
            unreadable = Unreadable(error)
            self.patch(files, "openRegular", lambda _, file=unreadable: file)
            self.assertKeeps(f"Too large for the memory: {self.service.path}")

    def test_noThread(self) -> None:
        """
        The same when there is no room for a thread.
        """
        self.patch(files, "callInThread", noThread)
        self.assertKeeps(f"can't start new thread: {self.service.path}")

    def test_stops(self) -> None:
        """
        What is found after the service has stopped is dropped, without a word.
        """
        self.write(self.service, b"second\n")
        with capturedLogs() as events:
            reloading = self.reload()
            self.service.stopService()
            self.threads.finish()
        self.assertIs(self.successResultOf(reloading), None)
        self.assertEqual((self.service.poem, events), (b"first\n", []))

    def test_startsAgain(self) -> None:
        """
        So it does not take the place of a later poem.
        """
        reloading = self.reload()
        self.service.stopService()
        self.write(self.service, b"second\n")
        self.service.startService()
        self.write(self.service, b"third\n")
        self.threads.finish()
        self.successResultOf(reloading)
        self.assertEqual(self.service.poem, b"second\n")


@implementer(IReloadable, IAbortable)
class Broken(Service):
    """
    A service of somebody else's, with a mistake.
    """

    def reload(self) -> None:
        """
        @see: L{IReloadable.reload}
        """
        raise ZeroDivisionError("broken")

    abort = reload


class HangUpTests(ReloadTestCase):
    """
    Tests of SIGHUP, with real signals to this process.
    """

    def setUp(self) -> None:
        """
        Make a daemon with two poems, and one service after them.
        """
        super().setUp()
        for number in (signal.SIGHUP, signal.SIGUSR1):
            self.addCleanup(signal.signal, number, signal.getsignal(number))
        self.addCleanup(setattr, sys, "excepthook", sys.excepthook)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        self.patch(gc, "freeze", lambda: None)
        self.parent = MultiService()
        self.daemon = DaemonService(self.reactor)
        self.services = [self.makeService(), self.makeService()]
        self.recorder = Recorder()
        for service in (self.daemon, Broken(), *self.services, self.recorder):
            service.setServiceParent(self.parent)
        self.parent.startService()

    def hangUp(self, times: int = 1) -> None:
        """
        Send SIGHUP.
        """
        for _ in range(times):
            os.kill(os.getpid(), signal.SIGHUP)
            self.reactor.advance(0)
        broken = self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(len(broken), times * self.parent.running)

    def test_others(self) -> None:
        """
        Whatever one service raises costs the others nothing, and is in the log.
        """
        os.remove(self.services[0].path)
        self.write(self.services[1], b"second\n")
        self.hangUp()
        self.threads.finish()
        self.threads.finish()
        self.assertEqual([one.poem for one in self.services], [b"first\n", b"second\n"])
        self.assertEqual(self.recorder.asked, ["reload"])

    def test_storm(self) -> None:
        """
        However often SIGHUP comes while a poem is read, it is read once more.
        """
        self.hangUp(100)
        self.assertEqual(len(self.threads.waiting), 2)
        self.threads.finish()
        self.threads.finish()
        self.assertEqual(len(self.threads.waiting), 2)
        self.write(self.services[1], b"second\n")
        self.threads.finish()
        self.threads.finish()
        self.assertEqual(self.threads.waiting, [])
        self.assertEqual(self.services[1].poem, b"second\n")
        self.hangUp()
        self.assertEqual(len(self.threads.waiting), 2)

    def test_hangs(self) -> None:
        """
        A poem whose disk hangs holds up no other.
        """
        self.hangUp()
        hung = self.threads.waiting.pop(0)
        self.threads.finish()
        for poem in (b"second\n", b"third\n"):
            self.write(self.services[1], poem)
            self.hangUp()
            self.threads.finish()
            self.assertEqual(self.services[1].poem, poem)
        self.assertEqual(self.threads.waiting, [])
        self.threads.waiting.append(hung)
        self.threads.finish()
        self.assertEqual(len(self.threads.waiting), 1)

    def test_stops(self) -> None:
        """
        A stop drops what is under way, and what was to come after it.
        """
        self.hangUp(2)
        self.parent.stopService()
        self.assertEqual(len(self.threads.waiting), 2)
        with capturedLogs() as events:
            self.threads.finish()
            self.threads.finish()
        self.assertEqual(events, [])
        self.assertEqual(self.threads.waiting, [])

    def test_whileItStops(self) -> None:
        """
        During a stop nothing is read.
        """
        self.parent.stopService()
        self.hangUp()
        self.assertEqual(self.threads.waiting, [])
        self.assertEqual(self.recorder.asked, [])

    def test_startsAgain(self) -> None:
        """
        After a stop in the middle of a reload, and another start, all is as before.
        """
        self.hangUp(2)
        self.parent.stopService()
        self.threads.waiting.clear()
        self.parent.startService()
        self.write(self.services[0], b"second\n")
        self.hangUp()
        self.threads.finish()
        self.assertEqual(self.services[0].poem, b"second\n")

    def test_abort(self) -> None:
        """
        A service that cannot be aborted costs no other that.
        """
        with capturedLogs() as events:
            self.daemon._abort()
        self.assertEqual(self.recorder.asked, ["abort"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        lines = [formatEvent(event) for event in events]
        self.assertFalse([line for line in lines if " at 0x" in line])
