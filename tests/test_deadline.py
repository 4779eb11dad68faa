"""
Tests of L{fastpoetry.deadline}.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.deadline import Deadline


class DeadlineTests(SynchronousTestCase):
    """
    Tests of L{Deadline}.
    """

    def setUp(self) -> None:
        """
        Start a clock; at the end nothing may be left on it.
        """
        self.clock = Clock()
        self.missed = 0
        self.deadline = Deadline(self.clock, self.miss)
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def miss(self) -> None:
        """
        Count.
        """
        self.missed += 1

    def test_missed(self) -> None:
        """
        When the time is over, and not before, the function is called once.
        """
        self.deadline.start(2.0)
        self.clock.pump([1.0, 0.5])
        self.assertEqual(self.missed, 0)
        self.clock.pump([0.5, 5.0])
        self.assertEqual(self.missed, 1)

    def test_startedAgain(self) -> None:
        """
        It can be started again, for another time and after it was missed.
        """
        self.deadline.start(2.0)
        self.clock.advance(1.5)
        self.deadline.start(3.0)
        self.clock.advance(2.0)
        self.assertEqual(self.missed, 0)
        self.clock.advance(1.0)
        self.assertEqual(self.missed, 1)
        self.deadline.start(1.0)
        self.clock.advance(1.0)
        self.assertEqual(self.missed, 2)

    def test_oneMoreTurn(self) -> None:
        """
        What happens in the turn in which the time is over can start it again.
        """
        self.deadline.start(2.0)
        self.clock.callLater(9.0, self.deadline.start, 2.0)
        self.clock.advance(9.0)
        self.assertEqual(self.missed, 0)
        self.clock.advance(2.0)
        self.assertEqual(self.missed, 1)

    def test_lost(self) -> None:
        """
        The time in which the process stood still comes on top, once.
        """
        self.deadline.start(2.0)
        self.clock.advance(9.0)
        self.assertEqual(self.deadline.left, 7.0)
        self.clock.advance(6.5)
        self.assertEqual(self.missed, 0)
        self.clock.advance(0.5)
        self.assertEqual(self.missed, 1)
        self.deadline.start(2.0)
        self.clock.advance(2.5)  # that is but much to do
        self.assertEqual(self.missed, 2)

    def test_lostAgain(self) -> None:
        """
        So it is when the process stands still once more meanwhile.
        """
        self.deadline.start(2.0)
        self.clock.advance(100.0)
        self.clock.advance(1000.0)
        self.assertEqual(self.missed, 0)
        self.clock.pump([901.9, 0.2])
        self.assertEqual(self.missed, 1)

    def test_left(self) -> None:
        """
        It knows how much time is left: none when the time is over.
        """
        self.deadline.start(2.0)
        self.clock.advance(0.5)
        self.assertEqual(self.deadline.left, 1.5)
        self.clock.rightNow += 9.0
        self.assertEqual(self.deadline.left, 0.0)
        self.deadline.stop()

    def test_stop(self) -> None:
        """
        It can be stopped, also in its last turn, and when it is not running.
        """
        self.deadline.stop()
        self.deadline.start(2.0)
        self.deadline.stop()
        self.clock.advance(2.0)
        self.deadline.start(2.0)
        self.clock.callLater(9.0, self.deadline.stop)
        self.clock.pump([9.0, 9.0])
        self.assertEqual(self.missed, 0)
