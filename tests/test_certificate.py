"""
Tests of L{fastpoetry.listening.tls}: certificates.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa, x25519
from OpenSSL import SSL
from twisted.internet.interfaces import (
    IOpenSSLServerConnectionCreator,
)
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from fastpoetry import files
from fastpoetry.error import CertificateError
from fastpoetry.listening.tls import DAY, Certificate
from tests.certificates import Issued, issue
from tests.threads import PlayedThreads, noThread
from tests.tlspeer import VERSIONS, Client, Listener, Only, TLSWire

END = datetime(2035, 6, 1, 12, tzinfo=timezone.utc)

CA = issue("ca")
MIDDLE = issue("middle", CA)
LEAF = issue(issuer=MIDDLE, end=END)
OTHER = issue("other", end=END + timedelta(days=100))

# For Diffie-Hellman: the group of 2048 bits of RFC 7919.
DH = b"""\
-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""


class CertificateTests(SynchronousTestCase):
    """
    What the tests have in common.
    """

    def write(self, *contents: bytes) -> str:
        """
        @return: the absolute path of a new file with these contents.
        """
        path = os.path.abspath(self.mktemp())
        with open(path, "wb") as file:
            file.write(b"".join(contents))
        return path

    def load(self, issued: Issued = LEAF, **options: Any) -> Certificate:
        """
        Load a certificate that is in one file with its key.
        """
        self.path = self.write(issued.pem(), issued.keyPEM())
        return Certificate(self.path, self.path, **options)

    def connect(self, certificate: Certificate, **options: Any) -> Client:
        """
        Connect a client.
        """
        wire = TLSWire(Only(Listener()), creator=certificate)
        client = Client(wire, **options)
        client.talk()
        return client

    def served(self, certificate: Certificate) -> list[str]:
        """
        @return: the names in the certificates that a client sees, its own first.
        """
        return self.namesOf(self.connect(certificate))

    def namesOf(self, client: Client) -> list[str]:
        """
        @return: the same for this client.
        """
        self.assertTrue(client.hasHandshake, client.error)
        chain = client.tls.get_peer_cert_chain() or []
        return [str(one.get_subject().CN) for one in chain]

    def holdThreads(self) -> PlayedThreads:
        """
        Have files read when the test says so.
        """
        threads = PlayedThreads()
        self.patch(files, "callInThread", threads.callInThread)
        return threads

    def reload(self, certificate: Certificate) -> None:
        """
        Reload a certificate, to the end.
        """
        threads = self.holdThreads()
        reloading = certificate.reload()
        threads.finish()
        self.assertIs(self.successResultOf(reloading), None)

    def lines(self, events: list[Any]) -> list[tuple[LogLevel, str]]:
        """
        @return: what the log has of the certificate.
        """
        found = [(event["log_level"], formatEvent(event)) for event in events]
        return [(level, line) for level, line in found if "certificate" in line]


class FileTests(CertificateTests):
    """
    Tests of the files.
    """

    def test_oneFile(self) -> None:
        """
        The key and the certificate may be in one file, in any order.
        """
        for contents in ((LEAF.pem(), LEAF.keyPEM()), (LEAF.keyPEM(), LEAF.pem())):
            path = self.write(*contents)
            self.assertEqual(self.served(Certificate(path, path)), ["localhost"])

    def test_twoFiles(self) -> None:
        """
        Or in two, wherever the process goes then.
        """
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        key, file = self.write(LEAF.keyPEM()), self.write(LEAF.pem())
        certificate = Certificate(os.path.relpath(key), os.path.relpath(file))
        os.chdir("/")
        self.reload(certificate)
        self.assertEqual(self.served(certificate), ["localhost"])

    def test_chain(self) -> None:
        """
        What is between it and the root comes from its own file, from another, or from
        both.
        """
        key = self.write(LEAF.keyPEM())
        for own, others in (
            ([LEAF, MIDDLE, CA], []),
            ([LEAF], [MIDDLE, CA]),
            ([LEAF, MIDDLE], [CA]),
        ):
            file = self.write(*(one.pem() for one in own))
            extra = self.write(*(one.pem() for one in others)) if others else None
            self.assertEqual(
                self.served(Certificate(key, file, extra)),
                ["localhost", "middle", "ca"],
            )

    def test_kinds(self) -> None:
        """
        A key may be one of RSA, elliptic curves, or Edwards' curves.
        """
        for key in (
            rsa.generate_private_key(65537, 2048),
            ed25519.Ed25519PrivateKey.generate(),
        ):
            issued = issue("it", CA, key=key)
            self.assertEqual(self.served(self.load(issued)), ["it"])

    def test_parameters(self) -> None:
        """
        Clients that know nothing else may have Diffie-Hellman.
        """
        issued = issue("it", key=rsa.generate_private_key(65537, 2048))
        certificate = self.load(issued, dhFile=self.write(DH))
        client = self.connect(
            certificate,
            version=SSL.TLS1_2_VERSION,
            prepare=lambda one: one.set_cipher_list(b"DHE-RSA-AES128-GCM-SHA256"),
        )
        self.assertTrue(client.hasHandshake, client.error)

    def refused(self, sentence: str, *paths: str | None) -> None:
        """
        See that files are refused, with the last path after the sentence.
        """
        error = self.assertRaises(CertificateError, Certificate, *paths[:-1])
        self.assertEqual(str(error), f"{sentence}: {paths[-1]}")

    def test_unusable(self) -> None:
        """
        A file that cannot be used costs one sentence, whichever it is, and whether it
        is missing, unreadable, a directory, a FIFO, which nobody waits for, or holds
        something else.
        """
        good = self.write(LEAF.pem(), LEAF.keyPEM())
        directory, missing = os.path.abspath(self.mktemp()), self.mktemp()
        missing = os.path.abspath(missing)
        os.mkdir(directory)
        fifo = os.path.abspath(self.mktemp())
        os.mkfifo(fifo)
        bad, closed = self.write(b"Not what you think.\n"), self.write()
        os.chmod(closed, 0)
        broken = self.write(LEAF.pem().replace(b"MII", b"AAA"))
        contents = "private key", "certificate", "certificate", "parameters"
        for at, what in enumerate(contents):
            for path, sentence in (
                (missing, "No such file or directory"),
                (directory, "Not a regular file"),
                (fifo, "Not a regular file"),
                (bad, f"No {what} in"),
                (broken, f"No {what} in"),
                (closed, "Permission denied"),
            ):
                if path != closed or not os.access(closed, os.R_OK):
                    paths: list[str | None] = [good, good, None, None]
                    paths[at] = path
                    self.refused(sentence, *paths, path)

    def test_onlyTheOther(self) -> None:
        """
        So does one with only the other half.
        """
        key, file = self.write(LEAF.keyPEM()), self.write(LEAF.pem())
        self.refused("No certificate in", key, key, key)
        self.refused("No private key in", file, file, file)

    def test_mismatch(self) -> None:
        """
        So does a key of another certificate, be it of the same kind or not.
        """
        file = self.write(LEAF.pem())
        others = Issued(LEAF.certificate, rsa.generate_private_key(65537, 2048)), OTHER
        for other in others:
            key = self.write(other.keyPEM())
            sentence = "The key is not that of the certificate"
            self.refused(sentence, key, file, key)

    def test_encrypted(self) -> None:
        """
        So does a key with a passphrase, for which nobody is asked.
        """
        path = self.write(LEAF.pem(), LEAF.keyPEM(b"xyzzy"))
        opened, openFile = set(), os.open

        def record(name: str, flags: int) -> int:
            opened.add(name)
            return openFile(name, flags)

        self.patch(os, "open", record)
        self.refused("The private key is encrypted", path, path, path)
        self.assertEqual(opened, {path})  # and not the terminal

    def test_otherKey(self) -> None:
        """
        So does a key that signs nothing.
        """
        key = Issued(LEAF.certificate, x25519.X25519PrivateKey.generate())
        path, file = self.write(key.keyPEM()), self.write(LEAF.pem())
        self.refused("No key for signatures in", path, file, path)

    def test_short(self) -> None:
        """
        So does a key of RSA that is too short for OpenSSL, be it in the certificate or
        in one between it and the root.
        """
        short = issue("short", key=rsa.generate_private_key(65537, 1024))
        path = self.write(short.pem(), short.keyPEM())
        self.refused("SSL routines: ee key too small", path, path, path)
        leaf = issue(issuer=short)
        path = self.write(leaf.pem(), short.pem(), leaf.keyPEM())
        self.refused("SSL routines: ca key too small", path, path, path)


class TermTests(CertificateTests):
    """
    Tests of how long a certificate is valid.
    """

    def start(self, days: float) -> list[tuple[LogLevel, str]]:
        """
        Start so many days before the end.

        @return: what the log has.
        """
        self.clock = Clock()
        self.clock.rightNow = 17.0  # which is no time of day
        seconds = END.timestamp() - days * DAY
        self.certificate = self.load(now=lambda: seconds + self.clock.seconds() - 17.0)
        with capturedLogs() as events:
            self.certificate.start(self.clock)
        self.addCleanup(self.certificate.stop)
        return self.lines(events)

    def day(self) -> list[tuple[LogLevel, str]]:
        """
        @return: what the log has of the next day.
        """
        with capturedLogs() as events:
            self.clock.advance(DAY)
        return self.lines(events)

    def loaded(self, end: str = "2035-06-01") -> tuple[LogLevel, str]:
        """
        @return: what the log says when it was loaded.
        """
        line = f"loaded a certificate from: {self.path}, valid until {end}"
        return LogLevel.info, line

    def expires(self, days: int) -> tuple[LogLevel, str]:
        """
        @return: what the log says so many days before.
        """
        line = f"the certificate expires in {days} days: {self.path}"
        return LogLevel.warn, line

    def expired(self) -> tuple[LogLevel, str]:
        """
        @return: what the log says afterwards.
        """
        return LogLevel.error, f"the certificate has expired: {self.path}"

    def test_start(self) -> None:
        """
        The log says until when it is valid, and no more as long as that is far away.
        """
        self.assertEqual(self.start(15.5), [self.loaded()])
        self.assertEqual(self.day(), [])

    def test_warnings(self) -> None:
        """
        From two weeks before the end on it warns each day, and then says each day that
        it has expired.
        """
        self.start(15.5)
        found = [self.day() for _ in range(18)]
        expected = [[self.expires(days)] for days in range(13, -1, -1)]
        self.assertEqual(found, [[], *expected, *[[self.expired()]] * 3])

    def test_late(self) -> None:
        """
        It does so at the start if it is that late.
        """
        self.assertEqual(self.start(3.5), [self.loaded(), self.expires(3)])
        self.assertEqual(self.start(-1), [self.loaded(), self.expired()])

    def test_printable(self) -> None:
        """
        A path that is not UTF-8 can be logged all the same.
        """
        directory = os.fsencode(os.path.abspath(self.mktemp())) + b"\xe9"
        os.mkdir(directory)
        path = os.fsdecode(directory + b"/pem")
        with open(path, "wb") as file:
            file.write(LEAF.pem() + LEAF.keyPEM())
        certificate = Certificate(path, path, now=END.timestamp)
        with capturedLogs() as events:
            certificate.start(Clock())
        for _, line in self.lines(events):
            self.assertIn(r"\xe9/pem", line)

    def test_stop(self) -> None:
        """
        When it is stopped it warns no more, once or twice, started or not.
        """
        self.load().stop()
        self.start(5)
        for _ in range(2):
            self.certificate.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.certificate.start(self.clock)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_reload(self) -> None:
        """
        A new certificate is served from then on, while connections that there are keep
        theirs; the log says so.
        """
        self.start(5)
        first = self.connect(self.certificate)
        with open(self.path, "wb") as file:
            file.write(OTHER.pem() + OTHER.keyPEM())
        with capturedLogs() as events:
            self.reload(self.certificate)
        self.assertEqual(self.lines(events), [self.loaded("2035-09-09")])
        self.assertEqual(self.served(self.certificate), ["other"])
        self.assertEqual(self.namesOf(first), ["localhost"])
        first.say(b"more")
        protocol = first.wire.tls.wrappedProtocol
        self.assertEqual(protocol.events, ["made", b"more"])
        self.assertEqual(self.day(), [])

    def test_reloadInThread(self) -> None:
        """
        While the new one is read, the old one is served.
        """
        self.start(5)
        threads = self.holdThreads()
        with open(self.path, "wb") as file:
            file.write(OTHER.pem() + OTHER.keyPEM())
        reloading = self.certificate.reload()
        self.assertEqual(self.served(self.certificate), ["localhost"])
        self.assertNoResult(reloading)
        threads.finish()
        self.assertEqual(self.served(self.certificate), ["other"])

    def test_reloadStopped(self) -> None:
        """
        What is found after it was stopped is dropped, without a word.
        """
        self.start(5)
        threads = self.holdThreads()
        with open(self.path, "wb") as file:
            file.write(OTHER.pem() + OTHER.keyPEM())
        with capturedLogs() as events:
            reloading = self.certificate.reload()
            self.certificate.stop()
            threads.finish()
        self.assertIs(self.successResultOf(reloading), None)
        self.assertEqual(self.lines(events), [])
        self.assertEqual(self.served(self.certificate), ["localhost"])

    def test_reloadWithoutThread(self) -> None:
        """
        When there is no room for a thread, the log says so.
        """
        self.start(5)
        self.patch(files, "callInThread", noThread)
        with capturedLogs() as events:
            self.successResultOf(self.certificate.reload())
        line = f"kept the old certificate: can't start new thread: {self.path}"
        self.assertEqual(self.lines(events), [(LogLevel.error, line)])

    def test_reloadAnOldOne(self) -> None:
        """
        One that ends soon is warned of at once.
        """
        self.start(5.5)
        with capturedLogs() as events:
            self.reload(self.certificate)
        self.assertEqual(self.lines(events), [self.loaded(), self.expires(5)])

    def test_reloadABadOne(self) -> None:
        """
        Of files that cannot be used one line tells, and the old certificate is served
        on, and warned of.
        """
        self.start(5.5)
        for contents in (b"", LEAF.pem(), OTHER.pem() + LEAF.keyPEM()):
            with open(self.path, "wb") as file:
                file.write(contents)
            with capturedLogs() as events:
                self.reload(self.certificate)
            ((level, line),) = self.lines(events)
            self.assertIs(level, LogLevel.error)
            self.assertTrue(line.startswith("kept the old certificate: "), line)
            self.assertTrue(line.endswith(f": {self.path}"), line)
            self.assertEqual(self.served(self.certificate), ["localhost"])
        self.assertEqual(self.day(), [self.expires(4)])

    def test_reloadBadParameters(self) -> None:
        """
        The same goes for its other files.
        """
        path = self.write(DH)
        certificate = self.load(dhFile=path)
        os.remove(path)
        with capturedLogs() as events:
            self.reload(certificate)
        line = f"kept the old certificate: No such file or directory: {path}"
        self.assertEqual(self.lines(events), [(LogLevel.error, line)])


class HandshakeTests(CertificateTests):
    """
    Tests of what clients are served with.
    """

    def test_versions(self) -> None:
        """
        TLS 1.2 and 1.3 are served, and nothing older.
        """
        certificate = self.load()
        self.assertTrue(verifyObject(IOpenSSLServerConnectionCreator, certificate))
        for version in VERSIONS.values():
            client = self.connect(certificate, version=version)
            self.assertTrue(client.hasHandshake, client.error)
        old = self.connect(
            certificate,
            version=SSL.TLS1_1_VERSION,
            prepare=lambda one: one.set_cipher_list(b"ALL:@SECLEVEL=0"),
        )
        self.assertFalse(old.hasHandshake)
        self.assertIn("alert protocol version", str(old.error))

    def test_protocols(self) -> None:
        """
        A client that offers protocols (ALPN) is served, and gets none.
        """
        for version in VERSIONS.values():
            client = self.connect(
                self.load(),
                version=version,
                prepare=lambda one: one.set_alpn_protos([b"h2", b"http/1.1"]),
            )
            self.assertTrue(client.hasHandshake, client.error)
            self.assertEqual(client.tls.get_alpn_proto_negotiated(), b"")
