"""
A poem server: whoever connects gets a poem, whole, and the end of the line.

The pattern is that of U{RFC 865 <https://www.rfc-editor.org/rfc/rfc865>}, Quote
of the Day.
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

__version__ = "1.0.0"

__all__ = [
    "PoetryFactory",
    "PoetryProtocol",
    "PoetryServer",
    "PoetryService",
    "getPoetry",
]

# Twisted makes a list of so many numbers when its endpoints are imported.  No process
# is passed descriptors by the million.
if len(os.environ.get("LISTEN_FDS", "")) > 6:
    del os.environ["LISTEN_FDS"]

# Where each public name lives.  A module is loaded when its name is first used
# (PEP 562), so that get-poetry does not load the server.
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
