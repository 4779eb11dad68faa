"""
Certificates for the tests.
"""

from __future__ import annotations

import datetime
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet import ssl


class Issued(NamedTuple):
    """
    A certificate and its key.
    """

    certificate: x509.Certificate
    key: Any

    def pem(self) -> bytes:
        """
        @return: the certificate.
        """
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def keyPEM(self, passphrase: bytes = b"") -> bytes:
        """
        @return: the key.
        """
        encryption: Any = serialization.NoEncryption()
        if passphrase:
            encryption = serialization.BestAvailableEncryption(passphrase)
        data: bytes = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            encryption,
        )
        return data


def issue(
    name: str = "localhost",
    issuer: Issued | None = None,
    key: Any = None,
    end: datetime.datetime | None = None,
) -> Issued:
    """
    Issue a certificate.

    @param issuer: who signs it; by default itself.

    @param key: its key; by default a new one.

    @param end: when it ends; by default tomorrow.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1000))
        .not_valid_after(end or now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(issuer.key if issuer else key, hashes.SHA256())
    )
    return Issued(certificate, key)


def makeCertificate() -> ssl.PrivateCertificate:
    """
    Make a certificate of our own for C{localhost}.
    """
    issued = issue()
    pem = issued.pem() + issued.keyPEM()
    certificate: ssl.PrivateCertificate = ssl.PrivateCertificate.loadPEM(pem)
    return certificate
