"""
Properties of L{fastpoetry.lane}, as those of L{tests.test_properties} are of the
ordinary way.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import math
import os
import select
import socket
import struct
from collections.abc import Callable
from socket import SocketType
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.posixbase import _DisconnectSelectableMixin
from twisted.internet.tcp import Port
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from fastpoetry import lane
from fastpoetry.connection.delivery import DOSE, DOSE_PAUSE, LINGER, LOOKS
from fastpoetry.interfaces import IPoetrySource
from fastpoetry.lane import SMALL, TICK
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import PoetryServer
from tests.support import Reactor
from tests.test_properties import BIT, POETRY, READ, tries

# So many real seconds are enough for whatever comes from a socket at all.
DEADLINE = 30.0


class FullSocket:
    """
    A connection whose kernel has room for so much at first, and for anything
    later.
    """

    def __init__(self, connection: Any, room: int) -> None:
        self._connection = connection
        self._room = room

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def send(self, data: bytes, *flags: int) -> int:
        """
        Send what there is room for.
        """
        sent: int = self._connection.send(data[: self._room], *flags)
        if data and not sent:
            raise BlockingIOError(errno.EAGAIN, "full")
        return sent


class WatchedListener:
    """
    A listening socket that tells whom it accepts.
    """

    def __init__(
        self, listener: socket.socket, onAccept: Callable[[str], None]
    ) -> None:
        self._listener: Any = listener
        self._onAccept = onAccept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def _accept(self) -> tuple[int, Any]:
        fd, address = self._listener._accept()
        self._onAccept(address[0])
        return fd, address


class ListeningReactor(_DisconnectSelectableMixin, Reactor):
    """
    A reactor on a clock in memory, with real sockets.
    """

    def __init__(self, onAccept: Callable[[str], None]) -> None:
        """
        @param onAccept: called with the host of each connection that is accepted.
        """
        super().__init__()
        self._onAccept = onAccept

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> Port:
        """
        Listen.
        """
        listener = Port(port, factory, backlog, interface, self)
        listener.startListening()
        listener.socket = WatchedListener(listener.socket, self._onAccept)
        return listener

    def turn(self, awaited: socket.socket | None = None) -> None:
        """
        Let everybody read and write who can.

        @param awaited: wait until there is something to do, or something for this
            one to read.
        """
        inputs, wait = self.getReaders(), 0.0
        if awaited is not None:
            inputs, wait = [*inputs, awaited], DEADLINE
        ready = select.select(inputs, self.getWriters(), [], wait)
        if awaited is not None and not any(ready):
            raise AssertionError(f"nothing happens in {DEADLINE} seconds")
        for one in ready[0]:
            if one in self.getReaders():
                self._end(one, one.doRead(), True)
        for one in ready[1]:
            if one in self.getWriters():
                self._end(one, one.doWrite(), False)
        self.advance(0)

    def _end(self, one: Any, why: Exception | None, isRead: bool) -> None:
        if why is not None:
            self._disconnectSelectable(one, why, isRead)


# How many seconds a reader on a real socket may take nothing.
TIMEOUT = 40.0


class VisitorPlan(NamedTuple):
    """
    What is settled of a reader on a real socket before it connects.

    @ivar buffer: how many bytes its kernel holds for it, if not the usual.

    @ivar isKeen: whether it reads on, in the end, before time passes.

    @ivar isPolite: whether it closes when it has everything.
    """

    buffer: int | None
    isKeen: bool
    isPolite: bool


class Visitor:
    """
    A reader on a real socket.

    @ivar name: what the log calls it.

    @ivar acceptedAt: when it was accepted.

    @ivar poem: what it was sent: the poem that the source had then, or gave it
        later.

    @ivar sentAt: when that was.

    @ivar received: what it has read.

    @ivar end: how its reading ended: L{None}, C{"clean"} or C{"reset"}.

    @ivar hasLeft: whether it has closed its socket.

    @ivar wasReset: whether it has done so by a reset.

    @ivar wasThere: whether it had not left when it was sent the poem.
    """

    acceptedAt: float | None = None
    poem: bytes | None = None
    sentAt = 0.0
    end: str | None = None
    hasLeft = False
    wasReset = False
    wasThere = True
    _isBroken = False

    def __init__(self, plan: VisitorPlan, host: str, port: int) -> None:
        """
        Connect.

        @param host: from where.
        """
        self.plan = plan
        self.received = bytearray()
        self.socket = socket.socket()
        if plan.buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, plan.buffer)
        self.socket.settimeout(DEADLINE)
        self.socket.bind((host, 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.name = "{}:{}".format(*self.socket.getsockname())

    def give(self, poem: bytes, now: float) -> None:
        """
        It is sent a poem.
        """
        self.poem, self.sentAt, self.wasThere = poem, now, not self.hasLeft

    def stay(self) -> None:
        """
        It does nothing.
        """

    def say(self, size: int) -> None:
        """
        It sends as many of so many bytes as the kernel takes.
        """
        try:
            self.socket.send(b"x" * size)
        except ConnectionResetError:
            self._isBroken = True  # the kernel tells it only once
        except OSError:
            pass

    def halfClose(self) -> None:
        """
        It says no more.
        """
        with contextlib.suppress(OSError):  # the server may have reset it
            self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """
        It leaves.
        """
        self.hasLeft = True
        self.socket.close()

    def reset(self) -> None:
        """
        It leaves without a word.
        """
        self.wasReset = True
        self.socket.setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        self.close()

    def read(self, size: int) -> None:
        """
        It reads as many of so many bytes as are there.
        """
        if self.end is not None:
            return
        try:
            data = self.socket.recv(size)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data, self._isBroken = b"", True
        self.received += data
        if not data:
            self.end = "reset" if self._isBroken else "clean"


def descriptors() -> int:
    """
    @return: how many descriptors this process has, not counting files.
    """
    with os.scandir("/proc/self/fd") as entries:
        return sum(os.readlink(entry)[:1] != "/" for entry in entries)


@implementer(IPoetrySource)
class LanePlay:
    """
    A server with a fast lane, the source of its poem, its readers, and the clock.

    @ivar poem: the poem, if it is at hand.

    @ivar room: how many bytes the kernel takes at first of what is sent to a
        reader that is accepted, if not all.
    """

    def __init__(
        self, test: SynchronousTestCase, limit: int | None, grace: float
    ) -> None:
        """
        Listen.

        @param limit: how many connections there may be at once.
        """
        self.test = test
        self.limit = math.inf if limit is None else limit
        self.poem: bytes | None = POETRY[:SMALL]
        self.room: int | None = None
        self.asked: list[tuple[Visitor, Deferred[bytes]]] = []
        self.failed: list[Visitor] = []
        self.visitors: dict[str, Visitor] = {}
        self.stopped: list[None] = []
        self.abortAt: float | None = None
        self.reactor = ListeningReactor(self.onAccept)
        factory = PoetryFactory(self, TIMEOUT, self.reactor)
        factory.noisy = False
        endpoint = "tcp:0:interface=127.0.0.1"
        self.server = PoetryServer(
            endpoint, factory, limit, grace, reactor=self.reactor
        )
        self.others = descriptors()
        self.server.startService()
        self.own = descriptors() - self.others

    def getPoem(self) -> Any:
        """
        @see: L{IPoetrySource.getPoem}
        """
        if self.poem is not None:
            return self.poem
        coming: Deferred[bytes] = Deferred()
        self.asked.append((self.last, coming))
        return coming

    def onAccept(self, host: str) -> None:
        """
        A reader is accepted.
        """
        self.last = self.visitors[host]
        self.last.acceptedAt = self.reactor.seconds()
        if self.poem is not None:
            self.last.give(self.poem, self.last.acceptedAt)

    def makeSocket(self, *arguments: Any) -> Any:
        """
        Make the socket of a connection.
        """
        connection = SocketType(*arguments)
        return connection if self.room is None else FullSocket(connection, self.room)

    def run(self, operations: list[tuple[Any, ...]], isSudden: bool) -> None:
        """
        Do all operations, and then see the readers to their ends.

        @param isSudden: whether the server stops before it has served everybody.
        """
        with capturedLogs() as self.events:
            for name, *arguments in operations:
                getattr(self, name)(*arguments)
                self.check()
            if self.abortAt is None and not isSudden:
                self.serveAll()
            self.stop()
            self.drain()
        self.checkLog()

    def come(self, visitors: list[tuple[VisitorPlan, tuple[Any, ...]]]) -> None:
        """
        Readers connect, and each does something before it may be let in.
        """
        for plan, (name, *arguments) in visitors:
            if self.abortAt is None and len(self.visitors) < MOST_VISITORS:
                port: Any = self.server.port
                host = f"127.0.0.{len(self.visitors) + 2}"
                visitor = Visitor(plan, host, port.getHost().port)
                self.visitors[host] = visitor
                getattr(visitor, name)(*arguments)

    def does(self, index: int, act: tuple[Any, ...]) -> None:
        """
        A reader does something.
        """
        name, *arguments = act
        for visitor in list(self.visitors.values())[index:][:1]:
            if not visitor.hasLeft:
                getattr(visitor, name)(*arguments)

    def turn(self) -> None:
        """
        The server lets in, reads and writes.
        """
        self.reactor.turn()

    def wait(self, seconds: float) -> None:
        """
        Time passes, all at once, as it does when the reactor is busy.
        """
        self.reactor.advance(seconds)
        self.turn()

    def change(self, start: int, size: int | None) -> None:
        """
        The source has another poem, or none at hand.
        """
        self.poem = None if size is None else POETRY[start : start + size]

    def answer(self, start: int, size: int | None) -> None:
        """
        A poem that was asked for comes, or fails.
        """
        for visitor, coming in self.asked:
            if coming.called:  # it was cancelled
                continue
            if size is None:
                self.failed.append(visitor)
                coming.errback(RuntimeError("the dog ate it"))
            else:
                poem = POETRY[start : start + size]
                visitor.give(poem, self.reactor.seconds())
                coming.callback(poem)
        self.asked.clear()

    def fill(self, room: int | None) -> None:
        """
        The kernel has only so much room from now on.
        """
        self.room = room

    def stop(self) -> None:
        """
        The server stops: who waits is let in, as far as there is room.
        """
        if self.abortAt is None:
            self.abortAt = self.reactor.seconds() + self.server.grace
            held, waiting = self.held(), self.waiting()
            self.server.stopService().addCallback(self.stopped.append)
            if not all(visitor.hasLeft for visitor in self.waiting()):
                let = [one for one in waiting if one.acceptedAt is not None]
                if self.poem is not None and len(self.poem) <= SMALL:
                    # The lane sees at once that they have gone.
                    let = [one for one in let if not one.wasReset]
                self.test.assertGreaterEqual(held + len(let), self.limit)
            self.turn()
            self.own = 0  # the port is closed
            self.check()

    def abort(self) -> None:
        """
        The server, which stops, is told again.
        """
        if self.abortAt is not None:
            self.abortAt = self.reactor.seconds()
            self.server.abort()
            self.turn()

    def waiting(self) -> list[Visitor]:
        """
        The readers that are still to be let in.
        """
        return [one for one in self.visitors.values() if one.acceptedAt is None]

    def held(self) -> int:
        """
        How many connections the server holds.
        """
        readers = sum(not visitor.hasLeft for visitor in self.visitors.values())
        return descriptors() - self.others - self.own - readers

    def check(self) -> None:
        """
        See that all is as it must be.
        """
        now = self.reactor.seconds()
        isAborted = self.abortAt is not None and now >= self.abortAt
        self.test.assertLessEqual(self.held(), self.limit)
        if isAborted:
            self.test.assertEqual((self.held(), self.stopped), (0, [None]))
        for visitor in self.visitors.values():
            self.checkVisitor(visitor, now, isAborted)

    def checkVisitor(self, visitor: Visitor, now: float, isAborted: bool) -> None:
        """
        A reader has the beginning of its poem, sees a clean end only after all of
        it, and a reset only for a reason.  It is in the log soon.
        """
        poem = visitor.poem or b""
        self.test.assertEqual(visitor.received, poem[: len(visitor.received)])
        if visitor.end == "clean":
            self.test.assertEqual(visitor.received, visitor.poem)
        elif visitor.end == "reset":
            isRefused = visitor.acceptedAt is None and self.abortAt is not None
            isLate = visitor.poem is not None and now - visitor.sentAt >= TIMEOUT - BIT
            self.test.assertTrue(
                isAborted or isRefused or isLate or visitor in self.failed
            )
        if visitor.poem is not None and visitor.wasThere:
            isSoon = self.abortAt is None and now - visitor.sentAt < TICK + BIT
            self.test.assertTrue(isSoon or visitor.name in self.named())

    def named(self) -> dict[str, list[int]]:
        """
        Whom the log names, with the sizes of the poems that they are sent.
        """
        named: dict[str, list[int]] = {}
        for event in self.events:
            if event["log_format"].startswith("sending "):
                for name in event["peer"].split(", "):
                    named.setdefault(name, []).append(event["size"])
        return named

    def checkLog(self) -> None:
        """
        Everybody who was sent a poem is in the log, once, with the size of that;
        only who had left before may be missing.
        """
        named = self.named()
        for visitor in self.visitors.values():
            sizes = named.pop(visitor.name, [])
            if sizes or (visitor.poem is not None and visitor.wasThere):
                self.test.assertIsNotNone(visitor.poem)
                self.test.assertEqual(sizes, [len(visitor.poem or b"")])
        self.test.assertEqual(named, {})

    def readAll(self, visitor: Visitor) -> None:
        """
        A reader reads to the end.
        """
        while visitor.end is None:
            self.reactor.turn(visitor.socket)
            visitor.read(2**20)

    def readKeen(self) -> None:
        """
        Those who are keen read what they were sent, to the end, when the lane has
        looked at them.
        """
        self.turn()
        self.wait(TICK)
        for visitor in self.visitors.values():
            isSent = visitor.poem is not None and not visitor.hasLeft
            if isSent and visitor.plan.isKeen:
                self.readAll(visitor)
                if visitor.plan.isPolite:
                    visitor.close()
        self.check()

    def serveAll(self) -> None:
        """
        Everybody who has come is let in, and let go.
        """
        self.fill(None)
        self.change(0, 1)
        self.answer(0, 1)
        for _ in range(10 * MOST_VISITORS):
            self.readKeen()
            if self.held() + len(self.waiting()) == 0:
                break
            self.wait(TIMEOUT / LOOKS)
        self.test.assertEqual((self.held(), self.waiting()), (0, []))

    def drain(self) -> None:
        """
        The server, which stops, lets everybody go, and leaves nothing.
        """
        self.readKeen()
        self.wait(self.server.grace + 1.0)
        self.check()
        for visitor in self.visitors.values():
            if not visitor.hasLeft:
                self.readAll(visitor)
        self.check()
        self.close()
        self.test.assertEqual(self.reactor.getDelayedCalls(), [])
        self.test.assertEqual(self.reactor.getReaders(), [])
        self.test.assertEqual(self.reactor.getWriters(), [])
        self.test.assertEqual(descriptors(), self.others)
        self.test.assertEqual(self.test.flushLoggedErrors(), [])

    def close(self) -> None:
        """
        Everybody leaves.
        """
        for visitor in self.visitors.values():
            visitor.close()

    def end(self) -> None:
        """
        Leave nothing open, whatever has gone wrong.
        """
        self.close()
        self.server.stopService()
        self.server.abort()
        self.reactor.advance(0)


MOST_VISITORS = 8
# Each list has the usual more often than the rest.
LANE_SIZES = st.sampled_from(
    [*[0, 1, 3000, SMALL - 1] * 2, *[SMALL] * 6, SMALL + 1, 60_000, 2**20, None]
)
LANE_SECONDS = st.sampled_from(
    [TICK / 2, TICK, TICK, 2 * TICK, DOSE_PAUSE, LINGER - TICK, LINGER, 5.0, 50.0]
)
VISITOR_PLANS = st.builds(
    VisitorPlan, st.sampled_from([None, 2**12]), st.booleans(), st.booleans()
)
ACTS = st.sampled_from(
    [
        *[("stay",)] * 3,
        *[("say", 1), ("say", READ + 1), ("say", DOSE + READ)],
        *[("read", 1), ("read", 1000), ("read", 2**20)],
        *[("halfClose",), ("halfClose",), ("close",), ("reset",)],
    ]
)
_STARTS = st.integers(0, 1000)
_COME = st.tuples(
    st.just("come"),
    st.lists(st.tuples(VISITOR_PLANS, ACTS), min_size=1, max_size=4),
)
_DOES = st.tuples(st.just("does"), st.integers(0, MOST_VISITORS - 1), ACTS)
_LANE_OPERATION = st.sampled_from(
    [
        *[_COME] * 4,
        *[_DOES] * 6,
        *[st.just(("turn",))] * 5,
        *[st.tuples(st.just("wait"), LANE_SECONDS)] * 4,
        *[st.tuples(st.just("change"), _STARTS, LANE_SIZES)] * 3,
        st.tuples(st.just("answer"), _STARTS, LANE_SIZES),
        st.tuples(st.just("fill"), st.sampled_from([None, 0, 1, 1000])),
        st.sampled_from([("stop",), ("stop",), ("abort",)]),
    ]
).flatmap(lambda one: one)
LANE_OPERATIONS = st.one_of(
    st.lists(_LANE_OPERATION),
    st.lists(_LANE_OPERATION, min_size=10, max_size=30),
)


class LaneProperties(SynchronousTestCase):
    """
    Properties of L{fastpoetry.lane}, behind its L{Acceptor} and before the ordinary
    way, with real sockets and a clock in memory.
    """

    def setUp(self) -> None:
        """
        Descriptors are counted: close what other tests have forgotten, and have
        the global reactor open its own.
        """
        gc.collect()
        import twisted.internet.reactor  # noqa: F401

    @tries(400)
    @given(
        LANE_OPERATIONS,
        st.sampled_from([None, 1, 2, 3, 5]),
        st.sampled_from([30.0, 0.0, 100.0]),
        st.booleans(),
    )
    def test_lane(
        self,
        operations: list[tuple[Any, ...]],
        limit: int | None,
        grace: float,
        isSudden: bool,
    ) -> None:
        """
        Whatever readers, their kernel, the source of the poem and the operator do:
        a reader gets all of the poem that the source had when it was accepted, and
        a clean end, or it is cut short for a reason, and then by a reset; whoever
        is sent a poem is in the log once, and soon; there are never more
        connections than the limit; everybody is let in and let go, and the stop
        leaves nothing.
        """
        play = LanePlay(self, limit, grace)
        self.patch(lane, "SocketType", play.makeSocket)
        try:
            play.run(operations, isSudden)
        finally:
            play.end()
