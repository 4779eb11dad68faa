"""
What the tests of properties share: how many examples they try, and a server, its
readers and a clock, which Hypothesis may drive.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, TypeVar, cast

from hypothesis import HealthCheck, settings
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection.connections import Connections
from fastpoetry.connection.delivery import CHECKS_PER_TIMEOUT, FIN_TIMEOUT
from fastpoetry.connection.readquota import READ_PAUSE, READ_QUOTA
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import PoetryServer
from tests.support import Reactor, StaticSource
from tests.wire import PretendedEpoll, Wire

Test = TypeVar("Test", bound=Callable[..., None])

# Every poem is a part of this, so that it need not be made byte by byte.
POETRY = random.Random(865).randbytes(2**22)

# The transport reads this many bytes at once, and may go this far beyond a quota.
READ = 2**16

# Seconds between two sweeps: as they come in production, there would be too many.
SWEEP = 1.0

# Clocks count in floats.
BIT = 1e-6


def tries(count: int) -> Callable[[Test], Test]:
    """
    Say how many examples a property is tried with.
    """
    wanted = os.environ.get("FASTPOETRY_EXAMPLES")
    profile = settings(
        max_examples=int(wanted or count),
        derandomize=wanted is None,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),  # machines are busy at times
    )

    def decorate(test: Test) -> Test:
        @wraps(test)
        def run(self: SynchronousTestCase) -> None:
            try:
                profile(test)(self)
            except Exception as error:
                # The smallest example is in the notes, which trial does not show.
                notes = getattr(error, "__notes__", [])
                raise self.failureException("\n".join([str(error), *notes])) from error

        return cast(Test, run)

    return decorate


class Plan(NamedTuple):
    """
    What is settled of a reader before it connects.

    @ivar start: where in L{POETRY} its poem begins.

    @ivar size: how long its poem is.

    @ivar comes: when the source gives the poem: C{"at once"}, C{"later"} (by the
        operation C{answer}, or never), or C{"fails"}.

    @ivar room: how many bytes the kernel holds for it at first.

    @ivar isKeen: whether it goes on to take what there is, in the end, or just
        stops to do anything.

    @ivar isPolite: whether it half-closes when it has everything.
    """

    start: int
    size: int
    comes: str
    room: int
    isKeen: bool
    isPolite: bool


class Reader:
    """
    A reader, and what must be true of it at every moment.
    """

    def __init__(
        self,
        test: SynchronousTestCase,
        plan: Plan,
        factory: PoetryFactory,
        connections: Connections,
    ) -> None:
        """
        Connect.
        """
        self.test = test
        self.plan = plan
        self.factory = factory
        now = factory.reactor.seconds()
        self.poem = POETRY[plan.start : plan.start + plan.size]
        self.hasPoem = plan.comes == "at once"
        self.failed = plan.comes == "fails"
        self.hasEnded = False
        self.cancelled: list[Any] = []
        self.coming: Deferred[bytes] = Deferred(self.cancelled.append)
        self.taken = 0
        self.progress = (0, 0)
        self.progressAt = now
        self.wholeAt: float | None = None  # when it had the whole poem and its end
        self.goneAt: float | None = None
        self.heard: list[tuple[float, int]] = []  # what the server read, and when
        self.restAt = now  # when the server last read, or had nothing to read
        self.isLeft = False  # something to read
        answers = {"at once": self.poem, "later": self.coming}
        factory.source = StaticSource(
            answers.get(plan.comes, RuntimeError("the dog ate it"))
        )
        self.wire = Wire(factory, plan.room, connections)
        self.connections = connections
        self.socket = self.wire.socket

    @property
    def isWaiting(self) -> bool:
        """
        Whether the source has neither given its poem nor failed.
        """
        return not (self.hasPoem or self.failed)

    @property
    def isReading(self) -> bool:
        """
        Whether the server reads what it sends.
        """
        return self.wire.isReading

    def take(self, size: int) -> None:
        """
        Its kernel acknowledges this many bytes.
        """
        if not self.socket.broken:
            self.wire.take(size)

    def say(self, size: int) -> None:
        """
        It sends this many bytes.
        """
        if not self.hasEnded and not self.socket.broken and size:
            self.wire.say(b"x" * size)

    def halfClose(self) -> None:
        """
        It says no more, which is the end if it has the whole poem already and is
        being read.
        """
        if not self.hasEnded and not self.socket.broken:
            self.hasEnded = True
            isLast = self.isReading and self.wholeAt is not None
            self.wire.halfClose()
            if isLast:
                self.test.assertTrue(self.wire.gone)

    def reset(self) -> None:
        """
        It goes.
        """
        self.wire.reset()

    def room(self, size: int) -> None:
        """
        From now on the kernel holds this many bytes.
        """
        self.socket.capacity = size

    def answer(self, isThere: bool) -> None:
        """
        A poem that comes later comes now, or fails.
        """
        if self.isWaiting and not self.cancelled:
            self.hasPoem, self.failed = isThere, not isThere
            self.progressAt = self.factory.reactor.seconds()
            if isThere:
                self.coming.callback(self.poem)
            else:
                self.coming.errback(RuntimeError("the dog ate it"))

    def check(self, isAborted: bool) -> None:
        """
        See that all is as it must be.

        @param isAborted: whether the server may have aborted it by now.
        """
        now = self.factory.reactor.seconds()
        new = self.socket.taken[self.taken :]
        self.test.assertEqual(new, self.poem[self.taken :][: len(new)])
        self.taken += len(new)
        if self.hasPoem and not self.socket.broken:
            isWhole = self.taken == len(self.poem)
            self.test.assertEqual(self.socket.seen == "clean", isWhole)
        self.checkTime(now)
        self.checkInput(now)
        if self.wire.gone and self.goneAt is None:
            self.goneAt = now
            self.checkEnd(now, isAborted)
        elif not self.wire.gone:
            progress = (self.taken, len(self.socket.held))
            if progress != self.progress:
                self.progress, self.progressAt = progress, now
            if self.wholeAt is None and self.socket.seen:
                self.wholeAt = now
            self.test.assertIn(self.wire.transport, self.connections)

    def checkTime(self, now: float) -> None:
        """
        A connection ends in time, once there is a poem.  What the reader took
        last is found out a check late, and a check is a sweep late.
        """
        timeout = self.factory.timeout
        if self.goneAt is not None or self.isWaiting:
            return
        if self.wholeAt is None:
            since, limit = self.progressAt, timeout
        else:
            since, limit = self.wholeAt, FIN_TIMEOUT
        late = timeout / CHECKS_PER_TIMEOUT + 2 * SWEEP
        self.test.assertLessEqual(now - since, limit + late + BIT)

    def checkInput(self, now: float) -> None:
        """
        What a reader sends is read, so much at a time and no more, and soon.
        """
        new = self.socket.heard - sum(size for _, size in self.heard)
        self.heard.append((now, new))
        recent = [size for at, size in self.heard if at > now - READ_PAUSE + BIT]
        self.test.assertLess(sum(recent), READ_QUOTA + READ)
        isLeft = any(self.socket.said) and not self.wire.gone
        if self.isLeft:
            late = READ_PAUSE + 2 * SWEEP
            self.test.assertLess(now - self.restAt, late + BIT)
        if new or not isLeft:
            self.restAt = now
        self.isLeft = isLeft

    def checkEnd(self, now: float, isAborted: bool) -> None:
        """
        A reader has all of its poem and sees a clean end, or it sees a reset,
        and there was a reason for it; either way nothing is left.
        """
        timeout = self.factory.timeout
        self.test.assertNotIn(self.wire.transport, self.connections)
        self.test.assertEqual(len(self.cancelled), self.isWaiting)
        if self.socket.broken:
            return
        if self.socket.seen == "reset":
            isStalled = self.hasPoem and now - self.progressAt >= timeout - BIT
            self.test.assertTrue(self.failed or isAborted or isStalled)
            return
        self.test.assertEqual(self.socket.seen, "clean")
        self.test.assertTrue(self.hasPoem)
        if not self.hasEnded and not isAborted:
            since = now if self.wholeAt is None else self.wholeAt
            self.test.assertGreaterEqual(now - since, FIN_TIMEOUT - BIT)


class PretendedAcceptor:
    """
    As much of an acceptor as a server uses when it stops.
    """

    def __init__(self, connections: Connections) -> None:
        self.connections = connections

    def stop(self) -> None:
        """
        Nobody comes any more.
        """
        self.connections.close()

    def connectionLost(self, reason: object) -> None:
        """
        The port is closed.
        """


class Play:
    """
    A server, its readers, and the clock.
    """

    def __init__(
        self,
        test: SynchronousTestCase,
        plans: list[Plan],
        timeout: float,
        grace: float,
    ) -> None:
        self.test = test
        self.plans = plans
        self.reactor = Reactor()
        self.factory = PoetryFactory(StaticSource(b""), timeout, self.reactor)
        self.server = PoetryServer(
            "fake:", self.factory, grace=grace, reactor=self.reactor
        )
        self.server.port = object()  # type: ignore[assignment]
        self.server.startService()
        self.connections = Connections(self.reactor, PretendedEpoll())
        acceptor: Any = PretendedAcceptor(self.connections)
        self.server._acceptor = acceptor
        self.readers: dict[int, Reader] = {}
        self.stopped: list[None] = []
        self.abortAt: float | None = None

    def run(self, operations: list[tuple[Any, ...]], pace: float) -> None:
        """
        Do all operations, and then see the readers to their ends.

        @param pace: after which part of their deadline keen readers take
            something again.
        """
        for name, *arguments in operations:
            getattr(self, name)(*arguments)
            self.settle()
        for part in range(6, 0, -1):
            self.takeOn(part)
            self.waitPart(pace)
        for reader in self.readers.values():
            reader.answer(False)
            if reader.plan.isPolite:
                reader.halfClose()
        self.settle()
        self.waitPart(1.5)
        self.wait(2 * FIN_TIMEOUT)
        for reader in self.readers.values():
            self.test.assertTrue(reader.wire.gone)
        self.stop()
        self.settle()
        self.test.assertEqual(self.test.flushLoggedErrors(), [])

    def takeOn(self, part: int) -> None:
        """
        Every keen reader takes one of this many equal parts of what is left for it.
        """
        for reader in self.readers.values():
            if reader.plan.isKeen:
                reader.answer(True)
                left = len(reader.poem) - reader.taken
                reader.room(max(reader.socket.capacity, left))
                reader.wire.turn()
                reader.take(max(1, left // part))
        self.settle()

    def reader(self, index: int, name: str, *arguments: Any) -> None:
        """
        A reader does something.  Before anything else, it connects.
        """
        if index not in self.readers and index < len(self.plans):
            if self.abortAt is not None:
                return
            self.readers[index] = Reader(
                self.test, self.plans[index], self.factory, self.connections
            )
        if index in self.readers:
            getattr(self.readers[index], name)(*arguments)

    def wait(self, seconds: float) -> None:
        """
        Time passes, and everybody has a turn whenever something was due.
        """
        until = self.reactor.seconds() + seconds
        while True:
            due = [call.getTime() for call in self.reactor.getDelayedCalls()]
            # Not a sum of differences: times are compared between two plays.
            self.reactor.rightNow = min([until, *due])
            self.settle()
            if self.reactor.seconds() >= until:
                break

    def waitPart(self, part: float) -> None:
        """
        Such a part of the deadline passes.
        """
        self.wait(part * self.factory.timeout)

    def stop(self) -> None:
        """
        The server stops.
        """
        if self.abortAt is None:
            self.abortAt = self.reactor.seconds() + self.server.grace
            self.server.stopService().addCallback(self.stopped.append)

    def abort(self) -> None:
        """
        The server, which stops, is told again.
        """
        if self.abortAt is not None:
            self.abortAt = self.reactor.seconds()
            self.server.abort()

    def settle(self) -> None:
        """
        Give everybody a turn, then check everything.
        """
        self.reactor.advance(0)
        for reader in self.readers.values():
            reader.wire.turn()
        now = self.reactor.seconds()
        isAborted = self.abortAt is not None and now >= self.abortAt
        for reader in self.readers.values():
            reader.check(isAborted)
        areGone = all(reader.wire.gone for reader in self.readers.values())
        self.test.assertEqual(len(self.connections) == 0, areGone)
        if areGone:
            self.test.assertEqual(self.reactor.getDelayedCalls(), [])
            isListening = self.abortAt is None
            self.test.assertEqual(len(self.reactor.getReaders()), isListening)
        if self.abortAt is not None:
            self.test.assertEqual(self.stopped, [None] if areGone else [])
            self.test.assertTrue(areGone or not isAborted)
