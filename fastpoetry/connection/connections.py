"""
The open connections of one listening port, and the events that they wait for.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Generator, Iterator
from typing import Any

from twisted.internet.defer import Deferred, TimeoutError, inlineCallbacks
from twisted.internet.interfaces import IAddress, IReadDescriptor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.connection.transport import Transport
from fastpoetry.text import hostPort

_IN, _OUT = select.POLLIN, select.POLLOUT  # EPOLLIN and EPOLLOUT, too

# Seconds between two lines of the log that say how many connections are still open.
REPORT_INTERVAL = 5.0


@implementer(IReadDescriptor)
class Connections:
    """
    The open connections of one port: counted for its limit, drained when it stops and,
    in the end, aborted.

    To its transports it is the reactor, and a cheap one: what a transport wants during
    its turn is settled at the end of the turn, so that a connection which sends
    everything at once waits for nothing.  The others wait in an C{epoll} of their own,
    which the reactor knows as one descriptor.

    @ivar callLater: the reactor's, for the transports.

    @ivar watchers: called whenever a connection is lost, in this order (the keys of a
        C{dict}).
    """

    _log = Logger()

    def __init__(self, reactor: Any, epoll: Any = None) -> None:
        """
        @param reactor: the real one.

        @param epoll: by default a new one.
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

    def has(self, peer: IAddress | None, host: IAddress | None) -> bool:
        """
        @return: whether a connection of TCP is open between a peer and a host of ours.
        """
        ends = hostPort(peer), hostPort(host)
        known = ((hostPort(one.getPeer()), hostPort(one.getHost())) for one in self)
        return None not in ends and ends in known

    def begin(self, transport: Transport) -> None:
        """
        Begin a connection: tell its protocol, and send what that writes.
        """
        self._open[transport.fd] = transport
        transport.hasTurn = True
        why = None
        try:
            transport.protocol.makeConnection(transport)
            if transport.wanted & _OUT:
                why = transport.doWrite()
        except BaseException as error:
            why = self._logError(error)
        if why or transport.wanted != transport.registered:
            self._endTurn(transport, why, False)
        transport.hasTurn = False

    def register(self, transport: Transport) -> None:
        """
        Register an open connection with the kernel for the events that it wants.
        """
        wanted, registered = transport.wanted, transport.registered
        if wanted == registered or self._open.get(transport.fd) is not transport:
            return
        transport.registered = wanted
        try:
            if not registered:
                transport.socket.setblocking(False)
                self._epoll.register(transport.fd, wanted)
            elif wanted:
                self._epoll.modify(transport.fd, wanted)
            else:
                self._epoll.unregister(transport.fd)
        except OSError:  # the kernel is short of memory
            self.callLater(0, self._lose, transport, CONNECTION_LOST, False)

    def remove(self, transport: Transport) -> None:
        """Forget a connection that is about to be closed."""
        transport.wanted = 0
        # A forked process may still have a copy of the descriptor.
        if transport.registered:
            self.register(transport)
        del self._open[transport.fd]
        if transport.handleLost is not None:
            transport.handleLost()

    def whenNone(self) -> Deferred[None]:
        """
        @return: a L{Deferred} that fires when none is open.  It may be cancelled.
        """

        def check() -> None:
            if not self._open:
                self.watchers.pop(check, None)
                none.callback(None)

        none: Deferred[None] = Deferred(lambda _: self.watchers.pop(check, None))
        self.watchers[check] = None
        check()
        return none

    @inlineCallbacks
    def drain(
        self, grace: float, checkAll: Callable[[], None]
    ) -> Generator[Deferred[None], Any, None]:
        """
        Wait until no connection is open.  Abort those that are left after a time.

        @param grace: how many seconds to wait.

        @param checkAll: closes connections whose reader has everything.

        @return: a L{Deferred} that fires when none is open.
        """
        report = LoopingCall(
            lambda: self._log.info(
                "stopping, readers in flight: {count}", count=len(self)
            )
        )
        report.clock = self._reactor
        report.start(REPORT_INTERVAL, now=len(self) > 0)
        try:
            yield self.whenNone().addTimeout(grace, self._reactor)
        except TimeoutError:
            self._log.warn(
                "aborting the readers left after {grace} seconds: {count}",
                count=len(self),
                grace=round(grace, 1),
            )
            checkAll()
            self.abort()
            yield self.whenNone()
        finally:
            report.stop()

    def abort(self) -> None:
        """
        Reset every connection, so that no reader takes what it has for all.
        """
        for transport in self:
            transport.abortConnection()

    def close(self) -> None:
        """
        Close the C{epoll} when the last connection is lost.  No other may begin.
        """
        none = self.whenNone().addCallback(lambda _: self._reactor.removeReader(self))
        none.addCallback(lambda _: self._epoll.close())

    def _endTurn(self, transport: Transport, why: Any, isRead: bool) -> None:
        if why:
            self._lose(transport, why, isRead)
        transport.hasTurn = False
        if transport.wanted != transport.registered:
            self.register(transport)

    def _logError(self, error: BaseException) -> BaseException:
        # Also asyncio's CancelledError, which is no Exception: an error must cost no
        # other connection its turn.
        self._log.failure("an error costs a connection")
        return error

    def _lose(self, transport: Transport, why: BaseException, isRead: bool) -> None:
        try:
            transport.stopReading()
            if isRead and why is CONNECTION_DONE:  # which may be but half of it
                transport.readConnectionLost(Failure(why))
            else:
                transport.connectionLost(Failure(why))
        except BaseException:  # as in _logError
            self._log.failure("an error at the end of a connection")

    def doRead(self) -> None:
        """
        Give those connections a turn that have an event.
        """
        # Events of all of them: by default epoll gives no more than 1,023 at once.
        for fd, events in self._epoll.poll(0, len(self._open) or 1):
            transport = self._open.get(fd)
            if transport is None or not transport.registered:
                # Lost during another's turn; perhaps a new one has its number.
                continue
            transport.hasTurn = True
            why: Any = None
            isRead = bool(transport.wanted & _IN)
            try:
                if events & _IN:
                    why = transport.doRead()
                elif not events & _OUT:  # it is broken
                    why = CONNECTION_DONE if isRead else CONNECTION_LOST
                # What waits for the kernel already is not tried again.
                isDue = transport.wanted & _OUT & (events | ~transport.registered)
                if not why and isDue:
                    why, isRead = transport.doWrite(), False
            except BaseException as error:
                why, isRead = self._logError(error), False
            self._endTurn(transport, why, isRead)

    def fileno(self) -> int:
        """@see: L{twisted.internet.interfaces.IFileDescriptor.fileno}"""
        return int(self._epoll.fileno())

    def logPrefix(self) -> str:
        """@see: L{twisted.internet.interfaces.ILoggingContext.logPrefix}"""
        return "connections"

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has stopped: all connections are lost."""
        for transport in self:
            self._lose(transport, CONNECTION_LOST, False)
