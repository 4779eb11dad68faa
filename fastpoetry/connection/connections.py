"""
Who is open: the connections of one listening port, and what they wait for.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.connection.transport import Transport

_IN, _OUT = select.POLLIN, select.POLLOUT  # EPOLLIN and EPOLLOUT, too
_DONE = Failure(CONNECTION_DONE)


@implementer(IReadDescriptor)
class Connections:
    """
    The open connections of one port: counted for its limit, waited for and, in the
    end, aborted when it stops.

    To its transports it is their reactor, and a cheap one: what a transport wants
    during its turn is settled at the end of the turn, so that a connection which sends
    everything at once waits for nothing.  The others wait in an C{epoll} of their own,
    which the reactor knows as one descriptor.

    @ivar watchers: what is called whenever a connection is lost, in this order (the
        keys of a C{dict}).
    """

    _log = Logger()

    def __init__(self, reactor: Any, epoll: Any = None) -> None:
        """
        @param reactor: the reactor behind it.

        @param epoll: by default a new one of the kernel's.
        """
        self.watchers: dict[Callable[[], None], None] = {}
        self.callLater = reactor.callLater
        self._reactor = reactor
        self._epoll = select.epoll() if epoll is None else epoll
        self._open: dict[int, Transport] = {}
        reactor.addReader(self)

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Transport]:
        return iter(tuple(self._open.values()))

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
        except BaseException as error:
            why = self._failed(error)
        if why or transport.wants != transport.waits:
            self._endTurn(transport, why, False)
        transport.hasTurn = False

    def wait(self, transport: Transport) -> None:
        """
        Have the kernel wait for what a transport wants, unless it is lost.
        """
        wants, waits = transport.wants, transport.waits
        if wants == waits or self._open.get(transport.fd) is not transport:
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

    def remove(self, transport: Transport) -> None:
        """
        Forget a connection that is about to be closed.
        """
        transport.wants = 0
        if transport.waits:  # a process that was forked may have a copy of it yet
            self.wait(transport)
        del self._open[transport.fd]
        if transport.leave is not None:
            transport.leave()

    def tellWatchers(self) -> None:
        """
        A connection is lost, and its protocol knows.
        """
        for watcher in tuple(self.watchers):
            watcher()

    def whenNone(self) -> Deferred[None]:
        """
        @return: a L{Deferred} that fires as soon as no connection is open.  It
            can be cancelled.
        """

        def check() -> None:
            if not self._open:
                self.watchers.pop(check, None)
                none.callback(None)

        none: Deferred[None] = Deferred(lambda _: self.watchers.pop(check, None))
        self.watchers[check] = None
        check()
        return none

    def abort(self) -> None:
        """
        End every connection with a reset, so that nobody takes what it has for all.
        """
        for transport in self:
            transport.abortConnection()

    def close(self) -> None:
        """
        Give the C{epoll} back when the last connection has gone: nobody comes any more.
        """
        none = self.whenNone().addCallback(lambda _: self._reactor.removeReader(self))
        none.addCallback(lambda _: self._epoll.close())

    def _endTurn(self, transport: Transport, why: Any, isRead: bool) -> None:
        if why:
            self._lose(transport, why, isRead)
        transport.hasTurn = False
        if transport.wants != transport.waits:
            self.wait(transport)

    def _failed(self, error: BaseException) -> BaseException:
        # Of the protocol, be it a CancelledError: it must cost nobody else the turn.
        self._log.failure("an error costs a connection")
        return error

    def _lose(self, transport: Transport, why: BaseException, isRead: bool) -> None:
        try:
            transport.stopReading()
            if isRead and why is CONNECTION_DONE:  # which may be but half of it
                transport.readConnectionLost(_DONE)
            else:
                transport.connectionLost(Failure(why))
        except BaseException:  # as in _failed
            self._log.failure("an error at the end of a connection")

    def doRead(self) -> None:
        """
        Give those their turn for whom something has come.
        """
        # Of all of them: by default it gives no more than 1,023 at once.
        for fd, events in self._epoll.poll(0, len(self._open) or 1):
            transport = self._open.get(fd)
            if transport is None or not transport.waits:
                # It was lost during the turn of another; and perhaps somebody began
                # then who has its number.
                continue
            transport.hasTurn = True
            why: Any = None
            isRead = bool(transport.wants & _IN)
            try:
                if events & _IN:
                    why = transport.doRead()
                elif not events & _OUT:  # it is broken
                    why = CONNECTION_DONE if isRead else CONNECTION_LOST
                # What waits for the kernel already is not tried again.
                if not why and transport.wants & _OUT & (events | ~transport.waits):
                    why, isRead = transport.doWrite(), False
            except BaseException as error:
                why, isRead = self._failed(error), False
            self._endTurn(transport, why, isRead)

    def fileno(self) -> int:
        """@see: L{twisted.internet.interfaces.IFileDescriptor.fileno}"""
        return int(self._epoll.fileno())

    def logPrefix(self) -> str:
        """@see: L{twisted.internet.interfaces.ILoggingContext.logPrefix}"""
        return "connections"

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor is at its end, and so are all connections.
        """
        for transport in self:
            self._lose(transport, CONNECTION_LOST, False)
