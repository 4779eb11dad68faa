"""
Tests of which poem of an anthology a reader gets.
"""

from __future__ import annotations

from datetime import datetime, timezone
from hashlib import sha256
from random import Random
from unittest import mock
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from fastpoetry import anthology
from fastpoetry.anthology import Daily, each, inOrder
from tests.support import DAY

# How many poems there are, named a, b and so on, and with which seed; which of them is
# that of the first days of 1970.
ALWAYS = [
    (1, "", b"aaaaaaaaaaaaaaa"),
    (2, "", b"abababababababa"),
    (3, "", b"acbabcabcbcacab"),
    (5, "", b"caedbadebcadebc"),
    (5, "perch\xe9", b"cbaedcbdeacabde"),
    (5, "perch\udce9", b"caedbeadbcedacb"),
]

# Time zones, and when in UTC a day begins there; the date before, and the date then.
MIDNIGHTS = [
    ("Europe/Rome", (2026, 11, 25, 23), (2026, 11, 25), (2026, 11, 26)),
    # It goes forward on 28 March, and back on 25 October.
    ("Europe/Rome", (2027, 3, 27, 23), (2027, 3, 27), (2027, 3, 28)),
    ("Europe/Rome", (2027, 3, 28, 22), (2027, 3, 28), (2027, 3, 29)),
    ("Europe/Rome", (2026, 10, 24, 22), (2026, 10, 24), (2026, 10, 25)),
    ("Europe/Rome", (2026, 10, 25, 23), (2026, 10, 25), (2026, 10, 26)),
    ("America/New_York", (2026, 7, 1, 4), (2026, 6, 30), (2026, 7, 1)),
    ("Asia/Kathmandu", (2026, 7, 1, 18, 15), (2026, 7, 1), (2026, 7, 2)),
    # Samoa had no 30 December.
    ("Pacific/Apia", (2011, 12, 30, 10), (2011, 12, 29), (2011, 12, 31)),
]

NUMBERS = [b"%d\n" % number for number in range(1000)]


class PlayedClock:
    """
    A wall clock that a test sets.
    """

    def __init__(
        self, year: int, month: int, day: int, hour: int = 0, minute: int = 0
    ) -> None:
        """
        Set the clock to a time in UTC.
        """
        date = datetime(year, month, day, hour, minute, tzinfo=timezone.utc)
        self.seconds = date.timestamp()

    def __call__(self) -> float:
        return self.seconds


class ChoiceTests(SynchronousTestCase):
    """
    Tests of L{each} and L{inOrder}.
    """

    def test_each(self) -> None:
        """
        Each reader gets the poem that chance has for it.
        """
        choose = each(NUMBERS, Random(865))
        chance = Random(865)
        for _ in range(100):
            self.assertEqual(choose(), chance.choice(NUMBERS))

    def test_ownChance(self) -> None:
        """
        No two processes need have the same chance.
        """
        one, two = each(NUMBERS), each(NUMBERS)
        self.assertNotEqual([one() for _ in range(50)], [two() for _ in range(50)])

    def test_inOrder(self) -> None:
        """
        The readers get one poem after the other, and then from the first again.
        """
        choose = inOrder(NUMBERS[:3])
        self.assertEqual([choose() for _ in range(6)], NUMBERS[:3] * 2)


class DailyTests(SynchronousTestCase):
    """
    Tests of L{Daily}.
    """

    def days(self, count: int, number: int, seed: str = "") -> bytes:
        """
        @param count: how many days, from the first of all.

        @param number: how many poems, of one letter each.

        @return: the poems of these days.
        """
        clock = PlayedClock(1970, 1, 1)
        poems = [b"%c" % letter for letter in b"abcdefgh"[:number]]
        daily = Daily(poems, seed, now=clock)
        days = []
        for _ in range(count):
            days.append(daily())
            clock.seconds += DAY
        return b"".join(days)

    def test_always(self) -> None:
        """
        The poem of a day is the same on every machine, and in every version.  A seed
        counts by its bytes, be they UTF-8 or not.
        """
        for number, seed, days in ALWAYS:
            self.assertEqual(self.days(15, number, seed), days, (number, seed))

    def test_clock(self) -> None:
        """
        At midnight the poem changes, and when the clock is set back it is again that
        of the day before.
        """
        clock = PlayedClock(2026, 11, 26)
        daily = Daily(NUMBERS, now=clock)
        poem = daily()
        clock.seconds += DAY - 0.001
        self.assertIs(daily(), poem)
        clock.seconds += 0.001
        tomorrow = daily()
        self.assertNotEqual(poem, tomorrow)
        clock.seconds -= 0.001
        self.assertIs(daily(), poem)
        clock.seconds -= 1000 * DAY
        self.assertNotEqual(poem, daily())
        clock.seconds += 1001 * DAY
        self.assertIs(daily(), tomorrow)

    def test_once(self) -> None:
        """
        The order of a cycle is computed once, when the poems are read, however many ask
        and on how many days; and that of the next one when it comes.
        """
        clock = PlayedClock(2026, 11, 26)
        with mock.patch.object(anthology, "sha256", wraps=sha256) as hashing:
            daily = Daily(NUMBERS, now=clock)
            count = hashing.call_count
            for _ in range(10):
                clock.seconds += DAY
                daily()
            self.assertEqual(hashing.call_count, count)
            clock.seconds += DAY * len(NUMBERS)
            daily()
            self.assertGreater(hashing.call_count, count)

    def test_oncePerDay(self) -> None:
        """
        The poem of a day is looked for once.
        """
        daily = Daily(NUMBERS, now=PlayedClock(2026, 11, 26))
        self.patch(daily, "_cycle", None)
        daily()

    def test_before1970(self) -> None:
        """
        A clock that is far off has its poem, too.
        """
        clock = PlayedClock(1969, 12, 29)
        daily = Daily(NUMBERS[:3], now=clock)
        poems = set()
        for _ in range(3):
            poems.add(daily())
            clock.seconds += DAY
        self.assertEqual(poems, {*NUMBERS[:3]})

    def test_timezone(self) -> None:
        """
        A day has 24 hours of the time zone, or 23 or 25 when its clocks are changed,
        or is left out.
        """
        for zone, midnight, yesterday, today in MIDNIGHTS:
            clock = PlayedClock(*midnight)
            daily = Daily(NUMBERS, timezone=ZoneInfo(zone), now=clock)
            expected = Daily(NUMBERS, now=PlayedClock(*today))()
            self.assertEqual(daily(), expected, (zone, midnight))
            clock.seconds -= 0.001
            expected = Daily(NUMBERS, now=PlayedClock(*yesterday))()
            self.assertEqual(daily(), expected, (zone, midnight))
