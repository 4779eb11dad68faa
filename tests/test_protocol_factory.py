"""
Tests of L{fastpoetry.protocol.PoetryFactory}.
"""

from __future__ import annotations

import contextlib
import inspect
import re
from asyncio import CancelledError
from typing import Any

from twisted.internet.defer import fail, succeed
from twisted.internet.protocol import Protocol
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.protocol import PoetryFactory, PoetryProtocol
from fastpoetry.service import PoetryService
from tests.support import BIG, POEM, Reactor, StaticSource
from tests.wire import Wire


class FactoryTests(SynchronousTestCase):
    """
    Tests of L{fastpoetry.protocol.PoetryFactory}.
    """

    def test_globalReactor(self) -> None:
        """
        By default the clock is the global reactor's.
        """
        from twisted.internet import reactor

        self.assertIs(PoetryFactory(StaticSource(b"")).reactor, reactor)

    def serve(self, source: Any) -> Wire:
        """
        Connect a reader to the factory of a source.
        """
        return Wire(PoetryFactory(source, 40.0, Reactor()))

    def assertServed(self, wire: Wire, poem: bytes) -> None:
        """
        Assert that a reader gets a poem.
        """
        wire.take()
        self.assertEqual(bytes(wire.socket.taken), poem)
        wire.halfClose()
        wire.tick()
        self.assertEqual(wire.socket.end, "clean")

    def assertRefused(self, source: Any, reason: str) -> None:
        """
        Assert that the readers of a source are reset, and that the log says why.
        """
        with capturedLogs() as events:
            wire = self.serve(source)
        wire.turn()
        self.assertEqual((wire.socket.end, wire.socket.taken), ("reset", b""))
        (event,) = events
        sentence = f"no poem for 192.0.2.1:4321: {reason}"
        self.assertEqual(formatEvent(event), sentence)

    def test_everyReader(self) -> None:
        """
        It is C{connectionMade} that serves every reader, of whatever poem.
        """
        served = []
        connectionMade = PoetryProtocol.connectionMade

        def count(protocol: PoetryProtocol) -> None:
            served.append(protocol)
            connectionMade(protocol)

        self.patch(PoetryProtocol, "connectionMade", count)
        for poem in (b"", POEM, BIG):
            self.assertServed(self.serve(StaticSource(poem)), poem)
        self.assertEqual(len(served), 3)

    def test_overriddenSource(self) -> None:
        """
        What a subclass of the service gives is what is sent.
        """

        class Shouting(PoetryService):
            def getPoem(self) -> bytes:
                return b"SHOUTED"

        service = Shouting("poem.txt")
        service.poem = b"read"
        self.assertServed(self.serve(service), b"SHOUTED")

    def test_publishedService(self) -> None:
        """
        A service that has only the attribute C{poem}, as the published one, is
        served, too; its poem is the one that it has at that moment.
        """

        class Published:
            poem = b"old"

        service = Published()
        self.assertServed(self.serve(service), b"old")
        service.poem = b"new"
        self.assertServed(self.serve(service), b"new")

    def test_publishedProtocol(self) -> None:
        """
        The published protocol, which reads C{self.factory.service.poem}, runs on the
        factory.
        """

        class Published(Protocol):
            def connectionMade(self) -> None:
                poem = self.factory.service.poem
                self.transport.write(poem)  # type: ignore[union-attr]
                self.transport.loseConnection()  # type: ignore[union-attr]

        factory = PoetryFactory(StaticSource(POEM), 40.0, Reactor())
        factory.protocol = Published  # type: ignore[assignment]
        wire = Wire(factory)
        wire.take()
        taken = bytes(wire.socket.taken)
        self.assertEqual((taken, wire.socket.end), (POEM, "clean"))

    def test_noSource(self) -> None:
        """
        Where there is neither C{getPoem} nor C{poem}, where it raises, and where it
        gives what is no bytes, now or later, readers are reset, and the log says
        why.
        """
        self.assertRefused(object(), "'object' object has no attribute 'poem'")
        self.assertRefused(StaticSource(ValueError("bad rhyme")), "bad rhyme")
        self.assertRefused(StaticSource("ode"), "it is no bytes: 'ode'")
        self.assertRefused(StaticSource(succeed("ode")), "it is no bytes: 'ode'")
        self.assertRefused(StaticSource(fail(ValueError("late"))), "late")

    def test_cancelled(self) -> None:
        """
        An error that is no L{Exception}, such as that of a cancelled future, costs
        its own reader the poem, and nobody else anything.
        """
        source = StaticSource(POEM)
        factory = PoetryFactory(source, 40.0, Reactor())
        connections = Wire(factory).connections

        def getPoem() -> bytes:
            raise CancelledError

        self.patch(source, "getPoem", getPoem)
        with capturedLogs() as events:
            wire = Wire(factory, connections=connections)
        wire.turn()
        self.assertEqual((wire.socket.end, len(events)), ("reset", 1))
        connections.abort()
        wire.turn()

    def test_logFails(self) -> None:
        """
        An override of C{logBegun} that raises costs nobody the check.
        """

        def logBegun(deliveries: object) -> None:
            raise ZeroDivisionError

        factory = PoetryFactory(StaticSource(POEM), 40.0, Reactor())
        factory.noisy = False
        factory.doStart()
        self.patch(factory, "logBegun", logBegun)
        wire = Wire(factory)
        wire.take()
        wire.halfClose()
        for _ in range(2):
            with contextlib.suppress(ZeroDivisionError):  # which a reactor logs
                wire.tick()
        self.assertTrue(wire.gone)

    def test_fields(self) -> None:
        """
        The event that names the readers has fields from which an observer can write
        a line for each; those who come within a tick share one event, unless their
        poems differ in length.
        """
        source = StaticSource(POEM)
        factory = PoetryFactory(source, 40.0, Reactor())
        factory.noisy = False
        factory.doStart()
        with capturedLogs() as events:
            wires = [Wire(factory) for _ in range(3)]
            self.assertEqual(events, [])
            wires[0].tick()
        (event,) = events
        name = "192.0.2.1:4321"
        self.assertEqual(event["size"], len(POEM))
        self.assertEqual(event["peers"], [name] * 3)
        self.assertIs(event["poem"], source)
        self.assertEqual(
            formatEvent(event),
            f"sending {len(POEM)} bytes of poetry to {name}, {name}, {name}",
        )
        with capturedLogs() as events:
            source.poem = b"short"
            wires.append(Wire(factory))
            source.poem = POEM
            wires.append(Wire(factory))
            factory.doStop()
        self.assertEqual([event["size"] for event in events], [5, len(POEM)])
        for wire in wires:
            wire.reset()

    def test_startedAgain(self) -> None:
        """
        A reader is in the log once, though its factory stops and starts again before
        the next sweep.
        """
        factory = PoetryFactory(StaticSource(POEM), 40.0, Reactor())
        factory.noisy = False
        factory.doStart()
        with capturedLogs() as events:
            wire = Wire(factory)
            factory.doStop()
            self.assertEqual(len(events), 1)
            factory.doStart()
            wire.tick()
        self.assertEqual(len(events), 1)
        wire.reset()
        factory.doStop()

    def test_longLine(self) -> None:
        """
        No line of the log is longer than syslog takes, and each reader is named
        once.
        """
        factory = PoetryFactory(StaticSource(POEM), 40.0, Reactor())
        factory.noisy = False
        factory.doStart()
        with capturedLogs() as events:
            wires = [Wire(factory) for _ in range(300)]
            factory.doStop()
        self.assertEqual(sum(len(event["peers"]) for event in events), 300)
        self.assertLess(max(len(str(formatEvent(event))) for event in events), 1980)
        for wire in wires:
            wire.reset()

    def test_imports(self) -> None:
        """
        The protocol, which everybody reads first, knows nothing of the kernel.
        """
        path = inspect.getsourcefile(PoetryProtocol)
        assert path is not None
        with open(path, encoding="utf-8") as file:
            imports = re.findall(r"(?m)^\s*(?:from|import) .*", file.read())
        for line in imports:
            self.assertNotRegex(line, "kernel|select|socket|transport|connections")
