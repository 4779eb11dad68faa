"""
Tests of L{fastpoetry.listening.acceptor}.
"""

from __future__ import annotations

import errno
import gc
import os
import resource
import socket
import struct
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Port
from twisted.internet.unix import Port as UNIXPort
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from fastpoetry.connection.delivery import SLOW_TICK, TICK
from fastpoetry.connection.transport import UNIXTransport
from fastpoetry.listening import acceptor as acceptorModule
from fastpoetry.listening.acceptor import (
    ACCEPTORS,
    LOST,
    MAX_UNSENT,
    PAUSE,
    RESERVE,
    Acceptor,
    freeDescriptors,
)
from fastpoetry.protocol import PoetryFactory
from tests.support import Reactor, StaticSource, noSpace

# For a socket that listens, these numbers of its TCP_INFO are about its queue.
QUEUED, LONGEST_QUEUE = slice(24, 28), slice(28, 32)


def queueInfo(port: Any, number: slice) -> int:
    """
    @return: what the kernel says of the queue of a port that listens.
    """
    info = port.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    return int.from_bytes(info[number], sys.byteorder)


def connectTo(port: Any, count: int) -> list[socket.socket]:
    """
    Connect so many readers, and see them all into the queue of the port.
    """
    listener = port.socket
    queued = queueInfo(port, QUEUED)
    readers = []
    for _ in range(count):
        readers.append(socket.socket(listener.family))
        readers[-1].settimeout(30)
        readers[-1].connect(listener.getsockname())
    while queueInfo(port, QUEUED) < queued + count:
        os.sched_yield()  # the last word of a handshake is on its way
    return readers


def openDescriptors() -> int:
    """
    @return: how many descriptors this process has open.
    """
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


class ListeningSocket:
    """
    The socket of a port, whose C{accept} fails with given errors before it works.
    """

    def __init__(self, listener: Any, errors: Iterable[int]) -> None:
        """
        @param errors: for each call the number of its error; 0 when it works.
        """
        self._listener = listener
        self._errors = iter(errors)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def _accept(self) -> Any:
        if error := next(self._errors, 0):
            raise OSError(error, os.strerror(error))
        return self._listener._accept()


class ScopedSocket(ListeningSocket):
    """
    One whose readers come from an address of the first interface only.
    """

    def _accept(self) -> Any:
        fd, address = self._listener._accept()
        return fd, ("fe80::17", *address[1:3], 1)


class Reciter(Protocol):
    """
    Says something, and leaves the end to the reader.
    """

    def connectionMade(self) -> None:
        """
        Say it.
        """
        self.transport.write(b"poem")  # type: ignore[union-attr]


class FailingReciter(Protocol):
    """
    Cannot begin.
    """

    def connectionMade(self) -> None:
        """
        Fail.
        """
        raise ZeroDivisionError


class ListedFactory(Factory):
    """
    Has a list of what to do for its first readers: an L{Exception} is raised, L{None}
    sends the reader away, and a function makes a protocol.  The others get a
    L{Reciter}.
    """

    noisy = False

    def __init__(self, todo: Sequence[Any] = ()) -> None:
        self.todo = list(todo)

    def buildProtocol(self, address: Any) -> Any:
        """
        Do what comes next.
        """
        first = self.todo.pop(0) if self.todo else Reciter
        if isinstance(first, Exception):
            raise first
        return first and first()


class Base(SynchronousTestCase):
    """
    Acceptors on real listening sockets, and a reactor in memory.
    """

    def setUp(self) -> None:
        """
        Nobody listens yet.
        """
        self.reactor = Reactor()
        self.acceptors: set[Acceptor] = set()

    def listen(
        self,
        limit: int | None,
        todo: Sequence[Any] = (),
        interface: str = "127.0.0.1",
        factory: Any = None,
    ) -> Acceptor:
        """
        Listen on a port that the system chooses.
        """
        port = self.makePort(todo, interface, factory)
        return self.start(Acceptor(port, limit, self.reactor, self.acceptors))

    def makePort(
        self,
        todo: Sequence[Any] = (),
        interface: str = "127.0.0.1",
        factory: Any = None,
    ) -> Port:
        """
        Make a port that listens, by default with a L{ListedFactory}.
        """
        factory = factory or ListedFactory(todo)
        port = Port(0, factory, interface=interface, reactor=self.reactor)
        port.startListening()
        return port

    def listenUNIX(self, limit: int) -> Acceptor:
        """
        Listen on a UNIX socket.
        """
        port = UNIXPort(self.mktemp(), ListedFactory(), reactor=self.reactor)
        port.startListening()
        return self.start(Acceptor(port, limit, self.reactor, self.acceptors))

    def start(self, acceptor: Acceptor) -> Acceptor:
        """
        Have readers let in.
        """
        self.addCleanup(self.close, acceptor)
        self.port: Any = acceptor._port
        acceptor.start()
        return acceptor

    def close(self, acceptor: Acceptor) -> None:
        """
        Close everything, and see that the reactor has nothing left of it.
        """
        if acceptor in acceptor._acceptors:
            acceptor.stop()
        self.leave(acceptor, len(acceptor.connections))
        if acceptor._port.connected:
            acceptor.connectionLost(Failure(ConnectionDone()))
        self.assertNotIn(acceptor, self.reactor.getReaders())
        self.assertNotIn(acceptor.connections, self.reactor.getReaders())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def connect(self, count: int, acceptor: Acceptor | None = None) -> Any:
        """
        Connect so many readers, by default to the port that was opened last.
        """
        port = self.port if acceptor is None else acceptor._port
        readers = connectTo(port, count)
        for reader in readers:
            self.addCleanup(reader.close)
        return readers

    def connectUNIX(self) -> socket.socket:
        """
        Connect a reader to the UNIX socket.
        """
        reader = socket.socket(socket.AF_UNIX)
        self.addCleanup(reader.close)
        reader.settimeout(30)
        reader.connect(self.port.socket.getsockname())
        return reader

    def leave(self, acceptor: Acceptor, count: int = 1) -> None:
        """
        Have so many connections lost.
        """
        for transport in list(acceptor.connections)[:count]:
            transport.abortConnection()
        self.reactor.advance(0)

    def acceptFails(self, acceptor: Acceptor, errors: Iterable[int]) -> None:
        """
        From now on C{accept} fails with these errors, one after the other, and then
        works again.
        """
        port = acceptor._port
        port.socket = ListeningSocket(port.socket, errors)

    def isReading(self, acceptor: Acceptor) -> bool:
        """
        Whether the reactor will let more readers in.
        """
        return acceptor in self.reactor.getReaders()

    def assertReset(self, reader: socket.socket) -> None:
        """
        Assert that a reader sees a reset, and nothing before it.
        """
        self.assertRaises(ConnectionResetError, reader.recv, 1)

    def assertServed(self, *readers: socket.socket) -> None:
        """
        Assert that readers are served.
        """
        for reader in readers:
            self.assertEqual(reader.recv(5), b"poem")

    def linesOf(self, function: Any) -> list[str | None]:
        """
        @return: the lines in the log that a call makes.
        """
        with capturedLogs() as events:
            function()
        return [formatEvent(event) for event in events]


class AcceptorTests(Base):
    """
    Tests of what L{Acceptor} makes of a port, and of its limit.
    """

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
            longest = min(int(file.read()), acceptorModule.BACKLOG)
        self.assertEqual(queueInfo(self.port, LONGEST_QUEUE), longest)

    def test_unsent(self) -> None:
        """
        The kernel holds only so much of a poem that it has not sent yet.
        """
        acceptor = self.listen(5)
        self.connect(1)
        acceptor.doRead()
        (transport,) = acceptor.connections
        unsent = transport.socket.getsockopt(
            socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT
        )
        self.assertEqual(unsent, MAX_UNSENT)

    def test_bornReset(self) -> None:
        """
        When an accepted socket is closed, and nothing more was said about it, its
        reader sees a reset and no end.
        """
        self.listen(5)
        (reader,) = self.connect(1)
        connection, _ = self.port.socket.accept()
        connection.close()
        self.assertReset(reader)

    def test_peer(self) -> None:
        """
        A connection knows who is on its other side.
        """
        acceptor = self.listen(5)
        (reader,) = self.connect(1)
        acceptor.doRead()
        (transport,) = acceptor.connections
        peer = transport.getPeer()
        self.assertEqual((peer.host, peer.port), reader.getsockname())

    def test_limit(self) -> None:
        """
        No more readers are let in than there is room for, though one turn could
        accept more; the others wait, and are let in as room is made.
        """
        acceptor = self.listen(3)
        readers = self.connect(8)
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 3)
        self.assertFalse(self.isReading(acceptor))
        self.leave(acceptor, 2)
        self.assertTrue(self.isReading(acceptor))
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 3)
        self.assertFalse(self.isReading(acceptor))
        self.leave(acceptor, 3)
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 3)
        self.leave(acceptor, 1)
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 2)
        self.assertTrue(self.isReading(acceptor))
        self.assertServed(*readers)

    def test_watches(self) -> None:
        """
        Only while there is no room does it watch who leaves.
        """
        acceptor = self.listen(1)
        self.connect(1)
        self.assertEqual(len(acceptor.connections.watchers), 0)
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections.watchers), 1)
        self.leave(acceptor)
        self.assertEqual(len(acceptor.connections.watchers), 0)

    def test_turn(self) -> None:
        """
        A rush of readers leaves those who are in already their turn.
        """
        self.patch(acceptorModule, "MAX_ACCEPTS", 4)
        acceptor = self.listen(50)
        self.connect(6)
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 4)
        self.assertTrue(self.isReading(acceptor))
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 6)

    def test_lost(self) -> None:
        """
        When the reactor gives the descriptor up, the port is told.
        """
        acceptor = self.listen(1)
        acceptor.stop()
        acceptor.connectionLost(Failure(ConnectionDone()))
        self.assertFalse(self.port.connected)


class AddressTests(Base):
    """
    Tests of L{Acceptor} on other ports than those of IPv4.
    """

    def test_IPv6(self) -> None:
        """
        A reader over IPv6 is served, and has its address for a name.
        """
        acceptor = self.listen(5, interface="::1")
        (reader,) = self.connect(1)
        acceptor.doRead()
        (transport,) = acceptor.connections
        peer = transport.getPeer()
        self.assertEqual((peer.host, peer.port), reader.getsockname()[:2])
        self.assertServed(reader)

    def test_scope(self) -> None:
        """
        A reader whose address is good on one interface only has the name of the
        interface in its own.
        """
        acceptor = self.listen(5, interface="::1")
        (reader,) = self.connect(1)
        self.port.socket = ScopedSocket(self.port.socket, ())
        acceptor.doRead()
        (transport,) = acceptor.connections
        self.assertEqual(
            transport.getPeer().host, f"fe80::17%{socket.if_indextoname(1)}"
        )
        self.assertServed(reader)

    def test_UNIX(self) -> None:
        """
        A UNIX socket has a limit, too.
        """
        acceptor = self.listenUNIX(1)
        one, two = self.connectUNIX(), self.connectUNIX()
        acceptor.doRead()
        self.assertServed(one)
        self.assertEqual(len(acceptor.connections), 1)
        self.assertFalse(self.isReading(acceptor))
        self.leave(acceptor)
        acceptor.doRead()
        self.assertServed(two)

    def test_UNIXPause(self) -> None:
        """
        On a UNIX socket, too, nobody is let in for a second when there are no
        descriptors left, and nobody is sent away.
        """
        acceptor = self.listenUNIX(5)
        reader = self.connectUNIX()
        self.acceptFails(acceptor, [errno.EMFILE])
        lines = self.linesOf(acceptor.doRead)
        self.assertEqual(lines, ["cannot accept: Too many open files"])
        self.assertFalse(self.isReading(acceptor))
        self.reactor.advance(PAUSE)
        acceptor.doRead()
        self.assertServed(reader)

    def test_UNIXProof(self) -> None:
        """
        What proves the end of a poem on a UNIX socket is opened when the port
        starts, and not when a reader has come and there may be no descriptor left.
        """
        self.patch(UNIXTransport, "_proof", [])
        patch = self.patch(os, "open", noSpace)
        port = UNIXPort(self.mktemp(), ListedFactory(), reactor=self.reactor)
        port.startListening()
        acceptor = Acceptor(port, 5, self.reactor, self.acceptors)
        self.assertRaises(OSError, acceptor.start)
        patch.restore()
        self.start(acceptor)
        (proof,) = UNIXTransport._proof
        self.addCleanup(os.close, *struct.unpack("i", proof[2]))
        reader = self.connectUNIX()
        self.patch(os, "open", noSpace)
        acceptor.doRead()
        self.assertServed(reader)


class ShareTests(Base):
    """
    Tests of how acceptors share the descriptors of the process.
    """

    def limitDescriptors(self, limit: int) -> None:
        """
        Let this process open so many descriptors, whatever is open already.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))

    def pretendFree(self, free: int) -> None:
        """
        Let this process have so many free descriptors, beside those kept back and
        those that readers have.
        """

        def pretended() -> int:
            readers = sum(len(one.connections) for one in self.acceptors)
            return RESERVE + free - readers

        self.patch(acceptorModule, "freeDescriptors", pretended)

    def test_share(self) -> None:
        """
        Without a limit of their own, all ports of a process share evenly what
        descriptors it may open yet, but for some that are kept back.
        """
        # A port takes two, one to listen and one to wait.
        self.limitDescriptors(openDescriptors() + RESERVE + 2 + 100)
        one = self.listen(None)
        self.assertEqual(one.share, 100)
        two = self.listen(None)
        self.assertEqual((one.share, two.share), (49, 49))
        two.stop()
        self.assertEqual(one.share, 99)  # the port itself closes after that

    def test_inUse(self) -> None:
        """
        What this process has opened for other purposes is not shared.
        """
        self.limitDescriptors(openDescriptors() + RESERVE + 2 + 100)
        for _ in range(40):
            file = open(os.devnull)  # noqa: SIM115
            self.addCleanup(file.close)
        self.assertEqual(self.listen(None).share, 60)

    def test_readers(self) -> None:
        """
        What the readers have already is part of what is shared.
        """
        self.limitDescriptors(openDescriptors() + RESERVE + 2 + 100)
        one = self.listen(None)
        self.connect(10)  # which takes as many on this side
        one.doRead()
        two = self.listen(None)
        self.assertEqual((one.share, two.share), (44, 44))

    def test_isTheLimit(self) -> None:
        """
        A port without a limit of its own lets as many in as its share.
        """
        self.pretendFree(4)
        acceptor = self.listen(None)
        self.connect(5)
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 4)

    def test_isTheMost(self) -> None:
        """
        A limit of its own gives a port no descriptors that the process has not.
        """
        self.pretendFree(3)
        acceptor = self.listen(50)
        self.connect(5)
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 3)
        self.assertFalse(self.isReading(acceptor))

    def test_shrinks(self) -> None:
        """
        A port that has more readers than its share, because another port was
        opened, lets nobody in until it has fewer.
        """
        self.pretendFree(6)
        acceptor = self.listen(None)
        self.connect(7)
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 6)
        self.listen(None)
        self.leave(acceptor, 3)
        self.assertFalse(self.isReading(acceptor))
        self.leave(acceptor, 1)
        self.assertTrue(self.isReading(acceptor))
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 3)

    def test_shrinksWhileReading(self) -> None:
        """
        That is so, too, for a port that had room still, and whose reactor waits for
        readers.
        """
        self.pretendFree(6)
        acceptor = self.listen(None)
        self.connect(4)
        acceptor.doRead()
        self.listen(None)
        self.connect(1, acceptor)
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 4)
        self.assertFalse(self.isReading(acceptor))
        self.leave(acceptor, 2)
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 3)

    def test_shrinksInPause(self) -> None:
        """
        That is so, too, for a port that had room when it failed to let a reader in,
        and has none when it would try again.
        """
        self.pretendFree(2)
        acceptor = self.listen(None)
        _, two = self.connect(2)
        self.acceptFails(acceptor, [0, errno.EMFILE])
        acceptor.doRead()
        self.listen(None)
        self.reactor.advance(PAUSE)
        self.assertFalse(self.isReading(acceptor))
        self.leave(acceptor)
        self.assertTrue(self.isReading(acceptor))
        acceptor.doRead()
        self.assertServed(two)

    def test_grows(self) -> None:
        """
        A port that is full lets readers in again when another port stops.
        """
        self.pretendFree(4)
        one, two = self.listen(None), self.listen(None)
        self.connect(3, one)
        one.doRead()
        self.assertEqual(len(one.connections), 2)
        self.assertFalse(self.isReading(one))
        two.stop()
        self.assertTrue(self.isReading(one))
        one.doRead()
        self.assertEqual(len(one.connections), 3)

    def test_atLeastOne(self) -> None:
        """
        However few descriptors there are, a reader is served.
        """
        self.pretendFree(-RESERVE // 2)
        acceptor = self.listen(None)
        (reader,) = self.connect(1)
        acceptor.doRead()
        self.assertServed(reader)

    def test_ofAProcess(self) -> None:
        """
        By default all ports of a process share.
        """
        one, two = (
            self.start(Acceptor(self.makePort(), None, self.reactor)) for _ in range(2)
        )
        self.assertTrue({one, two} <= ACCEPTORS)
        self.assertEqual(one.share, two.share)
        two.stop()
        self.assertNotIn(two, ACCEPTORS)
        self.assertGreater(one.share, two.share)

    def test_apart(self) -> None:
        """
        Ports that were given another set to be in share nothing with the rest.
        """
        self.pretendFree(8)
        one = self.listen(None)
        two = self.start(Acceptor(self.makePort(), None, self.reactor, set()))
        self.assertEqual((one.share, two.share), (8, 8))
        self.assertEqual(self.acceptors, {one})

    def test_unlimited(self) -> None:
        """
        Where the number of descriptors has no limit, there is one all the same.
        """
        infinity = resource.RLIM_INFINITY
        self.patch(resource, "getrlimit", lambda _: (infinity, infinity))
        self.assertEqual(freeDescriptors(), 2**20 - openDescriptors())

    def test_noProc(self) -> None:
        """
        Where F{/proc} is not there to tell what is open, none is taken to be.
        """

        def noDirectory(path: str) -> None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.patch(os, "listdir", noDirectory)
        self.assertEqual(freeDescriptors(), soft)


class StopTests(Base):
    """
    Tests of how L{Acceptor} stops.
    """

    def test_stop(self) -> None:
        """
        Who waits already when the port is about to close is let in first, as
        far as there is room; after that nobody is.
        """
        self.patch(acceptorModule, "MAX_ACCEPTS", 2)
        acceptor = self.listen(7)
        readers = self.connect(9)
        acceptor.stop()
        self.assertEqual(len(acceptor.connections), 7)
        self.assertFalse(self.isReading(acceptor))
        self.leave(acceptor, 3)
        self.assertFalse(self.isReading(acceptor))
        self.assertServed(*readers[:7])

    def test_withRoom(self) -> None:
        """
        When nobody waits any more, stopping is at its end.
        """
        acceptor = self.listen(7)
        readers = self.connect(2)
        acceptor.stop()
        self.assertFalse(self.isReading(acceptor))
        self.assertServed(*readers)

    def test_afterGone(self) -> None:
        """
        Who waits is let in also when those before have gone by now.
        """
        self.patch(acceptorModule, "MAX_ACCEPTS", 2)
        acceptor = self.listen(10)
        reset = struct.pack("ii", 1, 0)
        for reader in self.connect(4):
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            reader.close()
        (reader,) = self.connect(1)
        acceptor.stop()
        self.assertServed(reader)

    def test_makesRoom(self) -> None:
        """
        A reader that has ended, though nobody has seen it yet, gives its place to one
        who waits: one whose poem was just sent, as one that was read already.
        """
        for isRead in (False, True):
            factory = PoetryFactory(StaticSource(b"poem"), reactor=self.reactor)
            factory.noisy = False
            acceptor = self.listen(1, factory=factory)
            one, two = self.connect(2)
            acceptor.doRead()
            if isRead:
                self.reactor.pump([TICK] * 3)
            one.recv(5)
            one.close()
            factory.checkAll()
            acceptor.stop()
            self.assertEqual(two.recv(5), b"poem")
            two.close()
            self.reactor.pump([SLOW_TICK] * 4)

    def test_whileOthersCome(self) -> None:
        """
        Who comes while others are let in is let in, too.
        """
        late: list[socket.socket] = []

        def another() -> Protocol:
            late.extend(self.connect(1))
            return Reciter()

        self.patch(acceptorModule, "MAX_ACCEPTS", 1)
        acceptor = self.listen(50, [another] * 3)
        self.connect(1)
        acceptor.stop()
        self.assertEqual(len(late), 3)
        self.assertServed(*late)

    def test_inRush(self) -> None:
        """
        Others who come all the while do not keep a stop from its end.
        """

        def another() -> Protocol:
            self.connect(1)
            return Reciter()

        self.patch(acceptorModule, "BACKLOG", 4)
        self.patch(acceptorModule, "MAX_ACCEPTS", 2)
        acceptor = self.listen(50, [another] * 50)
        self.connect(1)
        acceptor.stop()
        self.assertEqual(len(acceptor.connections), 6)
        self.assertFalse(self.isReading(acceptor))

    def test_whenFull(self) -> None:
        """
        A port that is full waits for nobody to leave, and lets nobody in any more.
        """
        acceptor = self.listen(1)
        self.connect(2)
        acceptor.doRead()
        acceptor.stop()
        self.leave(acceptor)
        self.assertFalse(self.isReading(acceptor))
        self.assertEqual(len(acceptor.connections), 0)

    def test_inPause(self) -> None:
        """
        A stop while nobody is let in ends that, and tries once more to let those in
        who wait.
        """
        acceptor = self.listen(10)
        (reader,) = self.connect(1)
        self.acceptFails(acceptor, [errno.ENFILE])
        acceptor.doRead()
        acceptor.stop()
        self.assertServed(reader)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertFalse(self.isReading(acceptor))

    def test_cannotAccept(self) -> None:
        """
        When that fails, too, it is not tried again, and nothing is left on the clock.
        """
        acceptor = self.listen(10)
        self.connect(1)
        self.acceptFails(acceptor, [errno.ENFILE] * 2)
        acceptor.doRead()
        acceptor.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertFalse(self.isReading(acceptor))
        self.assertEqual(len(acceptor.connections), 0)

    def test_descriptors(self) -> None:
        """
        When it has stopped, its last connection gone and its port closed, it has
        given back all descriptors that it had.
        """
        before = openDescriptors()
        acceptor = self.listen(1)
        for reader in self.connect(1):
            acceptor.stop()
            reader.close()
        self.leave(acceptor)
        acceptor.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(openDescriptors(), before)


class PauseTests(Base):
    """
    Tests of what L{Acceptor} does when it can let nobody in.
    """

    def checkPause(self, acceptor: Acceptor, reader: socket.socket) -> None:
        """
        Check that nobody is let in for a second, and then a reader who waits is.
        """
        self.assertFalse(self.isReading(acceptor))
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.reactor.advance(PAUSE - 0.01)
        self.assertFalse(self.isReading(acceptor))
        self.reactor.advance(0.01)
        self.assertTrue(self.isReading(acceptor))
        acceptor.doRead()
        self.assertServed(reader)

    def test_outOfDescriptors(self) -> None:
        """
        When this process can open no more descriptors, nobody is let in for a
        second, nor sent away; the log has the reason, and then it is tried again.
        """
        acceptor = self.listen(10)
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

    def test_outOfAnything(self) -> None:
        """
        It is the same when the system has no room for another connection.
        """
        for error in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            acceptor = self.listen(10)
            (reader,) = self.connect(1)
            self.acceptFails(acceptor, [error])
            lines = self.linesOf(acceptor.doRead)
            self.assertEqual(lines, [f"cannot accept: {os.strerror(error)}"])
            self.checkPause(acceptor, reader)

    def test_again(self) -> None:
        """
        When there is no room after a second either, it is tried again in another.
        """
        acceptor = self.listen(10)
        (reader,) = self.connect(1)
        self.acceptFails(acceptor, [errno.EMFILE] * 2)
        acceptor.doRead()
        self.reactor.advance(PAUSE)
        acceptor.doRead()
        self.checkPause(acceptor, reader)

    def test_inTheMiddle(self) -> None:
        """
        Who was let in before there was no room any more is served, and who comes
        after that waits.
        """
        acceptor = self.listen(10)
        one, two = self.connect(2)
        self.acceptFails(acceptor, [0, errno.EMFILE])
        acceptor.doRead()
        self.assertServed(one)
        self.checkPause(acceptor, two)

    def test_lasts(self) -> None:
        """
        That second is not cut short by a reader who leaves.
        """
        acceptor = self.listen(2)
        one, two, three = self.connect(3)
        acceptor.doRead()
        self.assertServed(one, two)
        self.leave(acceptor)
        self.acceptFails(acceptor, [errno.EMFILE])
        acceptor.doRead()
        self.leave(acceptor)
        self.assertEqual(len(acceptor.connections), 0)
        self.checkPause(acceptor, three)

    def test_lastsForOthers(self) -> None:
        """
        Nor is it cut short by another port that opens or stops.
        """
        acceptor = self.listen(2)
        (reader,) = self.connect(1)
        self.acceptFails(acceptor, [errno.EMFILE])
        acceptor.doRead()
        self.listen(2).stop()
        self.checkPause(acceptor, reader)

    def test_cannotRegister(self) -> None:
        """
        When the reactor cannot register the port as room is made, it is tried again
        in a second, and as long as it cannot.
        """
        acceptor = self.listen(1)
        one, two = self.connect(2)
        acceptor.doRead()
        self.assertServed(one)
        patch = self.patch(self.reactor, "addReader", noSpace)
        line = "cannot accept: No space left on device"
        self.assertEqual(self.linesOf(lambda: self.leave(acceptor)), [line])
        self.assertEqual(self.linesOf(lambda: self.reactor.advance(PAUSE)), [line])
        patch.restore()
        self.checkPause(acceptor, two)

    def test_cannotRegisterAtStart(self) -> None:
        """
        The same holds when a port begins to listen.
        """
        acceptor = Acceptor(self.makePort(), 5, self.reactor, self.acceptors)
        patch = self.patch(self.reactor, "addReader", noSpace)
        lines = self.linesOf(lambda: self.start(acceptor))
        patch.restore()
        self.assertEqual(lines, ["cannot accept: No space left on device"])
        (reader,) = self.connect(1)
        self.checkPause(acceptor, reader)

    def test_noSocket(self) -> None:
        """
        When an accepted descriptor cannot be made a socket, it is given back, and
        nobody is let in for a second.
        """
        acceptor = self.listen(10)
        one, two = self.connect(2)
        patch = self.patch(acceptorModule, "SocketType", noSpace)
        before = openDescriptors()
        lines = self.linesOf(acceptor.doRead)
        self.assertEqual(openDescriptors(), before)
        patch.restore()
        self.assertEqual(lines, ["cannot accept: No space left on device"])
        self.assertReset(one)
        self.checkPause(acceptor, two)


class LostTests(Base):
    """
    Tests of what L{Acceptor} does about connections that are lost as they begin.
    """

    def test_passedOver(self) -> None:
        """
        An error that is about one connection costs the others nothing, not even a
        line in the log.
        """
        acceptor = self.listen(50)
        readers = self.connect(2)
        self.acceptFails(acceptor, sorted(LOST))
        self.assertEqual(self.linesOf(acceptor.doRead), [])
        self.assertTrue(self.isReading(acceptor))
        self.assertServed(*readers)

    def test_permanent(self) -> None:
        """
        When there is nothing but such errors, as a policy of the system may have it
        (C{EPERM}), the reactor does not spin: nobody is let in for a second, and
        the log has one line.
        """
        self.patch(acceptorModule, "MAX_ACCEPTS", 5)
        acceptor = self.listen(50)
        (reader,) = self.connect(1)
        self.acceptFails(acceptor, [errno.EPERM] * 10)
        line = "cannot accept: Operation not permitted"
        for _ in range(2):
            self.assertEqual(self.linesOf(acceptor.doRead), [line])
            self.assertFalse(self.isReading(acceptor))
            self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
            self.reactor.advance(PAUSE)
        self.assertEqual(self.linesOf(acceptor.doRead), [])
        self.assertServed(reader)

    def test_butOne(self) -> None:
        """
        When a turn full of such errors has let somebody in, there is no pause.
        """
        self.patch(acceptorModule, "MAX_ACCEPTS", 3)
        acceptor = self.listen(50)
        one, two = self.connect(2)
        self.acceptFails(acceptor, [errno.ECONNABORTED] * 2)
        self.assertEqual(self.linesOf(acceptor.doRead), [])
        self.assertTrue(self.isReading(acceptor))
        self.assertServed(one)
        acceptor.doRead()
        self.assertServed(two)

    def test_stop(self) -> None:
        """
        A stop has an end, too, when there is nothing but such errors.
        """
        acceptor = self.listen(50)
        self.connect(1)
        self.acceptFails(acceptor, [errno.EPERM] * 10**6)
        lines = self.linesOf(acceptor.stop)
        self.assertEqual(lines, ["cannot accept: Operation not permitted"])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_error(self) -> None:
        """
        A factory that fails for a reader costs that reader its connection, which is
        reset; the error is logged, and nobody else is affected.
        """
        acceptor = self.listen(10, [ZeroDivisionError()])
        one, two = self.connect(2)
        acceptor.doRead()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertReset(one)
        self.assertServed(two)
        self.assertEqual(len(acceptor.connections), 1)
        self.assertTrue(self.isReading(acceptor))

    def test_OSError(self) -> None:
        """
        It makes no difference when that error looks like one of C{accept}.
        """
        acceptor = self.listen(10, [OSError(errno.EMFILE, "Too many open files")])
        one, two = self.connect(2)
        acceptor.doRead()
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertReset(one)
        self.assertServed(two)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_noProtocol(self) -> None:
        """
        A reader whom the factory wants not is reset; that is no error.
        """
        acceptor = self.listen(10, [None])
        one, two = self.connect(2)
        self.assertEqual(self.linesOf(acceptor.doRead), [])
        self.assertReset(one)
        self.assertServed(two)
        self.assertEqual(len(acceptor.connections), 1)

    def test_protocolFails(self) -> None:
        """
        A protocol that fails as it begins costs its reader the connection, which is
        reset; the error is logged, and the next is served.
        """
        acceptor = self.listen(10, [FailingReciter])
        one, two = self.connect(2)
        acceptor.doRead()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertReset(one)
        self.assertServed(two)
        self.assertEqual(len(acceptor.connections), 1)

    def test_descriptors(self) -> None:
        """
        Whatever costs a reader the connection, its descriptor is given back.
        """
        acceptor = self.listen(10, [ZeroDivisionError(), None, FailingReciter])
        self.connect(3)
        before = openDescriptors()
        acceptor.doRead()
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(openDescriptors(), before)
