"""
A poem for a terminal or a browser: control characters are shown, not obeyed.  With them
whoever serves a poem could set colours, the title or the clipboard, or change the
direction in which a text is read.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from fastpoetry.text import CONTROL, showControl

_IN_TEXT = re.compile(rf"(?![\n\t]|\r\n){CONTROL}")

# A long poem is made printable in pieces, since several copies may not fit into the
# memory.  The two bytes of a CR LF stay together.
_PIECE = re.compile(rb"(?s).{1,65536}\n?")


def shown(poem: bytes, encoding: str) -> Iterator[bytes]:
    """
    @param encoding: of the terminal.

    @return: the poem in pieces.  Control characters other than ends of lines and tabs
        are shown as C{^[} or C{\\u009b}.  Bytes that are not UTF-8, and characters that
        the encoding does not have, are shown as C{\\xe9}.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    for piece in _PIECE.finditer(poem):
        text = decoder.decode(piece[0], piece.end() == len(poem))
        yield _IN_TEXT.sub(showControl, text).encode(encoding, "backslashreplace")
