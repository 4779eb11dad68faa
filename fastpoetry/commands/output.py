"""
The outputs of C{get-poetry}, wherever they lead.
"""

from __future__ import annotations

import io
import locale
import os
import select
import sys
from contextlib import suppress
from typing import Any, BinaryIO, TextIO

from fastpoetry.printable import shown


def writeAll(stream: BinaryIO, data: bytes) -> None:
    """
    Write all of something.  A stream without a buffer may take it in parts, and one in
    non-blocking mode, as whoever shares it may have set it, nothing for a while.

    @raise OSError: when that is impossible.
    """
    rest = memoryview(data)
    while rest:
        taken = stream.write(rest)
        if taken is None:
            select.select([], [stream], [])
        else:
            rest = rest[taken:]
    stream.flush()


def writePoem(stream: BinaryIO, poem: bytes, isRaw: bool) -> None:
    """
    Write a poem: its bytes, or for a terminal what can be shown of it.

    @param isRaw: whether it is its bytes for a terminal, too.

    @raise OSError: when that is impossible.
    """
    if isRaw or not stream.isatty():
        writeAll(stream, poem)
        return
    for piece in shown(poem, locale.getpreferredencoding(False)):
        writeAll(stream, piece)


class _Careless(io.RawIOBase):
    """
    A stream that loses what cannot be written.
    """

    def __init__(self, stream: io.FileIO) -> None:
        self._stream = stream
        self.name = stream.name

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        with suppress(OSError):
            writeAll(self._stream, data)
        return len(data)

    def close(self) -> None:
        super().close()
        self._stream.close()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()


def standardError() -> TextIO:
    """
    @return: the standard error of this process, or what takes its place after C{2>&-}.
        What cannot be written there is lost, and costs nothing else.
    """
    # Without Python's own buffer, which would complain once more, at exit.
    if sys.stderr is None:
        stream, encoding = io.FileIO(os.devnull, "wb"), "utf-8"
    else:
        stream = io.FileIO(sys.stderr.fileno(), "wb", closefd=False)
        encoding = sys.stderr.encoding
    return io.TextIOWrapper(
        _Careless(stream), encoding, "backslashreplace", write_through=True
    )
