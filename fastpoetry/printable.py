"""
A poem, for a terminal or a browser: control characters are shown, and not obeyed.
Whoever serves a poem could set colours, the title and the clipboard with them, and
whoever overrides the direction of a text has it read other than it is.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from fastpoetry.text import CONTROL, showControl

_IN_TEXT = re.compile(rf"(?![\n\t]|\r\n){CONTROL}")

# A poem is made printable in pieces, because several copies of a long one may not fit
# into the memory.  A line may end with two bytes, which stay together.
_PIECE = re.compile(rb"(?s).{1,65536}\n?")


def shown(poem: bytes, encoding: str) -> Iterator[bytes]:
    """
    @param encoding: that of the terminal.

    @return: the pieces of a poem for a terminal.  Control characters but ends of lines
        and tabs are shown as C{^[} or C{\\u009b}, bytes that are not UTF-8 as C{\\xe9},
        and so is what the encoding does not have.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    for piece in _PIECE.finditer(poem):
        text = decoder.decode(piece[0], piece.end() == len(poem))
        yield _IN_TEXT.sub(showControl, text).encode(encoding, "backslashreplace")
