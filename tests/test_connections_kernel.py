"""
Tests of L{fastpoetry.connection.connections} with an C{epoll} and sockets of
the kernel's.
"""

from __future__ import annotations

import gc
import os
import select
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.main import CONNECTION_LOST
from twisted.python.failure import Failure

from fastpoetry.connection.connections import Connections
from fastpoetry.connection.kernel import setReset
from sandbox import DEADLINE
from tests.protocols import HalfListener, Listener
from tests.support import noSpace, openDescriptors
from tests.transports import RealTransportTestCase


class KernelTests(RealTransportTestCase):
    """
    Tests of L{Connections} with an C{epoll} and sockets of the kernel's.
    """

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
        before = len(openDescriptors())
        one = Connections(self.reactor)
        self.assertEqual(len(openDescriptors()), before + 1)
        self.assertEqual(one.fileno(), one._epoll.fileno())
        one.close()
        self.assertEqual(len(openDescriptors()), before)
        self.assertEqual(self.reactor.getReaders(), [self.connections])
