"""
Tests of the links of all pages, and of the files and modules that they name.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec

from twisted.trial.unittest import SynchronousTestCase

from sandbox import ROOT
from tests.pages import anchors, codes, links, outsideOfCode, pages, read

# A file or directory of the project, by its path; a star stands for anything.
PATH = re.compile(
    r"(?<![\w./-])(?:\.ci|benchmarks|completion|deploy|docs|examples|fastpoetry|man|poetry"
    r"|sandbox|tests|twisted)/[\w.*@/-]*\w"
)


class LinkTests(SynchronousTestCase):
    """
    Tests of the links from page to page.
    """

    def test_links(self) -> None:
        """
        Each leads to a file that is there, and to a heading of it.
        """
        wrong = []
        count = 0
        for page in pages():
            for link in links(page.read_text(encoding="utf-8")):
                path, _, anchor = link.partition("#")
                target = (page.parent / path).resolve() if path else page
                count += 1
                if not target.exists() or (
                    anchor and anchor not in anchors(target.read_text(encoding="utf-8"))
                ):
                    wrong.append(f"{page.relative_to(ROOT)}: {link}")
        self.assertEqual(wrong, [])
        self.assertGreater(count, 40)

    def test_longDescription(self) -> None:
        """
        On the page of the package index, which has no other page of ours beside it, no
        link of the README is relative, and all are there.
        """
        # setuptools causes warnings of its own.
        command = [sys.executable, "-Wignore", "setup.py", "--long-description"]
        process = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        page = process.stdout.decode("utf-8")
        self.assertEqual(links(page), [])
        readme = read("README.md")
        self.assertEqual(readme.count("]("), page.count("]("))
        self.assertEqual(readme.splitlines()[0], page.splitlines()[0])

    def test_paths(self) -> None:
        """
        Each file that a page names by its path is there.
        """
        wrong = []
        count = 0
        for page in pages():
            for code in codes(outsideOfCode(page.read_text(encoding="utf-8"))):
                for path in PATH.findall(code):
                    count += 1
                    if not any(ROOT.glob(path)):
                        wrong.append(f"{page.relative_to(ROOT)}: {path}")
        self.assertEqual(wrong, [])
        self.assertGreater(count, 40)

    def test_modules(self) -> None:
        """
        Each module that a page runs with C{python -m} is there.
        """
        wrong = []
        count = 0
        for page in pages():
            for name in re.findall(r"python3? -m ([\w.]+)", page.read_text("utf-8")):
                count += 1
                if find_spec(name) is None:
                    wrong.append(f"{page.relative_to(ROOT)}: {name}")
        self.assertEqual(wrong, [])
        self.assertGreater(count, 10)

    def test_anchors(self) -> None:
        """
        A heading is linked to by its words in small letters, and a second of the same
        words by a number, too; what is in a block of code is no heading.
        """
        page = "# A `--b`: c, d_e?\n\n    # no\n\n```sh\n# no\n```\n## A\n## A\n"
        self.assertEqual(anchors(page), {"a---b-c-d_e", "a", "a-1"})

    def test_found(self) -> None:
        """
        Links may go over two lines; those to other sites are not looked at.
        """
        page = "[a\nb](c.md#d) [e](https://example.org/) [f](#g)\n\n    [h](i)\n"
        self.assertEqual(links(page), ["c.md#d", "#g"])
