"""
Tests of L{fastpoetry.connection.connections}: what the kernel is asked to wait
for, and what is done about events.
"""

from __future__ import annotations

import errno
import os
import select
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost

from fastpoetry.connection.transport import Transport
from tests.connections import ConnectionsTestCase
from tests.protocols import HalfListener, Listener
from tests.support import noSpace
from tests.wire import PEER

_IN, _OUT, _HUP = select.EPOLLIN, select.EPOLLOUT, select.EPOLLHUP


class WaitTests(ConnectionsTestCase):
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
        self.assertEqual((self.sockets[-1].end, transport.registered), ("half", 0))
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
        self.assertEqual(self.first.registered, _OUT)

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
        self.assertEqual(self.second.registered, _IN)

    def test_noRoom(self) -> None:
        """
        When the kernel has no room for one more, it costs that connection, later
        and with a reset, and no other.
        """
        for name in ("register", "modify"):
            protocol = Listener()
            if name == "register":
                setattr(self.epoll, name, noSpace)
                transport = self.connect(protocol)
            else:
                transport = self.connect(protocol)
                setattr(self.epoll, name, noSpace)
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


class EventTests(ConnectionsTestCase):
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
        self.assertEqual(transport.registered, 0)
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
