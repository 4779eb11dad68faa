"""
The service that has the poem.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from zope.interface import implementer

from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.error import FastPoetryError, PoemError
from fastpoetry.files import readAgain, readFile
from fastpoetry.interfaces import Figure, IHasFigures, IPoetrySource, IReloadable
from fastpoetry.text import printable


@implementer(IHasFigures, IPoetrySource, IReloadable)
class PoetryService(Service):
    """
    Reads a poem from a file when it starts, and holds it as one C{bytes} for however
    many readers.  It knows nothing of sockets.

    @ivar path: the file, as an absolute path.

    @ivar poem: the poem, once the service has started; C{None} before.
    """

    _log = Logger()

    poem: bytes | None = None
    _reading: Deferred[None] | None = None  # of the last reload

    def __init__(
        self, poetry_file: str | os.PathLike[str], reactor: Any = None
    ) -> None:
        """
        @param poetry_file: the poem; a relative path counts from the directory that is
            the current one now, not when the service starts.

        @param reactor: by default the global one.
        """
        self.reactor: Any = maybeGlobalReactor(reactor)
        self.path = os.path.abspath(poetry_file)

    def startService(self) -> None:
        """
        Read the poem.

        @raise PoemError: when it cannot be read.
        """
        self._changeOver(readFile(self.path, PoemError))
        super().startService()

    def stopService(self) -> None:
        """
        Drop what a reload that is under way will find.
        """
        super().stopService()
        if self._reading is not None:
            self._reading.cancel()

    def getPoem(self) -> bytes:
        """
        @see: L{IPoetrySource.getPoem}

        @raise PoemError: when the service has not started.
        """
        if self.poem is None:
            raise PoemError(f"Not loaded yet: {self.path}")
        return self.poem

    def figures(self) -> Iterator[Figure]:
        """
        @see: L{IHasFigures.figures}
        """
        if self.poem is not None:
            yield "fastpoetry_poem_bytes", {"poem": self.path}, len(self.poem)

    def reload(self) -> Deferred[None]:
        """
        Read the poem again.

        @see: L{IReloadable.reload}
        """
        self._reading = readAgain(
            self.reactor,
            self.path,
            partial(readFile, self.path, PoemError),
            self._changeOver,
            self._keep,
        )
        return self._reading

    def _keep(self, error: FastPoetryError) -> None:
        self._log.error("kept the old poem: {error}", error=error)

    def _changeOver(self, poem: bytes) -> None:
        self.poem = poem
        self._log.info("loaded a poem from: {path}", path=printable(self.path))
        if not poem:
            self._log.warn("the poem is empty: {path}", path=printable(self.path))
