"""
Certificates for servers that talk TLS.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

# The keys that they can have, as openssl makes them.
P256 = "P-256"
RSA = "RSA 2048"
KEYS = {P256: "ec -pkeyopt ec_paramgen_curve:P-256", RSA: "rsa:2048"}

NAME = "localhost"


def certify(key: str, pem: Path) -> None:
    """
    Make a key, and a certificate for L{NAME} that nobody else has signed.

    @param key: one of L{KEYS}.

    @param pem: the file for both.

    @raise subprocess.CalledProcessError: when C{openssl} fails.
    """
    command = f"openssl req -x509 -nodes -subj /CN={NAME} -newkey {KEYS[key]}"
    more = ["-addext", f"subjectAltName=DNS:{NAME}", "-keyout", str(pem)]
    words = [*command.split(), *more, "-out", str(pem)]
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL)
