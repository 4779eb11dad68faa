"""
A source that has many poems, and gives one of them at a time: the poem of the day, any
poem, or the next one.

The poems are in the files of a directory, or in one file.  A file has one poem, or
several, divided by lines of C{%} as in the files of fortune(6).  A L{Choice} decides
which poem a reader gets.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime, timezone, tzinfo
from functools import lru_cache, partial
from hashlib import sha256
from itertools import cycle
from random import Random
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.error import FastPoetryError, PoemError
from fastpoetry.files import readAgain, readFile
from fastpoetry.interfaces import IPoetrySource, IReloadable
from fastpoetry.text import printable

# Takes the poems, none of them twice, and returns a function that chooses one of them.
Choice = Callable[[Sequence[bytes]], Callable[[], bytes]]

# The line that strfile(1) looks for.  It may end as on Windows, or with the file.
DIVIDER = re.compile(rb"^%\r?(?:\n|\Z)", re.MULTILINE)

EPOCH = date(1970, 1, 1).toordinal()


def each(poems: Sequence[bytes], random: Random | None = None) -> Callable[[], bytes]:
    """
    A L{Choice}: any of the poems for each reader.

    @param random: by default a generator with a seed of its own.
    """
    return partial((random or Random()).choice, poems)


def inOrder(poems: Sequence[bytes]) -> Callable[[], bytes]:
    """
    A L{Choice}: the first poem for the first reader, the second for the second, and so
    on; after the last, the first again.
    """
    return cycle(poems).__next__


class Daily:
    """
    A L{Choice}: one poem a day.  All processes that have the same poems, seed and time
    zone choose the same.

    C{n} poems make cycles of C{n} days, each poem once in a cycle: day C{d} since
    1970-01-01 is in cycle number C{d // n}.  Its poems are ordered by SHA-256 of the
    seed, the number of the cycle, and SHA-256 of the poem.  If a cycle would begin with
    the poem that ended the cycle before, its first two poems change places.  Where
    there are only two poems, all cycles have the order of cycle 0.
    """

    _day: int | None = None
    _poem = b""

    def __init__(
        self,
        poems: Sequence[bytes],
        seed: str = "",
        timezone: tzinfo = timezone.utc,
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        @param poems: at least one, none of them twice.

        @param seed: with another seed the poems have another order.

        @param timezone: a day begins at midnight there.

        @param now: the wall clock, in seconds since 1970.
        """
        self._poems = {sha256(poem).digest(): poem for poem in poems}
        self._seed = seed.encode("utf-8", "surrogateescape")  # as it is typed
        self._timezone = timezone
        self._now = now
        self._cycle = lru_cache(1)(self._makeCycle)
        # To order the poems takes 5 microseconds for each.  Do it here, where a reload
        # is in a thread, and not for the first reader.
        self()

    def __call__(self) -> bytes:
        """
        @return: the poem of today.
        """
        day = datetime.fromtimestamp(self._now(), self._timezone).toordinal() - EPOCH
        if day != self._day:
            number, place = divmod(day, len(self._poems))
            self._day, self._poem = day, self._poems[self._cycle(number)[place]]
        return self._poem

    def _makeCycle(self, number: int) -> list[bytes]:
        if len(self._poems) <= 2:  # to swap the first two would move the last
            return self._order(0)
        order = self._order(number)
        if order[0] == self._order(number - 1)[-1]:
            order[:2] = order[1], order[0]
        return order

    def _order(self, number: int) -> list[bytes]:
        start = b"%b\0%d\0" % (self._seed, number)
        return sorted(self._poems, key=lambda digest: sha256(start + digest).digest())


@implementer(IPoetrySource, IReloadable)
class Anthology(Service):
    """
    Reads poems when it starts, and gives one of them at a time.

    @ivar path: a directory or a file, as an absolute path.
    """

    _log = Logger()

    _chosen: Callable[[], bytes] | None = None
    _reading: Deferred[None] | None = None  # of the last reload

    def __init__(
        self, path: str | os.PathLike[str], choose: Choice = Daily, reactor: Any = None
    ) -> None:
        """
        @param path: a file or a directory.  A relative path is taken from the directory
            that is the current one now, not when the service starts.

        @param choose: decides which poem a reader gets: L{Daily}, L{each}, L{inOrder},
            or a C{partial} of one of them.

        @param reactor: by default the global one.
        """
        self.reactor: Any = maybeGlobalReactor(reactor)
        self.path = os.path.abspath(path)
        self.choose = choose

    def startService(self) -> None:
        """
        Read the poems.

        @raise PoemError: when one cannot be read, one is blank, or there are none.
        """
        self._changeOver(self._read())
        super().startService()

    def stopService(self) -> None:
        """
        Stop.  A reload that is under way changes nothing any more.
        """
        super().stopService()
        if self._reading is not None:
            self._reading.cancel()

    def getPoem(self) -> bytes:
        """
        Choose a poem.

        @see: L{IPoetrySource.getPoem}

        @raise PoemError: when the service has not started.
        """
        if self._chosen is None:
            raise PoemError(f"Not loaded yet: {self.path}")
        return self._chosen()

    def reload(self) -> Deferred[None]:
        """
        Read the poems again.

        @see: L{IReloadable.reload}
        """
        self._reading = readAgain(
            self.reactor, self.path, self._read, self._changeOver, self._keep
        )
        return self._reading

    def _keep(self, error: FastPoetryError) -> None:
        self._log.error("kept the old poems: {error}", error=error)

    def _read(self) -> tuple[int, Callable[[], bytes]]:
        try:
            poems = list(dict.fromkeys(readPoems(self.path)))
            return len(poems), self.choose(poems)
        except MemoryError as error:
            raise PoemError(f"Too large for the memory: {self.path}") from error

    def _changeOver(self, read: tuple[int, Callable[[], bytes]]) -> None:
        count, self._chosen = read
        path = printable(self.path)
        self._log.info("loaded {count} poems from: {path}", count=count, path=path)


def readPoems(path: str) -> Iterator[bytes]:
    """
    Read all poems of an anthology.

    @param path: a file, or a directory.  The regular files of a directory are read in
        the order of their names; those named C{.*}, C{*.dat} and C{*.u8} are left out.

    @return: the poems.

    @raise PoemError: when a file cannot be read, has a blank poem, or has none.
    """
    if not os.path.isdir(path):
        yield from _readFile(path)
        return
    try:
        with os.scandir(path) as entries:
            names = sorted(entry.name for entry in entries if _isPoem(entry))
    except OSError as error:
        raise PoemError(f"{error.strerror}: {path}") from error
    if not names:
        raise PoemError(f"No poem in: {path}")
    for name in names:
        yield from _readFile(os.path.join(path, name))


def _isPoem(entry: os.DirEntry[str]) -> bool:
    # strfile(1) makes a .dat beside a file, and Debian a .u8.
    isLeftOut = entry.name.startswith(".") or entry.name.endswith((".dat", ".u8"))
    return not isLeftOut and entry.is_file()


def _readFile(path: str) -> Iterator[bytes]:
    line, isEmpty = 1, True
    for part in DIVIDER.split(readFile(path, PoemError)):
        if part.isspace():
            raise PoemError(f"A blank poem: {path}:{line}")
        if part:  # two dividers with nothing between them are one, as for strfile(1)
            isEmpty = False
            yield part
        line += part.count(b"\n") + 1
    if isEmpty:
        raise PoemError(f"No poem in: {path}")
