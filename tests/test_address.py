"""
Tests of L{fastpoetry.address}: what becomes of hosts and paths.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import (
    BadFileError,
    ConnectError,
    ConnectionDone,
    ConnectionRefusedError,
)
from twisted.python.failure import Failure

from fastpoetry.address import RETRY_INTERVAL, clientEndpoint
from fastpoetry.client import (
    PoetryCancelledError,
    PoetryConnectError,
    PoetryCutError,
    PoetryTimeoutError,
    getPoetry,
)
from fastpoetry.description import MAX_PATH
from tests.test_client import ClientTestCase
from tests.test_client_sockets import UNIXStringTransport
from tests.test_resolver import ResolverTestCase


class HostTests(ResolverTestCase):
    """
    Tests of hosts in what somebody typed.
    """

    def connect(self, text: str) -> Deferred[bytes]:
        """
        Ask for a poem.
        """
        return getPoetry(clientEndpoint(self.reactor, text), reactor=self.reactor)

    def assertConnects(self, text: str, host: str) -> None:
        """
        Assert that it leads to an address.
        """
        poem = self.connect(text)
        if host == "192.0.2.1":  # which all names have
            self.reactor.turn()
        self.assertEqual(self.reactor.tcpClients[-1][:2], (host, 17))
        poem.cancel()
        self.failureResultOf(poem, PoetryCancelledError)

    def test_figures(self) -> None:
        """
        An address in figures is never looked up, in whatever form, and keeps its
        scope.
        """
        for text, host in {
            "127.0.0.1:17": "127.0.0.1",
            "[::1]:17": "::1",
            "[fe80::1%eth0]:17": "fe80::1%eth0",
            "tls:127.0.0.1:17": "127.0.0.1",
            "tcp:127.0.0.1:17": "127.0.0.1",
            r"tcp:fe80\:\:1%eth0:17": "fe80::1%eth0",
        }.items():
            self.assertConnects(text, host)
        self.assertEqual(self.names.asked, [])

    def test_names(self) -> None:
        """
        Any name is looked up as it is, one with an underscore, too.
        """
        names = ["name", "poem_server.example", "po\xe9sie.example", "-", "1.2.3"]
        for name in names:
            self.assertConnects(f"{name}:17", "192.0.2.1")
        self.assertConnects("tls:name:17", "192.0.2.1")
        self.assertEqual(self.names.names, [*names, "name"])

    def test_noName(self) -> None:
        """
        What cannot be a name is refused when somebody connects.
        """
        poem = self.connect("po\xe9sie..example:17")
        error = self.failureResultOf(poem, PoetryConnectError).value
        self.assertEqual(error.reason, r"invalid hostname: po\xe9sie..example")


class PathTests(ClientTestCase):
    """
    Tests of the paths of UNIX sockets.
    """

    def test_long(self) -> None:
        """
        A path of more bytes than the kernel takes is refused before anybody connects.
        """
        for character in "x\xe9":
            size = len(character.encode())
            fits = "/" + (MAX_PATH - 1) // size * character
            clientEndpoint(self.reactor, f"unix:{fits}:timeout=3")
            for text in (f"unix:{fits}{character}", f"unix:path={fits}{character}"):
                error = self.assertRaises(
                    ValueError, clientEndpoint, self.reactor, text
                )
                why = "the path of a socket has 107 bytes at most"
                self.assertEqual(str(error), f"not an endpoint: {text} ({why})")

    def test_nul(self) -> None:
        """
        So is one with a NUL byte, where the kernel would see its end, but not a name
        that begins with one, and has no file.
        """
        clientEndpoint(self.reactor, "unix:\0name")
        error = self.assertRaises(
            ValueError, clientEndpoint, self.reactor, "unix:/po\0em"
        )
        why = "not the path of a UNIX socket: /po^@em"
        self.assertEqual(str(error), f"not an endpoint: unix:/po^@em ({why})")


class FullQueueTests(ClientTestCase):
    """
    Tests of UNIX sockets whose queue is full.
    """

    def connect(self, text: str, connectTimeout: float = 1000.0) -> Deferred[bytes]:
        """
        Ask for a poem.
        """
        endpoint = clientEndpoint(self.reactor, text)
        return getPoetry(endpoint, connectTimeout=connectTimeout, reactor=self.reactor)

    def refuse(self, error: Exception | None = None) -> None:
        """
        Refuse the last attempt; by default as Twisted does when the queue is full.
        """
        error = error or ConnectError(string=Failure(ConnectionDone()))
        factory: Any = self.reactor.unixClients[-1][1]
        factory.clientConnectionFailed(None, Failure(error))

    def test_place(self) -> None:
        """
        A client tries again, not at once, until there is a place for it.
        """
        poem = self.connect("unix:/poem")
        for attempt in range(1, 4):
            self.assertEqual(len(self.reactor.unixClients), attempt)
            self.refuse()
            self.assertEqual(len(self.reactor.unixClients), attempt)
            self.reactor.advance(RETRY_INTERVAL)
        client = self.reactor.unixClients[-1][1].buildProtocol(None)
        client.makeConnection(UNIXStringTransport())
        client.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(poem, PoetryCutError)  # no proof: it was connected

    def test_noPlace(self) -> None:
        """
        When the time to connect is over, the reason is that of the system.
        """
        for text, seconds in {"unix:/poem": 30, "unix:/poem:timeout=2": 2}.items():
            self.reactor.unixClients.clear()
            poem = self.connect(text)
            for _ in range(round(seconds / RETRY_INTERVAL)):
                self.refuse()
                self.reactor.advance(RETRY_INTERVAL)
            self.assertNoResult(poem)
            self.refuse()
            error = self.failureResultOf(poem, PoetryConnectError).value
            self.assertEqual(error.reason, "Resource temporarily unavailable")

    def test_stoodStill(self) -> None:
        """
        A process that stood still for longer than that tries again.
        """
        poem = self.connect("unix:/poem:timeout=2")
        self.refuse()
        self.reactor.advance(10_000.0)
        self.refuse()
        self.assertNoResult(poem)
        poem.cancel()
        self.failureResultOf(poem, PoetryCancelledError)

    def test_giveUp(self) -> None:
        """
        Nobody tries again for a client that has given up, or was told to.
        """
        poem = self.connect("unix:/poem", connectTimeout=0.01)
        self.refuse()
        self.reactor.pump([0.01, 0])
        self.failureResultOf(poem, PoetryTimeoutError)
        poem = self.connect("unix:/poem")
        self.refuse()
        poem.cancel()
        self.failureResultOf(poem, PoetryCancelledError)
        self.reactor.advance(RETRY_INTERVAL)
        self.assertEqual(len(self.reactor.unixClients), 2)

    def test_otherReasons(self) -> None:
        """
        What waiting would not change is told at once.
        """
        for error, reason in (
            (ConnectionRefusedError(111, ""), "Connection refused"),
            (
                BadFileError(string="/poem"),
                "File used for UNIX socket is no good: /poem",
            ),
        ):
            poem = self.connect("unix:/poem")
            self.refuse(error)
            failure = self.failureResultOf(poem, PoetryConnectError)
            self.assertEqual(failure.value.reason, reason)
