"""
Poems transformed: the table of transforms, and their service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twisted.application.service import Service
from zope.interface import implementer

from fastpoetry.interfaces import ITransformService
from fastpoetry.renamed import movedNames
from fastpoetry.transformprotocol import (
    MAX_MEMORY,
    MAX_REQUEST,
    TransformFactory,
    TransformProtocol,
    UnknownTransform,
)
from fastpoetry.transformrequest import EXPANSION

__all__ = [
    "EXPANSION",
    "MAX_MEMORY",
    "MAX_REQUEST",
    "TRANSFORMS",
    "TransformFactory",
    "TransformProtocol",
    "TransformService",
    "UnknownTransform",
]

# How many letters are transformed at a time, where that can be done: no other thread
# has a turn meanwhile.
PIECE = 2**16


def backwards(poem: str) -> str:
    """
    @return: the poem with its last line first.
    """
    end = "\n" if poem.endswith("\n") else ""
    return "\n".join(reversed(poem.removesuffix("\n").split("\n"))) + end


def proclaim(poem: str) -> str:
    """
    @return: the poem in upper case.
    """
    # No letter depends on another, so it can be done in pieces.
    starts = range(0, len(poem), PIECE)
    return "".join(poem[start : start + PIECE].upper() for start in starts)


# Add a transform here.  A name has no dot in it.
TRANSFORMS: Mapping[str, Callable[[str], str]] = {
    "cummingsify": str.lower,
    "proclaim": proclaim,
    "backwards": backwards,
}


@implementer(ITransformService)
class TransformService(Service):
    """
    Transforms poems by the functions of one table.  It knows no socket.
    """

    def __init__(
        self, transforms: Mapping[str, Callable[[str], str]] = TRANSFORMS
    ) -> None:
        """
        @param transforms: each name with its function, which is given a poem and
            returns another.
        """
        self.transforms = transforms

    def transform(self, name: str, poem: str) -> str:
        """
        @see: L{ITransformService.transform}
        """
        try:
            function = self.transforms[name]
        except KeyError:
            raise UnknownTransform(name) from None
        return function(poem)


# Until 1.0 these were here.
__getattr__ = movedNames(
    __name__,
    {
        "TransformError": "fastpoetry.transformclient",
        "TransformProxy": "fastpoetry.transformclient",
    },
)
