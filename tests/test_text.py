"""
Tests of L{fastpoetry.text}.
"""

from __future__ import annotations

import errno

from OpenSSL.SSL import Error as SSLError
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import (
    CannotListenError,
    ConnectBindError,
    ConnectionLost,
    ConnectionRefusedError,
)
from twisted.python.filepath import UnlistableError
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.text import explain, peerName


class ExplainTests(SynchronousTestCase):
    """
    Tests of L{explain}.
    """

    def check(self, error: BaseException | None, words: str) -> None:
        """
        Check what is said of an error.
        """
        self.assertEqual(explain(error), words)

    def test_system(self) -> None:
        """
        Of a system call that failed, the system's words, and the file.
        """
        self.check(OSError(98, "Address already in use"), "Address already in use")
        missing = FileNotFoundError(errno.ENOENT, "No such file", "/x/y.pem")
        self.check(missing, "No such file: /x/y.pem")
        lock = FileNotFoundError(errno.ENOENT, "No such file", "123", None, "x.lock")
        self.check(lock, "No such file")

    def test_twisted(self) -> None:
        """
        Of an error of Twisted's, what the system said to it, if it was that.
        """
        taken = OSError(98, "Address already in use")
        self.check(CannotListenError("", 17, taken), "Address already in use")
        locked = CannotListenError(None, "x", "Cannot acquire lock")
        self.check(locked, "Cannot acquire lock")
        self.check(ConnectionRefusedError(111, "no"), "Connection refused")
        unknown = "Name or service not known"
        self.check(ConnectBindError(-2, unknown), unknown)
        lost = "Connection to the other side was lost in a non-clean fashion"
        self.check(ConnectionLost(), lost)

    def test_tls(self) -> None:
        """
        Of an error of OpenSSL's, where it was, and what.
        """
        problem = ("SSL routines", "", "certificate verify failed")
        words = "SSL routines: certificate verify failed"
        self.check(SSLError([problem]), words)
        self.check(SSLError([problem, ("", "", "more")]), f"{words}, more")

    def test_other(self) -> None:
        """
        Of other errors what they say, which is no sentence; what they are called, if
        they say nothing.
        """
        self.check(OverflowError("port must be 0-65535."), "port must be 0-65535")
        self.check(TypeError("f() got an odd argument 'x'"), "odd argument 'x'")
        self.check(ZeroDivisionError(), "ZeroDivisionError")

    def test_context(self) -> None:
        """
        An error that says nothing came of another one.
        """
        try:
            try:
                raise NotADirectoryError(errno.ENOTDIR, "Not a directory", "x")
            except OSError as error:
                raise UnlistableError(error) from None
        except UnlistableError as error:
            self.check(error, "Not a directory: x")


class PeerNameTests(SynchronousTestCase):
    """
    Tests of L{peerName}.
    """

    def test_peerName(self) -> None:
        """
        A peer is named by host and port, an IPv6 host in brackets; one of
        another kind by what its address calls itself.
        """
        self.assertEqual(peerName(IPv4Address("TCP", "127.0.0.1", 17)), "127.0.0.1:17")
        self.assertEqual(peerName(IPv6Address("TCP", "::1", 17)), "[::1]:17")
        self.assertEqual(peerName(UNIXAddress(None)), "a reader of this machine")
        self.assertEqual(peerName(UNIXAddress(b"x")), "UNIXAddress('x')")
