"""
Calls that fail, on real sockets.
"""

from __future__ import annotations

import errno
import itertools
import os
import select
import socket
from collections.abc import Callable, Iterator
from math import gcd
from typing import Any, NamedTuple

# What a reader does: it reads; it says something first; it says that it will say no
# more; it reads in every fourth turn; it does so, and is aborted before the first.
READS, TALKS, ENDS, DAWDLES, ABORTED = "reads", "talks", "ends", "dawdles", "is aborted"

# The n-th call fails, or all from the n-th on.
ONCE, ALWAYS = "once", "always"

# These say that a call would succeed later, and the kernel then tells when: no socket
# is ready while each call ends so.  (After EINTR, Python itself calls again.)
LATER = {"EAGAIN", "EALREADY", "EINTR"}

SOCKET = "EBADF EFAULT EINVAL ENOBUFS ENOMEM ENOTSOCK"
NETWORK = "ECONNRESET EHOSTUNREACH ENETDOWN ENETUNREACH ETIMEDOUT"
EPOLL = "EBADF EEXIST EINVAL ELOOP ENOENT ENOMEM ENOSPC EPERM"
SEND = (
    f"{SOCKET} {NETWORK} EACCES EAGAIN EALREADY EDESTADDRREQ EINTR EISCONN EMSGSIZE"
    " ENOTCONN EOPNOTSUPP EPERM EPIPE"
)
RECV = f"{SOCKET} {NETWORK} EAGAIN ECONNREFUSED EINTR ENOTCONN EPIPE"
SHUTDOWN = "EBADF EINVAL ENOBUFS ENOMEM ENOTCONN ENOTSOCK"
SETSOCKOPT = f"{SOCKET} EDOM ENOPROTOOPT EPERM"
GETSOCKOPT = f"{SOCKET} ENOPROTOOPT EPERM"
ACCEPT = (
    f"{SOCKET} EAGAIN ECONNABORTED EHOSTDOWN EHOSTUNREACH EINTR EMFILE ENETDOWN"
    " ENETUNREACH ENFILE ENONET ENOPROTOOPT ENOSR EOPNOTSUPP EPERM EPROTO"
    " EPROTONOSUPPORT ESOCKTNOSUPPORT ETIMEDOUT"
)
CLOSE = "EBADF EDQUOT EINTR EIO ENOSPC"
SETBLOCKING = "EACCES EAGAIN EBADF EFAULT EINVAL ENOTTY EPERM"


class Call(NamedTuple):
    """
    A call.

    @ivar name: which.

    @ivar errors: what it can fail with (its manual page; tcp(7), ip(7), unix(7)).

    @ivar sizes: of the poems.

    @ivar kinds: over which sockets it is made.

    @ivar numbers: which of the calls fail.

    @ivar ways: what its readers do.

    @ivar isHarmless: whether the reader gets the whole poem in spite of it.
    """

    name: str
    errors: str
    sizes: tuple[int, ...]
    kinds: tuple[str, ...]
    numbers: tuple[int, ...] = (1, 2)
    ways: tuple[str, ...] = (READS, DAWDLES)
    isHarmless: bool = False

    @property
    def step(self) -> int:
        """
        The stride through the cells that meets each error with two or three readers,
        and each reader with some error.
        """
        readers = len(self.sizes) * len(self.kinds) * len(self.ways)
        some = [one for one in range(1, readers // 2 + 1) if gcd(one, readers) == 1]
        return max(some, default=1)

    def cells(self) -> Iterator[Cell]:
        """
        @return: all that can go wrong with it.
        """
        failures = itertools.product(self.numbers, (ONCE, ALWAYS), self.errors.split())
        readers = list(itertools.product(self.sizes, self.kinds, self.ways))
        for number, time, error in failures:
            if error not in LATER or time == ONCE:
                for reader in readers:
                    yield Cell(self, error, number, time, *reader)


class Cell(NamedTuple):
    """
    One way for one call to fail, and for whom.
    """

    call: Call
    error: str
    first: int
    time: str
    size: int
    kind: str
    way: str

    def __str__(self) -> str:
        since = f"call {self.first}" + (" and all after it" * (self.time == ALWAYS))
        where = f"{self.size} bytes over {self.kind} to a reader who {self.way}"
        return f"{self.call.name} fails with {self.error}, {since}: {where}"


class Fault:
    """
    Has one of the calls fail.

    @cvar others: errors by name that are no L{OSError}.

    @ivar raised: with what it did.

    @ivar unclosed: how many sockets were accepted, and not closed.
    """

    others: dict[str, Callable[[], Exception]] = {}

    def __init__(self) -> None:
        self.unclosed = 0
        self.end()

    def begin(self, cell: Cell) -> None:
        """
        Have a call fail from now on.
        """
        self._cell: Cell | None = cell
        self._calls = 0
        self.raised: list[Exception] = []

    def end(self) -> None:
        """
        Have all of them work again.
        """
        self._cell = None

    def meet(self, name: str) -> None:
        """
        Fail, if this is the call.
        """
        cell = self._cell
        if cell is None or name != cell.call.name:
            return
        self._calls += 1
        isFirst = self._calls == cell.first
        if isFirst or (cell.time == ALWAYS and self._calls > cell.first):
            self.raised.append(self._make(cell.error))
            raise self.raised[-1]

    def _make(self, name: str) -> Exception:
        if name in self.others:
            return self.others[name]()
        number = getattr(errno, name)
        return OSError(number, os.strerror(number))


class FaultySocket(socket.SocketType):
    """
    An accepted socket whose calls can fail.
    """

    fault: Fault

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.fault.unclosed += 1

    def send(self, *arguments: Any) -> int:
        self.fault.meet("send")
        return super().send(*arguments)

    def sendmsg(self, *arguments: Any) -> int:
        self.fault.meet("sendmsg")
        return super().sendmsg(*arguments)

    def recv(self, *arguments: Any) -> bytes:
        self.fault.meet("recv")
        return super().recv(*arguments)

    def recvmsg(self, *arguments: Any) -> Any:
        self.fault.meet("recv")
        return super().recvmsg(*arguments)

    def shutdown(self, how: int) -> None:
        self.fault.meet("shutdown")
        super().shutdown(how)

    def setsockopt(self, *arguments: Any) -> None:
        self.fault.meet("setsockopt")
        super().setsockopt(*arguments)

    def getsockopt(self, *arguments: Any) -> Any:
        self.fault.meet("getsockopt")
        return super().getsockopt(*arguments)

    def setblocking(self, flag: bool) -> None:
        self.fault.meet("setblocking")
        super().setblocking(flag)

    def close(self) -> None:
        super().close()
        self.fault.unclosed -= 1
        self.fault.meet("close")


class FaultyListener:
    """
    A listening socket that can fail to accept.
    """

    def __init__(self, listener: Any, fault: Fault) -> None:
        self._listener = listener
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def _accept(self) -> Any:
        self._fault.meet("accept")
        return self._listener._accept()


class FaultyEpoll:
    """
    An C{epoll} that can fail to change.
    """

    def __init__(self, fault: Fault) -> None:
        self._epoll = select.epoll()
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._epoll, name)

    def register(self, fd: int, events: int) -> None:
        """
        Wait for something new.
        """
        self._fault.meet("register")
        self._epoll.register(fd, events)

    def modify(self, fd: int, events: int) -> None:
        """
        Wait for something else.
        """
        self._fault.meet("modify")
        self._epoll.modify(fd, events)

    def unregister(self, fd: int) -> None:
        """
        Wait no longer.
        """
        self._fault.meet("unregister")
        self._epoll.unregister(fd)
