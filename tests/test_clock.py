"""
Tests of L{fastpoetry.clock}.
"""

from __future__ import annotations

import time
from typing import Any

from twisted.internet import reactor as globalReactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from fastpoetry.anthology import Anthology
from fastpoetry.client import getPoetry
from fastpoetry.clock import maybeGlobalReactor, steadySeconds
from fastpoetry.daemon import DaemonService
from fastpoetry.protocol import PoetryFactory
from fastpoetry.proxy import ProxyService
from fastpoetry.server import PoetryServer
from fastpoetry.service import PoetryService
from fastpoetry.transform import TransformFactory, TransformService
from sandbox import Sandbox, fetch
from tests.support import Reactor, StaticSource
from tests.wallclock import WallClock

HOUR = 3600.0


class SteadySecondsTests(SynchronousTestCase):
    """
    Tests of L{steadySeconds} and of who uses it.
    """

    def test_wallClockSet(self) -> None:
        """
        When somebody sets the wall clock, the reactor's does not follow.
        """
        reactor: Any = maybeGlobalReactor(None)
        before = reactor.seconds()
        wallClock = time.time
        self.patch(time, "time", lambda: wallClock() - HOUR)
        self.assertGreaterEqual(reactor.seconds(), before)
        self.assertLess(reactor.seconds() - before, HOUR / 2)

    def test_date(self) -> None:
        """
        It is a time since the epoch, so calls that are pending already keep theirs,
        and what takes it for a date is right while nobody sets the clock.
        """
        self.assertLess(abs(steadySeconds() - time.time()), HOUR)

    def test_pending(self) -> None:
        """
        A call that was pending before is neither lost nor early.
        """
        reactor: Any = globalReactor
        self.patch(reactor, "seconds", time.time)
        call = reactor.callLater(HOUR, lambda: None)
        self.addCleanup(call.cancel)
        maybeGlobalReactor(None)
        self.assertLess(abs(call.getTime() - reactor.seconds() - HOUR), 60.0)

    def test_givenReactor(self) -> None:
        """
        A reactor that is given keeps its clock.
        """
        reactor = Reactor()
        seconds = reactor.seconds
        self.assertIs(maybeGlobalReactor(reactor), reactor)
        self.assertEqual(reactor.seconds, seconds)

    def test_everybody(self) -> None:
        """
        Whatever of ours is made for the global reactor sets its clock, so no
        composition is without it.
        """
        source = StaticSource(b"")
        for make in (
            lambda: PoetryFactory(source),
            lambda: PoetryServer("tcp:0", PoetryFactory(source, reactor=Reactor())),
            DaemonService,
            lambda: ProxyService("localhost:1"),
            lambda: PoetryService("poem"),
            lambda: Anthology("poems"),
            lambda: TransformFactory(TransformService()),
        ):
            self.patch(globalReactor, "seconds", time.time)
            make()
            reactor: Any = globalReactor
            self.assertIs(reactor.seconds, steadySeconds)


class WallClockTests(SynchronousTestCase):
    """
    Tests of real daemons whose wall clock is set while they serve.
    """

    def setUp(self) -> None:
        """
        Make a clock.
        """
        self.sandbox = Sandbox(self.addCleanup, b"poem\n" * 2000)
        self.clock = WallClock(self.sandbox)

    def serve(self, reactor: str) -> None:
        """
        Serve with few places, set the clock to and fro, and see everybody served:
        places are given back by the clock.
        """
        server = self.sandbox.daemon(
            f"--reactor={reactor} --logfile {reactor}.log --pidfile {reactor}.pid "
            "fastpoetry --poem poem.txt --port 0 --max-connections 3 --timeout 1000",
            log=f"{reactor}.log",
            pidfile=f"{reactor}.pid",
            environment=self.clock.environment,
        )
        (port,) = server.ports
        for offset in (0.0, -HOUR, HOUR, 0.0):
            self.clock.set(offset)
            for _ in range(10):
                self.assertEqual(len(fetch(port)), 10_000)
        server.waitForLog("127.0.0.1:", 40)
        server.stop()

    def test_reactors(self) -> None:
        """
        A step of the wall clock either way costs no reader a poem, nobody a place
        and the log no name, with any reactor.
        """
        for reactor in ("epoll", "poll", "select", "asyncio"):
            self.serve(reactor)


class GetPoetryTests(TestCase):
    """
    Tests of the clock of L{getPoetry}.
    """

    async def test_clock(self) -> None:
        """
        A client has it, too.
        """
        self.patch(globalReactor, "seconds", time.time)
        fetching = getPoetry(("127.0.0.1", 1))
        reactor: Any = globalReactor
        self.assertIs(reactor.seconds, steadySeconds)
        fetching.addErrback(lambda failure: None)
        await fetching
