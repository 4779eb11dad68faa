"""
C{[HOST:]PORT}, and the client endpoints that it stands for.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    clientFromString,
)
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from fastpoetry.description import (
    CLIENTS,
    checkHost,
    clientOptions,
    describe,
    portNumber,
)
from fastpoetry.resolver import Resolver, resolverOf
from fastpoetry.text import brief, explain, printable


def addressOf(endpoint: IStreamClientEndpoint) -> str:
    # Most of Twisted's endpoints keep to themselves what they were made with.
    host = getattr(endpoint, "_hostText", None) or getattr(endpoint, "_host", None)
    port = getattr(endpoint, "_port", None)
    return str(endpoint) if host is None else _join(host, port)


def parseAddress(text: str, lowest: int = 1) -> tuple[str, int]:
    """
    Take C{[HOST:]PORT} apart.

    @param text: a port of this machine, such as C{10000}, or a host and a port,
        such as C{example.org:10000}, C{[::1]:10000} or C{[fe80::1%eth0]:10000}.

    @param lowest: the lowest number of a port, 0 where the system may choose one.

    @return: the host, C{localhost} by default and without brackets, and the port.

    @raise ValueError: when this is no address; its text is a plain sentence.
    """
    host, colon, number = text.rpartition(":")
    try:
        port = portNumber(number, lowest)
    except ValueError as error:
        raise ValueError(f"not a port number from {lowest} to 65535: {text}") from error
    if not colon:
        return "localhost", port
    if host.startswith("[") and host.endswith("]") and isIPv6Address(host[1:-1]):
        return host[1:-1], port
    if not host or set(host) & set("[:]"):
        raise ValueError(
            f"not [HOST:]PORT, with an IPv6 address in brackets ([::1]:10000): {text}"
        )
    checkHost(host)
    return host, port


def clientEndpoint(
    reactor: Any, text: str, timeout: float = 30.0
) -> IStreamClientEndpoint:
    """
    Make an endpoint of what somebody typed.  As text (C{str}) it is the address
    to tell them.

    @param reactor: what the endpoint will connect with.

    @param text: C{[HOST:]PORT}, or the description of a client endpoint as in
        Twisted's U{endpoint howto
        <https://docs.twisted.org/en/stable/core/howto/endpoints.html>}, such as
        C{unix:/run/poem.sock}.

    @param timeout: how many seconds connecting to one address of a host may take.
        (In a description, that is an option.)

    @raise ValueError: when it is neither; its text is a plain sentence.
    """
    try:
        host, port = parseAddress(text)
    except ValueError as noAddress:
        try:
            endpoint = _parse(reactor, text)
        except ValueError as error:
            isKnown = text.partition(":")[0].lower() in CLIENTS
            isAddress = text.count(":") < 2 or "::" in text or text.startswith("[")
            if isAddress and not isKnown:
                raise ValueError(brief(str(noAddress))) from error
            what, why = brief(text, 200), brief(str(error), 200)
            raise ValueError(f"not an endpoint ({why}): {what}") from error
        return _NamedEndpoint(text, endpoint, resolverOf(reactor))
    return hostEndpoint(reactor, host, port, timeout)


def _parse(reactor: Any, text: str) -> IStreamClientEndpoint:
    kind, options = clientOptions(text)
    endpoint: IStreamClientEndpoint
    try:
        if kind == "tls" and options is not None:
            # Twisted would look for it, as for tcp6: (fastpoetry.listening.endpoint).
            from twisted.plugins.twisted_core import tlsClientEndpointParser as tls

            endpoint = tls.parseStreamClient(reactor, **options)
            return endpoint
        description = text if options is None else describe(kind, options)
        endpoint = clientFromString(reactor, description)
        return endpoint
    # Each plugin has errors of its own, and so have the files of TLS.
    except Exception as error:
        raise ValueError(_reasonOf(error, kind)) from error


def _reasonOf(error: Exception, kind: str) -> str:
    if isinstance(error, OSError):
        return explain(error)
    if type(error).__module__.startswith("OpenSSL."):
        return "no certificate and key in its files"
    if isinstance(error, UnicodeError):
        return "not the name of a host"
    if isinstance(error, NameError):  # Twisted has not imported it
        return "TLS is not installed"
    return f"not what {kind}: takes"


def hostEndpoint(
    reactor: Any, host: str, port: int, timeout: float
) -> IStreamClientEndpoint:
    resolver = resolverOf(reactor)
    endpoint = HostnameEndpoint(reactor, host, port, timeout)
    if host.isascii():
        # IDNA is for the others, and would have no underscore.
        endpoint._badHostname = False
    return _NamedEndpoint(_join(host, port), endpoint, resolver)


def _join(host: str, port: object) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@implementer(IStreamClientEndpoint)
class _NamedEndpoint:
    """
    An endpoint that knows what to call itself, and looks names up in threads of ours.
    """

    def __init__(
        self, name: str, endpoint: IStreamClientEndpoint, resolver: Resolver | None
    ) -> None:
        self._name = printable(name)
        self._endpoint = endpoint
        self._resolver = resolver

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        @see: L{IStreamClientEndpoint.connect}
        """
        if self._resolver is None:
            return self._endpoint.connect(protocolFactory)
        return self._resolver.connect(self._endpoint, protocolFactory)

    def __str__(self) -> str:
        return self._name
