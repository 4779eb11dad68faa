"""
C{ssl:} endpoints.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from fastpoetry.description import portNumber
from fastpoetry.endpoints.certificate import Certificate
from fastpoetry.endpoints.tlstransport import TLSFactory


@implementer(IStreamServerEndpoint)
class TLSEndpoint:
    """
    Listens for TLS.

    @ivar certificate: the certificate that the server shows.
    """

    def __init__(
        self,
        reactor: Any,
        port: str,
        privateKey: str = "server.pem",
        certKey: str | None = None,
        interface: str = "",
        backlog: str = "50",
        extraCertChain: str | None = None,
        dhParameters: str | None = None,
    ) -> None:
        """
        @param reactor: what it listens with.

        @param port: its number.

        @param interface: the address to listen on; by default all of IPv4.

        @param privateKey: the file of the key; the other files are as in
            L{Certificate}.

        @param certKey: by default the file of the key has the certificate, too.

        @param backlog: of no effect; see L{fastpoetry.listening.acceptor}.

        @raise CertificateError: when the certificate cannot be used.
        """
        self._reactor = reactor
        self._port = portNumber(port)
        self._interface = interface
        self.certificate = Certificate(
            privateKey, certKey or privateKey, extraCertChain, dhParameters
        )

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        @see: L{IStreamServerEndpoint.listen}
        """
        factory = TLSFactory(self.certificate, protocolFactory, self._reactor)
        return execute(
            self._reactor.listenTCP, self._port, factory, interface=self._interface
        )
