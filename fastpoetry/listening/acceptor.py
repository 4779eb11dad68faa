"""
How a listening port lets readers in.
"""

from __future__ import annotations

import resource
import select
import socket
from typing import Any, ClassVar, cast

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.internet.tcp import Port
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.connection.delivery import DeliveryFactory
from fastpoetry.lane import FastLane
from fastpoetry.protocol import PoetryFactory

# The kernel cuts this down to its own maximum (net.core.somaxconn).  When the
# queue of a listener runs over while SYN cookies are on, readers are left that
# believe they are connected and are never served.
BACKLOG = 2**15

# How many bytes of a poem the kernel holds unsent for one connection, so that
# stalled readers do not fill the memory that it has for all sockets.
UNSENT = 128 * 1024

# Descriptors kept for what is not a reader: the log, the reactor, a poem that is
# being read; and for each port, the listener and what its fast lane looks through.
RESERVE = 32
FOR_PORT = 2

# When a port with a fast lane cannot let readers in, it does not try again for so
# many seconds.
PAUSE = 1.0

# How many readers are let in before those who are in already get a turn.
TURN = 500


def descriptorLimit() -> int:
    """
    @return: how many descriptors this process may have.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2**20 if soft == resource.RLIM_INFINITY else soft


@implementer(IReadDescriptor)
class Acceptor:
    """
    Stands in for a listening port in the reactor, and lets no more readers in
    than there is room for: the others wait in the kernel's queue, and none is
    turned away.  (Out of descriptors, the port by itself accepts and closes.)
    """

    _all: ClassVar[set[Acceptor]] = set()

    _log = Logger()

    _lane: FastLane | None = None
    _pause: IDelayedCall | None = None

    def __init__(
        self, port: Port, factory: DeliveryFactory, limit: int | None, reactor: Any
    ) -> None:
        """
        @param port: a port that listens.

        @param factory: what serves the readers, be it in a wrapper for TLS or not.

        @param limit: how many connections there may be at once; by default, and at
            the most, an equal share of the descriptors of the process.
        """
        self._port = port
        self._connections = factory.connections
        self._limit = limit
        self._reactor = reactor
        if FastLane.suits(port, factory):
            self._lane = FastLane(
                port, cast(PoetryFactory, factory), reactor, self._startReading
            )

    def start(self) -> None:
        """
        Take the port's place.
        """
        self._descriptors = descriptorLimit()
        listener = self._port.socket
        listener.listen(BACKLOG)
        if listener.family != socket.AF_UNIX:
            # Accepted sockets inherit it.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
        self._port.stopReading()
        self._all.add(self)
        self._connections.watch(self._startReading)
        self._startReading()

    def stop(self) -> None:
        """
        Let in those who wait already, as far as there is room (closing the port
        would reset them), and nobody after them.
        """
        self._endPause()
        waiting = select.poll()
        waiting.register(self._port, select.POLLIN)
        for _ in range(BACKLOG // TURN + 1):  # others may come all the while
            if self._lane is not None:
                self._lane.handOver()  # others may come while that takes its time
            if self._room() <= 0 or self._pause is not None or not waiting.poll(0):
                break
            self.doRead()
        self._endPause()
        if self._lane is not None:
            self._lane.stop()
        self._connections.unwatch(self._startReading)
        self._all.remove(self)
        self._reactor.removeReader(self)
        for other in self._all:  # its share is theirs now
            other._startReading()

    def _cannotAccept(self, error: OSError) -> None:
        self._log.error("cannot accept: {reason}", reason=error.strerror)
        self._beginPause()

    def _beginPause(self) -> None:
        # The readers wait; without a pause the reactor would spin.
        self._reactor.removeReader(self)
        self._pause = self._reactor.callLater(PAUSE, self._resume)

    def _endPause(self) -> None:
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.cancel()

    def _room(self) -> int:
        share = (self._descriptors - RESERVE) // len(self._all) - FOR_PORT
        limit = max(1, share if self._limit is None else min(share, self._limit))
        waiting = 0 if self._lane is None else len(self._lane)
        return limit - len(self._connections) - waiting

    def _resume(self) -> None:
        self._pause = None
        self._startReading()

    def _startReading(self) -> None:
        if self._pause is None and self._room() > 0:
            try:
                self._reactor.addReader(self)
            except OSError as error:
                self._cannotAccept(error)

    def doRead(self) -> None:
        """
        Accept as many readers as there is room for.
        """
        room = min(self._room(), TURN)
        if self._lane is None:
            self._port.numberAccepts = room
            self._port.doRead()
        else:
            try:
                self._lane.accept(room)
            except OSError as error:
                self._cannotAccept(error)
            except Exception:
                # Somebody's source of poems: the reactor would close the port.
                self._log.failure("cannot let readers in")
                self._beginPause()
        if self._room() <= 0:
            self._reactor.removeReader(self)

    def fileno(self) -> int:
        """
        @see: L{twisted.internet.interfaces.IFileDescriptor.fileno}
        """
        fd: int = self._port.fileno()
        return fd

    def logPrefix(self) -> str:
        """
        @see: L{twisted.internet.interfaces.ILoggingContext.logPrefix}
        """
        prefix: str = self._port.logPrefix()
        return prefix

    def connectionLost(self, reason: Failure) -> None:
        """
        The reactor found the descriptor broken, or is at its end.
        """
        self._port.connectionLost(reason)
