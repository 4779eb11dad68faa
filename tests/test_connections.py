"""
Tests of L{fastpoetry.connection.connections}.
"""

from __future__ import annotations

import errno
import gc
import os
import select
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IReadDescriptor
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from fastpoetry.connection.connections import Connections
from fastpoetry.connection.kernel import setReset
from fastpoetry.connection.transport import Transport
from tests.processes import DEADLINE
from tests.support import PretendedEpoll, PretendedSocket, Reactor, noSpace

PEER = IPv4Address("TCP", "192.0.2.1", 4321)
_IN, _OUT, _HUP = select.EPOLLIN, select.EPOLLOUT, select.EPOLLHUP


class Listener(Protocol):
    """
    A protocol that writes down what it is told.

    @ivar begin: what it does with its transport when it is connected.

    @ivar hear: what it does when it hears something.
    """

    begin: Callable[[Any], object] = staticmethod(id)
    hear: Callable[[bytes], object] = staticmethod(len)

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.reasons: list[type[BaseException]] = []
        self.ends: list[str] = []

    def connectionMade(self) -> None:
        """
        Begin.
        """
        self.begin(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Hear something.
        """
        self.heard.append(data)
        self.hear(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Write down why.
        """
        assert reason.type is not None
        self.reasons.append(reason.type)


@implementer(IHalfCloseableProtocol)
class HalfListener(Listener):
    """
    One that knows half of a connection.
    """

    def readConnectionLost(self) -> None:
        """
        The other side has ended.
        """
        self.ends.append("read")

    def writeConnectionLost(self) -> None:
        """
        This side has ended.
        """
        self.ends.append("write")


class ListedEpoll(PretendedEpoll):
    """
    A pretended C{epoll} whose events the test may say.

    @ivar calls: what was asked of it.

    @ivar events: what it says next, if it is not what there is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.events: list[tuple[int, int]] | None = None
        self.isClosed = False

    def register(self, fd: int, mask: int) -> None:
        self.calls.append(f"register {mask}")
        super().register(fd, mask)

    def modify(self, fd: int, mask: int) -> None:
        self.calls.append(f"modify {mask}")
        super().modify(fd, mask)

    def unregister(self, fd: int) -> None:
        self.calls.append("unregister")
        super().unregister(fd)

    def poll(self, timeout: float, maxevents: int = 1023) -> list[tuple[int, int]]:
        events, self.events = self.events, None
        return super().poll(timeout, maxevents) if events is None else events

    def close(self) -> None:
        super().close()
        self.isClosed = True


class PretendedTests(SynchronousTestCase):
    """
    What tests over pretended sockets need.
    """

    def setUp(self) -> None:
        """
        Make two connections.
        """
        self.reactor = Reactor()
        self.epoll = ListedEpoll()
        self.connections = Connections(self.reactor, self.epoll)
        self.one, self.two = Listener(), Listener()
        self.first, self.second = self.connect(self.one), self.connect(self.two)
        self.epoll.calls.clear()
        self.addCleanup(self.checkNothingLeft)

    def checkNothingLeft(self) -> None:
        """
        Nobody is left in the C{epoll}, and nothing on the clock.
        """
        self.connections.abort()
        self.reactor.advance(0)
        self.assertEqual(self.epoll.masks, {})
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def connect(self, protocol: Any, capacity: int = 1000) -> Any:
        """
        Begin a connection.
        """
        one = PretendedSocket(capacity, resets=True)
        self.epoll.sockets[one.fileno()] = one
        transport: Any = Transport(one, protocol, PEER, self.connections)
        self.sockets = [*getattr(self, "sockets", []), one]
        self.connections.begin(transport)
        return transport

    def lose(self, transport: Any) -> None:
        """
        Lose a connection.
        """
        transport.connectionLost(Failure(CONNECTION_LOST))


class ConnectionsTests(PretendedTests):
    """
    Tests of L{Connections}.
    """

    def test_interface(self) -> None:
        """
        To the reactor they are one descriptor, which it waits for from the first.
        """
        verifyObject(IReadDescriptor, self.connections)
        self.assertEqual(self.reactor.getReaders(), [self.connections])
        self.assertEqual(self.connections.logPrefix(), "connections")

    def test_count(self) -> None:
        """
        Connections are counted while they are open, and told one by one.
        """
        self.assertEqual(len(self.connections), 2)
        self.assertEqual(list(self.connections), [self.first, self.second])
        self.lose(self.first)
        self.assertEqual(list(self.connections), [self.second])
        self.assertEqual(len(self.connections), 1)

    def test_lostMeanwhile(self) -> None:
        """
        They may be lost while they are told.
        """
        for transport in self.connections:
            self.lose(transport)
        self.assertEqual(len(self.connections), 0)

    def test_watchers(self) -> None:
        """
        Whoever watches is called after each loss, in their order, and may stop
        watching then.
        """
        seen: list[tuple[str, int]] = []

        def once() -> None:
            seen.append(("once", len(self.connections)))
            del self.connections.watchers[once]

        def ever() -> None:
            seen.append(("ever", len(self.connections)))

        self.connections.watchers[once] = None
        self.connections.watchers[ever] = None
        self.lose(self.first)
        self.lose(self.second)
        self.assertEqual(seen, [("once", 1), ("ever", 1), ("ever", 0)])

    def test_whenNone(self) -> None:
        """
        C{whenNone} fires when the last connection is lost, and is then forgotten.
        """
        none = self.connections.whenNone()
        self.lose(self.first)
        self.assertNoResult(none)
        self.lose(self.second)
        self.assertIsNone(self.successResultOf(none))
        self.assertEqual(len(self.connections.watchers), 0)
        self.lose(self.connect(Listener()))

    def test_whenNoneAtOnce(self) -> None:
        """
        C{whenNone} fires at once when there is none.
        """
        nobody = Connections(self.reactor, PretendedEpoll())
        self.assertIsNone(self.successResultOf(nobody.whenNone()))

    def test_whenNoneCancelled(self) -> None:
        """
        C{whenNone} can be cancelled, and is then forgotten.
        """
        none = self.connections.whenNone()
        none.cancel()
        self.failureResultOf(none, CancelledError)
        self.assertEqual(len(self.connections.watchers), 0)
        self.lose(self.first)
        self.lose(self.second)

    def test_abort(self) -> None:
        """
        C{abort} ends every connection with a reset.
        """
        self.connections.abort()
        self.assertEqual(len(self.connections), 2)
        self.reactor.advance(0)
        self.assertEqual(len(self.connections), 0)
        self.assertEqual([one.seen for one in self.sockets], ["reset", "reset"])

    def test_close(self) -> None:
        """
        C{close} gives the C{epoll} back when the last connection has gone; the
        reactor has forgotten it by then.
        """
        removeReader = self.reactor.removeReader

        def remove(reader: Any) -> None:
            self.assertFalse(self.epoll.isClosed)
            removeReader(reader)

        self.reactor.removeReader = remove  # type: ignore[method-assign]
        self.connections.close()
        self.lose(self.first)
        self.assertFalse(self.epoll.isClosed)
        self.assertEqual(self.reactor.getReaders(), [self.connections])
        self.lose(self.second)
        self.assertTrue(self.epoll.isClosed)
        self.assertEqual(self.reactor.getReaders(), [])

    def test_closeAtOnce(self) -> None:
        """
        C{close} gives it back at once when there is none.
        """
        nobody = Connections(self.reactor, epoll := ListedEpoll())
        nobody.close()
        self.assertTrue(epoll.isClosed)
        self.assertEqual(self.reactor.getReaders(), [self.connections])

    def test_processEnds(self) -> None:
        """
        When the reactor is at its end everybody is lost, with a reset, even if a
        protocol fails.
        """

        def connectionLost(reason: Failure) -> None:
            raise ZeroDivisionError

        self.one.connectionLost = connectionLost  # type: ignore[method-assign]
        self.connections.connectionLost(Failure(CONNECTION_LOST))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.two.reasons, [ConnectionLost])
        self.assertEqual(len(self.connections), 0)
        self.assertEqual([one.seen for one in self.sockets], ["reset", "reset"])


class WaitTests(PretendedTests):
    """
    Tests of what the kernel is asked to wait for.
    """

    def test_nothing(self) -> None:
        """
        A connection that sends everything in its first turn, and does not read,
        waits for nothing: the kernel is not asked.
        """
        protocol = HalfListener()

        def begin(transport: Any) -> None:
            transport.write(b"poem")
            transport.loseWriteConnection()
            transport.pauseProducing()

        protocol.begin = begin
        transport = self.connect(protocol)
        self.assertEqual(self.epoll.calls, [])
        self.assertEqual((self.sockets[-1].end, transport.waits), ("half", 0))
        transport.resumeProducing()
        self.assertEqual(self.epoll.calls, [f"register {_IN}"])

    def test_asked(self) -> None:
        """
        The kernel is asked once for each change of what a transport wants.
        """
        transport = self.connect(Listener(), 1)
        transport.startReading()
        transport.write(b"poem")
        transport.startWriting()
        transport.stopReading()
        transport.stopWriting()
        transport.startWriting()
        self.lose(transport)
        expected = [
            f"register {_IN}",
            f"modify {_IN | _OUT}",
            f"modify {_OUT}",
            "unregister",
            f"register {_OUT}",
            "unregister",
        ]
        self.assertEqual(self.epoll.calls, expected)

    def test_endOfTurn(self) -> None:
        """
        What changes during a turn is asked for at its end, once, or not at all if
        it changes back.
        """

        def hear(data: bytes) -> None:
            self.first.pauseProducing()
            self.first.write(b"poem")
            if data == b"change":
                return
            self.first.resumeProducing()

        self.one.hear = hear
        self.sockets[0].said = [b"back"]
        self.connections.doRead()
        self.assertEqual(self.epoll.calls, [])
        self.sockets[0].capacity = 0
        self.sockets[0].said = [b"change"]
        self.connections.doRead()
        self.assertEqual(self.epoll.calls, [f"modify {_OUT}"])
        self.assertEqual(self.first.waits, _OUT)

    def test_otherTurn(self) -> None:
        """
        What one protocol writes to another connection is sent, in a turn of that
        one.
        """
        self.one.hear = self.second.write
        self.sockets[0].said = [b"poem"]
        self.connections.doRead()
        self.assertEqual(self.sockets[1].held, b"")
        self.connections.doRead()
        self.assertEqual(self.sockets[1].held, b"poem")
        self.assertEqual(self.second.waits, _IN)

    def test_noRoom(self) -> None:
        """
        When the kernel has no room for one more, it costs that connection, later
        and with a reset, and no other.
        """
        for name in ("register", "modify"):
            protocol = Listener()
            if name == "register":
                self.epoll.register = noSpace  # type: ignore[method-assign]
                transport = self.connect(protocol)
            else:
                transport = self.connect(protocol)
                self.epoll.modify = noSpace  # type: ignore[method-assign]
                transport.write(b"poem")
            delattr(self.epoll, name)
            self.assertEqual((protocol.reasons, transport.disconnected), ([], 0))
            self.reactor.pump([0, 0])
            self.assertEqual(protocol.reasons, [ConnectionLost])
            self.assertEqual(self.sockets[-1].seen, "reset")
            self.assertEqual(list(self.connections), [self.first, self.second])
            self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_noMemory(self) -> None:
        """
        So it does when the kernel has no memory, in a turn too, whatever the
        connection does until then.
        """

        def fail(fd: int, mask: int) -> None:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

        def hear(data: bytes) -> None:
            self.sockets[0].capacity = 0
            self.first.write(b"poem")

        self.one.hear = hear
        self.sockets[0].said = [b"question"]
        self.epoll.modify = fail  # type: ignore[method-assign]
        self.connections.doRead()
        self.first.write(b"poem")
        self.first.pauseProducing()
        self.first.loseWriteConnection()
        self.reactor.pump([0, 0])
        self.assertEqual(self.one.reasons, [ConnectionLost])
        self.assertEqual(self.sockets[0].seen, "reset")
        self.assertEqual(list(self.connections), [self.second])

    def test_lost(self) -> None:
        """
        Nothing is waited for that is lost, though another connection may have its
        number by now.
        """
        self.lose(self.first)
        self.epoll.calls.clear()
        self.first.startReading()
        self.assertEqual(self.epoll.calls, [])
        self.sockets[1]._number = self.first.fd
        self.epoll.sockets[self.first.fd] = self.sockets[1]
        heir: Any = Transport(self.sockets[1], Listener(), PEER, self.connections)
        self.connections.begin(heir)
        self.epoll.calls.clear()
        self.first.startWriting()
        self.assertEqual(self.epoll.calls, [])
        self.assertEqual(self.connections._open[heir.fd], heir)


class EventTests(PretendedTests):
    """
    Tests of what is done about events.
    """

    def happens(self, transport: Any, *events: int) -> None:
        """
        Have something happen to a connection, and the reactor see it.
        """
        self.epoll.events = [(transport.fd, one) for one in events]
        self.connections.doRead()

    def test_read(self) -> None:
        """
        What has come is read, of everybody.
        """
        self.sockets[0].said, self.sockets[1].said = [b"one"], [b"two"]
        self.connections.doRead()
        self.assertEqual((self.one.heard, self.two.heard), ([b"one"], [b"two"]))

    def test_write(self) -> None:
        """
        What waits is sent when there is room, and not tried before.
        """
        transport = self.connect(Listener(), 2)
        transport.write(b"poem")
        self.connections.doRead()
        one = self.sockets[-1]
        self.assertEqual(one.held, b"po")
        one.held.clear()
        one.said = [b"a word"]
        self.happens(transport, _IN)
        self.assertEqual(one.held, b"")
        self.happens(transport, _IN | _OUT)
        self.assertEqual(one.held, b"em")

    def test_lostInTheSameTurn(self) -> None:
        """
        An event of a connection that was lost during the turn of another is
        ignored.
        """
        self.one.hear = lambda data: self.lose(self.second)
        self.sockets[0].said, self.sockets[1].said = [b"one"], [b"two"]
        self.connections.doRead()
        self.assertEqual((self.one.heard, self.two.heard), ([b"one"], []))
        self.assertEqual(self.two.reasons, [ConnectionLost])

    def test_abortedInTheSameTurn(self) -> None:
        """
        One that was aborted reads nothing any more.
        """
        self.one.hear = lambda data: self.connections.abort()
        self.sockets[0].said, self.sockets[1].said = [b"one"], [b"two"]
        self.connections.doRead()
        self.reactor.advance(0)
        self.assertEqual((self.one.heard, self.two.heard), ([b"one"], []))
        self.assertEqual([one.seen for one in self.sockets], ["reset", "reset"])

    def test_numberOfAnother(self) -> None:
        """
        An event that was another's, whose number somebody has who waits for nothing,
        is ignored: to read from such a socket could hold everybody up.
        """
        self.first.pauseProducing()
        self.sockets[0].said = [b"one"]
        self.epoll.events = [(self.first.fileno(), _IN)]
        self.connections.doRead()
        self.assertEqual(self.one.heard, [])

    def test_unknown(self) -> None:
        """
        An event of nobody is ignored.
        """
        self.epoll.events = [(1, _IN | _OUT | _HUP)]
        self.connections.doRead()
        self.assertEqual(len(self.connections), 2)

    def test_brokenWhileReading(self) -> None:
        """
        When a connection breaks, and nothing is left to read, that is the end for
        a transport that reads; it may be but half of it.
        """
        half = HalfListener()
        transport = self.connect(half)
        self.happens(transport, _HUP)
        self.assertEqual((half.ends, half.reasons), (["read"], []))
        self.assertEqual(transport.waits, 0)
        self.happens(self.first, _HUP)
        self.assertEqual(self.one.reasons, [ConnectionDone])

    def test_brokenWhileWriting(self) -> None:
        """
        For a transport that only writes it is an error.
        """
        for events in (_HUP, select.EPOLLERR, _HUP | select.EPOLLERR | _OUT):
            half = HalfListener()
            transport = self.connect(half, 0)
            transport.pauseProducing()
            transport.write(b"poem")
            self.sockets[-1].broken = True
            self.happens(transport, events)
            self.assertEqual((half.ends, half.reasons), ([], [ConnectionLost]))
            self.assertEqual(self.sockets[-1].seen, "reset")

    def test_lastWords(self) -> None:
        """
        What is left to read is read first.
        """
        self.sockets[0].said = [b"last words"]
        self.happens(self.first, _IN | _HUP)
        self.assertEqual((self.one.heard, self.one.reasons), ([b"last words"], []))
        self.sockets[0].broken = True
        self.happens(self.first, _IN | _HUP)
        self.assertEqual(self.one.reasons, [ConnectionLost])

    def test_lostByItself(self) -> None:
        """
        A connection that ends itself during its turn is lost once.
        """
        for name in ("loseConnection", "abortConnection", "loseWriteConnection"):
            protocol = Listener()
            transport = self.connect(protocol)

            def hear(data: bytes, one: Any = transport, name: str = name) -> None:
                one.loseWriteConnection()
                one.doWrite()
                getattr(one, name)()

            protocol.hear = hear
            self.sockets[-1].said = [b"bye", b""]
            for _ in range(3):
                self.connections.doRead()
                self.reactor.advance(0)
            self.assertEqual(len(protocol.reasons), 1)
        self.assertEqual(len(self.connections), 2)

    def test_lostByItsAnswer(self) -> None:
        """
        One that answers and ends in the turn of the question has ended: it is not
        taken for the end of the other half.
        """
        protocol = HalfListener()
        transport = self.connect(protocol)

        def hear(data: bytes) -> None:
            transport.write(data)
            transport.loseConnection()

        protocol.hear = hear
        self.sockets[-1].said = [b"question"]
        self.connections.doRead()
        self.assertEqual((protocol.ends, protocol.reasons), ([], [ConnectionDone]))
        self.assertEqual(self.sockets[-1].held, b"question")

    def test_lostAtOnce(self) -> None:
        """
        One that ends itself when it has just begun was never waited for.
        """
        protocol = HalfListener()

        def begin(transport: Any) -> None:
            transport.loseWriteConnection()
            transport.doWrite()
            transport.loseConnection()

        protocol.begin = begin
        self.connect(protocol)
        self.assertEqual((protocol.reasons, self.epoll.calls), ([ConnectionDone], []))
        self.assertEqual(len(self.connections), 2)

    def test_closedInTurn(self) -> None:
        """
        The last turn may be that of the last connection.
        """
        self.connections.close()
        self.sockets[0].said, self.sockets[1].said = [b""], [b""]
        self.connections.doRead()
        self.assertTrue(self.epoll.isClosed)


class KernelTests(SynchronousTestCase):
    """
    Tests of L{Connections} with an C{epoll} and sockets of the kernel's.
    """

    def setUp(self) -> None:
        """
        Make connections; at the end none may be left.
        """
        self.reactor = Reactor()
        self.connections = Connections(self.reactor)
        self.addCleanup(self.connections.close)
        self.addCleanup(self.reactor.advance, 0)
        self.addCleanup(self.connections.abort)

    def connect(self, protocol: Any) -> tuple[socket.socket, Any]:
        """
        Begin a connection.

        @return: the reader's socket, and the transport.
        """
        with socket.create_server(("127.0.0.1", 0)) as listener:
            setReset(listener, True)
            reader = socket.create_connection(listener.getsockname(), DEADLINE)
            server, _ = listener.accept()
        self.addCleanup(reader.close)
        transport = Transport(server, protocol, PEER, self.connections)
        self.connections.begin(transport)
        return reader, transport

    def hasEvents(self, seconds: float = 0.0) -> bool:
        """
        @param seconds: how long to wait.

        @return: whether something comes for a connection.
        """
        ready, _, _ = select.select([self.connections], [], [], seconds)
        return bool(ready)

    def test_descriptor(self) -> None:
        """
        The reactor waits for what comes for any of them.
        """
        protocols = [Listener() for _ in range(3)]
        readers = [self.connect(one)[0] for one in protocols]
        self.assertFalse(self.hasEvents())
        for reader, protocol in zip(readers, protocols):
            reader.sendall(b"knock")
            self.assertTrue(self.hasEvents(DEADLINE))
            self.connections.doRead()
            self.assertEqual(protocol.heard, [b"knock"])
        self.assertFalse(self.hasEvents())

    def test_notBlocked(self) -> None:
        """
        A socket that blocks, as those of an acceptor do to begin with, holds nobody
        up.
        """
        _, transport = self.connect(Listener())
        self.assertIsNone(transport.doRead())
        self.assertEqual(transport.socket.gettimeout(), 0.0)

    def test_copiedSocket(self) -> None:
        """
        A connection that is lost is waited for no more, though a process that was
        forked may have a copy of its socket: nothing happens to whoever has its
        number next.
        """
        for lose in ("connectionLost", "abortConnection", "loseConnection"):
            protocol = Listener()
            reader, transport = self.connect(protocol)
            copy = os.dup(transport.fileno())
            self.addCleanup(os.close, copy)
            if lose == "connectionLost":
                transport.connectionLost(Failure(CONNECTION_LOST))
            else:
                getattr(transport, lose)()
                self.reactor.advance(0)
                self.connections.doRead()
            self.assertTrue(transport.disconnected)
            reader.sendall(b"knock")
            ready, _, _ = select.select([copy], [], [], DEADLINE)
            self.assertEqual(ready, [copy])
            self.assertEqual(self.connections._epoll.poll(0), [])
            self.assertFalse(self.hasEvents())

    def test_full(self) -> None:
        """
        When the limit of the kernel is reached, or it refuses for another reason,
        the reader sees a reset, and others go on.
        """

        class Full:
            """
            An C{epoll} that is full.
            """

            register = staticmethod(noSpace)

            def __init__(self, epoll: Any) -> None:
                self._epoll = epoll

            def __getattr__(self, name: str) -> Any:
                return getattr(self._epoll, name)

        other = Listener()
        others, _ = self.connect(other)
        epoll = self.connections._epoll
        self.connections._epoll = Full(epoll)
        reader, _ = self.connect(Listener())
        self.connections._epoll = epoll
        self.reactor.pump([0, 0])
        self.assertRaises(ConnectionResetError, reader.recv, 1)
        others.sendall(b"knock")
        self.assertTrue(self.hasEvents(DEADLINE))
        self.connections.doRead()
        self.assertEqual(other.heard, [b"knock"])

    def test_reset(self) -> None:
        """
        A reader that resets is lost, whether it was read from or written to.
        """
        for writes in (False, True):
            protocol = HalfListener()
            reader, transport = self.connect(protocol)
            if writes:
                transport.pauseProducing()
                transport.write(bytes(2**24))
                for _ in range(2**24 // 2**10):
                    if not self.hasEvents():
                        break
                    self.connections.doRead()
            setReset(reader, True)
            reader.close()
            while not protocol.reasons:
                self.assertTrue(self.hasEvents(DEADLINE))
                self.connections.doRead()
            self.assertEqual((protocol.ends, protocol.reasons), ([], [ConnectionLost]))

    def test_processEnds(self) -> None:
        """
        When the reactor is at its end every reader sees a reset.
        """
        readers = [self.connect(Listener())[0] for _ in range(2)]
        self.connections.connectionLost(Failure(CONNECTION_LOST))
        for reader in readers:
            self.assertRaises(ConnectionResetError, reader.recv, 1)

    def test_close(self) -> None:
        """
        The C{epoll} is given back to the kernel.
        """
        gc.collect()  # garbage of other tests may have descriptors
        before = len(os.listdir("/proc/self/fd"))
        one = Connections(self.reactor)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before + 1)
        self.assertEqual(one.fileno(), one._epoll.fileno())
        one.close()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)
        self.assertEqual(self.reactor.getReaders(), [self.connections])
