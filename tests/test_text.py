"""
Tests of L{fastpoetry.text}.
"""

from __future__ import annotations

import errno
import os

from hypothesis import given, strategies
from OpenSSL.SSL import Error as SSLError
from service_identity import VerificationError
from service_identity.exceptions import DNSMismatch
from service_identity.hazmat import DNS_ID
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import (
    CannotListenError,
    ConnectBindError,
    ConnectError,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
)
from twisted.python.failure import Failure
from twisted.python.filepath import UnlistableError
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.text import brief, explain, peerName, printable


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

    def test_failure(self) -> None:
        """
        Of an error of Twisted's that has a failure for a reason, what that says, and
        no traceback; of the one for a full queue, the system's words.
        """
        full = "Resource temporarily unavailable"
        self.check(ConnectError(string=Failure(ConnectionDone())), full)
        self.check(ConnectError(string=Failure(ValueError("no."))), "no")

    def test_tls(self) -> None:
        """
        Of an error of OpenSSL's, where it was, and what; of a certificate for another
        name, that it is.
        """
        problem = ("SSL routines", "", "certificate verify failed")
        words = "SSL routines: certificate verify failed"
        self.check(SSLError([problem]), words)
        self.check(SSLError([problem, ("", "", "more")]), f"{words}, more")
        mismatch = VerificationError(errors=[DNSMismatch(DNS_ID("localhost"))])
        self.check(mismatch, "the certificate is for another name")

    def test_other(self) -> None:
        """
        Of other errors what they say, which is no sentence; what they are called, if
        they say nothing.
        """
        self.check(ValueError("invalid hostname: x."), "invalid hostname: x")
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


class PrintableTests(SynchronousTestCase):
    """
    Tests of L{printable} and L{brief}.
    """

    def test_line(self) -> None:
        """
        What is told in a line stays in it, with nothing to obey, whatever a peer
        or a command line had.
        """
        for text, expected in {
            "Connection refused": "Connection refused",
            "\x1b[31mred\x07": "^[[31mred^G",
            "one\r\nget-poetry: two\t": "one^M^Jget-poetry: two^I",
            "\x9b \u202e \u2028 \xe9": r"\u009b \u202e \u2028 " + "\xe9",
            os.fsdecode(b"\xff"): r"\xff",
            os.fsdecode(b"\xc2") + os.fsdecode(b"\x9b"): r"\u009b",
            "\ud800 \udc7f \udd00 \udfff": r"\ud800 \udc7f \udd00 \udfff",
        }.items():
            self.assertEqual(printable(text), expected)

    @given(strategies.text(strategies.characters()))
    def test_anything(self, text: str) -> None:
        """
        Whatever it is, it can be written, in one line, and stays as it is after that.
        """
        once = printable(text)
        self.assertLessEqual(len(once.encode().splitlines()), 1)
        self.assertLessEqual(len(once.splitlines()), 1)
        self.assertEqual(printable(once), once)

    def test_brief(self) -> None:
        """
        Of what is too long for a sentence, there is the beginning and the end.
        """
        self.assertEqual(brief("a" * 500), "a" * 500)
        self.assertEqual(brief("a\n" + "b" * 99 + "c", 13), "a^Jb ... bbbc")


class PeerNameTests(SynchronousTestCase):
    """
    Tests of L{peerName}.
    """

    def test_peerName(self) -> None:
        """
        A peer is named by host and port, an IPv6 host in brackets; one of
        a UNIX socket by its path, if it has one.
        """
        self.assertEqual(peerName(IPv4Address("TCP", "127.0.0.1", 17)), "127.0.0.1:17")
        self.assertEqual(peerName(IPv6Address("TCP", "::1", 17)), "[::1]:17")
        self.assertEqual(peerName(UNIXAddress(None)), "a reader of this machine")
        self.assertEqual(peerName(UNIXAddress(b"po\xe9m\n")), r"po\xe9m^J")
