"""
What the tests of acceptors share: listening sockets that can fail, protocols, and
acceptors on a reactor in memory.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Port
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.endpoints.unixsocket import listenUNIX
from fastpoetry.listening.acceptor import Acceptor
from tests.support import Reactor

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
    Connect this many readers, and see them all into the queue of the port.
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
    Has a list of what to do for its first readers: an L{Exception} is raised, C{None}
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


class AcceptorTestCase(SynchronousTestCase):
    """
    Acceptors on real listening sockets, and a reactor in memory.
    """

    def setUp(self) -> None:
        """
        Nobody listens yet, and no descriptor of another test is left to be closed.
        """
        gc.collect()
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
        port = listenUNIX(self.reactor, self.mktemp(), ListedFactory(), 0o666)
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
        Connect this many readers, by default to the port that was opened last.
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
        Have this many connections lost.
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
