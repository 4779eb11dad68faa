"""
Tests of what F{docs/reliability.md} says.
"""

from __future__ import annotations

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

from tests.pages import codes, read, rows

PAGE = read("docs/reliability.md")


class ReliabilityPageTests(SynchronousTestCase):
    """
    Tests of the tables of faults.
    """

    def test_tests(self) -> None:
        """
        Each fault names tests, and all of these are there.
        """
        tables = rows(PAGE, "fault", "before", "now", "tests")
        tables += rows(PAGE, "fault", "plain", "ours", "tests")
        self.assertGreater(len(tables), 50)
        for row in tables:
            names = codes(row[-1])
            self.assertTrue(names, row)
            for name in names:
                namedAny(f"tests.{name}")
