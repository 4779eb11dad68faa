"""
Tests of the poems that come with the project.
"""

from __future__ import annotations

from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

POETRY = FilePath(__file__).parent().sibling("poetry")

# Title, author, first and last line, how many lines of verse.
POEMS = {
    "ecstasy.txt": (
        "The Ecstasy",
        "John Donne",
        "Where, like a pillow on a bed,",
        "Small change, when we are to bodies gone.",
        76,
    ),
    "fascination.txt": (
        "The Fascination of What's Difficult",
        "William Butler Yeats",
        "The fascination of what's difficult",
        "I'll find the stable and pull out the bolt.",
        13,
    ),
    "science.txt": (
        "Sonnet - To Science",
        "Edgar Allan Poe",
        "Science! true daughter of Old Time thou art!",
        "The summer dream beneath the tamarind tree?",
        14,
    ),
    "alla_sera.txt": (
        "Alla sera",
        "Ugo Foscolo",
        "Forse perché della fatal quïete",
        "quello spirto guerrier ch'entro mi rugge.",
        14,
    ),
}


class PoemTests(SynchronousTestCase):
    """
    Tests of the poems.
    """

    def test_all(self) -> None:
        """
        These poems are there, and no others, and a page with the length of each.
        """
        self.assertEqual(set(POETRY.listdir()), {*POEMS, "README.md"})
        page = POETRY.child("README.md").getContent().decode("utf-8")
        for name in POEMS:
            self.assertIn(f"| `{name}` | {POETRY.child(name).getsize()} |", page)

    def test_complete(self) -> None:
        """
        Each poem has its title, its lines and its author, and ends in one
        newline.
        """
        for name, (title, author, first, last, count) in POEMS.items():
            text = POETRY.child(name).getContent().decode("utf-8")
            lines = text.split("\n")
            self.assertEqual(lines[:2], [title, ""], name)
            self.assertEqual(lines[-3:], ["", f"    -- {author}", ""], name)
            verse = [line.strip() for line in lines[2:-3] if line]
            self.assertEqual((verse[0], verse[-1]), (first, last), name)
            self.assertEqual(len(verse), count, name)
            self.assertNotIn("\r", text, name)
            self.assertFalse(any(line != line.rstrip() for line in lines), name)
