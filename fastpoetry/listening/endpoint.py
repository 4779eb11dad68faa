"""
From an endpoint description to a listening port.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Any

from twisted.internet import endpoints
from twisted.internet.abstract import isIPv6Address
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.tcp import Port
from twisted.python.failure import Failure

from fastpoetry.description import describe, serverOptions
from fastpoetry.endpoints.passed import PassedEndpoint
from fastpoetry.endpoints.unixsocket import listenUNIX
from fastpoetry.error import FastPoetryError, ListenError
from fastpoetry.text import brief, explain

# Kinds of endpoints that break a promise, and why.
REFUSED = {
    "haproxy": "--proxy-protocol is what reads the header of HAProxy",
    "stdio": "nobody connects to standard input and output",
    "tls": "ssl: is what keeps every promise over TLS",
}


def parseEndpoint(
    reactor: Any, description: str, reusePort: bool = False
) -> IStreamServerEndpoint:
    """
    Make an endpoint of its description.

    @param reactor: the reactor that the endpoint will listen with.

    @param description: as in Twisted's U{endpoint howto
        <https://docs.twisted.org/en/stable/core/howto/endpoints.html>}, such as
        C{tcp:10000:interface=127.0.0.1}.

    @param reusePort: whether a port of TCP or TLS is to be shared with other processes
        that ask for the same (C{SO_REUSEPORT}).

    @return: the endpoint.

    @raise ListenError: when this is not the description of a server endpoint.
    """
    listener = _ListeningReactor(reactor, reusePort)
    try:
        return _parse(listener, description)  # type: ignore[no-any-return]
    except FastPoetryError as error:
        raise ListenError(f"{error}: {description}") from error
    except ValueError as error:
        what, why = brief(str(description), 200), brief(str(error), 200)
        raise ListenError(f"Not an endpoint: {what} ({why})") from error


def openPort(
    endpoint: IStreamServerEndpoint, factory: IProtocolFactory
) -> IListeningPort:
    """
    Listen, at once.  No reader is let in before the reactor runs.

    @param endpoint: as of L{parseEndpoint}.

    @param factory: serves the readers.

    @return: the listening port.

    @raise ListenError: when it is impossible, in a sentence without the description.
    """
    results: list[IListeningPort | Failure] = []
    listening = endpoint.listen(factory).addBoth(results.append)
    if not results:
        listening.cancel()
        raise ListenError("Cannot tell at once if it listens")
    (port,) = results
    if isinstance(port, Failure):
        port.trap(Exception)  # what is none, such as KeyboardInterrupt, goes on
        raise ListenError(explain(port.value)) from port.value
    return port


def closePort(port: Port) -> None:
    """
    Stop listening at once, for when the reactor has no other turn.

    @param port: on TCP or on a UNIX socket.
    """
    reason = Failure(ConnectionDone())
    try:
        port.connectionLost(reason)
    except OSError:  # it is a plugin's, and its UNIX socket is gone
        Port.connectionLost(port, reason)


def _parse(reactor: _ListeningReactor, description: str) -> Any:
    # Make the endpoint of a description: ours for what Twisted's own do not do.
    if not isinstance(description, str):
        raise ValueError("it is no text")
    # First, since not every Twisted has all of these kinds.
    if refused := REFUSED.get(description.partition(":")[0].lower()):
        raise ValueError(refused)
    kind, options = serverOptions(description)
    if options is None:
        return _parsePlugin(reactor, kind, description)
    if options.get("interface") == "":  # Twisted would listen on all addresses
        raise ValueError("its interface is no address: ''")
    if kind == "systemd":
        return PassedEndpoint(reactor, **options)
    if kind == "ssl":
        try:
            # OpenSSL need not be installed.
            from fastpoetry.endpoints.tls import TLSEndpoint
        except ImportError as error:
            raise ValueError(f"TLS is not installed: {error}") from error

        return TLSEndpoint(reactor, **options)
    if kind == "tcp6":
        # Twisted would look for a plugin, and try to write the cache of plugins beside
        # its own files, which an ordinary user may not.
        kind, options = "tcp", {"interface": "::", **options}
    return endpoints.serverFromString(reactor, describe(kind, options))


def _parsePlugin(reactor: _ListeningReactor, kind: str, description: str) -> Any:
    try:
        return endpoints.serverFromString(reactor, description)
    except Exception as error:  # each plugin has errors of its own
        raise ValueError(f"not what {kind}: takes") from error


class _ListeningReactor:
    """
    A reactor that opens its listening sockets itself, for options that Twisted's
    endpoints do not have.  Each endpoint made here calls one of its two methods.
    """

    def __init__(self, reactor: Any, reusePort: bool) -> None:
        self._reactor = reactor
        self._reusePort = reusePort

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(
        self,
        port: int,
        factory: IProtocolFactory,
        backlog: int = 50,
        interface: str = "",
    ) -> IListeningPort:
        """
        Listen on an address of IPv4 or IPv6, C{::} for all of both.

        @see: L{twisted.internet.interfaces.IReactorTCP.listenTCP}
        """
        isIPv6 = isIPv6Address(interface)
        family = socket.AF_INET6 if isIPv6 else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if self._reusePort:
                    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                name: Any = (interface, port)
                if isIPv6:  # it may have a scope
                    name = socket.getaddrinfo(
                        interface, port, family, flags=socket.AI_NUMERICHOST
                    )[0][4]
                    if ip_address(name[0].partition("%")[0]).is_unspecified:
                        # Whatever net.ipv6.bindv6only says.
                        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                listener.bind(name)
                listener.listen(backlog)
                listener.setblocking(False)
                # The port works on a copy of the descriptor.
                adopted: IListeningPort = self._reactor.adoptStreamPort(
                    listener.fileno(), family, factory
                )
                return adopted
        except OSError as error:
            raise CannotListenError(interface, port, error) from error

    def listenUNIX(
        self,
        address: str,
        factory: IProtocolFactory,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> IListeningPort:
        """
        Listen on a UNIX socket, without a lock file.

        @see: L{twisted.internet.interfaces.IReactorUNIX.listenUNIX}
        """
        return listenUNIX(self._reactor, address, factory, mode)
