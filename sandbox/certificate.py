"""
Certificates for servers that talk TLS.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from sandbox.commands import findCommand

# The keys that they can have, as openssl makes them.
P256 = "P-256"
RSA = "RSA 2048"
KEYS = {P256: "ec -pkeyopt ec_paramgen_curve:P-256", RSA: "rsa:2048"}

NAME = "localhost"


def certify(kind: str, certificate: Path, key: Path) -> None:
    """
    Make a key, and a certificate for L{NAME} that nobody else has signed.

    @param kind: of the key, one of L{KEYS}.

    @param certificate: the file for the certificate.

    @param key: the file for the key; it may be the same.

    @raise subprocess.CalledProcessError: when C{openssl} fails.
    """
    command = f"req -x509 -nodes -subj /CN={NAME} -newkey {KEYS[kind]}"
    more = ["-addext", f"subjectAltName=DNS:{NAME}"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    words = [findCommand("openssl"), *command.split(), *more, *files]
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
