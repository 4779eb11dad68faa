"""
Tests of L{fastpoetry.protocol}.
"""

from __future__ import annotations

import contextlib
import gc
import inspect
import re
import weakref
from asyncio import CancelledError
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection.delivery import (
    CHECKS_PER_TIMEOUT,
    FIN_TIMEOUT,
    READ_PAUSE,
    READ_QUOTA,
    SLOW_TICK,
    TICK,
)
from fastpoetry.protocol import PoetryFactory, PoetryProtocol
from fastpoetry.service import PoetryService
from tests.support import PretendedSocket, Reactor, StaticSource, Wire

POEM = b"one\r\ntwo\0\xff\n" * 10
BIG = bytes(range(256)) * 4096


class ProtocolTests(SynchronousTestCase):
    """
    Tests of L{fastpoetry.protocol.PoetryProtocol} over TCP.
    """

    def setUp(self) -> None:
        """
        Start a clock; at the end nothing may be left on it, and nobody counted.
        """
        self.reactor = Reactor()
        self.factory = PoetryFactory(StaticSource(POEM), 40.0, self.reactor)
        self.addCleanup(self.checkNothingLeft)

    def assertLines(self, events: list[Any], line: str) -> None:
        """
        Assert that the log has one line, for information, about the reader.
        """
        self.assertEqual(
            [(event["log_level"], formatEvent(event)) for event in events],
            [(LogLevel.info, f"192.0.2.1:4321 {line}")],
        )

    def checkNothingLeft(self) -> None:
        """
        Every connection has an end, and takes everything with it.
        """
        self.reactor.pump([SLOW_TICK] * 3)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.reactor.getWriters(), [])

    def serve(self, poem: Any, capacity: int = 2**20) -> Wire:
        """
        Connect a reader.
        """
        self.factory.source = StaticSource(poem)
        return Wire(self.factory, capacity)

    def test_wholePoem(self) -> None:
        """
        A reader gets the bytes of the poem as they are, then the end.
        """
        wire = self.serve(POEM)
        wire.take()
        self.assertEqual(bytes(wire.socket.taken), POEM)
        self.assertEqual(wire.socket.end, "half")
        wire.halfClose()
        wire.tick()
        self.assertEqual(wire.socket.end, "clean")
        self.assertTrue(wire.gone)

    def test_emptyPoem(self) -> None:
        """
        An empty poem is an end without anything before it.
        """
        wire = self.serve(b"")
        self.assertEqual((wire.socket.taken, wire.socket.end), (b"", "half"))
        wire.halfClose()
        wire.tick()
        self.assertEqual(wire.socket.end, "clean")

    def test_log(self) -> None:
        """
        The log says how much is sent to whom.
        """
        with capturedLogs() as events:
            self.serve(POEM).reset()
        self.assertEqual(
            [formatEvent(event) for event in events if event.get("size")],
            [f"sending {len(POEM)} bytes of poetry to 192.0.2.1:4321"],
        )

    def test_poemLater(self) -> None:
        """
        A reader waits for a poem that is not there yet.
        """
        coming: Deferred[bytes] = Deferred()
        wire = self.serve(coming)
        self.assertEqual((wire.socket.held, wire.socket.end), (b"", None))
        coming.callback(POEM)
        wire.turn()
        wire.take()
        wire.halfClose()
        wire.tick()
        self.assertEqual(bytes(wire.socket.taken), POEM)

    def test_waitForThePoem(self) -> None:
        """
        However long the poem takes to come, a reader that waits for it is not
        given up, and has the whole deadline after that.
        """
        coming: Deferred[bytes] = Deferred()
        wire = self.serve(coming, capacity=1000)
        self.reactor.pump([1.0] * 100)
        coming.callback(BIG)
        self.reactor.pump([1.0] * 39)
        self.assertFalse(wire.gone)
        wire.take()
        wire.halfClose()
        wire.tick()
        self.assertEqual(bytes(wire.socket.taken), BIG)

    def test_leftBeforeThePoem(self) -> None:
        """
        When a reader leaves before the poem is there, its request is cancelled.
        """
        cancelled: list[Deferred[bytes]] = []
        coming: Deferred[bytes] = Deferred(cancelled.append)
        wire = self.serve(coming)
        with capturedLogs() as events:
            wire.reset()
        self.assertEqual(cancelled, [coming])
        self.assertLines(events, "got nothing: it reset the connection")

    def test_cancelledWithAPoem(self) -> None:
        """
        A source that answers a cancellation with a poem has come too late: nothing
        is sent.
        """
        coming: Deferred[bytes] = Deferred(lambda d: d.callback(POEM))
        wire = self.serve(coming)
        with capturedLogs() as events:
            wire.reset()
            wire.tick()
        self.assertLines(events, "got nothing: it reset the connection")

    def test_noPoem(self) -> None:
        """
        When there is no poem the reader gets a reset, which is not an empty
        poem, and the log has the reason in a line.
        """
        with capturedLogs() as events:
            wire = self.serve(RuntimeError("the dog ate it"))
        wire.turn()
        self.assertEqual(wire.socket.end, "reset")
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["no poem for 192.0.2.1:4321: the dog ate it"],
        )

    def test_sharedPoem(self) -> None:
        """
        However many readers stall, there is one copy of the poem.
        """
        wires = [self.serve(BIG, capacity=1000) for _ in range(3)]
        self.assertEqual({id(wire.transport.dataBuffer) for wire in wires}, {id(BIG)})
        for wire in wires:
            wire.reset()

    def test_inPieces(self) -> None:
        """
        A poem goes out as the reader takes it, however little at a time.
        """
        wire = self.serve(BIG, capacity=10007)
        while wire.socket.end is None:
            wire.take(5003)
        wire.take()
        wire.halfClose()
        wire.tick()
        self.assertEqual(bytes(wire.socket.taken), BIG)
        self.assertEqual(wire.socket.end, "clean")

    def test_talk(self) -> None:
        """
        What a reader says, at whatever time, is read and changes nothing.
        """
        wire = self.serve(BIG, capacity=100000)
        wire.say(b"GET / HTTP/1.0\r\n\r\n")
        wire.take(100000)
        wire.say(b"more")
        wire.take()
        wire.say(b"still here")
        wire.halfClose()
        wire.tick()
        self.assertEqual(bytes(wire.socket.taken), BIG)
        self.assertEqual(wire.socket.end, "clean")

    def test_flood(self) -> None:
        """
        A reader that floods is read a dose at a time, with pauses between.
        """
        wire = self.serve(BIG, capacity=1000)
        doses = 0
        wire.socket.said = [b"x" * 65536] * 64
        wire.turn()
        while wire.socket.said:
            self.assertFalse(wire.isReading)
            self.assertEqual(len(wire.socket.said) * 65536 % READ_QUOTA, 0)
            doses += 1
            self.reactor.advance(READ_PAUSE)
            wire.turn()
        self.assertEqual(doses, 64 * 65536 // READ_QUOTA - 1)
        wire.take()
        self.reactor.advance(READ_PAUSE)
        wire.halfClose()
        wire.tick()
        self.assertEqual(bytes(wire.socket.taken), BIG)

    def test_goneInPause(self) -> None:
        """
        A connection that ends while its reader is held back leaves nothing.
        """
        wire = self.serve(BIG, capacity=1000)
        wire.socket.said = [b"x" * 65536] * 5
        wire.turn()
        wire.connections.abort()
        wire.turn()
        self.assertEqual(wire.socket.end, "reset")

    def test_halfCloseFirst(self) -> None:
        """
        A reader that half-closes before it reads gets the whole poem, and the
        connection ends as soon as its kernel has acknowledged all.
        """
        wire = self.serve(BIG, capacity=100000)
        wire.halfClose()
        wire.take(100000)
        while wire.socket.end is None:
            wire.take(100000)
        self.assertFalse(wire.gone)
        wire.socket.taken += wire.socket.held
        wire.socket.held.clear()
        self.reactor.pump([TICK] * 20)
        self.assertTrue(wire.gone)
        self.assertEqual(bytes(wire.socket.taken), BIG)
        self.assertEqual(wire.socket.end, "clean")

    def test_halfCloseAndSlow(self) -> None:
        """
        When both sides have ended, the checks for the last acknowledgement
        become rarer and rarer, and stop at the deadline.
        """
        wire = self.serve(POEM)
        wire.halfClose()
        checks: list[float] = []
        check = wire.protocol.check

        def count(now: float) -> None:
            checks.append(now)
            check(now)

        wire.protocol.check = count
        while not wire.gone:
            due = self.reactor.getDelayedCalls()[0].getTime()
            self.reactor.advance(due - self.reactor.seconds())
        del wire.protocol.check
        self.assertLess(len(checks), 30)
        self.assertEqual(wire.socket.end, "reset")

    def test_resetAfterHalfClose(self) -> None:
        """
        A reader that half-closes and then resets is forgotten at the next look,
        though neither end is heard of any more.
        """
        wire = self.serve(POEM)
        wire.halfClose()
        wire.reset()
        self.assertFalse(wire.gone)
        with capturedLogs() as events:
            wire.tick()
        self.assertTrue(wire.gone)
        self.assertLines(events, f"got 0 of {len(POEM)} bytes: it reset the connection")

    def test_neverCloses(self) -> None:
        """
        A reader that has taken the whole poem and does not close is let go,
        without a reset, after a while.
        """
        wire = self.serve(POEM)
        wire.take()
        wire.tick()
        self.reactor.advance(FIN_TIMEOUT - 2 * TICK)
        self.assertFalse(wire.gone)
        self.reactor.pump([SLOW_TICK] * 2)
        self.assertEqual(wire.socket.end, "clean")

    def test_lingerNeedsTheLastByte(self) -> None:
        """
        The time for the reader's end begins when it has acknowledged all.
        """
        wire = self.serve(POEM)
        for _ in range(len(POEM) - 1):
            wire.take(1)
            self.reactor.advance(FIN_TIMEOUT)
        self.assertFalse(wire.gone)
        wire.take()
        self.reactor.pump([40.0 / CHECKS_PER_TIMEOUT, FIN_TIMEOUT])
        self.assertEqual(wire.socket.end, "clean")

    def test_stalled(self) -> None:
        """
        A reader that takes nothing for the deadline is aborted, which it sees,
        and logged.
        """
        wire = self.serve(BIG, capacity=1000)
        wire.take(10)
        with capturedLogs() as events:
            self.reactor.pump([1.0] * 40)
            self.assertFalse(wire.gone)
            self.reactor.pump([1.0] * 11)
        self.assertEqual(wire.socket.end, "reset")
        (event,) = events
        self.assertEqual(event["log_level"], LogLevel.warn)
        self.assertEqual(
            formatEvent(event),
            "gave up on 192.0.2.1:4321, which took nothing for 40.0 seconds: "
            f"it got 10 of {len(BIG)} bytes",
        )

    def test_neverStarted(self) -> None:
        """
        A reader that never takes a byte is aborted, too.
        """
        wire = self.serve(BIG, capacity=1000)
        self.reactor.pump([1.0] * 51)
        self.assertEqual(wire.socket.end, "reset")

    def test_slow(self) -> None:
        """
        A slow reader is served to its end, however long it takes, though the
        kernel takes nothing new from the server for far longer than the
        deadline.
        """
        wire = self.serve(BIG, capacity=len(BIG))
        for _ in range(64):
            wire.take(len(BIG) // 64)
            self.reactor.pump([1.0] * 39)
        wire.halfClose()
        wire.tick()
        self.assertEqual(bytes(wire.socket.taken), BIG)
        self.assertEqual(wire.socket.end, "clean")

    def test_processEnds(self) -> None:
        """
        If the process were to end, and its sockets with it, the reader of half a
        poem would get a reset, and the reader of all of it a clean end.
        """
        half = self.serve(BIG, capacity=1000)
        half.socket.close()
        self.assertEqual(half.socket.seen, "reset")
        whole = self.serve(POEM)
        whole.socket.close()
        whole.socket.taken += whole.socket.held
        whole.socket.held.clear()
        self.assertEqual(whole.socket.seen, "clean")
        for wire in (half, whole):
            wire.transport.connectionLost(Failure(ConnectionDone()))

    def test_noCycle(self) -> None:
        """
        A connection that is gone is forgotten at once, with its poem, though it
        was looked at and its reader was held back.
        """
        wire = self.serve(BIG, capacity=1000)
        wire.socket.said = [b"x" * 65536] * 5
        wire.turn()
        self.reactor.pump([READ_PAUSE, 10.0])
        wire.turn()
        protocol = weakref.ref(wire.protocol)
        wire.reset()
        gc.disable()
        self.addCleanup(gc.enable)
        del wire
        self.assertIsNone(protocol())

    def test_abort(self) -> None:
        """
        A connection that is aborted in the middle ends in a reset.
        """
        wire = self.serve(BIG, capacity=1000)
        wire.connections.abort()
        wire.turn()
        self.assertEqual(wire.socket.end, "reset")

    def test_checkFails(self) -> None:
        """
        An error in the check of one delivery costs that connection, and no other
        its check.
        """
        wires = [self.serve(POEM) for _ in range(3)]
        for wire in wires:
            wire.take()
            wire.halfClose()

        def check(now: float) -> None:
            raise ZeroDivisionError

        wires[1].protocol.check = check
        wires[0].tick()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual([wire.gone for wire in wires], [True] * 3)

    def test_leavesInTheMiddle(self) -> None:
        """
        Of a reader that leaves in the middle a line says how far it got.
        """
        wire = self.serve(BIG, capacity=1000)
        wire.take(300)
        with capturedLogs() as events:
            wire.reset()
        self.assertTrue(wire.gone)
        self.assertLines(
            events, f"got 300 of {len(BIG)} bytes: it reset the connection"
        )


class Wrapper(StringTransport):
    """
    As much of a transport that wraps another as the protocol uses: such as Twisted's
    own for TLS, of which C{loseWriteConnection} would be that of TCP below.
    """

    offset = 0

    def __init__(self) -> None:
        super().__init__(lenient=True)
        self.socket = PretendedSocket(0)

    def __getattr__(self, name: str) -> Any:
        if name == "loseWriteConnection":
            raise AssertionError("it ends what is below")
        raise AttributeError(name)


class OtherTransportTests(SynchronousTestCase):
    """
    Tests of L{fastpoetry.protocol.PoetryProtocol} over transports that cannot
    half-close.
    """

    def connect(self) -> tuple[Any, Any]:
        """
        Connect a reader.
        """
        self.reactor = Reactor()
        factory = PoetryFactory(StaticSource(BIG), 40.0, self.reactor)
        transport = Wrapper()
        protocol: Any = factory.buildProtocol(None)  # type: ignore[arg-type]
        protocol.makeConnection(transport)
        return protocol, transport

    def test_ends(self) -> None:
        """
        The transport gets the poem, and is told to end the connection its own way.
        """
        protocol, transport = self.connect()
        self.assertEqual(transport.value(), BIG)
        self.assertTrue(transport.disconnecting)
        self.assertFalse(transport.disconnected)
        protocol.connectionLost()

    def test_progress(self) -> None:
        """
        What the reader's kernel has acknowledged below TLS is progress.
        """
        protocol, transport = self.connect()
        for number in range(4):
            transport.socket.taken += b"x" * number
            self.reactor.pump([1.0] * 39)
        self.assertFalse(transport.disconnected)
        self.reactor.pump([1.0] * 11)
        self.assertTrue(transport.disconnected)
        protocol.connectionLost()

    def test_flood(self) -> None:
        """
        A reader that floods is held back, once, though TLS gives more of what it
        has.
        """
        protocol, transport = self.connect()
        for _ in range(3):
            protocol.dataReceived(b"x" * READ_QUOTA)
        self.assertEqual(transport.producerState, "paused")
        self.reactor.pump([READ_PAUSE / 4] * 5)
        self.assertEqual(transport.producerState, "producing")
        protocol.connectionLost()
        self.reactor.pump([SLOW_TICK] * 3)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_lost(self) -> None:
        """
        A connection that is lost in the middle leaves nothing.
        """
        protocol, _ = self.connect()
        protocol.connectionLost()
        self.reactor.pump([SLOW_TICK] * 3)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


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
                poem = self.factory.service.poem  # type: ignore[union-attr]
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
