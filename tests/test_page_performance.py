"""
Tests that the plots of F{docs/performance.md} show its tables.
"""

from __future__ import annotations

import sys
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from sandbox import ROOT, Sandbox, quoted

PLOTS = ("performance.svg", "performance-sizes.svg")


class PlotTests(SynchronousTestCase):
    """
    The plots are drawn again.
    """

    def setUp(self) -> None:
        """
        Draw them into another directory.
        """
        self.sandbox = Sandbox(self.addCleanup)
        python = quoted(sys.executable)
        command = f"{python} -m benchmarks.cost plot --to {self.sandbox.path}"
        self.assertEqual((0, b""), self.sandbox.run(command))

    def test_same(self) -> None:
        """
        They are the same as those of the page.
        """
        for name in PLOTS:
            old = (ROOT / "docs" / name).read_text()
            self.assertEqual((self.sandbox.path / name).read_text(), old, name)

    def test_texts(self) -> None:
        """
        Each names fastpoetry, and every text of it lies inside.
        """
        for name in PLOTS:
            root = ElementTree.parse(self.sandbox.path / name).getroot()
            texts = root.findall("{*}text")
            self.assertIn("fastpoetry", [text.text for text in texts])
            for text in texts:
                for axis, size in (("x", "width"), ("y", "height")):
                    place = float(text.get(axis, "-1"))
                    self.assertTrue(0 < place < float(root.get(size, "0")), text.text)
