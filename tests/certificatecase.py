"""
What the tests of certificates share: some that were issued, and a server that has
one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from cryptography.x509 import NameOID
from twisted.logger import LogEvent, LogLevel, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry import files
from fastpoetry.endpoints.certificate import Certificate
from tests.certificates import Issued, issue
from tests.threads import PlayedThreads
from tests.tlspeer import Client, Listener, Only, TLSWire

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


class CertificateTestCase(SynchronousTestCase):
    """
    Writes and loads certificates, and shows what clients see of them.
    """

    def write(self, *contents: bytes) -> str:
        """
        @return: the absolute path of a new file with these contents.
        """
        path: str = os.path.abspath(self.mktemp())
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
        @return: the names in the certificates that this client sees, its own first.
        """
        self.assertTrue(client.hasHandshake, client.error)
        chain = client.tls.get_peer_cert_chain() or []
        subjects = (one.to_cryptography().subject for one in chain)
        return [
            str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
            for subject in subjects
        ]

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

    def lines(self, events: Sequence[LogEvent]) -> list[tuple[LogLevel, str]]:
        """
        @return: what the log has of the certificate.
        """
        found = [(event["log_level"], formatEvent(event)) for event in events]
        return [(level, line) for level, line in found if "certificate" in line]
