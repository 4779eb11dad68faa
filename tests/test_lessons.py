"""
Tests of the programs in F{examples/lessons}, and of the page that walks through them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

from sandbox import DEADLINE, ROOT
from tests.pages import BLOCK, codes, matches, read, rows

LESSONS = ROOT / "examples" / "lessons"
PAGE = read("docs/lessons.md")

# A block that runs one program.
PROGRAM = re.compile(r"python examples/lessons/(\w+\.py)\n")


def run(name: str) -> subprocess.CompletedProcess[str]:
    """
    Run a program, far from the checkout, with the package that is there.

    @return: what has come of it; the standard output has the standard error in it.

    @raise subprocess.TimeoutExpired: when it does not end.
    """
    others = os.environ.get("PYTHONPATH")
    path = f"{ROOT}:{others}" if others else str(ROOT)
    return subprocess.run(
        [sys.executable, "-u", str(LESSONS / name)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd="/",
        env={**os.environ, "PYTHONPATH": path},
        text=True,
        timeout=DEADLINE,
    )


class PageTests(SynchronousTestCase):
    """
    Tests of F{docs/lessons.md}.
    """

    maxDiff = None

    def test_programs(self) -> None:
        """
        The page runs every program once; each ends well, and prints what the page
        shows.
        """
        names = []
        for block in BLOCK.finditer(PAGE):
            if (program := PROGRAM.fullmatch(block["commands"])) is None:
                continue
            names.append(program[1])
            done = run(program[1])
            self.assertEqual(0, done.returncode, done.stdout)
            if not matches(block["shown"], done.stdout):
                self.assertEqual(block["shown"], done.stdout)
        self.assertEqual(
            sorted(path.name for path in LESSONS.glob("*.py")), sorted(names)
        )

    def test_allOutput(self) -> None:
        """
        All output on the page belongs to a block that a test runs, but for one log.
        """
        shown = [block["shown"] for block in BLOCK.finditer(PAGE)]
        self.assertEqual(
            PAGE.count("```text\n"), sum(text is not None for text in shown)
        )
        self.assertEqual(1, PAGE.count("```text log\n"))

    def test_readyMade(self) -> None:
        """
        The services that the page says are ready made are there.
        """
        table = rows(PAGE, "service", "what it does")
        self.assertGreater(len(table), 5)
        for cell, _ in table:
            first, *others = codes(cell)
            module, _, _ = first.rpartition(".")
            for name in [first, *(f"{module}.{other}" for other in others)]:
                self.assertTrue(callable(namedAny(name)), name)

    def test_tests(self) -> None:
        """
        Each row of the last table names tests, and all of these are there.
        """
        table = rows(PAGE, "what", "test")
        self.assertGreater(len(table), 10)
        for what, tests in table:
            names = codes(tests)
            self.assertTrue(names, what)
            for name in names:
                namedAny(f"tests.{name}")
