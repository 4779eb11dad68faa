"""
Tests of L{fastpoetry.threads}.
"""

from __future__ import annotations

import queue
import threading
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.threads import callInThread
from sandbox import DEADLINE
from tests.threads import noThread


class CallInThreadTests(SynchronousTestCase):
    """
    Tests of L{callInThread}, with real threads and a reactor that the test plays.
    """

    def setUp(self) -> None:
        self.calls: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def callFromThread(self, call: Any, *arguments: Any) -> None:
        """
        @see: L{twisted.internet.interfaces.IReactorFromThreads.callFromThread}
        """
        self.calls.put((call, arguments))

    def turn(self) -> None:
        """
        Wait for a thread to be done, and hear of it.
        """
        call, arguments = self.calls.get(timeout=DEADLINE)
        call(*arguments)

    def call(self, function: Any, *arguments: Any) -> Any:
        """
        Call in a thread.
        """
        return callInThread(self, function, *arguments)  # type: ignore[arg-type]

    def test_result(self) -> None:
        """
        Whoever asks gets what the function gives, in the reactor's turn.
        """
        asking = self.call(divmod, 17, 5)
        self.assertNoResult(asking)
        self.turn()
        self.assertEqual(self.successResultOf(asking), (3, 2))

    def test_error(self) -> None:
        """
        Whatever the function raises is a failure, and ends nothing but its thread.
        """
        for kind in (OSError, MemoryError, SystemExit):

            def fail(kind: type[BaseException] = kind) -> None:
                raise kind

            asking = self.call(fail)
            self.turn()
            self.failureResultOf(asking, kind)

    def test_cancel(self) -> None:
        """
        What comes after whoever asked has cancelled is dropped.
        """
        asking = self.call(divmod, 17, 5)
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.turn()

    def test_nobodyWaits(self) -> None:
        """
        The end of the process does not wait for the thread.
        """
        asking = self.call(threading.current_thread)
        self.turn()
        self.assertTrue(self.successResultOf(asking).daemon)

    def test_noRoom(self) -> None:
        """
        When there is no room for another thread, that is said at once.
        """
        self.patch(threading.Thread, "start", noThread)
        self.assertRaises(RuntimeError, self.call, divmod, 17, 5)
