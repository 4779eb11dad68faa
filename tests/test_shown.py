"""
Tests of L{fastpoetry.shown}.
"""

from __future__ import annotations

import re

from hypothesis import example, given, strategies
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.shown import shown

# What is served; what a terminal gets.
SHOWN = {
    "nothing": (b"", b""),
    "plain text": (b"one\ttwo\nthree", b"one\ttwo\nthree"),
    "the lines of another system": (b"one\r\ntwo\r\n", b"one\r\ntwo\r\n"),
    "a line that overwrites itself": (b"evil\rgood\r\r\n", b"evil^Mgood^M\r\n"),
    "other languages": ("po\xe9sie \u8a69 \U0001f4dc\n".encode(),) * 2,
    "a title": (b"\x1b]0;title\x07poem", b"^[]0;title^Gpoem"),
    "C0": (b"\0\x08\x0b\x0c\x0e\x1f", b"^@^H^K^L^N^_"),
    "DEL": (b"\x7f", b"^?"),
    "C1": (b"\xc2\x80\xc2\x9b31m\xc2\x9f", rb"\u0080\u009b31m\u009f"),
    "C1 as bytes": (b"\x80\x9b31m\x9f", rb"\x80\x9b31m\x9f"),
    "what follows C1": ("\xa0\xa1".encode(),) * 2,
    "an override": ("\u202eevil\u202c".encode(), rb"\u202eevil\u202c"),
    "an isolate": ("\u2066evil\u2069".encode(), rb"\u2066evil\u2069"),
    "marks of direction": ("\u200e\u200f".encode(),) * 2,
    "another encoding": (b"po\xe9sie", rb"po\xe9sie"),
    "half a letter": (b"po\xc3", rb"po\xc3"),
    "a long form of ESC": (b"\xc0\x9b", rb"\xc0\x9b"),
    "a surrogate": (b"\xed\xa0\x80", rb"\xed\xa0\x80"),
}

# What a terminal might obey.
OBEYED = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\r(?!\n)"
)


class PoemTests(SynchronousTestCase):
    """
    Tests of L{shown}.
    """

    def show(self, poem: bytes, encoding: str = "utf-8") -> bytes:
        """
        @return: what a terminal gets of a poem.
        """
        return b"".join(shown(poem, encoding))

    def test_shown(self) -> None:
        """
        What a terminal would obey is shown, and everything else is as it was.
        """
        for name, (poem, expected) in SHOWN.items():
            self.assertEqual(self.show(poem), expected, name)

    def test_long(self) -> None:
        """
        Wherever a long poem is divided, letters and ends of lines stay whole.
        """
        for poem in ("\u8a69\r\n".encode() * 50_000, b"\r\n" * 100_000):
            for start in range(5):
                padded = b"x" * start + poem
                self.assertEqual(self.show(padded), padded)
        self.assertEqual(self.show(b"x\r" * 50_000), b"x^M" * 50_000)

    @given(strategies.binary(max_size=50))
    @example(b"\r")
    def test_anything(self, poem: bytes) -> None:
        """
        Whatever is served, a terminal has nothing to obey, and one that has been
        shown stays as it is.
        """
        once = self.show(poem)
        self.assertIsNone(OBEYED.search(once.decode()))
        self.assertEqual(self.show(once), once)

    def test_encoding(self) -> None:
        """
        A terminal gets its own encoding, in which no letter has bytes that it
        would obey, and what that does not have is shown.
        """
        poem = "\xe9 \u011b \x9b".encode()  # the second has 9b as a byte
        self.assertEqual(self.show(poem, "latin-1"), b"\xe9 \\u011b \\u009b")
