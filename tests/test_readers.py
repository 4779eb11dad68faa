"""
Tests of L{fastpoetry.commands.readers}, and of servers that are made so.
"""

from __future__ import annotations

import io
import select
import socket
import subprocess
import sys
from typing import Any

from twisted.logger import capturedLogs, formatEvent
from twisted.python._shellcomp import ZshArgumentsGenerator
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.commands.options import ListenerOptions
from fastpoetry.connection import kernel
from fastpoetry.connection.factory import TICK
from fastpoetry.error import ListenError
from fastpoetry.listening.access import Access
from fastpoetry.listening.proxyheader import HEADER_TIMEOUT
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import PoetryServer
from sandbox import ROOT
from tests.headers import version1
from tests.support import ListeningReactor, StaticSource, assertRefused, socketPath

# What is given; what the one sentence says.
REFUSED = {
    "no network": (
        ["--allow", "localhost"],
        "--allow is not a network such as 192.0.2.0/24: localhost",
    ),
    "not its first address": (
        ["--deny", "192.0.2.1/24"],
        "--deny is not a network: 192.0.2.1/24 (write 192.0.2.0/24 or 192.0.2.1)",
    ),
    "empty": (["--proxy-protocol", ""], "--proxy-protocol is not a network"),
    "IPv4 as IPv6": (
        ["--allow", "::ffff:192.0.2.0/120"],
        "--allow is a network of IPv4 and has to be written so: ::ffff:192.0.2.0/120",
    ),
    "both": (
        ["--allow", "10.0.0.0/8", "--deny", "10.0.0.0/255.0.0.0"],
        "both --allow and --deny: 10.0.0.0/255.0.0.0",
    ),
    "no number": (
        ["--max-per-address", "0"],
        "--max-per-address is not a whole number above 0: 0",
    ),
    "no rate": (["--rate", "20"], "--rate is not a number of readers and of seconds"),
    "no time": (["--rate", "20/0"], "seconds, such as 20/60: 20/0"),
    "rate of none": (["--rate", "0/60"], "seconds, such as 20/60: 0/60"),
    "rate of words": (["--rate", "a/b"], "seconds, such as 20/60: a/b"),
}


class ReaderOptionsTests(SynchronousTestCase):
    """
    Tests of L{ReaderOptions<fastpoetry.commands.readers.ReaderOptions>}, as a listener
    has them.
    """

    def make(self, *arguments: str) -> Any:
        """
        @return: a server that is made so.
        """
        options = ListenerOptions()
        options.parseOptions(arguments)
        factory = PoetryFactory(StaticSource(b"poem"))
        server = options.makeServer("tcp:17", factory)
        self.assertIs(options.makeServer("tcp:18", factory).access, server.access)
        return server

    def test_defaults(self) -> None:
        """
        By default everybody may read.
        """
        server = self.make()
        self.assertEqual((server.access, server.proxies), (None, []))

    def test_rules(self) -> None:
        """
        Networks may be repeated, wherever they stand.
        """
        given = ["--allow=10.0.0.0/8", "--deny=10.1.0.0/16", "--allow=::1"]
        access: Any = self.make(*given, "--deny=10.2.0.0/16", "--allow=::1").access
        self.assertEqual(
            [(str(network), isAllowed) for network, isAllowed in access._rules],
            [
                ("::1/128", True),
                ("10.1.0.0/16", False),
                ("10.2.0.0/16", False),
                ("10.0.0.0/8", True),
            ],
        )

    def test_limits(self) -> None:
        """
        How many there may be, and come.
        """
        access = self.make("--max-per-address", "3", "--rate", "20/1.5").access
        tokens = access._tokens
        self.assertEqual(access._maxPerAddress, 3)
        self.assertEqual((tokens._rate, tokens._burst), (20 / 1.5, 20))

    def test_proxies(self) -> None:
        """
        Proxies may be in several networks.
        """
        server = self.make("--proxy-protocol=192.0.2.7", "--proxy-protocol=fd00::/8")
        self.assertEqual(list(map(str, server.proxies)), ["192.0.2.7/32", "fd00::/8"])

    def test_refused(self) -> None:
        """
        What cannot be is refused in one plain sentence with the value.
        """
        assertRefused(self, self.make, REFUSED)

    def test_completion(self) -> None:
        """
        The shell can complete every option, and the help has them.
        """
        output = io.BytesIO()
        ZshArgumentsGenerator(ListenerOptions(), "twistd", output).write()
        for text in (output.getvalue().decode(), str(ListenerOptions())):
            for option in ("allow", "deny", "max-per-address", "rate"):
                self.assertIn(f"--{option}", text)
            self.assertIn("--proxy-protocol", text)

    def test_noImport(self) -> None:
        """
        Without these options their modules are not loaded.
        """
        program = (
            "import sys\n"
            "from fastpoetry.commands.tap import Options, makeService\n"
            "options = Options()\n"
            "options.parseOptions(sys.argv[1:])\n"
            "makeService(options)\n"
            "print([n for n in sys.modules if n.startswith('fastpoetry.listening.')])"
        )
        for arguments, isLoaded in [([], False), (["--rate=20/60"], True)]:
            poem = f"--poem={ROOT / 'poetry' / 'science.txt'}"
            command = [sys.executable, "-c", program, poem, *arguments]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
            self.assertIn(b"fastpoetry.listening.acceptor", printed)
            self.assertEqual(b"fastpoetry.listening.access" in printed, isLoaded)
            self.assertNotIn(b"proxyheader", printed)


class ServerTests(SynchronousTestCase):
    """
    Tests of L{PoetryServer} with filters, on real ports.
    """

    def setUp(self) -> None:
        """
        Nothing listens yet.
        """
        self.reactor = ListeningReactor()
        self.factory = PoetryFactory(StaticSource(b"poem"), reactor=self.reactor)

    def start(self, description: str, **filters: Any) -> Any:
        """
        Start a server, and stop it after the test.
        """
        server = PoetryServer(
            description, self.factory, reactor=self.reactor, **filters
        )
        server.startService()
        self.addCleanup(self.reactor.advance, 0)
        self.addCleanup(server.stopService)
        return server

    def connect(self, server: Any, says: bytes = b"") -> bytes:
        """
        Connect a reader, and let it in.

        @return: what it gets.

        @raise ConnectionError: when it is reset.
        """
        name = server.port.socket.getsockname()
        with socket.socket(server.port.socket.family) as reader:
            reader.settimeout(30)
            reader.connect(name)
            select.select([server._acceptor], [], [], 30)
            server._acceptor.doRead()
            if says:
                reader.sendall(says)
                connections = server._acceptor.connections
                select.select([connections], [], [], 30)
                connections.doRead()
                self.reactor.advance(0)
            got = reader.recv(5)
            for transport in server._acceptor.connections:
                transport.abortConnection()
            self.reactor.advance(0)
        return got

    def access(self, **options: Any) -> Access:
        """
        @return: who may read.
        """
        return Access(reactor=self.reactor, **options)

    def test_refused(self) -> None:
        """
        Who is refused is reset before anything is sent, and costs no descriptor; the
        log says so at the stop, at the latest.
        """
        access = self.access(deny=["127.0.0.0/8"])
        server = self.start("tcp:0:interface=127.0.0.1", access=access)
        for _ in range(3):
            self.assertRaises(ConnectionResetError, self.connect, server)
        self.assertEqual(len(server._acceptor.connections), 0)
        with capturedLogs() as events:
            server.stopService()
            self.reactor.advance(0)
        lines = [formatEvent(event) for event in events]
        self.assertIn("refused 2 readers of 127.0.0.0/24", lines)
        self.assertEqual(access.refused, 3)

    def test_together(self) -> None:
        """
        Servers have one limit together; a place is free when its reader has left.
        """
        access = self.access(maxPerAddress=1)
        one, other = (
            self.start("tcp:0:interface=127.0.0.1", access=access) for _ in range(2)
        )
        for server in (one, other, one):
            self.assertEqual(self.connect(server), b"poem")
        with socket.create_connection(one.port.socket.getsockname(), 30):
            select.select([one._acceptor], [], [], 30)
            one._acceptor.doRead()
            self.assertRaises(ConnectionResetError, self.connect, other)

    def test_unix(self) -> None:
        """
        On a UNIX socket everybody is let in, and may be a proxy.
        """
        access = self.access(allow=["192.0.2.1"], maxPerAddress=1)
        path = socketPath(self.addCleanup)
        self.assertEqual(
            self.connect(self.start(f"unix:{path}", access=access)), b"poem"
        )
        path = socketPath(self.addCleanup)
        server = self.start(f"unix:{path}", access=access, proxies=["192.0.2.1"])
        self.assertEqual(self.connect(server, version1("192.0.2.1")), b"poem")
        self.assertEqual(self.connect(server, version1("192.0.2.2")), b"")
        self.assertEqual(access.refused, 1)

    def test_proxies(self) -> None:
        """
        The address that a proxy tells is the reader's, on either family.
        """
        for description, proxy in [
            ("tcp:0:interface=127.0.0.1", "127.0.0.1"),
            (r"tcp:0:interface=\:\:", "::1"),
        ]:
            server = self.start(description, proxies=[proxy])
            with capturedLogs() as events:
                got = self.connect(server, version1("192.0.2.1"))
                self.reactor.pump([TICK] * 3)
            self.assertEqual(got, b"poem")
            lines = [formatEvent(event) for event in events]
            self.assertIn("sending 4 bytes of poetry to 192.0.2.1:4321", lines)
        server = self.start("tcp:0:interface=127.0.0.1", proxies=["127.0.0.2"])
        self.assertRaises(ConnectionResetError, self.connect, server)
        self.assertEqual(server.access.refused, 1)

    def test_stop(self) -> None:
        """
        Who says no header is one of those for whom there is room, and does not hold
        up a stop for as long as a reader may.
        """
        server = self.start(
            "tcp:0:interface=127.0.0.1", proxies=["127.0.0.1"], maxConnections=1
        )
        name = server.port.socket.getsockname()
        with socket.create_connection(name, 30), socket.create_connection(name, 30):
            select.select([server._acceptor], [], [], 30)
            server._acceptor.doRead()
            self.assertEqual(server.readers, 1)
            self.assertNotIn(server._acceptor, self.reactor.getReaders())
            stopped = server.stopService()
            self.reactor.advance(0)
            self.assertNoResult(stopped)
            self.assertLess(HEADER_TIMEOUT, server.grace)
            self.reactor.advance(HEADER_TIMEOUT)
            self.assertIsNone(self.successResultOf(stopped))

    def test_noNetwork(self) -> None:
        """
        What is no network is a mistake, after which the reactor has nothing left.
        """
        description = "tcp:0:interface=127.0.0.1"
        error = self.assertRaises(
            ListenError, self.start, description, proxies=["localhost"]
        )
        self.assertEqual(
            str(error),
            "proxies has no networks: 'localhost' does not appear to be an IPv4 or "
            f"IPv6 network: {description}",
        )
        self.assertEqual(self.reactor.getReaders(), [])

    def test_notHere(self) -> None:
        """
        Where nobody can be refused, a server that is to do so does not start.
        """
        self.patch(kernel, "HAS_PROGRESS", False)
        for filters in ({"access": self.access()}, {"proxies": ["127.0.0.1"]}):
            description = "tcp:0:interface=127.0.0.1"
            error = self.assertRaises(ListenError, self.start, description, **filters)
            self.assertEqual(str(error), f"Nobody can be refused here: {description}")
        self.assertEqual(self.reactor.getReaders(), [])
