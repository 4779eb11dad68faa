"""
What the tests share: a source, a clock, and a connection whose kernel and reader
are played by the test.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import Any, ClassVar
from weakref import WeakValueDictionary

from twisted.internet import tcp
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.connection.kernel import Progress
from fastpoetry.interfaces import IPoetrySource
from fastpoetry.protocol import PoetryFactory


@implementer(IPoetrySource)
class StaticSource:
    """
    A source that gives what it was made with.
    """

    def __init__(self, poem: Any) -> None:
        self.poem = poem

    def getPoem(self) -> Any:
        """
        Give the poem, or raise it.
        """
        if isinstance(self.poem, Exception):
            raise self.poem
        return self.poem


def noSpace(*arguments: object) -> None:
    """
    Fail as a reactor or an C{epoll} that cannot register a descriptor.
    """
    raise OSError(errno.ENOSPC, "No space left on device")


class Reactor(MemoryReactorClock):
    """
    A reactor in memory that can be called from a signal handler.
    """

    def callFromThread(self, call: Any, *arguments: Any) -> None:
        """
        Call in the next turn.
        """
        self.callLater(0, call, *arguments)


class PretendedSocket:
    """
    A connected stream socket, which behaves as one of Linux does.

    @ivar capacity: how many bytes the kernel holds for the reader.

    @ivar held: what it holds.

    @ivar taken: what it has handed to the reader.

    @ivar said: what the reader has sent and the server has not read; C{b""} is
        the reader's end.

    @ivar heard: how many bytes the server has read.

    @ivar end: how the connection ended on this side: L{None}, C{"half"} (only
        writing ended), C{"clean"} or C{"reset"}.

    @ivar broken: whether the reader has reset the connection.
    """

    _all: ClassVar[WeakValueDictionary[int, PretendedSocket]] = WeakValueDictionary()

    def __init__(self, capacity: int) -> None:
        self._all[id(self)] = self
        self.capacity = capacity
        self.held = bytearray()
        self.taken = bytearray()
        self.said: list[bytes] = []
        self.heard = 0
        self.end: str | None = None
        self.broken = False
        self._lingers = True
        self._cut = False

    @property
    def seen(self) -> str | None:
        """
        The end that the reader sees when it has taken what there is: C{"clean"},
        C{"reset"}, or as yet L{None}.
        """
        if self._cut:
            return "reset"
        return "clean" if self.end and not self.held else None

    def fileno(self) -> int:
        return id(self)

    def setblocking(self, flag: bool) -> None:
        pass

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        if (level, option) == (socket.SOL_SOCKET, socket.SO_LINGER):
            self._lingers = value != struct.pack("ii", 1, 0)

    def recv(self, size: int) -> bytes:
        if self.said:
            first = self.said[0]
            data, rest = first[:size], first[size:]
            if rest:
                self.said[0] = rest
            elif data:  # the end stays
                del self.said[0]
            self.heard += len(data)
            return data
        if self.broken:
            raise OSError(errno.ECONNRESET, "reset")
        raise OSError(errno.EWOULDBLOCK, "nothing there")

    def send(self, data: bytes) -> int:
        if self.broken:
            raise OSError(errno.EPIPE, "reset")
        if self.capacity <= len(self.held) and data:
            raise OSError(errno.EWOULDBLOCK, "full")
        part = bytes(data[: self.capacity - len(self.held)])
        self.held += part
        return len(part)

    def shutdown(self, how: int) -> None:
        if self.broken:
            raise OSError(errno.ENOTCONN, "reset")
        self.end = "half"

    def close(self) -> None:
        # The kernel resets what is closed with input unread.
        if self.broken or not self._lingers or any(self.said):
            self.reset()
        else:
            self.end = "clean"

    def reset(self) -> None:
        """
        Reset the connection: what the kernel holds is lost, but a reader that
        has the end already sees no other.
        """
        self._cut |= self.end is None or bool(self.held)
        self.held.clear()
        self.end = "reset"

    @classmethod
    def progress(cls, fd: int) -> Progress:
        """
        What L{fastpoetry.connection.kernel.progress} would say.
        """
        self = cls._all[fd]
        return Progress(len(self.taken), len(self.held), self.broken)


class Wire:
    """
    A connection to a factory, over Twisted's own transport and a pretended
    socket.
    """

    def __init__(self, factory: PoetryFactory, capacity: int = 2**20) -> None:
        self.reactor: Any = factory.reactor
        self.socket = PretendedSocket(capacity)
        factory.progress = PretendedSocket.progress
        self.protocol: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
        self.transport: Any = tcp.Server(
            self.socket,  # type: ignore[arg-type]
            self.protocol,
            ("192.0.2.1", 4321),
            tcp.Port(0, factory, reactor=self.reactor),
            0,
            self.reactor,
        )
        self.protocol.makeConnection(self.transport)
        self.turn()

    @property
    def gone(self) -> bool:
        """
        Whether the server has let go of the connection.
        """
        return bool(self.transport.disconnected)

    def turn(self) -> None:
        """
        Let the reactor write and read as long as there is something to do.
        """
        busy = True
        while busy and not self.gone:
            busy = False
            if self.transport in self.reactor.getWriters():
                before = len(self.socket.held)
                self._finish(self.transport.doWrite(), False)
                busy = not self.gone and len(self.socket.held) > before
            readable = self.socket.said or self.socket.broken
            if readable and self.transport in self.reactor.getReaders():
                self._finish(self.transport.doRead(), True)
                busy = True
        self.reactor.advance(0)

    def _finish(self, why: Exception | None, isRead: bool) -> None:
        # What PosixReactorBase._disconnectSelectable does.
        if why is not None:
            self.reactor.removeReader(self.transport)
            if isRead and isinstance(why, ConnectionDone):
                self.transport.readConnectionLost(Failure(why))
            else:
                self.reactor.removeWriter(self.transport)
                self.transport.connectionLost(Failure(why))

    def take(self, size: int | None = None) -> None:
        """
        The reader's kernel acknowledges so many bytes, or all that are there
        and come.
        """
        while True:
            part = self.socket.held[:size]
            self.socket.taken += part
            del self.socket.held[: len(part)]
            self.turn()
            if size is not None or not self.socket.held:
                break

    def say(self, data: bytes) -> None:
        """
        The reader sends something.
        """
        if self.gone and data:
            self.socket.reset()  # nobody is there to read it
        self.socket.said.append(data)
        self.turn()

    def halfClose(self) -> None:
        """
        The reader says that it will send no more.
        """
        self.say(b"")

    def reset(self) -> None:
        """
        The reader goes without a word.
        """
        self.socket.broken = True
        self.turn()
