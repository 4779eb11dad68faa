"""
Tests of L{fastpoetry.listening.acceptor}: ports of all kinds, and the limit.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from twisted.internet import unix
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from fastpoetry.endpoints.unixsocket import UNIXTransport
from fastpoetry.listening import acceptor as acceptorModule
from fastpoetry.listening.acceptor import MAX_UNSENT, PAUSE, Acceptor
from tests.acceptors import (
    LONGEST_QUEUE,
    AcceptorTestCase,
    ListedFactory,
    ScopedSocket,
    queueInfo,
)
from tests.support import linesOf, noSpace


class AcceptorTests(AcceptorTestCase):
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
        acceptor.connectionLost(Failure(ConnectionDone()))
        self.assertFalse(self.port.connected)
        self.acceptors.clear()
        self.reactor.removeReader(acceptor)
        acceptor.connections.close()


class AddressTests(AcceptorTestCase):
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

    def test_UNIXPortOfTwisted(self) -> None:
        """
        A port of Twisted's own on a UNIX socket, such as the plugin of another kind of
        endpoint may open, is served, too.
        """
        port = unix.Port(self.mktemp(), ListedFactory(), reactor=self.reactor)
        port.startListening()
        acceptor = self.start(Acceptor(port, 5, self.reactor, self.acceptors))
        reader = self.connectUNIX()
        acceptor.doRead()
        self.assertServed(reader)

    def test_UNIXPause(self) -> None:
        """
        On a UNIX socket, too, nobody is let in for a second when there are no
        descriptors left, and nobody is sent away.
        """
        acceptor = self.listenUNIX(5)
        reader = self.connectUNIX()
        self.acceptFails(acceptor, [errno.EMFILE])
        lines = linesOf(acceptor.doRead)
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
        self.assertRaises(CannotListenError, self.listenUNIX, 5)
        patch.restore()
        acceptor = self.listenUNIX(5)
        (proof,) = UNIXTransport._proof
        self.addCleanup(os.close, *struct.unpack("i", proof[2]))
        reader = self.connectUNIX()
        self.patch(os, "open", noSpace)
        acceptor.doRead()
        self.assertServed(reader)
