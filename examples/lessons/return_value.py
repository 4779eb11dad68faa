"""
How a generator of C{inlineCallbacks} gives its result: today by C{return}, and in old
programs by C{returnValue}, which raises an exception.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator
from typing import Any

from twisted.internet.defer import inlineCallbacks, returnValue


@inlineCallbacks
def today() -> Generator[Any, Any, str]:
    """
    Return a poem.
    """
    yield
    return "a poem"


@inlineCallbacks
def old() -> Generator[Any, Any, None]:
    """
    Return a poem as Python 2 needed it, where a generator could return no value.
    """
    yield
    returnValue("a poem")


@inlineCallbacks
def careless() -> Generator[Any, Any, None]:
    """
    Return a poem, and catch by mistake what C{returnValue} raises.
    """
    yield
    try:
        returnValue("a poem")
    except BaseException:
        print("  caught by mistake")


def main() -> None:
    """
    Get three results, and the warnings of C{returnValue}.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for function in (today, old, careless):
            print(f"{function.__name__}:")
            function().addCallback(lambda result: print("  fired with:", result))
    for warning in caught:
        print("warned of:", str(warning.message).split()[0])


if __name__ == "__main__":
    main()
