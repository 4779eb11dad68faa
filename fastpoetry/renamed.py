"""
Names of earlier releases that have moved, or have no effect any more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any
from warnings import warn

# Python shows this category by default.  Others it shows in tests only, which a .tac
# does not have.
Renamed = FutureWarning


def movedNames(module: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """
    Make the C{__getattr__} of a module from which names have moved (PEP 562).

    @param module: its name.

    @param places: for each name, the module in which it is now.

    @return: a function that finds such a name, with a warning.
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
    Warn that an argument of the calling function has no effect any more.
    """
    warn(f"{keyword} has no effect any more", Renamed, stacklevel=3)
