"""
What the parts of this package know of one another.
"""

from __future__ import annotations

from collections.abc import Iterable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from zope.interface import Attribute, Interface

# A name, labels with their values, and a value: what Prometheus calls a sample.
Figure = tuple[str, dict[str, str], float]


class IPoetrySource(Interface):
    """
    Something that has a poem.  It knows neither who asks for it nor how it is sent.
    """

    def getPoem() -> bytes | Deferred[bytes]:
        """
        Give the poem as it is now.

        @return: all bytes of the poem, or a L{Deferred} of them.  Both may fail with
            any exception: then there is no poem.  (C{b""} is a poem, an empty one.)
        """


class IReloadable(Interface):
    """
    A service that can read again what it serves.
    """

    def reload() -> Deferred[None] | None:
        """
        Read again.  When that fails, log why, and go on with what is there.

        @return: if this takes a while, a L{Deferred} that fires when it is done.  There
            is no other call before that.
        """


class IAbortable(Interface):
    """
    A service whose stop may take a while.
    """

    def abort() -> None:
        """
        Give up what is under way, and leave nothing behind, such as the file of a
        socket.  This is called during a stop, which then ends at once, or in place of a
        stop, when the process has failed to start.
        """


class IHasReaders(Interface):
    """
    A service that knows its readers.
    """

    readers: int = Attribute("How many readers are connected now.")

    def hasReader(source: object, peer: IAddress | None, host: IAddress | None) -> bool:
        """
        Tell whether a TCP connection is one of a reader of a source.

        @param source: an L{IPoetrySource}.

        @param peer: the address of the reader's end.

        @param host: the address of the server's end.  The readers of two servers may
            have the same C{peer}.

        @return: whether there is such a reader.
        """

    def checkReaders() -> None:
        """
        Check what has become of each reader by now, and log it.
        """


class IHasFigures(Interface):
    """
    Something that counts what it does.
    """

    def figures() -> Iterable[Figure]:
        """
        Give the figures as they are now.  Each name is one of
        L{fastpoetry.figures.FIGURES}.
        """


class ITransformService(Interface):
    """
    Something that transforms poems.  It knows neither who asks for it nor how the poem
    comes and goes.
    """

    def transform(name: str, poem: str) -> str:
        """
        Transform a poem.  For a long poem this is called in a thread, but never twice
        at the same time.

        @param name: the name of the transform.

        @param poem: the poem.

        @return: the transformed poem.

        @raise fastpoetry.transform.UnknownTransform: when no transform has that name.
        """
