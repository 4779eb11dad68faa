"""
The service that has the poem.
"""

from __future__ import annotations

import os
from typing import BinaryIO

from twisted.application.service import Service
from twisted.logger import Logger
from zope.interface import implementer

from fastpoetry.error import PoemError
from fastpoetry.files import openRegular
from fastpoetry.interfaces import IPoetrySource, IReloadable
from fastpoetry.text import printable


def openPoem(path: str) -> BinaryIO:
    """
    Open a poem, never waiting for it.

    @param path: a regular file.

    @raise PoemError: when the file cannot be opened, or is not a regular one.
    """
    try:
        return openRegular(path)
    except OSError as error:
        raise PoemError(f"{error.strerror}: {path}") from error
    except ValueError as error:  # it has a NUL byte
        raise PoemError(f"Not the name of a file: {path!r}") from error


@implementer(IPoetrySource, IReloadable)
class PoetryService(Service):
    """
    Reads a poem from a file when it starts, and holds it as one L{bytes} for
    however many readers.  It knows of no socket.

    @ivar path: the file, as an absolute path.

    @ivar poem: the poem, once the service has started; L{None} before.
    """

    _log = Logger()

    poem: bytes | None = None

    def __init__(self, poetry_file: str | os.PathLike[str]) -> None:
        """
        @param poetry_file: the poem; a relative path counts from the directory
            that is the current one now, not when the service starts.
        """
        self.path = os.path.abspath(poetry_file)

    def startService(self) -> None:
        """
        Read the poem.

        @raise PoemError: when it cannot be read.
        """
        self._load()
        super().startService()

    def getPoem(self) -> bytes:
        """
        @see: L{IPoetrySource.getPoem}

        @raise PoemError: when the service has not started.
        """
        if self.poem is None:
            raise PoemError(f"Not loaded yet: {self.path}")
        return self.poem

    def reload(self) -> None:
        """
        @see: L{IReloadable.reload}
        """
        try:
            self._load()
        except PoemError as error:
            self._log.error("kept the old poem: {error}", error=error)

    def _load(self) -> None:
        with openPoem(self.path) as file:
            try:
                self.poem = file.read()
            except OSError as error:
                raise PoemError(f"{error.strerror}: {self.path}") from error
        self._log.info("loaded a poem from: {path}", path=printable(self.path))
        if not self.poem:
            self._log.warn("the poem is empty: {path}", path=printable(self.path))
