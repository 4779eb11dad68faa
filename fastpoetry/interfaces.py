"""
What the parts of this package know of one another.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from zope.interface import Attribute, Interface

# A name, labels, and a value.
Figure = tuple[str, dict[str, str], float]


class IPoetrySource(Interface):
    """
    Something that has a poem.  It does not know who asks, or over what.
    """

    def getPoem() -> bytes | Deferred[bytes]:
        """
        Give the poem as it is now.

        @return: all bytes of the poem, or a L{Deferred} of them.  It may fail
            with any exception: then there is no poem, which is not the same as
            an empty one.
        """


class IReloadable(Interface):
    """
    A service that can read anew what it serves.
    """

    def reload() -> Deferred[None] | None:
        """
        Read anew.  When that fails, log why and go on with what is there.

        @return: when it takes a while, a L{Deferred} that fires when it is done.
            Nobody asks again before that.
        """


class IAbortable(Interface):
    """
    A service whose stop may take a while, and can be cut short, or left out when
    the process has failed to start.
    """

    def abort() -> None:
        """
        Give up what is still under way, so that a stop ends at once, and leave
        nothing behind.
        """


class IHasReaders(Interface):
    """
    A service that knows who reads from it.
    """

    readers: int = Attribute("How many readers there are now.")

    def hasReader(
        source: object, here: IAddress | None, there: IAddress | None
    ) -> bool:
        """
        Look for a reader.

        @param source: an L{IPoetrySource}.

        @param here: where the reader has connected from.

        @param there: and what to.  Readers of two servers may have come from the same
            address.

        @return: whether somebody gets the poem of the source by this connection, which
            is one of TCP.
        """

    def checkReaders() -> None:
        """
        See what has become of all readers by now, and have the log say so.
        """


class IHasFigures(Interface):
    """
    Something that counts what it does.
    """

    def figures() -> Iterable[Figure]:
        """
        Give the figures as they are now; the names are those of
        L{fastpoetry.figures.FIGURES}.
        """


class ITransformService(Interface):
    """
    Something that transforms poems.  It does not know who asks, or over what.
    """

    def transform(name: str, poem: str) -> str:
        """
        Transform a poem.  A long one is transformed in a thread, but never two at once.

        @param name: which transform to use.

        @return: the transformed poem.

        @raise fastpoetry.transform.UnknownTransform: when there is none of that
            name.
        """
