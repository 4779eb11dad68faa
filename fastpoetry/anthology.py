"""
A source with many poems, which gives one of them at a time: the one of the day, any, or
the next.

They are the files of a directory, or one file.  Each file has one poem, or several
divided by lines of C{%}, as those of fortune(6).  Which of them a reader gets is up to
a L{Choice}.
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

# Gets the poems, none of them twice, and gives what chooses one for each reader.
Choice = Callable[[Sequence[bytes]], Callable[[], bytes]]

# A line of strfile(1), whose end may also be that of another system, or of the file.
DIVIDER = re.compile(rb"^%\r?(?:\n|\Z)", re.MULTILINE)

EPOCH = date(1970, 1, 1).toordinal()


def each(poems: Sequence[bytes], random: Random | None = None) -> Callable[[], bytes]:
    """
    A L{Choice}: any poem for each reader.
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
    A L{Choice}: one poem a day, the same in all processes that have the same poems, the
    same seed and the same time zone.

    Day C{d} since 1970-01-01 is in cycle C{d // n} of C{n} poems, and every cycle has
    each of them once, ordered by SHA-256 of the seed, the number of the cycle and
    SHA-256 of the poem.  If a cycle would begin with the poem that the one before ended
    with, it begins with its second one.  Of two poems the order is always that of cycle
    0.
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
        @param seed: another one has the poems in another order.

        @param timezone: where a day begins at midnight.

        @param now: the wall clock.
        """
        self._poems = {sha256(poem).digest(): poem for poem in poems}
        self._seed = seed.encode("utf-8", "surrogateescape")  # as it is typed
        self._timezone = timezone
        self._now = now
        # Some 5 microseconds for each poem: here it may be in a thread.
        self._cycle = lru_cache(1)(self._makeCycle)
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
        if len(self._poems) <= 2:  # where to swap the first would move the last
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
    Reads many poems when it starts, and gives one of them at a time.

    @ivar path: a directory or a file, as an absolute path.
    """

    _log = Logger()

    _chosen: Callable[[], bytes] | None = None
    _reading: Deferred[None] | None = None  # of the last reload

    def __init__(
        self, path: str | os.PathLike[str], choose: Choice = Daily, reactor: Any = None
    ) -> None:
        """
        @param path: the poems; a relative path counts from the directory that is the
            current one now, not when the service starts.

        @param choose: which of them a reader gets: L{Daily}, L{each}, L{inOrder}, or
            a C{partial} of one of them.

        @param reactor: by default the global one.
        """
        self.reactor: Any = maybeGlobalReactor(reactor)
        self.path = os.path.abspath(path)
        self.choose = choose

    def startService(self) -> None:
        """
        Read the poems.

        @raise PoemError: when one of them cannot be read, or has nothing to read.
        """
        self._changeOver(self._read())
        super().startService()

    def stopService(self) -> None:
        """
        Drop what a reload finds from now on.
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
        Read the poems anew.

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

    @param path: a file, or a directory, whose regular files are read in the order of
        their names, but for hidden ones, C{.dat} and C{.u8}.

    @raise PoemError: when something cannot be read, or there is no poem in it.
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
    # strfile(1) makes some of a file, beside it.
    isLeftOut = entry.name.startswith(".") or entry.name.endswith((".dat", ".u8"))
    return not isLeftOut and entry.is_file()


def _readFile(path: str) -> Iterator[bytes]:
    line, isEmpty = 1, True
    for part in DIVIDER.split(readFile(path, PoemError)):
        if part.isspace():
            raise PoemError(f"A blank poem: {path}:{line}")
        if part:  # or it is none, as for strfile(1)
            isEmpty = False
            yield part
        line += part.count(b"\n") + 1
    if isEmpty:
        raise PoemError(f"No poem in: {path}")
