"""
Tests of L{fastpoetry.doors.datagram} on real sockets, with a reactor in memory.
"""

from __future__ import annotations

import errno
import select
import socket
from typing import Any

from twisted.internet.error import CannotListenError
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.doors.datagram import (
    MAX_READS,
    PoetryDatagramProtocol,
    PoetryDatagramServer,
    _Port,
    resolve,
)
from fastpoetry.error import ListenError
from tests.support import POEM, Reactor, StaticSource

# What is no address of one machine alone.
REFUSED = {
    "0.0.0.0": "Not the address of one interface: 0.0.0.0",
    "0": "Not the address of one interface: 0",
    "::": "Not the address of one interface: ::",
    "::ffff:0.0.0.0": "Not the address of one interface: ::ffff:0.0.0.0",
    "224.0.0.1": "Not the address of one interface: 224.0.0.1",
    "ff02::1": "Not the address of one interface: ff02::1",
    "255.255.255.255": "Permission denied: 255.255.255.255",
    "127.255.255.255": "Permission denied: 127.255.255.255",
}


class ResolveTests(SynchronousTestCase):
    """
    Tests of L{resolve}.
    """

    def test_addresses(self) -> None:
        """
        An address stays what it is; a name is one of IPv4.
        """
        for host, address in [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("localhost", "127.0.0.1"),
        ]:
            self.assertEqual(resolve(host), address)

    def test_refused(self) -> None:
        """
        All addresses of the machine are refused, and those of many machines.
        """
        for host, sentence in REFUSED.items():
            error = self.assertRaises(ListenError, resolve, host)
            self.assertEqual(str(error), sentence)

    def test_noName(self) -> None:
        """
        A name that is none is refused in a sentence.
        """
        for host in ("a..b", ".", "\xe9..b", "x" * 64):
            error = self.assertRaises(ListenError, resolve, host)
            self.assertEqual(str(error), f"not a host: {host}")


class ServerTests(SynchronousTestCase):
    """
    Tests of L{PoetryDatagramServer}.
    """

    def setUp(self) -> None:
        """
        Make a server.
        """
        self.reactor = Reactor()
        self.protocol = PoetryDatagramProtocol(StaticSource(POEM), reactor=self.reactor)
        self.server = PoetryDatagramServer(0, self.protocol, "127.0.0.1")
        self.reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(self.reader.close)

    def start(self) -> Any:
        """
        Start the server.

        @return: its port.
        """
        self.server.privilegedStartService()
        self.server.startService()
        self.addCleanup(self.stop)
        port: Any = self.server._port
        self.reader.connect(("127.0.0.1", port.getHost().port))
        return port

    def stop(self) -> None:
        """
        Stop it, if it runs.
        """
        if self.server.running:
            done = self.server.stopService()
            self.reactor.advance(0)
            self.successResultOf(done)

    def test_answers(self) -> None:
        """
        A datagram is answered, be it empty.
        """
        port = self.start()
        self.assertIn(port, self.reactor.getReaders())
        for question in (b"", b"x", b"x" * 1000):
            self.reader.send(question)
            port.doRead()
            self.assertEqual(self.reader.recv(1000), POEM)

    def test_stop(self) -> None:
        """
        A stop closes the port; a start opens one again.
        """
        self.start()
        self.stop()
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertRaises(ConnectionRefusedError, self.ask)
        self.start()
        self.ask()

    def ask(self) -> None:
        """
        Send two datagrams: the second has the error of the first.
        """
        self.reader.send(b"")
        self.reader.send(b"")

    def test_privileges(self) -> None:
        """
        The port is opened while there are privileges, and not once more.
        """
        self.server.privilegedStartService()
        port: Any = self.server._port
        self.assertIn(port, self.reactor.getReaders())
        self.server.startService()
        self.addCleanup(self.stop)
        self.assertIs(self.server._port, port)

    def test_startWithoutPrivileges(self) -> None:
        """
        One that was added to services that run listens, too.
        """
        self.server.startService()
        self.addCleanup(self.stop)
        self.assertIsInstance(self.server._port, _Port)

    def test_taken(self) -> None:
        """
        A port that somebody has is an error in one sentence, and so is an address of
        another machine.
        """
        number = self.start().getHost().port
        self.patch(_Port, "createInternetSocket", self.openSocket)
        for host, number_, reason in [
            ("127.0.0.1", number, "Address already in use"),
            ("::ffff:7f00:1", number, "Not the address of one interface"),
            ("192.0.2.77", 0, ""),  # no such address, or no network
        ]:
            other = PoetryDatagramServer(number_, self.protocol, host)
            error = self.assertRaises(ListenError, other.privilegedStartService)
            self.assertIn(reason, str(error))
            self.assertIn(host, str(error))
            self.assertNotIsInstance(error, CannotListenError)

    def openSocket(self) -> socket.socket:
        """
        In place of a method of Twisted's port, which leaves a socket that it could
        not bind open.
        """
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(opened.close)
        return opened

    def test_flood(self) -> None:
        """
        Empty datagrams do not keep the others from their turn.
        """
        port = self.start()
        for _ in range(MAX_READS + 1):
            self.reader.send(b"")
        port.doRead()
        self.assertEqual(sum(self.protocol.counts.values()), MAX_READS)
        self.assertTrue(select.select([port], [], [], 0)[0])
        port.doRead()
        self.assertEqual(sum(self.protocol.counts.values()), MAX_READS + 1)

    def test_readError(self) -> None:
        """
        An error that comes of an answer (ICMP) costs nothing.
        """
        port = self.start()
        real, port.socket = port.socket, self
        port.doRead()
        port.socket = real
        self.reader.send(b"")
        port.doRead()
        self.assertEqual(self.reader.recv(1000), POEM)

    def recvfrom(self, size: int) -> None:
        """
        Fail as a socket does to which ICMP came.
        """
        raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")

    def test_brokenProtocol(self) -> None:
        """
        An error of a protocol that somebody has changed costs an answer, not the port.
        """
        port = self.start()
        self.patch(self.protocol, "datagramReceived", lambda *datagram: 1 / 0)
        self.reader.send(b"")
        port.doRead()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn(port, self.reactor.getReaders())

    def test_scope(self) -> None:
        """
        An answer to an address with a scope has the scope.
        """
        port = self.start()
        seen: list[Any] = []
        self.patch(self.protocol, "datagramReceived", lambda *got: seen.append(got))
        address = ("fe80::1", 40000, 0, 7)
        real, port.socket = port.socket, Scoped(address)
        port.doRead()
        port.socket = real
        self.assertEqual(seen, [(b"x", address)])


class Scoped:
    """
    A socket with one datagram.
    """

    def __init__(self, address: Any) -> None:
        self._datagrams = [(b"x", address)]

    def recvfrom(self, size: int) -> Any:
        """
        Give the datagram.
        """
        if not self._datagrams:
            raise BlockingIOError(errno.EAGAIN, "nothing there")
        return self._datagrams.pop()
