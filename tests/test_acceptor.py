"""
Tests of L{fastpoetry.listening.acceptor}.
"""

from __future__ import annotations

import errno
import resource
import socket
import struct
from typing import Any

from fastpoetry.lane import TICK
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Protocol
from twisted.internet.tcp import Port
from twisted.internet.testing import MemoryReactorClock
from twisted.internet.unix import Port as UNIXPort
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from fastpoetry.connection.delivery import DeliveryFactory
from fastpoetry.listening import acceptor as acceptorModule
from fastpoetry.listening.acceptor import (
    FOR_PORT,
    PAUSE,
    RESERVE,
    UNSENT,
    Acceptor,
    descriptorLimit,
)
from fastpoetry.protocol import PoetryFactory
from tests.support import StaticSource, noSpace


class CountedProtocol(Protocol):
    """
    A protocol that counts itself.
    """

    def connectionMade(self) -> None:
        """
        Be counted.
        """
        self.factory.connections.add(self)  # type: ignore[union-attr]

    def connectionLost(self, reason: Any = None) -> None:
        """
        Be counted no more.
        """
        self.factory.connections.remove(self)  # type: ignore[union-attr]


class CountedFactory(DeliveryFactory):
    """
    A factory that makes no noise.
    """

    noisy = False
    protocol = CountedProtocol  # type: ignore[assignment]


class BrokenSource:
    """
    A source that cannot even say whether it has a poem.
    """

    @property
    def poem(self) -> bytes | None:
        """
        Fail.
        """
        raise ZeroDivisionError


class AcceptorTests(SynchronousTestCase):
    """
    Tests of L{Acceptor}, on real listening sockets and a reactor in memory.
    """

    def listen(self, limit: int | None) -> Acceptor:
        """
        Listen on a port that the system chooses.
        """
        self.reactor = MemoryReactorClock()
        self.factory = CountedFactory()
        self.port = Port(0, self.factory, interface="127.0.0.1", reactor=self.reactor)
        self.port.startListening()
        acceptor = Acceptor(self.port, self.factory, limit, self.reactor)
        acceptor.start()
        self.addCleanup(self.close, acceptor, self.factory)
        return acceptor

    def listenWithLane(self, limit: int) -> tuple[Acceptor, PoetryFactory]:
        """
        Listen on a port that has a fast lane.
        """
        self.reactor = MemoryReactorClock()
        factory = PoetryFactory(StaticSource(b"poem"), reactor=self.reactor)
        factory.noisy = False
        self.port = Port(0, factory, interface="127.0.0.1", reactor=self.reactor)
        self.port.startListening()
        acceptor = Acceptor(self.port, factory, limit, self.reactor)
        acceptor.start()
        self.addCleanup(self.closeWithLane, acceptor, factory)
        return acceptor, factory

    def closeWithLane(self, acceptor: Acceptor, factory: PoetryFactory) -> None:
        """
        Close everything, and see that nothing is left on the clock.
        """
        if acceptor in Acceptor._all:
            acceptor.stop()
        factory.connections.abort()
        self.reactor.advance(0)
        acceptor.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def close(self, acceptor: Acceptor, factory: CountedFactory) -> None:
        """
        Close everything.
        """
        if acceptor in Acceptor._all:
            acceptor.stop()
        for protocol in factory.connections:
            protocol.transport.connectionLost(Failure(ConnectionDone()))
        if acceptor._port.connected:
            acceptor.connectionLost(Failure(ConnectionDone()))

    def connect(self, count: int) -> list[socket.socket]:
        """
        Connect so many readers.
        """
        address = self.port.socket.getsockname()
        readers = [socket.create_connection(address, 30) for _ in range(count)]
        for reader in readers:
            self.addCleanup(reader.close)
        return readers

    def leave(self, count: int = 1) -> None:
        """
        Have so many connections lost.
        """
        for protocol in list(self.factory.connections)[:count]:
            protocol.transport.connectionLost(  # type: ignore[union-attr]
                Failure(ConnectionDone())
            )

    def isReading(self, acceptor: Acceptor) -> bool:
        """
        Whether the reactor will let more readers in.
        """
        return acceptor in self.reactor.getReaders()

    def test_interface(self) -> None:
        """
        The reactor can read from it, in place of the port.
        """
        acceptor = self.listen(5)
        verifyObject(IReadDescriptor, acceptor)
        self.assertEqual(acceptor.fileno(), self.port.fileno())
        self.assertEqual(acceptor.logPrefix(), self.port.logPrefix())
        self.assertNotIn(self.port, self.reactor.getReaders())
        self.assertTrue(self.isReading(acceptor))

    def test_backlog(self) -> None:
        """
        The queue of the port is as long as the system lets it be.
        """
        self.listen(5)
        with open("/proc/sys/net/core/somaxconn") as file:
            longest = int(file.read())
        # For a socket that listens, tcpi_sacked is the length of its queue.
        info = self.port.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
        self.assertEqual(int.from_bytes(info[28:32], "little"), longest)

    def test_unsent(self) -> None:
        """
        The kernel holds only so much of a poem that it has not sent yet.
        """
        acceptor = self.listen(5)
        self.connect(1)
        acceptor.doRead()
        for protocol in self.factory.connections:
            connection = protocol.transport.getHandle()  # type: ignore[union-attr]
            unsent = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
            self.assertEqual(unsent, UNSENT)

    def test_limit(self) -> None:
        """
        No more readers are let in than there is room for, though one turn could
        accept more; the others wait, and are let in as room is made.
        """
        acceptor = self.listen(3)
        self.connect(8)
        acceptor.doRead()
        self.assertEqual(len(self.factory.connections), 3)
        self.assertFalse(self.isReading(acceptor))
        self.leave(2)
        self.assertTrue(self.isReading(acceptor))
        acceptor.doRead()
        self.assertEqual(len(self.factory.connections), 3)
        self.assertFalse(self.isReading(acceptor))
        self.leave(3)
        acceptor.doRead()
        self.assertEqual(len(self.factory.connections), 3)
        self.leave(1)
        acceptor.doRead()
        self.assertEqual(len(self.factory.connections), 2)
        self.assertTrue(self.isReading(acceptor))

    def test_turn(self) -> None:
        """
        A rush of readers leaves those who are in already their turn.
        """
        self.patch(acceptorModule, "TURN", 4)
        acceptor = self.listen(50)
        self.connect(6)
        acceptor.doRead()
        self.assertEqual(len(self.factory.connections), 4)
        acceptor.doRead()
        self.assertEqual(len(self.factory.connections), 6)

    def test_share(self) -> None:
        """
        Without a limit of their own, all ports of a process share what
        descriptors it may have, evenly.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        limit = RESERVE + 2 * (50 + FOR_PORT)
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        one = self.listen(None)
        self.assertEqual(one._room(), 100 + FOR_PORT)
        two = self.listen(None)
        self.assertEqual((one._room(), two._room()), (50, 50))
        two.stop()
        self.assertEqual(one._room(), 100 + FOR_PORT)

    def test_shareIsTheMost(self) -> None:
        """
        A limit of its own gives a port no descriptors that the process has not:
        the port by itself would close what it accepts then.
        """
        self.patch(acceptorModule, "descriptorLimit", lambda: RESERVE + FOR_PORT + 3)
        self.assertEqual(self.listen(50)._room(), 3)

    def test_shareShrinks(self) -> None:
        """
        A port that has more readers than its share, because another port was
        opened, lets nobody in until it has fewer.
        """
        limit = RESERVE + 2 * (2 + FOR_PORT)
        self.patch(acceptorModule, "descriptorLimit", lambda: limit)
        acceptor = self.listen(None)
        reactor, factory = self.reactor, self.factory
        self.connect(4 + FOR_PORT)
        acceptor.doRead()
        self.listen(None)
        self.reactor, self.factory = reactor, factory
        self.leave(2 + FOR_PORT)
        self.assertFalse(self.isReading(acceptor))
        self.leave(1)
        self.assertTrue(self.isReading(acceptor))

    def test_atLeastOne(self) -> None:
        """
        However few descriptors there are, a reader is served.
        """
        self.patch(acceptorModule, "descriptorLimit", lambda: RESERVE // 2)
        acceptor = self.listen(None)
        self.assertEqual(acceptor._room(), 1)

    def test_unlimited(self) -> None:
        """
        Where the number of descriptors has no limit, there is one all the same.
        """
        infinity = resource.RLIM_INFINITY
        self.patch(resource, "getrlimit", lambda _: (infinity, infinity))
        self.assertEqual(descriptorLimit(), 2**20)

    def test_stop(self) -> None:
        """
        Who waits already when the port is about to close is let in first, as
        far as there is room; after that nobody is.
        """
        self.patch(acceptorModule, "TURN", 2)
        acceptor = self.listen(7)
        self.connect(9)
        acceptor.stop()
        self.assertEqual(len(self.factory.connections), 7)
        self.leave(3)
        self.assertFalse(self.isReading(acceptor))

    def test_stopAfterGone(self) -> None:
        """
        Who waits is let in also when those before have gone by now.
        """
        self.patch(acceptorModule, "TURN", 2)
        acceptor, _ = self.listenWithLane(10)
        reset = struct.pack("ii", 1, 0)
        for reader in self.connect(2):
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            reader.close()
        (reader,) = self.connect(1)
        acceptor.stop()
        self.assertEqual(reader.recv(5), b"poem")

    def test_stopMakesRoom(self) -> None:
        """
        A reader that has ended has its place taken by one who waits, also when
        nobody has seen it yet.
        """
        acceptor, _ = self.listenWithLane(1)
        one, two = self.connect(2)
        acceptor.doRead()
        one.close()
        acceptor.stop()
        self.assertEqual(two.recv(5), b"poem")

    def test_stopWithRoom(self) -> None:
        """
        When nobody waits any more, stopping is at its end.
        """
        acceptor = self.listen(7)
        self.connect(2)
        acceptor.stop()
        self.assertEqual(len(self.factory.connections), 2)
        self.assertFalse(self.isReading(acceptor))

    def test_stopInRush(self) -> None:
        """
        Others who come all the while do not keep a stop from its end.
        """
        self.patch(acceptorModule, "BACKLOG", 4)
        self.patch(acceptorModule, "TURN", 2)
        acceptor = self.listen(50)
        self.connect(2)
        doRead = acceptor.doRead

        def rush() -> None:
            doRead()
            self.connect(2)

        self.patch(acceptor, "doRead", rush)
        acceptor.stop()
        self.assertEqual(len(self.factory.connections), 6)

    def test_stopWhileOthersCome(self) -> None:
        """
        Who comes while those who are in are handed over is let in, too.
        """
        acceptor, factory = self.listenWithLane(50)
        self.connect(2)
        acceptor.doRead()
        late: list[socket.socket] = []
        lane: Any = acceptor._lane
        handOver = lane._handOver

        def rush(fd: int) -> None:
            handOver(fd)
            if len(late) < 3:
                late.extend(self.connect(1))

        self.patch(lane, "_handOver", rush)
        acceptor.stop()
        self.assertEqual([one.recv(5) for one in late], [b"poem"] * 3)
        self.assertEqual((len(lane), len(factory.connections)), (0, 5))

    def test_unix(self) -> None:
        """
        A UNIX socket has a limit, too.
        """
        self.reactor = MemoryReactorClock()
        self.factory = CountedFactory()
        self.port = UNIXPort(self.mktemp(), self.factory, reactor=self.reactor)
        self.port.startListening()
        acceptor = Acceptor(self.port, self.factory, 1, self.reactor)
        acceptor.start()
        self.addCleanup(self.close, acceptor, self.factory)
        for _ in range(2):
            reader = socket.socket(socket.AF_UNIX)
            self.addCleanup(reader.close)
            reader.connect(self.port.socket.getsockname())
        acceptor.doRead()
        self.assertEqual(len(self.factory.connections), 1)

    def checkPause(self, acceptor: Acceptor, reader: socket.socket) -> None:
        """
        Check that nobody is let in for a second, and then a reader who waits is.
        """
        self.assertFalse(self.isReading(acceptor))
        self.reactor.advance(PAUSE)
        self.assertTrue(self.isReading(acceptor))
        acceptor.doRead()
        self.assertEqual(reader.recv(5), b"poem")

    def test_pause(self) -> None:
        """
        When the system has no room for another connection, nobody is let in for
        a second, the log has the reason, and then it is tried again.
        """
        acceptor, _ = self.listenWithLane(10)
        (reader,) = self.connect(1)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with capturedLogs() as events:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
                acceptor.doRead()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["cannot accept: Too many open files"],
        )
        self.checkPause(acceptor, reader)
        acceptor.stop()

    def test_cannotRegister(self) -> None:
        """
        When the reactor cannot register the port, it is tried again in a second.
        """
        acceptor, _ = self.listenWithLane(1)
        one, two = self.connect(2)
        acceptor.doRead()
        one.close()
        patch = self.patch(self.reactor, "addReader", noSpace)
        with capturedLogs() as events:
            self.reactor.advance(TICK)
        patch.restore()
        self.assertEqual(
            [formatEvent(event) for event in events][1:],
            ["cannot accept: No space left on device"],
        )
        self.checkPause(acceptor, two)

    def test_pauseLasts(self) -> None:
        """
        That second is not cut short by a reader who leaves.
        """
        acceptor, _ = self.listenWithLane(10)
        one, _ = self.connect(2)
        lane: Any = acceptor._lane
        lane.accept(1)

        def fail(room: int) -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        self.patch(lane, "accept", fail)
        acceptor.doRead()
        one.close()
        self.reactor.advance(TICK)
        self.assertEqual(len(lane), 0)
        self.assertFalse(self.isReading(acceptor))
        self.reactor.advance(PAUSE)
        self.assertTrue(self.isReading(acceptor))

    def test_stopInPause(self) -> None:
        """
        A stop during that second ends it, and tries once more to let those in who
        wait.
        """
        acceptor, _ = self.listenWithLane(10)
        failures = []

        def fail(room: int) -> None:
            failures.append(room)
            raise OSError(errno.ENFILE, "Too many open files in system")

        self.patch(acceptor._lane, "accept", fail)
        self.connect(1)
        acceptor.doRead()
        acceptor.stop()
        self.assertEqual(failures, [10, 10])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertFalse(self.isReading(acceptor))

    def test_brokenSource(self) -> None:
        """
        A source that does not work costs a second, not the port.
        """
        acceptor, factory = self.listenWithLane(10)
        (reader,) = self.connect(1)
        works = factory.source
        factory.source = BrokenSource()
        acceptor.doRead()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        factory.source = works
        self.checkPause(acceptor, reader)

    def test_laneTakesRoom(self) -> None:
        """
        A reader that was sent a small poem takes room until it ends.
        """
        acceptor, factory = self.listenWithLane(2)
        one, _, three = self.connect(3)
        acceptor.doRead()
        self.assertFalse(self.isReading(acceptor))
        one.close()
        self.reactor.advance(TICK)
        self.assertTrue(self.isReading(acceptor))
        acceptor.doRead()
        self.assertEqual(three.recv(5), b"poem")
        acceptor.stop()
        self.assertEqual(len(factory.connections), 2)

    def test_lost(self) -> None:
        """
        When the reactor gives the descriptor up, the port is told.
        """
        acceptor = self.listen(1)
        acceptor.stop()
        acceptor.connectionLost(Failure(ConnectionDone()))
        self.assertFalse(self.port.connected)
