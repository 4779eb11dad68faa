"""
Tests of L{fastpoetry.notify}, and of what L{fastpoetry.daemon} has it say.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from fastpoetry.daemon import DaemonService
from fastpoetry.interfaces import IHasReaders, IReloadable
from fastpoetry.notify import REPORT_INTERVAL
from tests.support import Reactor, keepProcess, socketPath

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


@implementer(IReloadable, IHasReaders)
class Served(Service):
    """
    A service with readers, which takes its time to reload.

    @ivar reloads: those that are yet to be done.
    """

    def __init__(self, readers: int = 0) -> None:
        self.readers = readers
        self.reloads: list[Deferred[None]] = []

    def reload(self) -> Deferred[None]:
        """
        @see: L{IReloadable.reload}
        """
        self.reloads.append(Deferred())
        return self.reloads[-1]

    def hasReader(self, source: object, peer: object, host: object) -> bool:
        """
        @see: L{IHasReaders.hasReader}
        """
        return False

    def checkReaders(self) -> None:
        """
        @see: L{IHasReaders.checkReaders}
        """


@implementer(IReloadable)
class Quick(Service):
    """
    A service that has nothing to reload.
    """

    def reload(self) -> None:
        """
        @see: L{IReloadable.reload}
        """


class SupervisorTests(SynchronousTestCase):
    """
    Tests with a supervisor that has a real socket.
    """

    def setUp(self) -> None:
        """
        Let the supervisor listen.
        """
        keepProcess(self.addCleanup)
        for name in VARIABLES:
            self.addCleanup(self.setVariable, name, os.environ.pop(name, None))
        self.reactor = Reactor()
        self.parent = MultiService()
        self.path = socketPath(self.addCleanup)
        self.listen(self.path)

    def setVariable(self, name: str, value: str | None) -> None:
        """
        Set a variable of the environment, or remove it.
        """
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value

    def listen(self, address: str) -> None:
        """
        Have the supervisor listen.
        """
        self.supervisor = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.supervisor.close)
        self.supervisor.bind(address)
        self.supervisor.setblocking(False)

    def heard(self) -> list[str]:
        """
        @return: what the supervisor has been told since the last call.
        """
        messages = []
        while True:
            try:
                messages.append(self.supervisor.recv(1024).decode())
            except BlockingIOError:
                return messages

    def begin(self, *services: Service, **variables: str) -> None:
        """
        Start a daemon with services.

        @param variables: those of the environment; by default only the socket.
        """
        for name, value in {"NOTIFY_SOCKET": self.path, **variables}.items():
            os.environ[name] = value
        daemon = DaemonService(self.reactor)
        daemon.setServiceParent(self.parent)
        assert daemon._supervisor is not None
        self.addCleanup(daemon._supervisor._socket.close)
        for service in services:
            service.setServiceParent(self.parent)
        self.parent.privilegedStartService()
        self.parent.startService()

    def runs(self, *services: Service, **variables: str) -> None:
        """
        Start, let the reactor run, and forget what the supervisor was told.
        """
        self.begin(*services, **variables)
        self.reactor.run()
        self.heard()

    def hangUp(self) -> None:
        """
        Send this process SIGHUP.
        """
        os.kill(os.getpid(), signal.SIGHUP)
        self.reactor.advance(0)

    def test_ready(self) -> None:
        """
        Once the reactor runs, and not before, the process is ready.  It does not need
        the path any more by then, and its children hear nothing of the supervisor.
        """
        variables = {"WATCHDOG_USEC": "0", "WATCHDOG_PID": "1"}
        self.begin(**variables)
        os.unlink(self.path)
        self.assertEqual(self.heard(), [])
        self.reactor.run()
        self.assertEqual(self.heard(), ["READY=1"])
        self.assertEqual(set(VARIABLES) & set(os.environ), set())

    def test_abstract(self) -> None:
        """
        The socket may have a name that is no file's.
        """
        name = f"{self.path}@1"
        self.listen(f"\0{name}")
        self.begin(NOTIFY_SOCKET=f"@{name}")
        self.reactor.run()
        self.assertEqual(self.heard(), ["READY=1"])

    def test_fileWithAt(self) -> None:
        """
        An C{@} further on is a character of a path.
        """
        self.listen(f"{self.path}@1")
        self.addCleanup(os.unlink, f"{self.path}@1")
        self.begin(NOTIFY_SOCKET=f"{self.path}@1")
        self.reactor.run()
        self.assertEqual(self.heard(), ["READY=1"])

    def test_none(self) -> None:
        """
        Without a supervisor, nothing is imported for one.
        """
        module = sys.modules.pop("fastpoetry.notify")
        self.addCleanup(sys.modules.__setitem__, "fastpoetry.notify", module)
        DaemonService(self.reactor).setServiceParent(self.parent)
        self.parent.startService()
        self.reactor.run()
        self.hangUp()
        self.parent.stopService()
        self.assertNotIn("fastpoetry.notify", sys.modules)

    def test_reload(self) -> None:
        """
        From SIGHUP on the process reloads, with the time on the clock that the
        supervisor has, too, and is ready again when the last service is.
        """
        slow = [Served(), Served()]
        self.runs(Quick(), *slow)
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.hangUp()
        after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        (message,) = self.heard()
        change, _, stamp = message.partition("\nMONOTONIC_USEC=")
        self.assertEqual(change, "RELOADING=1")
        self.assertTrue(before <= int(stamp) <= after, (before, stamp, after))
        slow[0].reloads[0].callback(None)
        self.assertEqual(self.heard(), [])
        slow[1].reloads[0].callback(None)
        self.assertEqual(self.heard(), ["READY=1"])

    def test_reloadAgain(self) -> None:
        """
        A second SIGHUP is told at once, and done when its own reload is.
        """
        slow = Served()
        self.runs(slow)
        self.hangUp()
        self.hangUp()
        changes = [message.partition("\n")[0] for message in self.heard()]
        self.assertEqual(changes, ["RELOADING=1"] * 2)
        slow.reloads[0].callback(None)
        self.assertEqual(self.heard(), [])
        slow.reloads[1].callback(None)
        self.assertEqual(self.heard(), ["READY=1"])

    def test_stoppedMeanwhile(self) -> None:
        """
        A service that was to reload again, but has stopped, does not hold up the end.
        """
        slow = Served()
        self.runs(slow)
        self.hangUp()
        self.hangUp()
        slow.stopService()
        self.heard()
        slow.reloads[0].callback(None)
        self.assertEqual(len(slow.reloads), 1)
        self.assertEqual(self.heard(), ["READY=1"])

    def test_nothingToReload(self) -> None:
        """
        A process that has nothing to reload says that it has done so.
        """
        self.runs()
        self.hangUp()
        self.assertEqual(self.heard()[-1], "READY=1")

    def test_stop(self) -> None:
        """
        A process that stops says how many readers it waits for, again and again until
        there is none.  A SIGHUP is nothing to tell by then.
        """
        served = Served(16)
        self.runs(served, Served(1))
        self.parent.stopService()
        self.assertEqual(self.heard(), ["STOPPING=1\nSTATUS=17 readers in flight"])
        self.hangUp()
        self.assertEqual(self.heard(), [])
        for readers, status in [
            (2, "STATUS=3 readers in flight"),
            (0, "STATUS=1 reader in flight"),
            (-1, "STATUS=0 readers in flight"),
        ]:
            served.readers = readers
            self.reactor.advance(REPORT_INTERVAL)
            self.assertEqual(self.heard(), [status])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_watchdog(self) -> None:
        """
        Somebody who watches hears of the reactor's turns twice as often as would do.
        """
        self.begin(WATCHDOG_USEC="3000000", WATCHDOG_PID=str(os.getpid()))
        self.reactor.advance(10)
        self.assertEqual(self.heard(), [])
        self.reactor.run()
        self.assertEqual(self.heard(), ["READY=1", "WATCHDOG=1"])
        for _ in range(3):
            self.reactor.advance(1.4)
            self.assertEqual(self.heard(), [])
            self.reactor.advance(0.1)
            self.assertEqual(self.heard(), ["WATCHDOG=1"])

    def test_watchdogOfAnyProcess(self) -> None:
        """
        The variable with the process that is watched may be missing.
        """
        self.begin(WATCHDOG_USEC="3000000")
        self.reactor.run()
        self.assertEqual(self.heard(), ["READY=1", "WATCHDOG=1"])

    def test_watchdogOfAnother(self) -> None:
        """
        When another process is watched, or so often that it is not a number, this one
        says nothing.
        """
        for variables in (
            {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid() + 1)},
            {"WATCHDOG_USEC": "-3000000"},
            {"WATCHDOG_USEC": "0"},
        ):
            self.parent = MultiService()
            self.reactor = Reactor()
            self.begin(**variables)
            self.reactor.run()
            self.assertEqual(self.heard(), ["READY=1"], variables)
            self.assertEqual(self.reactor.getDelayedCalls(), [], variables)

    def test_nobody(self) -> None:
        """
        A supervisor that does not listen costs one line of the log.
        """
        for address, reason in [
            ("/none/notify\n", "No such file or directory: /none/notify^J"),
            ("/" + "x" * 200, "AF_UNIX path too long: /" + "x" * 200),
        ]:
            self.parent = MultiService()
            with capturedLogs() as events:
                self.runs(NOTIFY_SOCKET=address)
                self.hangUp()
            warnings = [
                formatEvent(event)
                for event in events
                if event["log_level"] is LogLevel.warn
            ]
            self.assertEqual(warnings, [f"cannot tell the supervisor: {reason}"])

    def test_slowSupervisor(self) -> None:
        """
        A supervisor that does not read is not waited for.  When it does, it hears what
        comes then.
        """
        self.runs(WATCHDOG_USEC="2000000")
        turns = 2000  # more than the kernel keeps
        with capturedLogs() as events:
            self.reactor.pump([1.0] * turns)
        self.assertEqual(
            [formatEvent(event) for event in events],
            [
                "cannot tell the supervisor: Resource temporarily unavailable: "
                f"{self.path}"
            ],
        )
        self.assertLess(len(self.heard()), turns)
        self.reactor.advance(1.0)
        self.assertEqual(self.heard(), ["WATCHDOG=1"])
