"""
Names of earlier releases that are elsewhere now, or of no effect any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any
from warnings import warn

# One that is shown to people: whoever writes a .tac has no tests to show others.
Renamed = FutureWarning


def movedNames(module: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """
    Make the C{__getattr__} of a module from which names have moved (PEP 562).

    @param module: its name.

    @param places: each of the names, and the module that it is in now.
    """

    def find(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        place = places[name]
        warn(f"{module}.{name} is {place}.{name} now", Renamed, stacklevel=2)
        return getattr(import_module(place), name)

    return find


def warnOfNoEffect(keyword: str) -> None:
    """
    Say that an argument of whoever is calling is of no effect any more.
    """
    warn(f"{keyword} has no effect any more", Renamed, stacklevel=3)
