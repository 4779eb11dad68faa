"""
Tests of L{sandbox}, where a process ends while it is being looked at.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sandbox import Process, Sandbox


class EndingTests(SynchronousTestCase):
    """
    Tests of threads and processes that end at an awkward moment.
    """

    def test_thread(self) -> None:
        """
        The processor time of a process is told when a thread ends between the listing
        of its threads and the reading of theirs.
        """
        listed = Path.iterdir

        def withEnded(path: Path) -> Iterator[Path]:
            yield path / "0"
            yield from listed(path)

        self.patch(Path, "iterdir", withEnded)
        self.assertGreater(Process(os.getpid()).processorTime().used, 0)

    def test_process(self) -> None:
        """
        A sandbox is cleared when a process of it ends between the search for it and
        the signal.
        """
        cleanups = []
        sandbox = Sandbox(lambda *cleanup: cleanups.append(cleanup))
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        found = [[Process(child.pid)], []]
        child.communicate()
        self.patch(sandbox, "processes", lambda: found.pop(0))
        for function, *arguments in reversed(cleanups):
            function(*arguments)
        self.assertEqual(found, [])
        self.assertFalse(sandbox.path.exists())
