"""
Tests of L{fastpoetry.endpoints.certificate}: the files of certificates, and handshakes.
"""

from __future__ import annotations

import os

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa, x25519
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface.verify import verifyObject

from fastpoetry.endpoints.certificate import Certificate
from fastpoetry.error import CertificateError
from tests.certificatecase import CA, DH, LEAF, MIDDLE, OTHER, CertificateTestCase
from tests.certificates import Issued, issue
from tests.tlspeer import VERSIONS


class FileTests(CertificateTestCase):
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


class HandshakeTests(CertificateTestCase):
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
