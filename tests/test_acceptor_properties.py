"""
Properties of L{fastpoetry.listening.acceptor} that hold whatever happens, in whatever
order: Hypothesis chooses what happens.

Every run of these tests is the same as the last.  For a long run, see
L{tests.test_protocol_properties}.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Port
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry import descriptors as descriptorsModule
from fastpoetry.descriptors import RESERVE
from fastpoetry.listening import acceptor as acceptorModule
from fastpoetry.listening.acceptor import PAUSE, Acceptor
from tests.acceptors import ListeningSocket, connectTo
from tests.play import tries
from tests.support import Reactor

# How many readers are let in during one turn.
TURN = 3


class Listener:
    """
    An L{Acceptor} on a real port, and the readers that connect to it.

    @ivar readers: those who are in or wait, in the order in which they came.

    @ivar waiting: how many of them wait.

    @ivar pausedUntil: when readers may be let in again.
    """

    def __init__(
        self, reactor: Any, limit: int | None, acceptors: set[Acceptor]
    ) -> None:
        """
        Listen on a port that the system chooses.
        """
        self.reactor = reactor
        self.limit = limit
        self.readers: list[socket.socket] = []
        self.waiting = 0
        self.pausedUntil = 0.0
        factory = Factory.forProtocol(Protocol)
        factory.noisy = False
        self.port: Any = Port(0, factory, interface="127.0.0.1", reactor=reactor)
        self.port.startListening()
        self.acceptor = Acceptor(self.port, limit, reactor, acceptors)
        self.connections = self.acceptor.connections
        self.acceptor.start()

    @property
    def isReading(self) -> bool:
        """
        Whether the reactor will let more readers in.
        """
        return self.acceptor in self.reactor.getReaders()

    @property
    def isPaused(self) -> bool:
        """
        Whether nobody may be let in as yet.
        """
        return bool(self.reactor.seconds() < self.pausedUntil)

    def room(self, share: int) -> int:
        """
        How many more readers there may be.
        """
        limit = share if self.limit is None else min(self.limit, share)
        return max(0, limit - len(self.connections))

    def connect(self, count: int) -> None:
        """
        So many readers connect.
        """
        self.readers += connectTo(self.port, count)
        self.waiting += count

    def leave(self, count: int) -> None:
        """
        So many connections are lost.
        """
        for transport in list(self.connections)[:count]:
            name = transport.socket.getpeername()
            transport.abortConnection()
            (reader,) = (one for one in self.readers if one.getsockname() == name)
            self.readers.remove(reader)
            reader.close()
        self.reactor.advance(0)

    def turn(self) -> None:
        """
        Have readers let in.
        """
        before = len(self.connections)
        self.acceptor.doRead()
        self.waiting -= len(self.connections) - before

    def fail(self) -> None:
        """
        There are no descriptors left when readers are to be let in.
        """
        listener = self.port.socket
        self.port.socket = ListeningSocket(listener, [errno.EMFILE])
        self.turn()
        self.port.socket = listener
        self.pausedUntil = self.reactor.seconds() + PAUSE

    def isRefused(self, reader: socket.socket) -> bool:
        """
        Whether a reader sees an end, or will see one before long.
        """
        try:
            return reader.recv(1) == b""
        except BlockingIOError:
            return False
        except ConnectionResetError:
            return True

    def areLetBe(self) -> bool:
        """
        Whether no reader has seen an end.
        """
        for reader in self.readers:
            reader.setblocking(False)
        return not any(map(self.isRefused, self.readers))

    def close(self) -> list[socket.socket]:
        """
        Stop to listen.

        @return: the readers who waited in vain.
        """
        before = len(self.connections)
        self.acceptor.stop()
        self.waiting -= len(self.connections) - before
        kept = len(self.readers) - self.waiting
        left, self.readers = self.readers[kept:], self.readers[:kept]
        return left

    def end(self) -> None:
        """
        Let everybody go.
        """
        if self.port.connected:
            for reader in self.close():
                reader.close()
        self.leave(len(self.connections))


LIMITS = st.one_of(st.none(), st.integers(1, 4))
INDICES = st.integers(0, 1)
OPERATION = st.one_of(
    st.tuples(st.just("connect"), INDICES, st.integers(1, 6)),
    st.tuples(st.just("connect"), INDICES, st.integers(1, 6)),
    st.tuples(st.just("leave"), INDICES, st.integers(1, 4)),
    st.tuples(st.just("turn"), INDICES),
    st.tuples(st.just("turn"), INDICES),
    st.tuples(st.just("failToAccept"), INDICES),
    st.tuples(st.just("wait"), st.sampled_from([PAUSE / 2, PAUSE])),
    st.tuples(st.just("open"), LIMITS),
    st.tuples(st.just("close")),
)
# By itself a list would seldom have more than ten.
OPERATIONS = st.one_of(
    st.lists(OPERATION), st.lists(OPERATION, min_size=15, max_size=40)
)


class AcceptorProperties(SynchronousTestCase):
    """
    Properties of L{Acceptor}, on real listening sockets and a reactor in memory.
    """

    @tries(80)
    @given(st.integers(0, 15), LIMITS, OPERATIONS)
    def test_room(
        self, descriptors: int, limit: int | None, operations: list[tuple[Any, ...]]
    ) -> None:
        """
        Whatever readers do, and though another port opens and closes, and at times
        there are no descriptors: there are never more connections than there is
        room for, a reader who comes in time is never refused, and readers are let
        in whenever there is room, but for a second after it has failed.
        """
        self.patch(descriptorsModule, "freeDescriptors", self.freeDescriptors)
        self.patch(acceptorModule, "MAX_ACCEPTS", TURN)
        self.descriptors = descriptors
        self.reactor = Reactor()
        self.acceptors: set[Acceptor] = set()
        self.listeners: list[Listener] = []
        self.ended: list[Listener] = []
        self.listen(limit)
        try:
            for name, *arguments in operations:
                getattr(self, name)(*arguments)
                self.checkAll()
            self.serveAll()
        finally:
            for listener in self.listeners + self.ended:
                listener.end()
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.acceptors, set())

    def freeDescriptors(self) -> int:
        """
        How many descriptors there are beside those that connections have.
        """
        both = self.listeners + self.ended
        taken = sum(len(listener.connections) for listener in both)
        return RESERVE + self.descriptors - taken

    def divide(self) -> None:
        """
        The ports that are open share what those that are not have left.
        """
        taken = sum(len(listener.connections) for listener in self.ended)
        self.share = max(1, (self.descriptors - taken) // len(self.listeners))

    def listen(self, limit: int | None) -> None:
        """
        A port opens.
        """
        self.listeners.append(Listener(self.reactor, limit, self.acceptors))
        self.divide()

    def connect(self, index: int, count: int) -> None:
        """
        Readers connect to one of the ports.
        """
        for listener in self.listeners[index:][:1]:
            listener.connect(count)

    def leave(self, index: int, count: int) -> None:
        """
        Some of those who are in leave.
        """
        for listener in self.listeners[index:][:1]:
            listener.leave(count)

    def turn(self, index: int) -> None:
        """
        The reactor lets readers in, a turn's worth or as many as there is room
        for.
        """
        for listener in self.listeners[index:][:1]:
            if listener.isReading:
                room = listener.room(self.share)
                expected = len(listener.connections) + min(listener.waiting, room, TURN)
                listener.turn()
                self.assertEqual(len(listener.connections), expected)
                self.assertEqual(listener.isReading, listener.room(self.share) > 0)

    def failToAccept(self, index: int) -> None:
        """
        The reactor would let readers in, but there are no descriptors.
        """
        for listener in self.listeners[index:][:1]:
            if listener.isReading and listener.room(self.share):
                before = len(listener.connections)
                listener.fail()
                self.assertEqual(len(listener.connections), before)

    def wait(self, seconds: float) -> None:
        """
        Time passes.
        """
        self.reactor.advance(seconds)

    def open(self, limit: int | None) -> None:
        """
        A second port opens.
        """
        if len(self.listeners) == 1:
            self.listen(limit)

    def close(self) -> None:
        """
        The second port closes: who waits is let in, as far as there is room, also
        when it had to be tried again in a moment.
        """
        if len(self.listeners) == 2:
            listener = self.listeners.pop()
            self.ended.append(listener)
            expected = min(listener.waiting, listener.room(self.share))
            before = len(listener.connections)
            left = listener.close()
            self.divide()
            self.assertEqual(len(listener.connections) - before, expected)
            self.assertFalse(listener.isReading)
            self.assertTrue(listener.areLetBe())
            for reader in left:
                self.assertTrue(listener.isRefused(reader))
                reader.close()

    def checkAll(self) -> None:
        """
        Nobody is refused, and the reactor lets readers in if there is room.
        """
        for listener in self.listeners:
            self.assertTrue(listener.areLetBe())
            if listener.isPaused:
                self.assertFalse(listener.isReading)
            elif listener.room(self.share):
                self.assertTrue(listener.isReading)

    def serveAll(self) -> None:
        """
        Everybody who waits is let in in the end.
        """
        self.wait(PAUSE)
        for index, listener in enumerate(self.listeners):
            while listener.waiting:
                self.turn(index)
                self.leave(index, 2)
                self.checkAll()
