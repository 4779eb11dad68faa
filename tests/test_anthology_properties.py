"""
Properties of L{fastpoetry.anthology} that hold for all poems, seeds and days.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.anthology import Daily, readPoems
from tests.play import tries
from tests.support import DAY

SEEDS = st.text(st.characters(exclude_characters="\0"), max_size=3).filter(
    lambda seed: seed.isprintable()
)
DAYS = st.integers(-10_000, 100_000)
# No line of a poem is a divider, and no poem is blank.
LINES = st.binary(max_size=4).map(lambda line: line.translate(None, b"\r\n%") + b"x\n")
POEMS = st.lists(LINES, min_size=1, max_size=3).map(b"".join)
ANTHOLOGIES = st.lists(POEMS, min_size=1, max_size=8, unique=True)


class Calendar:
    """
    What L{Daily} has for each day.
    """

    def __init__(self, poems: list[bytes], seed: str) -> None:
        self._now = 0.0
        self._daily = Daily(poems, seed, now=lambda: self._now)

    def __getitem__(self, day: int) -> bytes:
        self._now = float(day * DAY)
        return self._daily()


class DailyTests(SynchronousTestCase):
    """
    Tests of L{Daily}.
    """

    @tries(300)
    @given(poems=ANTHOLOGIES, seed=SEEDS, cycle=DAYS)
    def test_once(self, poems: list[bytes], seed: str, cycle: int) -> None:
        """
        Every cycle has each poem once.
        """
        calendar = Calendar(poems, seed)
        first = cycle * len(poems)
        days = [calendar[first + place] for place in range(len(poems))]
        self.assertEqual(sorted(days), sorted(poems))

    @tries(300)
    @given(poems=ANTHOLOGIES, seed=SEEDS, day=DAYS)
    def test_notTwice(self, poems: list[bytes], seed: str, day: int) -> None:
        """
        No poem is that of two days one after the other, unless there is no other.
        """
        calendar = Calendar(poems, seed)
        days = [calendar[day + number] for number in range(20)]
        for one, two in zip(days, days[1:]):
            self.assertEqual(one == two, len(poems) == 1)

    @tries(300)
    @given(data=st.data(), poems=ANTHOLOGIES, seed=SEEDS, day=DAYS)
    def test_everywhere(
        self, data: Any, poems: list[bytes], seed: str, day: int
    ) -> None:
        """
        The poem of a day depends on the poems alone: not on their order, nor on which
        days were asked for before.
        """
        calendar = Calendar(poems, seed)
        expected = calendar[day]
        for other in data.draw(st.lists(DAYS, max_size=3)):
            calendar[other]
        self.assertEqual(calendar[day], expected)
        shuffled = data.draw(st.permutations(poems))
        self.assertEqual(Calendar(shuffled, seed)[day], expected)

    @tries(10)
    @given(seed=SEEDS)
    def test_seed(self, seed: str) -> None:
        """
        Another seed has another order.
        """
        poems = [b"%d" % number for number in range(50)]
        one, two = Calendar(poems, seed), Calendar(poems, seed + "x")
        self.assertNotEqual(
            [one[day] for day in range(50)], [two[day] for day in range(50)]
        )


class ReadTests(SynchronousTestCase):
    """
    Tests of L{readPoems}.
    """

    @tries(200)
    @given(data=st.data(), poems=ANTHOLOGIES)
    def test_everyWay(self, data: Any, poems: list[bytes]) -> None:
        """
        However the poems are spread over files, those are the poems.
        """
        directory = tempfile.mkdtemp(prefix="fastpoetry-")
        names = st.sampled_from("abc")
        files: dict[str, list[bytes]] = {}
        for poem in poems:
            files.setdefault(data.draw(names), []).append(poem)
        for name, some in files.items():
            with open(os.path.join(directory, name), "wb") as file:
                file.write(b"%\n".join(some))
        expected = [poem for name in sorted(files) for poem in files[name]]
        try:
            self.assertEqual(list(readPoems(directory)), expected)
        finally:
            for name in files:
                os.remove(os.path.join(directory, name))
            os.rmdir(directory)
