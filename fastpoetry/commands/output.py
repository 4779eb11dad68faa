"""
Writing poems, and help, to standard output.
"""

from __future__ import annotations

import io
import locale
import select
from typing import BinaryIO, TextIO

from fastpoetry.shown import shown


def unbuffered(stream: TextIO) -> io.FileIO:
    """
    @return: the file of one of Python's streams.  The buffer of a stream would complain
        at exit of what it could not write.
    """
    return io.FileIO(stream.fileno(), "wb", closefd=False)


def writeAll(stream: BinaryIO, data: bytes) -> None:
    """
    Write all of something.  A stream without a buffer may take a part of it, and one in
    non-blocking mode may take nothing for a while: another process that shares the file
    may have set that mode.

    @raise OSError: when it cannot be written.
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
    Write a poem.  A terminal gets it with control characters shown.

    @param isRaw: whether a terminal gets its bytes as well.

    @raise OSError: when it cannot be written.
    """
    if isRaw or not stream.isatty():
        writeAll(stream, poem)
        return
    for piece in shown(poem, locale.getpreferredencoding(False)):
        writeAll(stream, piece)
