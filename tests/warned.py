"""
Tests that warn, for L{tests.test_warnings}.
"""

from __future__ import annotations

import subprocess
import sys
import warnings

from twisted.trial.unittest import SynchronousTestCase


class WarnedTests(SynchronousTestCase):
    """
    Tests each of which fails by a warning alone, but for one.
    """

    def test_nothing(self) -> None:
        """
        This one passes.
        """

    def test_deprecation(self) -> None:
        """
        Something is deprecated, which Python would not mention.
        """
        warnings.warn("a deprecation", DeprecationWarning, stacklevel=1)

    def test_resource(self) -> None:
        """
        A file is left open.
        """
        open(__file__)  # noqa: SIM115

    def test_process(self) -> None:
        """
        A process warns.
        """
        program = "import warnings; warnings.warn('of a process', DeprecationWarning)"
        subprocess.run([sys.executable, "-c", program], check=True)
