"""
Tests of L{fastpoetry.lane}.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Port
from twisted.internet.unix import Port as UNIXPort
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry import lane
from fastpoetry.connection.delivery import LINGER
from fastpoetry.connection.kernel import Progress
from fastpoetry.lane import NAMES, SMALL, TICK, FastLane
from fastpoetry.protocol import PoetryFactory
from tests.support import Reactor, StaticSource, noSpace

POEM = b"one\r\ntwo\0\xff\n" * 10


class FullSocket:
    """
    A connection whose kernel takes only the beginning of a poem, or nothing.
    """

    def __init__(self, connection: socket.socket, takes: int | OSError) -> None:
        """
        @param takes: how many bytes are taken at first, or the error instead.
        """
        self._connection = connection
        self._takes = takes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def send(self, data: bytes, *flags: int) -> int:
        """
        Send what is taken at first, then anything.
        """
        takes, self._takes = self._takes, len(data) + 2**20
        if isinstance(takes, OSError):
            raise takes
        return self._connection.send(data[:takes], *flags)


class GoneSocket(FullSocket):
    """
    A connection that the reader resets as soon as it has something.
    """

    def shutdown(self, how: int) -> None:
        """
        There is nothing left to shut down.
        """
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")


class FastLaneTests(SynchronousTestCase):
    """
    Tests of L{FastLane}, on real sockets and a reactor in memory.
    """

    interface = "127.0.0.1"
    longest = "255.255.255.255:65535, "

    def setUp(self) -> None:
        """
        Listen on a port that the system chooses.
        """
        self.reactor = Reactor()
        self.source = StaticSource(POEM)
        self.factory = PoetryFactory(
            self.source,
            40.0,
            self.reactor,
            # The kernel acknowledges by its own clock.
            lambda fd: Progress(0, 0),
        )
        self.factory.noisy = False
        self.port = Port(0, self.factory, 128, self.interface, self.reactor)
        self.port.startListening()
        self.rooms: list[int] = []
        self.lane = FastLane(
            self.port,
            self.factory,
            self.reactor,
            lambda: self.rooms.append(len(self.lane)),
        )
        self.addCleanup(self.checkNothingLeft)

    def checkNothingLeft(self) -> None:
        """
        After the stop everybody has gone, and nothing is left on the clock.
        """
        self.lane.stop()
        self.factory.connections.abort()
        self.reactor.advance(0)
        self.port.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.reactor.getWriters(), [])
        self.assertEqual((len(self.lane), len(self.factory.connections)), (0, 0))

    def connect(self) -> socket.socket:
        """
        Connect a reader, and have it accepted.
        """
        reader = socket.create_connection(self.port.socket.getsockname()[:2], 30)
        self.addCleanup(reader.close)
        return reader

    def connectAndEnd(self) -> socket.socket:
        """
        Connect a reader that ends before its kernel can take all of the poem.
        """
        self.source.poem = b"x" * SMALL
        reader = socket.socket(self.port.addressFamily)
        self.addCleanup(reader.close)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**12)
        reader.connect(self.port.socket.getsockname()[:2])
        reader.shutdown(socket.SHUT_WR)
        return reader

    def patchAccept(self, accept: Callable[[Callable[[], Any]], Any]) -> Any:
        """
        Have the port accept by something else, which is given what accepts by itself.

        @return: what has to be restored.
        """
        listener: Any = self.port.socket
        patched = SimpleNamespace(_accept=partial(accept, listener._accept))
        return self.patch(self.port, "socket", patched)

    def accept(self, room: int = 100) -> list[str]:
        """
        Accept those who wait.

        @return: what the log says.
        """
        with capturedLogs() as events:
            self.lane.accept(room)
            self.reactor.advance(TICK)
        return [formatEvent(event) for event in events]

    def read(self, reader: socket.socket) -> bytes:
        """
        Read to a clean end.
        """
        return b"".join(iter(lambda: reader.recv(2**16), b""))

    def turn(self) -> None:
        """
        Let the connections of the ordinary way do what they can.
        """
        for _ in range(3):
            for writer in list(self.reactor.getWriters()):
                writer.doWrite()
            self.reactor.advance(0)

    def name(self, reader: socket.socket) -> str:
        """
        How the log names a reader.
        """
        host, port = reader.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def test_suits(self) -> None:
        """
        It is for plain TCP, and for a factory that nobody has changed.
        """

        class Changed(PoetryFactory):
            pass

        changed = Changed(self.source, reactor=self.reactor)
        self.assertTrue(FastLane.suits(self.port, self.factory))
        self.assertFalse(FastLane.suits(Port(0, Factory()), self.factory))
        self.assertFalse(FastLane.suits(Port(0, changed), changed))
        self.assertFalse(FastLane.suits(UNIXPort("x", self.factory), self.factory))
        self.patch(self.factory, "protocol", Protocol)
        self.assertFalse(FastLane.suits(self.port, self.factory))

    def test_wholePoem(self) -> None:
        """
        A reader has the whole poem and its end as soon as it is accepted, and
        when it ends, too, it is forgotten.
        """
        reader = self.connect()
        self.accept()
        self.assertEqual(self.read(reader), POEM)
        self.assertEqual(len(self.lane), 1)
        reader.close()
        self.reactor.advance(TICK)
        self.assertEqual(len(self.lane), 0)
        self.assertEqual(self.rooms[-1], 0)
        self.assertEqual(len(self.factory.connections), 0)

    def test_endSeen(self) -> None:
        """
        Who has ended is seen when others are accepted, too.
        """
        self.connect().close()
        self.lane.accept(1)
        self.assertEqual(len(self.lane), 1)
        self.connect()
        self.lane.accept(1)
        self.assertEqual(len(self.lane), 1)

    def test_endsBeforeOthers(self) -> None:
        """
        Who ends is forgotten, whoever came before it and stays.
        """
        reader = self.connect()
        self.connect().close()
        self.lane.accept(2)
        later = self.connect()
        self.lane.accept(1)
        self.assertEqual(len(self.lane), 3)
        self.reactor.advance(TICK)
        self.assertEqual(len(self.lane), 2)
        later.close()
        self.reactor.advance(TICK)
        self.assertEqual(len(self.lane), 1)
        self.assertEqual(self.read(reader), POEM)

    def test_log(self) -> None:
        """
        One line in the log names all that have come since the last; a single
        reader has the usual line.
        """
        reader = self.connect()
        begin = f"sending {len(POEM)} bytes of poetry to "
        self.assertEqual(self.accept(), [begin + self.name(reader)])
        readers = [self.connect() for _ in range(3)]
        names = ", ".join(map(self.name, readers))
        self.assertEqual(self.accept(), [begin + names])
        self.assertEqual(self.accept(), [])

    def test_logOfTurns(self) -> None:
        """
        Those who come in several turns are in one line, unless the poem has
        changed.
        """
        first, second, third = readers = [self.connect() for _ in range(3)]
        with capturedLogs() as events:
            self.lane.accept(1)
            self.lane.accept(1)
            self.source.poem = b"another"
            self.lane.accept(1)
            self.reactor.advance(TICK)
        form = "sending {} bytes of poetry to {}"
        self.assertEqual(
            [formatEvent(event) for event in events],
            [
                form.format(len(POEM), f"{self.name(first)}, {self.name(second)}"),
                form.format(len(b"another"), self.name(third)),
            ],
        )
        self.assertEqual(list(map(self.read, readers)), [POEM, POEM, b"another"])

    def test_logAtStop(self) -> None:
        """
        Nobody is left out of the log when the server stops.
        """
        reader = self.connect()
        with capturedLogs() as events:
            self.lane.accept(1)
            self.lane.stop()
        (line,) = map(formatEvent, events)
        self.assertTrue(line.endswith(f"to {self.name(reader)}"), line)
        self.lane = FastLane(self.port, self.factory, self.reactor, lambda: None)

    def test_longLog(self) -> None:
        """
        A line in the log names only so many, so that syslog does not cut it.
        """
        count, longest = NAMES[self.port.addressFamily], self.longest
        self.assertLess(len("sending 16384 bytes to ") + count * len(longest), 1900)
        readers = [self.connect() for _ in range(count + 1)]
        lines = self.accept()
        self.assertEqual(len(lines), 2)
        named = " ".join(lines).replace(",", "").split()
        for reader in readers:
            self.assertEqual(named.count(self.name(reader)), 1)

    def test_room(self) -> None:
        """
        No more are accepted than there is room for.
        """
        readers = [self.connect() for _ in range(5)]
        self.accept(3)
        self.assertEqual(len(self.lane), 3)
        self.accept(3)
        self.assertEqual(len(self.lane), 5)
        for reader in readers:
            self.assertEqual(self.read(reader), POEM)

    def test_talks(self) -> None:
        """
        A reader that says something goes the ordinary way, and has its clean
        end.
        """
        reader = self.connect()
        reader.sendall(b"GET / HTTP/1.0\r\n\r\n")
        self.accept()
        self.reactor.advance(TICK)
        self.assertEqual((len(self.lane), len(self.factory.connections)), (0, 1))
        self.assertEqual(self.read(reader), POEM)
        reader.close()
        (protocol,) = self.factory.connections
        transport: Any = protocol.transport
        transport.readConnectionLost(Failure(ConnectionDone()))
        self.reactor.pump([0.1] * 20)
        self.assertEqual(len(self.factory.connections), 0)

    def test_endsFirst(self) -> None:
        """
        A reader that ends before its kernel has the poem goes the ordinary way,
        which waits for that.
        """
        reader = self.connectAndEnd()
        self.accept()
        self.assertEqual((len(self.lane), len(self.factory.connections)), (0, 1))
        self.assertEqual(self.read(reader), self.source.poem)

    def test_copyElsewhere(self) -> None:
        """
        Who has ended is no reader any more, though a process that was forked has a
        copy of the connection: neither when the kernel tells of it again, nor
        when the next connection has its number.
        """
        reader = self.connect()
        self.accept()
        (fd,) = self.lane._waiting
        copy = os.dup(fd)
        self.addCleanup(os.close, copy)
        reader.close()
        self.reactor.advance(TICK)
        self.assertEqual(len(self.lane), 0)
        self.lane.handOver()
        reader = self.connect()
        self.accept()
        self.assertEqual(self.read(reader), POEM)
        self.reactor.advance(TICK)

    def test_manyStay(self) -> None:
        """
        Many who stay go the ordinary way a few at a time.
        """
        self.patch(lane, "MOST", 2)
        for _ in range(5):
            self.connect()
        self.accept()
        self.reactor.advance(LINGER)
        self.assertEqual(len(self.lane), 3)
        self.reactor.advance(TICK)
        self.assertEqual(len(self.lane), 1)
        self.reactor.advance(TICK)
        self.assertEqual(len(self.lane), 0)

    def test_cannotHandOver(self) -> None:
        """
        When something goes wrong with one reader, the others are looked at all
        the same.
        """
        talks, quiet = self.connect(), self.connect()
        talks.sendall(b"hello")
        self.lane.accept(2)

        def fail(*arguments: object) -> None:
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            self.patch(self.lane, "_connect", fail)
            self.reactor.advance(TICK)
        self.assertEqual(self.rooms, [1])
        quiet.close()
        self.reactor.advance(TICK)
        self.assertEqual(self.rooms, [1, 0])
        self.assertEqual(self.read(talks), POEM)

    def test_cannotRegister(self) -> None:
        """
        A reader that cannot be waited for is let go, and the kernel gives it the
        whole poem and its end.
        """
        fullEpoll = SimpleNamespace(register=noSpace, poll=lambda timeout: [])
        for name, patched in (("lane", "_epoll"), ("reactor", "addReader")):
            reader = self.connectAndEnd()
            broken = fullEpoll if name == "lane" else noSpace
            patch = self.patch(getattr(self, name), patched, broken)
            descriptors = os.listdir("/proc/self/fd")
            self.accept()
            self.assertEqual(os.listdir("/proc/self/fd"), descriptors)
            patch.restore()
            self.assertEqual((len(self.lane), len(self.factory.connections)), (0, 0))
            self.assertEqual(self.reactor.getDelayedCalls(), [])
            self.assertEqual(self.read(reader), self.source.poem)

    def test_cannotSendTheRest(self) -> None:
        """
        A reader that has only a part of the poem, or nothing, and cannot be waited
        for sees no clean end.
        """
        for poem, takes in ((POEM, 5), (b"x" * (SMALL + 1), 2**20)):
            self.source.poem = poem
            reader = self.connect()
            self.patch(lane, "SocketType", partial(self.makeSocket, takes))
            patch = self.patch(self.reactor, "addReader", noSpace)
            self.assertRaises(OSError, self.lane.accept, 1)
            patch.restore()
            self.assertRaises(ConnectionResetError, self.read, reader)

    def test_stays(self) -> None:
        """
        A reader that does not end goes the ordinary way after a while, which
        lets go of it.
        """
        reader = self.connect()
        self.accept()
        self.reactor.advance(LINGER - 0.1)
        later = self.connect()
        self.accept()
        self.reactor.advance(0.1)
        self.assertEqual((len(self.lane), len(self.factory.connections)), (1, 1))
        self.reactor.advance(LINGER)
        self.assertEqual(len(self.lane), 0)
        self.reactor.pump([LINGER] * 3)
        self.assertEqual(len(self.factory.connections), 0)
        for one in (reader, later):
            self.assertEqual(self.read(one), POEM)

    def test_sweepEnds(self) -> None:
        """
        When everybody has ended, nothing is left on the clock.
        """
        self.connect().close()
        self.accept()
        self.reactor.advance(TICK)
        self.reactor.advance(LINGER)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_resets(self) -> None:
        """
        A reader that resets the connection is forgotten.
        """
        reader = self.connect()
        self.accept()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        reader.close()
        self.reactor.advance(TICK)
        self.assertEqual(len(self.lane), 0)

    def test_resetsFirst(self) -> None:
        """
        A reader that has gone before it is accepted is not worth a line, and
        the next one is served.
        """
        reader = self.connect()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        reader.close()
        reader = self.connect()
        (line,) = self.accept()
        self.assertTrue(line.endswith(f"to {self.name(reader)}"), line)
        self.assertEqual(self.read(reader), POEM)

    def test_partlyTaken(self) -> None:
        """
        What the kernel does not take at once, be it a part or all of a poem, goes
        the ordinary way, and is logged once.
        """
        full = BlockingIOError(errno.EAGAIN, "full")
        for number, takes in enumerate((5, full), 1):
            reader = self.connect()
            make = partial(self.makeSocket, takes)
            self.patch(lane, "SocketType", make)
            self.assertEqual(len(self.accept()), 1)
            waiting = len(self.factory.connections)
            self.assertEqual((len(self.lane), waiting), (0, number))
            self.turn()
            self.assertEqual(self.read(reader), POEM)

    def makeSocket(self, takes: int | OSError, *arguments: int) -> FullSocket:
        """
        Make a socket of a connection.
        """
        return FullSocket(socket.socket(*arguments), takes)

    def test_cannotSend(self) -> None:
        """
        A reader to which nothing can be sent is reset, and not in the log.
        """
        reader = self.connect()
        make = partial(self.makeSocket, OSError(errno.ENOBUFS, "no room"))
        self.patch(lane, "SocketType", make)
        self.assertEqual(self.accept(), [])
        self.assertRaises(ConnectionResetError, self.read, reader)

    def test_goesMeanwhile(self) -> None:
        """
        A reader that resets when it has something is in the log.
        """
        reader = self.connect()
        self.patch(lane, "SocketType", lambda *a: GoneSocket(socket.socket(*a), 2**20))
        (line,) = self.accept()
        self.assertTrue(line.endswith(f"to {self.name(reader)}"), line)
        self.assertEqual(len(self.lane), 0)

    def test_largePoem(self) -> None:
        """
        A poem that the kernel may not take at once goes the ordinary way.
        """
        self.source.poem = b"x" * (SMALL + 1)
        reader = self.connect()
        with capturedLogs() as events:
            self.lane.accept(10)
        self.assertEqual(
            [formatEvent(event) for event in events],
            [f"sending {SMALL + 1} bytes of poetry to {self.name(reader)}"],
        )
        self.assertEqual((len(self.lane), len(self.factory.connections)), (0, 1))
        self.turn()
        self.assertEqual(self.read(reader), self.source.poem)

    def test_nothingCopied(self) -> None:
        """
        Readers that stall share the one poem, however much of it is left; one
        that has gone is found out.
        """
        self.source.poem = b"x" * 2**23
        readers = [self.connect() for _ in range(2)]
        self.accept()
        for _ in range(50):
            self.turn()
        for protocol in self.factory.connections:
            transport: Any = protocol.transport
            self.assertGreater(transport.offset, 0)
            self.assertIs(transport.dataBuffer, self.source.poem)
        for reader in readers:
            reader.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            reader.close()
        for protocol in self.factory.connections:
            gone: Any = protocol.transport
            self.assertIs(gone.doWrite(), CONNECTION_LOST)

    def test_notBytes(self) -> None:
        """
        A source that has something else at hand is asked for the poem.
        """
        self.patch(self.source, "getPoem", lambda: POEM)
        self.source.poem = "a poem"
        reader = self.connect()
        self.accept()
        self.turn()
        self.assertEqual(self.read(reader), POEM)

    def test_poemLater(self) -> None:
        """
        A poem that is not at hand is waited for in the ordinary way.
        """
        coming: Deferred[bytes] = Deferred()
        self.patch(self.source, "getPoem", lambda: coming)
        self.source.poem = None
        reader = self.connect()
        self.accept()
        coming.callback(POEM)
        self.turn()
        self.assertEqual(self.read(reader), POEM)

    def test_stop(self) -> None:
        """
        At the stop, all readers become ordinary connections, which a server
        waits for.
        """
        readers = [self.connect() for _ in range(3)]
        self.accept()
        self.lane.stop()
        self.assertEqual((len(self.lane), len(self.factory.connections)), (0, 3))
        for reader in readers:
            self.assertEqual(self.read(reader), POEM)
        self.reactor.pump([LINGER] * 3)
        self.assertEqual(len(self.factory.connections), 0)
        self.lane = FastLane(self.port, self.factory, self.reactor, lambda: None)

    def test_acceptErrors(self) -> None:
        """
        A connection that was lost in the queue is passed over; when the system
        has no room, the caller is told, and those accepted before are named.
        """
        errors = [errno.ECONNABORTED, None, errno.EMFILE]

        def fail(accept: Callable[[], Any]) -> Any:
            number = errors.pop(0)
            if number is None:
                return accept()
            raise OSError(number, "no")

        reader = self.connect()
        patch = self.patchAccept(fail)
        with self.assertRaises(OSError) as caught:
            self.lane.accept(10)
        patch.restore()
        with capturedLogs() as events:
            self.reactor.advance(TICK)
        self.assertEqual(caught.exception.errno, errno.EMFILE)
        self.assertEqual(len(events), 1)
        self.assertEqual(self.read(reader), POEM)


class IPv6LaneTests(FastLaneTests):
    """
    The same over IPv6.
    """

    interface = "::1"
    longest = f"[{':'.join(8 * ['ffff'])}]:65535, "

    def test_scope(self) -> None:
        """
        A reader with an address of the link is named with the interface, as
        Twisted does.
        """

        def link(accept: Callable[[], Any]) -> Any:
            fd, (_, port, _, _) = accept()
            return fd, ("fe80::1", port, 0, 1)

        reader = self.connect()
        patch = self.patchAccept(link)
        (line,) = self.accept()
        patch.restore()
        interface, port = socket.if_indextoname(1), reader.getsockname()[1]
        self.assertTrue(line.endswith(f" [fe80::1%{interface}]:{port}"), line)
