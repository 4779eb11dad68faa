"""
Certificates of TLS, and the day on which they end.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificates
from OpenSSL import SSL, crypto
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from zope.interface import implementer

from fastpoetry.error import CertificateError, FastPoetryError
from fastpoetry.files import readAgain, readFile
from fastpoetry.text import explain, printable

DAY = 24 * 60 * 60

# Days before the end of a certificate from which on the log warns each day.
WARNING_DAYS = 14


def noProtocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """
    Choose none of the protocols that a client offers, and go on with the handshake
    (ALPN, U{RFC 7301<https://www.rfc-editor.org/rfc/rfc7301>}).  Twisted's own answer
    would end it.
    """
    return SSL.NO_OVERLAPPING_PROTOCOLS


@implementer(IOpenSSLServerConnectionCreator)
class Certificate:
    """
    A certificate and its key, which can be read again.
    """

    _log = Logger()

    _reactor: Any = None
    _reading: Deferred[None] | None = None  # of the last reload

    def __init__(
        self,
        keyFile: str,
        file: str,
        extraFile: str | None = None,
        dhFile: str | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        @param keyFile: the key; all files are of PEM.

        @param file: the certificate, followed by any between it and the root.

        @param extraFile: more certificates between it and the root.

        @param dhFile: parameters for Diffie-Hellman, which few clients need.

        @param now: the time of day, in seconds since the epoch.

        @raise CertificateError: when they cannot be used.
        """
        self._keyFile = os.path.abspath(keyFile)
        self._file = os.path.abspath(file)
        self._extraFile = extraFile and os.path.abspath(extraFile)
        self._dhFile = dhFile and os.path.abspath(dhFile)
        self._now = now
        self._daily = LoopingCall(self._warn)
        self._context, self._end = self._read()

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """
        @see: L{IOpenSSLServerConnectionCreator.serverConnectionForTLS}
        """
        return SSL.Connection(self._context)

    def start(self, reactor: Any) -> None:
        """
        Log when the certificate ends, and warn in time.

        @param reactor: the clock, and the reactor that threads of a reload call.
        """
        self._tell()
        self._daily.clock = self._reactor = reactor
        self._daily.start(DAY)

    def stop(self) -> None:
        """
        Stop warning, and drop what a reload that is under way will find.
        """
        if self._reading is not None:
            self._reading.cancel()
        if self._daily.running:
            self._daily.stop()

    def reload(self) -> Deferred[None]:
        """
        Read the files again.  Open connections keep what they have.

        @see: L{fastpoetry.interfaces.IReloadable.reload}
        """
        self._reading = readAgain(
            self._reactor, self._file, self._read, self._changeOver, self._keep
        )
        return self._reading

    def _changeOver(self, read: tuple[SSL.Context, float]) -> None:
        self._context, self._end = read
        self._tell()
        self._warn()

    def _keep(self, error: FastPoetryError) -> None:
        self._log.error("kept the old certificate: {error}", error=error)

    def _tell(self) -> None:
        self._log.info(
            "loaded a certificate from: {path}, valid until {end}",
            path=printable(self._file),
            end=datetime.fromtimestamp(self._end, timezone.utc).strftime("%Y-%m-%d"),
        )

    def _warn(self) -> None:
        days = int((self._end - self._now()) // DAY)
        if days < 0:
            self._log.error(
                "the certificate has expired: {path}", path=printable(self._file)
            )
        elif days < WARNING_DAYS:
            self._log.warn(
                "the certificate expires in {days} days: {path}",
                days=days,
                path=printable(self._file),
            )

    def _read(self) -> tuple[SSL.Context, float]:
        # Read all files, check that they belong together, and find the end.
        context = CertificateOptions().getContext()
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_alpn_select_callback(noProtocol)
        certificate, *others = _parse(self._file, _parseCertificates)
        if self._extraFile:
            others += _parse(self._extraFile, _parseCertificates)
        key = _parse(self._keyFile, _parseKey)
        try:
            context.use_certificate(certificate)
            for other in others:
                context.add_extra_chain_cert(other)
        except SSL.Error as error:  # its key may be too short
            raise CertificateError(f"{explain(error)}: {self._file}") from error
        try:
            context.use_privatekey(key)
            context.check_privatekey()
        except SSL.Error as error:
            raise CertificateError(
                f"The key is not that of the certificate: {self._keyFile}"
            ) from error
        if self._dhFile:
            _parse(self._dhFile, bytes)
            try:
                context.load_tmp_dh(self._dhFile)
            except SSL.Error as error:
                raise CertificateError(f"No parameters in: {self._dhFile}") from error
        try:
            _rehearse(context)
        except SSL.Error as error:
            raise CertificateError(f"{explain(error)}: {self._file}") from error
        end = datetime.strptime(certificate.get_notAfter().decode(), "%Y%m%d%H%M%SZ")
        return context, end.replace(tzinfo=timezone.utc).timestamp()


def _rehearse(context: SSL.Context) -> None:
    # Do a handshake: only that finds certificates after the first with too short a key.
    client = SSL.Connection(SSL.Context(SSL.TLS_METHOD))
    client.set_connect_state()
    with suppress(SSL.WantReadError):
        client.do_handshake()
    server = SSL.Connection(context)
    server.set_accept_state()
    server.bio_write(client.bio_read(2**16))
    with suppress(SSL.WantReadError):
        server.do_handshake()


def _parse(path: str, parse: Callable[[bytes], Any]) -> Any:
    try:
        return parse(readFile(path, CertificateError))
    except ValueError as error:
        raise CertificateError(f"{error}: {path}") from error


def _parseCertificates(data: bytes) -> list[crypto.X509]:
    try:
        found = load_pem_x509_certificates(data)
    except ValueError as error:
        raise ValueError("No certificate in") from error
    return [crypto.X509.from_cryptography(one) for one in found]


def _parseKey(data: bytes) -> crypto.PKey:
    try:
        key: Any = load_pem_private_key(data, None)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("No private key in") from error
    except TypeError as error:  # a daemon cannot ask for the passphrase
        raise ValueError("The private key is encrypted") from error
    try:
        return crypto.PKey.from_cryptography_key(key)
    except TypeError as error:
        raise ValueError("No key for signatures in") from error
