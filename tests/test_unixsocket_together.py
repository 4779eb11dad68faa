"""
Tests of L{fastpoetry.endpoints.unixsocket}, with others who start at the same time.
"""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import time
from typing import Any

from twisted.internet.error import CannotListenError

from fastpoetry.endpoints import unixsocket
from fastpoetry.endpoints.unixsocket import listenUNIX
from fastpoetry.text import explain
from sandbox import DEADLINE
from tests.support import Reactor, noPermission
from tests.test_unixsocket import TAKEN, CountedFactory, UNIXSocketTestCase


class TogetherTests(UNIXSocketTestCase):
    """
    Tests of those that start at the same time.
    """

    def lock(self) -> int:
        """
        Be somebody else who is about to listen in the directory.

        @return: the descriptor that has the lock, or none if somebody has it already.
        """
        fd = os.open(self.directory, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd

    def test_alone(self) -> None:
        """
        From before it looks at the path until it listens, nobody else does, and from
        then on they do.
        """
        self.leaveBehind()
        refused = []
        isStale = unixsocket._isStale
        chmod = os.chmod

        def look(path: bytes) -> bool:
            refused.append(self.assertRaises(BlockingIOError, self.lock))
            return isStale(path)

        def change(path: bytes, mode: int) -> None:
            refused.append(self.assertRaises(BlockingIOError, self.lock))
            chmod(path, mode)

        self.patch(unixsocket, "_isStale", look)
        self.patch(os, "chmod", change)
        self.listen()
        self.assertEqual(len(refused), 2)
        self.lock()

    def test_waits(self) -> None:
        """
        It waits for others, who do not hold it up for ever.
        """
        held = self.lock()
        self.patch(time, "sleep", lambda _: fcntl.flock(held, fcntl.LOCK_UN))
        port = self.listen()
        self.assertListens(port)
        self.close(port)
        self.lock()
        self.patch(unixsocket, "LOCK_TIMEOUT", 0.0)
        self.assertListens(self.listen())

    def test_noLock(self) -> None:
        """
        A directory that cannot be locked, or not even read, can be listened in.
        """
        patch = self.patch(fcntl, "flock", self.noLocks)
        port = self.listen()
        self.assertListens(port)
        self.close(port)
        patch.restore()
        self.patch(os, "open", noPermission)
        self.assertListens(self.listen())

    def noLocks(self, fd: int, operation: int) -> None:
        """
        Be a file system that has no locks on directories.
        """
        raise OSError(errno.EBADF, "Bad file descriptor")

    def test_two(self) -> None:
        """
        Of two that find the same socket left behind, the first has it, however far it
        is when the second comes.
        """
        self.leaveBehind()
        first = threading.current_thread()
        hasCome = threading.Event()
        chmod = os.chmod
        outcomes: list[Any] = []

        def second() -> None:
            try:
                reactor = Reactor()
                outcomes.append(listenUNIX(reactor, self.path, CountedFactory(), 0o666))
            except CannotListenError as error:
                outcomes.append(explain(error))
            finally:
                hasCome.set()

        def comes(_: float) -> None:
            hasCome.set()

        def change(path: bytes, mode: int) -> None:
            chmod(path, mode)
            if threading.current_thread() is first:  # which does not listen yet
                other.start()
                hasCome.wait(DEADLINE)

        other = threading.Thread(target=second)
        self.patch(time, "sleep", comes)
        self.patch(os, "chmod", change)
        port = self.listen()
        other.join(DEADLINE)
        self.assertEqual(outcomes, [TAKEN])
        port.socket.accept()[0].close()  # that asked
        self.assertListens(port)
