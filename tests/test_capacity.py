"""
Tests of L{fastpoetry.capacity}.
"""

from __future__ import annotations

import threading
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from fastpoetry import capacity
from fastpoetry.capacity import Memory, OneThread, Share
from tests.support import Reactor
from tests.threads import PlayedThreads, noThread


class MemoryTests(SynchronousTestCase):
    """
    Tests of L{Memory}.
    """

    def test_room(self) -> None:
        """
        As long as there is room nobody waits.
        """
        memory = Memory(10)
        self.assertEqual(self.successResultOf(memory.acquire(4)), 4)
        self.assertEqual(self.successResultOf(memory.acquire(6)), 6)
        self.assertEqual(memory.taken, 10)

    def test_order(self) -> None:
        """
        Who came first is first, though there be room for the next one before.
        """
        memory = Memory(10)
        self.successResultOf(memory.acquire(8))
        large, small = memory.acquire(9), memory.acquire(1)
        self.assertNoResult(small)
        memory.exchange(8, 0)
        self.assertEqual(self.successResultOf(large), 9)
        self.assertEqual(self.successResultOf(small), 1)
        self.assertEqual(memory.taken, 10)

    def test_cancel(self) -> None:
        """
        Who leaves keeps nobody waiting, and is not counted.
        """
        memory = Memory(10)
        self.successResultOf(memory.acquire(8))
        large, small = memory.acquire(9), memory.acquire(1)
        large.cancel()
        self.failureResultOf(large, CancelledError)
        self.successResultOf(small)
        self.assertEqual(memory.taken, 9)

    def test_exchange(self) -> None:
        """
        Bytes can be taken at once, though there be none left: others wait for longer.
        """
        memory = Memory(10)
        self.successResultOf(memory.acquire(8))
        memory.exchange(8, 15)
        waiting = memory.acquire(1)
        memory.exchange(15, 10)
        self.assertNoResult(waiting)
        memory.exchange(10, 9)
        self.successResultOf(waiting)

    def test_manyAtOnce(self) -> None:
        """
        Those who give back as soon as they have got something let in as many as
        there are.
        """
        memory = Memory(10)
        self.successResultOf(memory.acquire(10))
        got: list[int] = []

        def giveBack(size: int) -> None:
            got.append(size)
            memory.exchange(size, 0)

        for _ in range(2000):
            memory.acquire(10).addCallback(giveBack)
        memory.exchange(10, 0)
        self.assertEqual((len(got), memory.taken), (2000, 0))


class ShareTests(SynchronousTestCase):
    """
    Tests of L{Share}.
    """

    def setUp(self) -> None:
        """
        Have two who share some bytes.
        """
        self.memory = Memory(10)
        self.one, self.other = Share(self.memory), Share(self.memory)
        self.given: list[Share] = []

    def ask(self, share: Share, size: int) -> None:
        """
        Ask for some.
        """
        share.ask(size, lambda: self.given.append(share))

    def test_ask(self) -> None:
        """
        Whoever asks has the bytes at once, or when another has given enough back.
        """
        self.assertFalse(self.one.hasAsked)
        self.ask(self.one, 8)
        self.assertEqual((self.given, self.one.size), ([self.one], 8))
        self.ask(self.other, 3)
        self.assertTrue(self.other.hasAsked)
        self.assertEqual((self.given, self.other.size), ([self.one], 0))
        self.one.resize(7)
        self.assertEqual((self.given, self.other.size), ([self.one, self.other], 3))
        self.assertEqual(self.memory.taken, 10)

    def test_release(self) -> None:
        """
        Whoever leaves gives everything back, or waits no more.
        """
        self.ask(self.one, 8)
        self.ask(self.other, 3)
        self.other.release()
        self.one.release()
        self.assertEqual(self.given, [self.one])
        self.assertEqual((self.one.size, self.other.size, self.memory.taken), (0, 0, 0))
        Share(self.memory).release()
        self.assertEqual(self.memory.taken, 0)


class OneThreadTests(SynchronousTestCase):
    """
    Tests of L{OneThread}, with pretended threads.
    """

    def setUp(self) -> None:
        self.threads = PlayedThreads()
        self.patch(capacity, "callInThread", self.threads.callInThread)
        self.thread = OneThread(Reactor())
        self.called: list[str] = []

    def call(self, name: str) -> Deferred[Any]:
        """
        Have a function called that gives its name.
        """

        def function() -> str:
            self.called.append(name)
            return name

        return self.thread.call(function)

    def turn(self) -> None:
        """
        Let the thread call one function.
        """
        (_,) = self.threads.waiting
        self.threads.finish()

    def test_oneAtATime(self) -> None:
        """
        Functions are called one after the other, in their order.
        """
        first, second = self.call("first"), self.call("second")
        self.turn()
        self.assertEqual(self.successResultOf(first), "first")
        self.assertNoResult(second)
        self.turn()
        self.assertEqual(self.successResultOf(second), "second")
        self.assertEqual(self.called, ["first", "second"])

    def test_error(self) -> None:
        """
        One that fails does not keep the next one waiting.
        """
        failing, other = self.thread.call(lambda: 1 // 0), self.call("other")
        self.turn()
        self.failureResultOf(failing, ZeroDivisionError)
        self.turn()
        self.successResultOf(other)

    def test_noThread(self) -> None:
        """
        Where there is no room for a thread, the function fails, and the next has its
        turn.
        """
        self.patch(capacity, "callInThread", noThread)
        failing = self.call("first")
        self.assertEqual(
            str(self.failureResultOf(failing, RuntimeError).value),
            "can't start new thread",
        )
        self.patch(capacity, "callInThread", self.threads.callInThread)
        other = self.call("other")
        self.turn()
        self.successResultOf(other)

    def test_noThreadForMany(self) -> None:
        """
        It is so, too, for however many functions wait for their turn.
        """
        first = self.call("first")
        failing = [self.call("other") for _ in range(2000)]
        self.patch(capacity, "callInThread", noThread)
        self.turn()
        self.successResultOf(first)
        for each in failing:
            self.failureResultOf(each, RuntimeError)
        self.assertEqual(self.called, ["first"])

    def test_cancelled(self) -> None:
        """
        Who leaves before its turn is not called.
        """
        first, second, third = map(self.call, ["first", "second", "third"])
        second.cancel()
        self.failureResultOf(second, CancelledError)
        self.turn()
        self.turn()
        self.assertEqual(self.called, ["first", "third"])
        self.successResultOf(first)
        self.successResultOf(third)

    def test_cancelledTooLate(self) -> None:
        """
        Who leaves in its turn does not get the result, and the thread is busy until
        then.
        """
        first, second = self.call("first"), self.call("second")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.assertEqual(len(self.threads.waiting), 1)
        self.turn()
        self.turn()
        self.successResultOf(second)


class RealThreadTests(TestCase):
    """
    Tests of L{OneThread} with real threads.
    """

    async def test_thread(self) -> None:
        """
        A function is called in another thread.
        """
        number = await OneThread().call(threading.get_ident)
        self.assertNotEqual(number, threading.get_ident())
