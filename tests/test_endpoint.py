"""
Tests of L{fastpoetry.listening.endpoint}.
"""

from __future__ import annotations

import os
import socket

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.error import ListenError
from fastpoetry.listening import endpoint
from fastpoetry.listening.endpoint import parseEndpoint, removeLock
from fastpoetry.text import explain
from tests.support import Reactor

MALFORMED = ["", "tcp", "tcp:ab", "bogus:1", "tcp:1:interface=::", "tcp:1:colour=red"]


class AdoptingReactor(Reactor):
    """
    A reactor that looks at the sockets which it is given.
    """

    def adoptStreamPort(self, fileno: int, addressFamily: int, factory: Factory) -> int:
        """
        Tell how a socket is bound.
        """
        with socket.fromfd(fileno, addressFamily, socket.SOCK_STREAM) as listener:
            self.address = listener.getsockname()
            self.blocking = os.get_blocking(fileno)
            self.shared = listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
            self.listening = listener.getsockopt(
                socket.SOL_SOCKET, socket.SO_ACCEPTCONN
            )
        return 42


class ParseTests(SynchronousTestCase):
    """
    Tests of L{parseEndpoint}.
    """

    def test_parsed(self) -> None:
        """
        A description becomes an endpoint that listens with the reactor.
        """
        reactor = Reactor()
        endpoint = parseEndpoint(reactor, "tcp:10000:interface=127.0.0.1")
        self.assertIsInstance(endpoint, TCP4ServerEndpoint)
        factory = Factory()
        self.successResultOf(endpoint.listen(factory))
        self.assertEqual(reactor.tcpServers, [(10000, factory, 50, "127.0.0.1")])

    def test_malformed(self) -> None:
        """
        What is not a description is refused in one sentence that has it.
        """
        for description in MALFORMED:
            error = self.assertRaises(ListenError, parseEndpoint, None, description)
            begin = f"Not an endpoint: {description} ("
            self.assertTrue(str(error).startswith(begin), error)

    def test_notPassed(self) -> None:
        """
        A socket that systemd has not passed is not an error of Python's.
        """
        for which in ("index=0", "name=poem"):
            description = f"systemd:domain=INET:{which}"
            error = self.assertRaises(
                ListenError, parseEndpoint, Reactor(), description
            )
            self.assertTrue(str(error).endswith("(systemd passed no such socket)"))

    def test_withoutTLS(self) -> None:
        """
        Without what TLS needs, the sentence is about that.
        """

        def fail(*arguments: object) -> None:
            raise ImportError("No module named 'OpenSSL'")

        self.patch(endpoint, "serverFromString", fail)
        error = self.assertRaises(ListenError, parseEndpoint, None, "ssl:443")
        self.assertEqual(
            str(error),
            "Not an endpoint: ssl:443 "
            "(TLS is not installed: No module named 'OpenSSL')",
        )

    def test_unknownOption(self) -> None:
        """
        The sentence about an option that an endpoint does not have is plain.
        """
        error = self.assertRaises(ListenError, parseEndpoint, None, "unix:x:a=1")
        self.assertEqual(
            str(error),
            "Not an endpoint: unix:x:a=1 (unexpected keyword argument 'a')",
        )

    def test_removeLock(self) -> None:
        """
        Only a lock that this process has made is removed, after a UNIX socket that
        could not be listened on.
        """
        name = self.mktemp()
        lock = f"{name}.lock"
        taken = OSError(98, "Address already in use")
        notListening = CannotListenError(None, name, taken)
        for error, owner, isRemoved in (
            (notListening, os.getpid(), True),
            (CannotListenError(None, name.encode(), taken), os.getpid(), True),
            (notListening, os.getppid(), False),
            (CannotListenError("::1", 17, taken), os.getpid(), False),
            (ValueError(name), os.getpid(), False),
        ):
            os.symlink(str(owner), lock)
            removeLock(error)
            self.assertEqual(os.path.lexists(lock), not isRemoved)
            if not isRemoved:
                os.remove(lock)
        removeLock(notListening)
        removeLock(CannotListenError(None, "\0abstract", taken))


class ReusePortTests(SynchronousTestCase):
    """
    Tests of ports that are shared with other processes.
    """

    def listen(self, description: str) -> AdoptingReactor:
        """
        Listen on a shared port.
        """
        self.reactor = AdoptingReactor()
        endpoint = parseEndpoint(self.reactor, description, reusePort=True)
        self.assertEqual(self.successResultOf(endpoint.listen(Factory())), 42)
        return self.reactor

    def test_shared(self) -> None:
        """
        The port is opened on the interface, and can be opened again.
        """
        reactor = self.listen("tcp:0:interface=127.0.0.1")
        self.assertEqual(reactor.address[0], "127.0.0.1")
        self.assertTrue(reactor.shared and reactor.listening)
        self.assertFalse(reactor.blocking)

    def test_ipv6(self) -> None:
        """
        The port may be one of IPv6.
        """
        self.assertEqual(self.listen(r"tcp6:0:interface=\:\:1").address[0], "::1")

    def test_taken(self) -> None:
        """
        A port that another process has, and does not share, cannot be opened.
        """
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            number = other.getsockname()[1]
            endpoint = parseEndpoint(
                AdoptingReactor(), f"tcp:{number}:interface=127.0.0.1", True
            )
            failure = self.failureResultOf(endpoint.listen(Factory()))
        failure.trap(CannotListenError)
        self.assertEqual(explain(failure.value), "Address already in use")

    def test_otherEndpoints(self) -> None:
        """
        Endpoints of another kind listen as ever.
        """
        reactor = Reactor()
        endpoint = parseEndpoint(reactor, "unix:/run/poem", reusePort=True)
        self.successResultOf(endpoint.listen(Factory()))
        self.assertEqual(reactor.unixServers[0][0], "/run/poem")
