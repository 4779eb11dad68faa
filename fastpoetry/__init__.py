"""
A poem server: whoever connects gets a whole poem, and then the connection ends.

This is the pattern of the Quote of the Day, U{RFC 865
<https://www.rfc-editor.org/rfc/rfc865>}.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastpoetry.client import getPoetry
    from fastpoetry.protocol import PoetryFactory, PoetryProtocol
    from fastpoetry.server import PoetryServer
    from fastpoetry.service import PoetryService

__version__ = "1.1.0.dev0"

__all__ = [
    "PoetryFactory",
    "PoetryProtocol",
    "PoetryServer",
    "PoetryService",
    "getPoetry",
]

# When its endpoints are imported, Twisted makes a list of as many numbers as this says.
# Nobody passes a million descriptors, so such a number is a mistake, and is ignored.
if len(os.environ.get("LISTEN_FDS", "")) > 6:
    del os.environ["LISTEN_FDS"]

# The module of each public name.  It is loaded when the name is first used (PEP 562),
# so that get-poetry does not load the server.
_MODULES = {
    "PoetryFactory": "fastpoetry.protocol",
    "PoetryProtocol": "fastpoetry.protocol",
    "PoetryServer": "fastpoetry.server",
    "PoetryService": "fastpoetry.service",
    "getPoetry": "fastpoetry.client",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
