"""
Tests of L{fastpoetry.listening.endpoint}.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any, ClassVar
from unittest import mock

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.endpoints import tls
from fastpoetry.endpoints.certificate import Certificate
from fastpoetry.error import ListenError
from fastpoetry.listening.endpoint import parseEndpoint
from fastpoetry.text import explain
from tests.support import Reactor, socketPath

MALFORMED = [
    "",
    "tcp",
    "tcp:ab",
    "bogus:1",
    "tcp:1:interface=::",
    "tcp:1:colour=red",
    "unix",
    "unix:x:mode=9",
    "systemd:index=0:name=poem:colour=red",
    "ssl:ab",
]

# Kinds that are not served, and why.
REFUSED = {
    "haproxy:tcp:1": "--proxy-protocol is what reads the header of HAProxy",
    "tcp:0:interface=": "its interface is no address: ''",
    "ssl:0:interface=": "its interface is no address: ''",
    "haproxy": "--proxy-protocol is what reads the header of HAProxy",
    "HAProxy:tcp:1": "--proxy-protocol is what reads the header of HAProxy",
    "stdio:": "nobody connects to standard input and output",
    "tls:tcp:1": "ssl: is what keeps every promise over TLS",
}


class AdoptingReactor(Reactor):
    """
    A reactor that looks at the sockets which it is given.
    """

    def adoptStreamPort(self, fileno: int, addressFamily: int, factory: Factory) -> int:
        """
        Tell how a socket is bound.
        """
        with socket.fromfd(fileno, addressFamily, socket.SOCK_STREAM) as listener:
            self.family = addressFamily
            self.factory = factory
            self.address = listener.getsockname()
            self.blocking = os.get_blocking(fileno)
            self.shared = listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
            self.reused = listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
            self.listening = listener.getsockopt(
                socket.SOL_SOCKET, socket.SO_ACCEPTCONN
            )
            if addressFamily == socket.AF_INET6:
                self.isIPv6Only = listener.getsockopt(
                    socket.IPPROTO_IPV6, socket.IPV6_V6ONLY
                )
        return 42


class IPv6Socket(socket.socket):
    """
    A socket as it is where C{net.ipv6.bindv6only} is 1.

    @ivar names: what such sockets have been bound to.
    """

    names: ClassVar[list[Any]] = []

    def __init__(
        self,
        family: int = -1,
        type: int = -1,
        proto: int = -1,
        fileno: int | None = None,
    ) -> None:
        super().__init__(family, type, proto, fileno)
        if fileno is None:
            self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)

    def bind(self, name: Any) -> None:
        """
        Remember the name.
        """
        self.names.append(name)
        super().bind(name)


class ParseTests(SynchronousTestCase):
    """
    Tests of L{parseEndpoint}.
    """

    def test_malformed(self) -> None:
        """
        What is not a description is refused in one sentence that has it.
        """
        for description in MALFORMED:
            error = self.assertRaises(ListenError, parseEndpoint, None, description)
            begin = f"Not an endpoint: {description} ("
            self.assertTrue(str(error).startswith(begin), error)
            self.assertNotIn("\n", str(error))

    def test_kinds(self) -> None:
        """
        A kind of endpoint that would break a promise is refused.
        """
        for description, reason in REFUSED.items():
            error = self.assertRaises(ListenError, parseEndpoint, None, description)
            self.assertEqual(
                str(error), f"Not an endpoint: {description} ({reason})", description
            )

    def test_notPassed(self) -> None:
        """
        A socket that systemd has not passed is not an error of Python's.
        """
        for which in ("index=0", "name=poem"):
            description = f"systemd:domain=INET:{which}"
            error = self.assertRaises(
                ListenError, parseEndpoint, Reactor(), description
            )
            self.assertEqual(str(error), f"No such socket was passed: {description}")

    def test_withoutTLS(self) -> None:
        """
        Without what TLS needs, the sentence is about that.
        """
        with mock.patch.dict(sys.modules, {"fastpoetry.endpoints.tls": None}):
            error = self.assertRaises(ListenError, parseEndpoint, None, "ssl:443")
        begin = "Not an endpoint: ssl:443 (TLS is not installed: "
        self.assertTrue(str(error).startswith(begin), error)

    def test_unknownOption(self) -> None:
        """
        The sentence about an option that an endpoint does not have is plain.
        """
        error = self.assertRaises(ListenError, parseEndpoint, None, "unix:x:a=1")
        self.assertEqual(
            str(error),
            "Not an endpoint: unix:x:a=1 (unknown option of unix: a)",
        )


class ListenTests(SynchronousTestCase):
    """
    Tests of how the endpoints listen.
    """

    def listen(self, description: str, reusePort: bool = False) -> AdoptingReactor:
        """
        Listen on a port of TCP.
        """
        reactor = AdoptingReactor()
        endpoint = parseEndpoint(reactor, description, reusePort)
        self.assertEqual(self.successResultOf(endpoint.listen(Factory())), 42)
        return reactor

    def refuse(self, description: str, reusePort: bool = False) -> str:
        """
        Fail to listen.

        @return: why.
        """
        endpoint = parseEndpoint(AdoptingReactor(), description, reusePort)
        failure = self.failureResultOf(endpoint.listen(Factory()))
        failure.trap(CannotListenError)
        return explain(failure.value)

    def test_port(self) -> None:
        """
        The port is opened on the interface: one that can be opened again when
        connections of it are left, but not by two at once.
        """
        reactor = AdoptingReactor()
        endpoint = parseEndpoint(reactor, "tcp:0:interface=127.0.0.1")
        self.assertIsInstance(endpoint, TCP4ServerEndpoint)
        factory = Factory()
        self.assertEqual(self.successResultOf(endpoint.listen(factory)), 42)
        self.assertEqual(reactor.family, socket.AF_INET)
        self.assertEqual(reactor.address[0], "127.0.0.1")
        self.assertIs(reactor.factory, factory)
        self.assertTrue(reactor.listening and reactor.reused)
        self.assertFalse(reactor.blocking or reactor.shared)

    def test_everywhere(self) -> None:
        """
        Without an interface, the port is one of all addresses of IPv4.
        """
        self.assertEqual(self.listen("tcp:0").address[0], "0.0.0.0")

    def test_name(self) -> None:
        """
        The interface may be the name of an address.
        """
        self.assertEqual(
            self.listen("tcp:0:interface=localhost").address[0], "127.0.0.1"
        )

    def test_bothFamilies(self) -> None:
        """
        All addresses of IPv6 are those of IPv4, too, whatever the system says, and
        however they are written.
        """
        self.patch(socket, "socket", IPv6Socket)
        for interface in (r"\:\:", r"\:\:0", r"0\:0\:0\:0\:0\:0\:0\:0"):
            reactor = self.listen(f"tcp:0:interface={interface}")
            self.assertEqual(reactor.family, socket.AF_INET6)
            self.assertEqual(reactor.address[0], "::")
            self.assertFalse(reactor.isIPv6Only, interface)
        self.assertFalse(self.listen("tcp6:0").isIPv6Only)

    def test_ipv6(self) -> None:
        """
        One address of IPv6 has no other family.
        """
        self.patch(socket, "socket", IPv6Socket)
        for description in (r"tcp6:0:interface=\:\:1", r"tcp:0:interface=\:\:1"):
            reactor = self.listen(description)
            self.assertEqual(reactor.address[0], "::1")
            self.assertTrue(reactor.isIPv6Only)

    def test_scoped(self) -> None:
        """
        An address of IPv6 may have a scope, shared or not.
        """
        self.patch(socket, "socket", IPv6Socket)
        self.patch(IPv6Socket, "names", [])
        for reusePort in (False, True):
            self.listen(r"tcp:0:interface=\:\:1%1", reusePort)
        self.assertEqual(IPv6Socket.names, [("::1", 0, 0, 1)] * 2)

    def test_refused(self) -> None:
        """
        An address that cannot be listened on ends in a few words.
        """
        for interface, reason in {
            "203.0.113.77": "Cannot assign requested address",
            r"2001\:db8\:\:77": "Cannot assign requested address",
            r"fe80\:\:1%nosuch": "Name or service not known",
        }.items():
            for reusePort in (False, True):
                self.assertEqual(
                    self.refuse(f"tcp:0:interface={interface}", reusePort), reason
                )

    def test_shared(self) -> None:
        """
        The port can be opened again by another process that shares it, too.
        """
        for interface in ("127.0.0.1", r"\:\:1"):
            reactor = self.listen(f"tcp:0:interface={interface}", True)
            self.assertTrue(reactor.shared and reactor.listening)
            self.assertFalse(reactor.blocking)

    def test_sharedTLS(self) -> None:
        """
        The same holds for a port of TLS.
        """
        certificate = object.__new__(Certificate)
        self.patch(tls, "Certificate", lambda *_: certificate)
        for reusePort in (False, True):
            reactor = self.listen("ssl:0:interface=127.0.0.1", reusePort)
            self.assertEqual(reactor.address[0], "127.0.0.1")
            self.assertEqual(bool(reactor.shared), reusePort)

    def test_taken(self) -> None:
        """
        A port that another process has, and does not share, cannot be opened.
        """
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            number = other.getsockname()[1]
            for reusePort in (False, True):
                self.assertEqual(
                    self.refuse(f"tcp:{number}:interface=127.0.0.1", reusePort),
                    "Address already in use",
                )

    def test_unix(self) -> None:
        """
        A UNIX socket is made with its mode, and no lock beside it, whatever else is
        shared.
        """
        path = socketPath(self.addCleanup)
        endpoint = parseEndpoint(
            Reactor(), f"unix:{path}:mode=640:lockfile=1:backlog=7", reusePort=True
        )
        port: Any = self.successResultOf(endpoint.listen(Factory()))
        self.addCleanup(port.socket.close)
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o640)
        self.assertEqual(os.listdir(os.path.dirname(path)), ["socket"])
