"""
Tests that a warning is an error in the tests.
"""

from __future__ import annotations

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from sandbox import ROOT


class WarningsTests(SynchronousTestCase):
    """
    Tests of the filters of L{tests}.
    """

    def test_errors(self) -> None:
        """
        A test that warns fails, and so does one whose process warns, with workers and
        without.
        """
        for options in ([], ["-j2"]):
            trial = [sys.executable, "-m", "twisted.trial", *options]
            directory = ["--temp-directory", os.path.abspath(self.mktemp())]
            ended = subprocess.run(
                [*trial, *directory, "tests.warned"],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            self.assertIn(b"FAILED (errors=3, ", ended.stdout)
            for text in (
                b"DeprecationWarning: a deprecation",
                b"ResourceWarning: unclosed file",
                b"tests.warned.WarnedTests.test_process",
            ):
                self.assertIn(text, ended.stdout)
