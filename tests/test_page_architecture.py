"""
Tests of what F{docs/architecture.md} says and draws.
"""

from __future__ import annotations

import re
import subprocess
from shutil import which
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from sandbox import ROOT
from tests.pages import codes, read, rows

PAGE = read("docs/architecture.md")
DRAWING = "docs/architecture.dot"


def textsOf(drawing: str) -> list[str]:
    """
    @return: the title of each part of an SVG, and each text in it, in alphabetical
        order.  Where they stand depends on the version of Graphviz.
    """
    found: list[str] = re.findall(r"<(?:title|text)\b[^>]*>([^<]*)<", drawing)
    return sorted(found)


class ArchitecturePageTests(SynchronousTestCase):
    """
    Tests that the page has what there is.
    """

    def test_files(self) -> None:
        """
        Each file of the package is in the table once, in its room.
        """
        said: list[str] = []
        room = ""
        for names, _ in rows(PAGE, "file", "what is in it"):
            if names.startswith("**"):
                (room,) = codes(names)
                room = room.removeprefix("fastpoetry/")
            else:
                said += [f"{room}{name}" for name in codes(names)]
        package = ROOT / "fastpoetry"
        there = {
            str(path.relative_to(package))
            for kind in ("*.py", "*.html")
            for path in package.rglob(kind)
            if path.name != "__init__.py" or path.parent == package
        }
        self.assertEqual(sorted(there), sorted(said))

    def test_places(self) -> None:
        """
        The answers of the first table name methods that there are, in these files.
        """
        answers = [answer for _, answer in rows(PAGE, "question", "answer")]
        named = 0
        for answer in answers:
            names = codes(answer)
            if not names:
                continue
            method, file = names
            cls, _, function = method.partition(".")
            code = read(f"fastpoetry/{file}")
            self.assertIn(f"\nclass {cls}(", code)
            self.assertIn(f"    def {function}(", code)
            named += 1
        self.assertEqual(named, 2)

    @skipUnless(which("dot"), "Graphviz is not installed")
    def test_drawing(self) -> None:
        """
        The drawing is that of its text.
        """
        command = ["dot", "-Tsvg", DRAWING]
        process = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        made = process.stdout.decode("utf-8")
        texts = textsOf(made)
        self.assertIn("PoetryService", texts)
        self.assertEqual(texts, textsOf(read("docs/architecture.svg")))

    def test_drawnFiles(self) -> None:
        """
        The files in the drawing are those of the package.
        """
        drawn = set(re.findall(r"\\n(\w+\.py)", read(DRAWING)))
        self.assertTrue(drawn)
        names = {path.name for path in (ROOT / "fastpoetry").rglob("*.py")}
        self.assertEqual(drawn - names, set())
