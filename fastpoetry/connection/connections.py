"""
Who is open: the connections of one listening port, and what they wait for.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from fastpoetry.connection.transport import Transport

_IN = int(getattr(select, "EPOLLIN", 1))
_OUT = int(getattr(select, "EPOLLOUT", 4))
_DONE = Failure(CONNECTION_DONE)
_GONE = int(getattr(select, "EPOLLHUP", 16)) | int(getattr(select, "EPOLLERR", 8))


@implementer(IReadDescriptor)
class Connections:
    """
    The open connections of one port: counted for its limit, waited for and, in the
    end, aborted when it stops.

    To its transports it is their reactor, and a cheap one: what a transport asks for
    during its own turn is done at the end of that turn, so that a connection which
    sends everything at once waits for nothing.  The others wait in an C{epoll} of
    their own, which the reactor knows as one descriptor.
    """

    _log = Logger()

    def __init__(self, reactor: Any, epoll: Any = None) -> None:
        """
        @param reactor: the reactor behind it.

        @param epoll: by default a new one of the kernel's.
        """
        self._reactor = reactor
        self._epoll = select.epoll() if epoll is None else epoll
        self._open: dict[int, Transport] = {}
        self._watchers: list[Callable[[], None]] = []
        self.callLater = reactor.callLater
        reactor.addReader(self)

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Transport]:
        return iter(tuple(self._open.values()))

    def close(self) -> None:
        """
        Nobody comes any more: give the C{epoll} back when the last has gone.
        """
        self.whenNone().addCallback(lambda _: self._close())

    def _close(self) -> None:
        self._reactor.removeReader(self)
        self._epoll.close()

    # Who is open.

    def begin(self, transport: Transport) -> None:
        """
        Begin a connection: tell its protocol, and send what that writes.
        """
        self._open[transport.fd] = transport
        transport.hasTurn = True
        why = None
        try:
            transport.protocol.makeConnection(transport)
            if transport.wants & _OUT:
                why = transport.doWrite()
        except Exception as error:
            why = self._failed(error)
        self._endTurn(transport, why, False)

    def remove(self, transport: Transport) -> None:
        """
        Forget a connection that is lost, and tell those who watch.
        """
        del self._open[transport.fd]
        transport.wants = 0
        if transport.waits:  # a process that was forked may have a copy of it yet
            with suppress(OSError):
                self._epoll.unregister(transport.fd)
            transport.waits = 0
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

        def check() -> None:
            if not self._open:
                self.unwatch(check)
                none.callback(None)

        none: Deferred[None] = Deferred(lambda _: self.unwatch(check))
        self.watch(check)
        check()
        return none

    def abort(self) -> None:
        """
        End every connection with a reset, so that no reader takes what it has
        for a whole poem.
        """
        for transport in self:
            transport.abortConnection()

    # What they wait for.

    def wait(self, transport: Transport) -> None:
        """
        Have the kernel wait for what a transport wants.
        """
        wants, waits = transport.wants, transport.waits
        if wants == waits:
            return
        transport.waits = wants
        try:
            if not waits:
                transport.socket.setblocking(False)
                self._epoll.register(transport.fd, wants)
            elif wants:
                self._epoll.modify(transport.fd, wants)
            else:
                self._epoll.unregister(transport.fd)
        except OSError:  # the kernel is short of memory
            self.callLater(0, self._lose, transport, CONNECTION_LOST, False)

    def _endTurn(self, transport: Transport, why: Any, isRead: bool) -> None:
        if why:
            self._lose(transport, why, isRead)
        transport.hasTurn = False
        if transport.wants != transport.waits:
            self.wait(transport)

    def _failed(self, error: Exception) -> Exception:
        # It must cost nobody else the turn.
        self._log.failure("an error costs a connection")
        return error

    def _lose(self, transport: Transport, why: Exception, isRead: bool) -> None:
        """
        Tell a transport that its connection is lost, or that its peer says no more.

        @param isRead: whether that was found out by reading.
        """
        try:
            transport.stopReading()
            if isRead and why is CONNECTION_DONE:
                transport.readConnectionLost(_DONE)
            else:
                transport.connectionLost(Failure(why))
        except Exception:  # of its protocol; it must cost nobody else the turn
            self._log.failure("an error at the end of a connection")

    # The descriptor that the reactor knows.

    def doRead(self) -> None:
        """
        Give their turn to those for whom something has come.
        """
        for fd, events in self._epoll.poll(0):
            transport = self._open.get(fd)
            if transport is None:  # it was lost during the turn of another
                continue
            transport.hasTurn = True
            why: Any = None
            isRead = True
            try:
                if events & _IN:
                    why = transport.doRead()
                elif events & _GONE:
                    reads = transport.wants & _IN
                    why = CONNECTION_DONE if reads else CONNECTION_LOST
                # What the kernel waits for already is not tried again.
                if not why and transport.wants & _OUT & (events | ~transport.waits):
                    isRead = False
                    why = transport.doWrite()
            except Exception as error:
                why, isRead = self._failed(error), False
            self._endTurn(transport, why, isRead)

    def fileno(self) -> int:
        """
        @see: L{twisted.internet.interfaces.IFileDescriptor.fileno}
        """
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        """
        @see: L{twisted.internet.interfaces.ILoggingContext.logPrefix}
        """
        return "connections"

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor is at its end, and so are all connections.
        """
        for transport in self:
            self._lose(transport, CONNECTION_LOST, False)
