"""
C{[HOST:]PORT}, and the client endpoints that it stands for.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    UNIXClientEndpoint,
    clientFromString,
)
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from zope.interface import implementer

from fastpoetry.resolver import Resolver, resolverOf
from fastpoetry.text import explain

# How many bytes the path of a UNIX socket may have (unix(7)), with a NUL to end it.
MAX_PATH = 107


def addressOf(endpoint: IStreamClientEndpoint) -> str:
    # Most of Twisted's endpoints keep to themselves what they were made with.
    host = getattr(endpoint, "_hostText", None) or getattr(endpoint, "_host", None)
    port = getattr(endpoint, "_port", None)
    return str(endpoint) if host is None else _join(host, port)


def parseAddress(text: str) -> tuple[str, int]:
    """
    Take C{[HOST:]PORT} apart.

    @param text: a port of this machine, such as C{10000}, or a host and a port,
        such as C{example.org:10000}, C{[::1]:10000} or C{[fe80::1%eth0]:10000}.

    @return: the host, C{localhost} by default and without brackets, and the port.

    @raise ValueError: when this is no address; its text is a plain sentence.
    """
    host, colon, port = text.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= 65535):
        raise ValueError(f"not a port number from 1 to 65535: {text}")
    if not colon:
        return "localhost", int(port)
    if host.startswith("[") and host.endswith("]") and isIPv6Address(host[1:-1]):
        return host[1:-1], int(port)
    if not host or set(host) & set("[:]"):
        raise ValueError(
            f"not [HOST:]PORT, with an IPv6 address in brackets ([::1]:10000): {text}"
        )
    return host, int(port)


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
    resolver = resolverOf(reactor)
    try:
        host, port = parseAddress(text)
    except ValueError as noAddress:
        try:
            endpoint = clientFromString(reactor, text)
        # Each kind of endpoint has a parser of its own, with errors of its own.
        except Exception as error:
            if text.count(":") < 2 or "::" in text or text.startswith("["):
                raise noAddress from error
            raise ValueError(f"not an endpoint ({explain(error)}): {text}") from error
        if isinstance(endpoint, UNIXClientEndpoint):
            _checkPath(endpoint._path, text)
        return _NamedEndpoint(text, endpoint, resolver)
    return hostEndpoint(reactor, host, port, timeout)


def _checkPath(path: str, text: str) -> None:
    # A name that begins with a NUL byte has no file; another would end at it.
    if "\0" in path[1:]:
        raise ValueError(f"not the path of a UNIX socket: {text!r}")
    if len(os.fsencode(path)) > MAX_PATH:
        raise ValueError(f"the path of a socket has {MAX_PATH} bytes at most: {text}")


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
        self._name = name
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
