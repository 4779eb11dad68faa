"""
Tests of L{fastpoetry.commands.values}.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.commands.values import (
    interface,
    network,
    positiveInteger,
    positiveSeconds,
    rate,
    seconds,
)


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

    def test_positiveInteger(self) -> None:
        """
        A number of things is 1 or more, in ASCII digits.
        """
        wrong = ["0", "-1", "1.5", "", "many", "\u0661", "\u00b2", "1" * 5000, " 5"]
        self.check(
            positiveInteger, {"1": 1, "0700": 700}, wrong, "not a whole number above 0"
        )

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

    def test_positiveSeconds(self) -> None:
        """
        Patience is more than none, and has an end.
        """
        self.check(
            positiveSeconds,
            {"0.1": 0.1, "60": 60},
            ["0", "-1", "inf", "nan", "", "soon", "\u0661", " 5", "1_0"],
            "not a number of seconds above 0",
        )

    def test_rate(self) -> None:
        """
        A number of things, and in how many seconds.
        """
        self.assertEqual(rate("20/60"), (20, 60.0))
        self.assertEqual(rate("1/0.5"), (1, 0.5))
        for text in ["20", "20/", "/60", "0/60", "20/0", "20/60/60", "1.5/2", "", "/"]:
            error = self.assertRaises(ValueError, rate, text)
            sentence = f"not a number of readers and of seconds, such as 20/60: {text}"
            self.assertEqual(str(error), sentence)

    def test_network(self) -> None:
        """
        A network is one of IPv4 or IPv6, from its first address on, or one address.
        """
        for text, found in {
            "192.0.2.0/24": "192.0.2.0/24",
            "192.0.2.0/255.255.255.0": "192.0.2.0/24",
            "192.0.2.1": "192.0.2.1/32",
            "2001:DB8::/32": "2001:db8::/32",
            "::/0": "::/0",
            "::1": "::1/128",
        }.items():
            self.assertEqual(str(network(text)), found)
        for text in ["localhost", "", "10/8", "::1/129", "a" * 99]:
            error = self.assertRaises(ValueError, network, text)
            sentence = f"not a network such as 192.0.2.0/24: {text}"
            self.assertEqual(str(error), sentence)
        for text, right in {
            "192.0.2.1/24": "192.0.2.0/24 or 192.0.2.1",
            "2001:db8::1/32": "2001:db8::/32 or 2001:db8::1",
        }.items():
            error = self.assertRaises(ValueError, network, text)
            self.assertEqual(str(error), f"not a network: {text} (write {right})")
        error = self.assertRaises(ValueError, network, "::ffff:10.0.0.0/104")
        self.assertIn("a network of IPv4 and has to be written so: ::", str(error))

    def test_interface(self) -> None:
        """
        An interface has an address: an empty one would mean all of them.
        """
        self.assertEqual(interface("::1"), "::1")
        error = self.assertRaises(ValueError, interface, "")
        self.assertEqual(str(error), "no address: ''")
