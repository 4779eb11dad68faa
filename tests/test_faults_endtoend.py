"""
Tests of the command that makes faults, which makes few of them here: from one daemon to
the next, and three instances behind HAProxy and nginx, with the configurations of
F{deploy}.
"""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from sandbox import ROOT, findCommand

COMMAND = [sys.executable, "-m", "benchmarks.faults", "make", "--quick"]


class FaultsTests(SynchronousTestCase):
    """
    Readers fetch without pause.
    """

    def assertKept(self, group: str, needs: str) -> None:
        """
        Assert that the command sees all promises kept.

        @param group: of the faults.

        @param needs: a command that it needs.
        """
        findCommand(needs)
        done = subprocess.run(
            [*COMMAND, group],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(f"`{group}` |\n", done.stdout)

    def test_handOver(self) -> None:
        """
        From one daemon to the next on a socket that outlives both, no reader is
        lost, whether the next starts before the last stops or after.
        """
        self.assertKept("handover", "systemd-socket-activate")

    def test_haproxy(self) -> None:
        """
        Behind HAProxy a rolling restart loses nothing, and over TLS whoever is cut
        knows it.  A reader who talks, and is far behind what the balancer has read,
        gets all.
        """
        self.assertKept("haproxy", "haproxy")

    def test_nginx(self) -> None:
        """
        Behind nginx a rolling restart loses at most those who are connecting in the
        moment of a stop, and cuts nobody, not even who half-closes.  The rest is as
        with HAProxy.
        """
        self.assertKept("nginx", "nginx")
