"""
Tests of L{fastpoetry.deadline}.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.deadline import STANDSTILL, Deadline, addDeadline


class ClockTestCase(SynchronousTestCase):
    """
    Has a clock, and sees that nothing is left scheduled.
    """

    def setUp(self) -> None:
        """
        Make a clock that did not start with the test.
        """
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))


class DeadlineTests(ClockTestCase):
    """
    Tests of L{Deadline}.
    """

    def setUp(self) -> None:
        """
        Have a deadline of 10 seconds.
        """
        super().setUp()
        self.calls: list[float] = []
        self.deadline = Deadline(self.clock, self.miss)
        self.deadline.start(10.0)

    def miss(self) -> None:
        """
        Take note of when the time was over.
        """
        self.calls.append(self.clock.seconds() - 1000.0)

    def test_missed(self) -> None:
        """
        When the time is over, and not before, the function is called once.
        """
        self.clock.advance(9.9)
        self.assertEqual(self.calls, [])
        self.clock.pump([0.1, 10.0])
        self.assertEqual(self.calls, [10.0])

    def test_lastTurn(self) -> None:
        """
        What comes in the last turn of the reactor comes in time.
        """
        for end in (self.deadline.stop, lambda: self.deadline.start(5.0)):
            self.clock.callLater(10.0, end)
            self.clock.advance(10.0)
            self.assertEqual(self.calls, [])
            self.deadline.start(10.0)
        self.deadline.stop()

    def test_startedAgain(self) -> None:
        """
        It can be started again, for another time, and after it was missed.
        """
        self.clock.advance(9.0)
        self.deadline.start(3.0)
        self.clock.advance(2.0)
        self.assertEqual(self.calls, [])
        self.clock.advance(1.0)
        self.assertEqual(self.calls, [12.0])
        self.deadline.start(1.0)
        self.clock.advance(1.0)
        self.assertEqual(self.calls, [12.0, 13.0])

    def test_stop(self) -> None:
        """
        It can be stopped, also when it is not running.
        """
        self.deadline.stop()
        self.deadline.stop()
        self.clock.advance(10.0)
        self.assertEqual(self.calls, [])
        self.deadline.start(10.0)
        self.clock.advance(10.0)
        self.deadline.stop()
        self.assertEqual(self.calls, [20.0])

    def test_stoodStill(self) -> None:
        """
        A process that stood still has as much time again, each time.
        """
        self.clock.advance(10.0 + 3.0)
        self.clock.advance(3.0 + 5.0)
        self.clock.advance(4.9)
        self.assertEqual(self.calls, [])
        self.clock.advance(0.1)
        self.assertEqual(self.calls, [26.0])

    def test_stoodStillForLong(self) -> None:
        """
        However long it stood still, the time is no longer than the whole.
        """
        self.clock.advance(1000.0)
        self.clock.advance(9.9)
        self.assertEqual(self.calls, [])
        self.clock.advance(0.1)
        self.assertEqual(self.calls, [1010.0])

    def test_late(self) -> None:
        """
        A reactor that is only busy, and late in every turn, is not waited for.
        """
        late = STANDSTILL / 2
        self.clock.advance(10.0 + late)
        self.clock.advance(late + late)
        self.assertEqual(len(self.calls), 1)


class AddDeadlineTests(ClockTestCase):
    """
    Tests of L{addDeadline}.
    """

    def test_inTime(self) -> None:
        """
        What comes in time, be it a failure, is the result.
        """
        good: Deferred[str] = Deferred()
        addDeadline(good, 1.0, self.clock)
        good.callback("result")
        self.assertEqual(self.successResultOf(good), "result")
        bad: Deferred[str] = Deferred()
        addDeadline(bad, 1.0, self.clock)
        bad.cancel()
        self.failureResultOf(bad, CancelledError)

    def test_tooLate(self) -> None:
        """
        What does not come in time is cancelled, and fails for that reason.
        """
        deferred: Deferred[str] = Deferred()
        addDeadline(deferred, 1.0, self.clock)
        self.clock.advance(1.0)
        self.failureResultOf(deferred, TimeoutError)

    def test_allTheSame(self) -> None:
        """
        What answers to being cancelled with its result has succeeded.
        """
        deferred: Deferred[str] = Deferred(lambda _: deferred.callback("result"))
        addDeadline(deferred, 1.0, self.clock)
        self.clock.advance(1.0)
        self.assertEqual(self.successResultOf(deferred), "result")
