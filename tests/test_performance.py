"""
What a poem costs has not risen: ratios and counts, never seconds.
"""

from __future__ import annotations

import os
import shutil
from statistics import median
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.contenders import BY_NAME, OURS, PLAIN_SAME
from benchmarks.contest import Ring, compete, ratios
from benchmarks.syscalls import count

# The processor time of a poem, relative to that of plain Twisted doing the same
# work in the same run.
RATIO = 0.18

# System calls for a poem, with 64 readers at once.  Those that a turn of the reactor
# makes for all of its readers together are a few hundredths of a call.
CALLS = 6.1


def require(command: str) -> None:
    """
    Skip the test where there is no such command, but fail in a CI, which has to
    have it.
    """
    if shutil.which(command) is None:
        problem = f"{command} is not installed"
        raise AssertionError(problem) if os.environ.get("CI") else SkipTest(problem)


class CostTests(SynchronousTestCase):
    """
    The real server, under load.
    """

    def test_processorTime(self) -> None:
        """
        A poem costs no quarter more than it did, measured by plain Twisted.
        """
        require("cc")
        with Ring() as ring:
            servers = [ring.start(BY_NAME[name]) for name in (OURS, PLAIN_SAME)]
            for server in servers:
                server.waitUntilServing()
            samples = compete(servers, rounds=7, poems=1000)
        ours, plain = samples[OURS], samples[PLAIN_SAME]
        self.assertEqual([sample.wrong for sample in ours], [0] * len(ours))
        self.assertLess(median(ratios(ours, plain)), 1.25 * RATIO)

    def test_systemCalls(self) -> None:
        """
        A poem takes no system call more than it did.
        """
        require("cc")
        require("strace")
        poems = 1000
        calls = count(OURS, poems, readers=64)
        self.assertLess(sum(calls.values()) / poems, CALLS + 0.5, calls)
