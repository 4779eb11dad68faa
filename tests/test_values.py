"""
Tests of L{fastpoetry.commands.values}.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.commands.values import count, seconds, timeout


class ValuesTests(SynchronousTestCase):
    """
    Tests of each kind of number.
    """

    def check(
        self,
        parse: Callable[[str], float],
        right: dict[str, float],
        wrong: list[str],
        sentence: str,
    ) -> None:
        """
        Check what is a number of a kind, and what is not.
        """
        for text, number in right.items():
            self.assertEqual(parse(text), number)
        for text in wrong:
            error = self.assertRaises(ValueError, parse, text)
            self.assertEqual(str(error), f"{sentence}: {text}")

    def test_count(self) -> None:
        """
        A number of things is 1 or more, in ASCII digits.
        """
        wrong = ["0", "-1", "1.5", "", "many", "\u0661", "\u00b2", "1" * 5000, " 5"]
        self.check(count, {"1": 1, "0700": 700}, wrong, "not a whole number above 0")

    def test_seconds(self) -> None:
        """
        A length of time may be 0, and has an end.
        """
        self.check(
            seconds,
            {"0": 0, "1.5": 1.5, "1e3": 1000},
            ["-0.1", "inf", "nan", "", "soon", "1e400", "1" * 5000, "1e", "0x10"],
            "not a number of seconds, 0 or more",
        )

    def test_timeout(self) -> None:
        """
        Patience is more than none, and has an end.
        """
        self.check(
            timeout,
            {"0.1": 0.1, "60": 60},
            ["0", "-1", "inf", "nan", "", "soon", "\u0661", " 5", "1_0"],
            "not a number of seconds above 0",
        )
