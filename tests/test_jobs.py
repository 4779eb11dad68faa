"""
Tests of L{fastpoetry.commands.jobs}.
"""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.commands.jobs import (
    LEAST_DESCRIPTORS,
    PER_JOB,
    RESERVE,
    affordableJobs,
)


class DescriptorTests(SynchronousTestCase):
    """
    Tests of L{affordableJobs}, with limits that are played by the test.
    """

    def setUp(self) -> None:
        """
        Have a limit for 10 jobs that can be raised to one for 100.
        """
        self.limits = (RESERVE + 10 * PER_JOB, RESERVE + 100 * PER_JOB)
        self.error: Exception | None = None
        self.patch(resource, "getrlimit", lambda number: self.limits)
        self.patch(resource, "setrlimit", self.set)

    def set(self, number: int, limits: tuple[int, int]) -> None:
        """
        Set the limits.
        """
        if self.error is not None:
            raise self.error
        self.limits = limits

    def test_enough(self) -> None:
        """
        A limit that is high enough is left alone.
        """
        before = self.limits
        self.assertEqual(affordableJobs(10), 10)
        self.assertEqual(self.limits, before)

    def test_raised(self) -> None:
        """
        A limit is raised as far as needed.
        """
        hard = self.limits[1]
        self.assertEqual(affordableJobs(60), 60)
        self.assertEqual(self.limits, (RESERVE + 60 * PER_JOB, hard))

    def test_tooMany(self) -> None:
        """
        It is raised no further than allowed, and there are fewer jobs then, but
        one at the least.
        """
        hard = self.limits[1]
        self.assertEqual(affordableJobs(101), 100)
        self.assertEqual(self.limits, (hard, hard))
        self.limits = (RESERVE // 2, RESERVE // 2)
        self.assertEqual(affordableJobs(5), 1)

    def test_tooFew(self) -> None:
        """
        When a limit cannot be raised as far as one job needs, a sentence says so.
        """
        self.limits = (5, LEAST_DESCRIPTORS)
        self.assertEqual(affordableJobs(1), 1)
        self.assertEqual(self.limits, (LEAST_DESCRIPTORS, LEAST_DESCRIPTORS))
        self.limits = (5, LEAST_DESCRIPTORS - 1)
        error = self.assertRaises(SystemExit, affordableJobs, 1)
        self.assertEqual(
            error.code,
            "get-poetry: the limit of open files (ulimit -n) is 9, and at least 10 are "
            "needed",
        )

    def test_infinite(self) -> None:
        """
        No limit is none.
        """
        infinity = resource.RLIM_INFINITY
        self.limits = (self.limits[0], infinity)
        self.assertEqual(affordableJobs(1000), 1000)
        self.assertEqual(self.limits, (RESERVE + 1000 * PER_JOB, infinity))
        self.limits = (infinity, infinity)
        self.assertEqual(affordableJobs(10**9), 10**9)
        self.assertEqual(self.limits, (infinity, infinity))

    def test_refused(self) -> None:
        """
        Where the system does not raise a limit all the same, there are as many
        jobs as the old one allows for.
        """
        for self.error in (ValueError("above kern.maxfilesperproc"), OSError()):
            self.assertEqual(affordableJobs(60), 10)
