"""
Tests of L{fastpoetry.log}.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from twisted.internet import reactor as globalReactor
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from fastpoetry.log import boundedLog
from tests.support import Reactor


class BoundedLogTests(SynchronousTestCase):
    """
    Tests of L{boundedLog}.
    """

    def setUp(self) -> None:
        """
        Make a log in a directory of its own.
        """
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.SIG_DFL)
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.path = os.path.join(self.directory, "poem.log")
        self.reactor = Reactor()

    def write(self, observer: Any, *lines: str) -> None:
        """
        Log some lines.
        """
        log = Logger(namespace="test", observer=observer)
        for line in lines:
            log.emit(LogLevel.info, "{line}", line=line)

    def files(self) -> dict[str, str]:
        """
        What is in which file.
        """
        contents = {}
        for name in os.listdir(self.directory):
            with open(os.path.join(self.directory, name)) as file:
                contents[name] = " ".join(line.split()[-1] for line in file)
        return contents

    def receive(self) -> None:
        """
        Receive the signal to rotate.
        """
        os.kill(os.getpid(), signal.SIGUSR1)
        self.reactor.advance(0)

    def test_bounded(self) -> None:
        """
        However much is logged, there are only so many files, the newest ones.
        """
        observer = boundedLog(self.path, size=1, keep=2, reactor=self.reactor)
        verifyObject(ILogObserver, observer)
        self.write(observer, *"abcdefg")
        self.assertEqual(
            self.files(), {"poem.log": "g", "poem.log.1": "f", "poem.log.2": "e"}
        )

    def test_signal(self) -> None:
        """
        SIGUSR1 rotates the file.
        """
        observer = boundedLog(self.path, reactor=self.reactor)
        self.write(observer, "old")
        self.receive()
        self.write(observer, "new")
        self.assertEqual(self.files(), {"poem.log": "new", "poem.log.1": "old"})

    def test_movedAway(self) -> None:
        """
        When the file was moved away, SIGUSR1 begins a new one.
        """
        observer = boundedLog(self.path, reactor=self.reactor)
        self.write(observer, "old")
        os.rename(self.path, self.path + "-moved")
        self.receive()
        self.write(observer, "new")
        self.assertEqual(self.files(), {"poem.log": "new", "poem.log-moved": "old"})

    def test_replaced(self) -> None:
        """
        The same holds when an empty file was put in its place.
        """
        observer = boundedLog(self.path, reactor=self.reactor)
        self.write(observer, "old")
        os.rename(self.path, self.path + "-moved")
        with open(self.path, "w"):
            pass
        self.receive()
        self.write(observer, "new")
        self.assertEqual(self.files(), {"poem.log": "new", "poem.log-moved": "old"})

    def test_globalReactor(self) -> None:
        """
        By default it is the global reactor that calls back.
        """
        calls: list[Any] = []
        self.patch(globalReactor, "callFromThread", calls.append)
        boundedLog(self.path)
        os.kill(os.getpid(), signal.SIGUSR1)
        (call,) = calls
        call()
        self.assertEqual(set(self.files()), {"poem.log", "poem.log.1"})
