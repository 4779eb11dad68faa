"""
Tests of the public names of L{fastpoetry}.
"""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

import fastpoetry


class NamesTests(SynchronousTestCase):
    """
    Tests of what C{from fastpoetry import ...} gives.
    """

    def run_(self, program: str) -> str:
        """
        Run a program in a process of its own.

        @return: what it printed.
        """
        command = [sys.executable, "-c", program]
        return subprocess.run(
            command, check=True, stdout=subprocess.PIPE
        ).stdout.decode()

    def test_all(self) -> None:
        """
        Every name in C{__all__} is there, and is called so where it lives.
        """
        for name in fastpoetry.__all__:
            self.assertEqual(getattr(fastpoetry, name).__name__, name)

    def test_unknown(self) -> None:
        """
        Another name is an L{AttributeError}, as of any module.
        """
        self.assertRaises(AttributeError, getattr, fastpoetry, "PoetryHandler")

    def test_noReactor(self) -> None:
        """
        To import the names installs no reactor, so that C{twistd --reactor} can
        choose one.
        """
        printed = self.run_(
            "import sys\n"
            "from fastpoetry import *\n"
            "print('twisted.internet.reactor' in sys.modules, PoetryServer.__name__)"
        )
        self.assertEqual(printed.strip(), "False PoetryServer")

    def test_noServer(self) -> None:
        """
        Who only fetches does not load the server.
        """
        printed = self.run_(
            "import sys\n"
            "from fastpoetry import getPoetry\n"
            "print([n for n in sys.modules if n.startswith('fastpoetry.')])"
        )
        for module in ("server", "protocol", "service", "listening"):
            self.assertNotIn(f"fastpoetry.{module}", printed)
