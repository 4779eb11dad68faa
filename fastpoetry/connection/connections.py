"""
The connections of one listener.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol


class Connections:
    """
    The open connections of one factory: counted for the limit of its server,
    waited for and, in the end, aborted when that stops.
    """

    def __init__(self) -> None:
        self._open: set[Protocol] = set()
        self._watchers: list[Callable[[], None]] = []

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Protocol]:
        return iter(tuple(self._open))

    def add(self, protocol: Protocol) -> None:
        """
        Count a connection that was made.
        """
        self._open.add(protocol)

    def remove(self, protocol: Protocol) -> None:
        """
        Forget a connection that was lost, and tell those who watch.
        """
        self._open.discard(protocol)
        for watcher in tuple(self._watchers):
            watcher()

    def watch(self, watcher: Callable[[], None]) -> None:
        """
        Have a function called whenever a connection is lost.
        """
        self._watchers.append(watcher)

    def unwatch(self, watcher: Callable[[], None]) -> None:
        """
        Take back L{watch}.
        """
        self._watchers.remove(watcher)

    def whenNone(self) -> Deferred[None]:
        """
        @return: a L{Deferred} that fires as soon as no connection is open.  It
            can be cancelled.
        """

        def look() -> None:
            if not self._open:
                self.unwatch(look)
                none.callback(None)

        none: Deferred[None] = Deferred(lambda _: self.unwatch(look))
        self.watch(look)
        look()
        return none

    def abort(self) -> None:
        """
        End every connection with a reset, so that no reader takes what it has
        for a whole poem.
        """
        for protocol in self:
            protocol.transport.abortConnection()  # type: ignore[union-attr]
