"""
A crowd of readers in one thread, each with manners of its own.
"""

from __future__ import annotations

import contextlib
import select
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from sandbox.connections import Address
from sandbox.manners import Manners
from sandbox.reader import Reader

# How often readers with a pace of their own get a turn, in seconds.
TICK = 0.002


class Crowd:
    """
    Readers of one server.

    @ivar readers: all that were ever added.
    """

    def __init__(
        self,
        address: Address,
        poems: Iterable[bytes],
        kind: type[Reader] = Reader,
        inside: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        """
        @param address: host and port of the server, or the path of its UNIX socket.

        @param poems: a whole poem is one of these.

        @param kind: the class of the readers.

        @param inside: a context: that of the network from which they connect.
        """
        self.address = address
        self.poems = list(poems)
        self.readers: list[Reader] = []
        self._kind = kind
        self._inside = inside
        self._open: dict[int, Reader] = {}
        self._paced: set[Reader] = set()
        self._epoll = select.epoll()

    def __len__(self) -> int:
        """
        @return: how many have not ended.
        """
        return len(self._open)

    def add(self, count: int, manners: Manners | None = None) -> list[Reader]:
        """
        Connect this many readers at once.
        """
        manners = manners or Manners()
        with self._inside():
            new = [self._kind(self.address, self.poems, manners) for _ in range(count)]
        self.readers += new
        for reader in new:
            if reader.outcome is None:
                self._open[reader.fd] = reader
                self._epoll.register(reader.fd, reader.waitsFor)
                self._arrange(reader)
        return new

    def run(
        self,
        seconds: float = 600.0,
        until: Callable[[], bool] | None = None,
        patience: float = 60.0,
    ) -> None:
        """
        Let the readers read and talk.

        @param seconds: for how long at most; 0 for one turn.

        @param until: or until this is true; by default until all have ended.

        @param patience: without C{until}, or until nothing has happened to any reader
            for this many seconds.
        """
        start = time.monotonic()
        # Their manners may have been changed meanwhile.
        for reader in tuple(self._open.values()):
            self._arrange(reader)
        checkAt = start + 0.5
        while self._open if until is None else not until():
            now = time.monotonic()
            for reader in tuple(self._paced):
                self._step(reader, now)
            pause = TICK if self._paced or until else 0.05
            for fd, events in self._epoll.poll(pause, 512):
                if fd in self._open:
                    self._step(self._open[fd], time.monotonic(), events)
            if until is None and now > checkAt:
                checkAt = now + 0.5
                last = max((r.progressAt for r in self._open.values()), default=now)
                if now - max(start, last) > patience:
                    return
            if now >= start + seconds:
                return

    def _step(self, reader: Reader, now: float, events: int = 0) -> None:
        """
        Give a reader a turn.

        @param events: what epoll tells of it.
        """
        reader.step(now)
        if reader.outcome is None and events & (select.EPOLLERR | select.EPOLLHUP):
            if events & select.EPOLLHUP and reader.hungUp is None:
                reader.hungUp = now - reader.started
            reader.check(now)
            if reader.outcome is None and not events & reader.waitsFor:
                # Both sides have ended, and epoll would tell so for ever.
                with contextlib.suppress(FileNotFoundError):
                    self._epoll.unregister(reader.fd)
        if reader.outcome is None:
            self._arrange(reader)
        else:
            del self._open[reader.fd]
            self._paced.discard(reader)

    def _arrange(self, reader: Reader) -> None:
        """
        Have the clock or epoll wake a reader, as it needs.
        """
        if reader.isPaced:
            self._paced.add(reader)
            with contextlib.suppress(FileNotFoundError):
                self._epoll.unregister(reader.fd)
        else:
            self._paced.discard(reader)
            try:
                self._epoll.modify(reader.fd, reader.waitsFor)
            except FileNotFoundError:
                self._epoll.register(reader.fd, reader.waitsFor)

    def outcomes(self, readers: Iterable[Reader] | None = None) -> Counter[str]:
        """
        @return: how many ended in which way.  C{"hung"} are those that have not ended,
            C{"never served"} those of them that have not had one byte.
        """
        names = [
            reader.outcome or ("hung" if reader.got else "never served")
            for reader in (self.readers if readers is None else readers)
        ]
        return Counter(names)

    def close(self) -> None:
        """
        Close every connection with a reset.
        """
        for reader in self._open.values():
            reader.close(reset=True)
        self._open.clear()
        self._paced.clear()
        self._epoll.close()
