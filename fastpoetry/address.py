"""
Addresses as they are typed, C{[HOST:]PORT}, and the client endpoints made of them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    clientFromString,
)
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.task import deferLater
from zope.interface import implementer

from fastpoetry.description import (
    CLIENTS,
    checkHost,
    clientOptions,
    describe,
    portNumber,
)
from fastpoetry.resolver import Resolver, resolverOf
from fastpoetry.text import brief, explain, isQueueFull, printable

# Seconds between two attempts to connect to a UNIX socket whose queue is full.
RETRY_INTERVAL = 0.1


def endpointName(endpoint: IStreamClientEndpoint | str) -> str:
    """
    Name an endpoint for people.

    @param endpoint: the endpoint, or the text that it will be made of.

    @return: C{HOST:PORT}, or for an endpoint without a host its text (C{str}).
    """
    # Twisted's endpoints keep them in private attributes, which
    # test_client.GetPoetryTests.test_names tests.
    host = getattr(endpoint, "_hostText", None) or getattr(endpoint, "_host", None)
    port = getattr(endpoint, "_port", None)
    return str(endpoint) if host is None else _join(host, port)


def parseAddress(text: str, lowest: int = 1) -> tuple[str, int]:
    """
    Parse C{[HOST:]PORT}.

    @param text: a port of this machine, such as C{10000}, or a host and a port,
        such as C{example.org:10000}, C{[::1]:10000} or C{[fe80::1%eth0]:10000}.

    @param lowest: the lowest number of a port: 0 where the system may choose one.

    @return: the host, C{localhost} by default and without brackets, and the port.

    @raise ValueError: when this is no address; its text is one sentence.
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
    Make an endpoint of what somebody typed.  Its text (C{str}) is the address to show
    them.

    @param reactor: what the endpoint will connect with.

    @param text: C{[HOST:]PORT}, or the description of a client endpoint as in
        Twisted's U{endpoint howto
        <https://docs.twisted.org/en/stable/core/howto/endpoints.html>}, such as
        C{unix:/run/poem.sock}.

    @param timeout: how many seconds connecting to one address of a host may take.  A
        description has an option for that.

    @raise ValueError: when it is neither; its text is one sentence.
    """
    try:
        host, port = parseAddress(text)
    except ValueError as notAddress:
        try:
            endpoint = _parseDescription(reactor, text)
        except ValueError as error:
            if _isLikeAddress(text):
                raise ValueError(brief(str(notAddress))) from error
            what, why = brief(text, 200), brief(str(error), 200)
            raise ValueError(f"not an endpoint: {what} ({why})") from error
        return _NamedEndpoint(text, endpoint, resolverOf(reactor))
    return hostEndpoint(reactor, host, port, timeout)


def _isLikeAddress(text: str) -> bool:
    # Whether a text that is neither was meant as an address, not as a description.
    isKnown = text.partition(":")[0].lower() in CLIENTS
    isShort = text.count(":") < 2
    return not isKnown and (isShort or "::" in text or text.startswith("["))


def _parseDescription(reactor: Any, text: str) -> IStreamClientEndpoint:
    # Have Twisted parse the description of an endpoint, and name what it finds wrong.
    kind, options = clientOptions(text)
    endpoint: Any
    try:
        if kind == "tls" and options is not None:
            # Imported by name: to look for plugins writes a cache, as for tcp6: (see
            # fastpoetry.listening.endpoint).  test_main.NoPluginsTests.test_clients
            # tests the name.
            from twisted.plugins.twisted_core import tlsClientEndpointParser as tls

            endpoint = tls.parseStreamClient(reactor, **options)
        else:
            description = text if options is None else describe(kind, options)
            endpoint = clientFromString(reactor, description)
        if kind == "unix" and options is not None:
            seconds = float(options.get("timeout", 30))
            endpoint = _WaitingEndpoint(reactor, endpoint, seconds)
    # Any exception: plugins have errors of their own, and so have the files of TLS.
    except Exception as error:
        raise ValueError(_reasonOf(error, kind)) from error
    return endpoint  # type: ignore[no-any-return]


def _reasonOf(error: Exception, kind: str) -> str:
    if isinstance(error, OSError):
        return explain(error)
    if type(error).__module__.startswith("OpenSSL."):
        return "no certificate and key in its files"
    if isinstance(error, UnicodeError):
        return "not the name of a host"
    if isinstance(error, NameError):  # Twisted could not import OpenSSL
        return "TLS is not installed"
    return f"not what {kind}: takes"


def hostEndpoint(
    reactor: Any, host: str, port: int, timeout: float
) -> IStreamClientEndpoint:
    """
    Make an endpoint of a host and a port.

    @param reactor: what it connects with.

    @param host: a name, or an address of IPv4 or IPv6.

    @param port: its number.

    @param timeout: how many seconds connecting to one address of the host may take.
    """
    resolver = resolverOf(reactor)  # before the endpoint, which keeps what there is
    endpoint = HostnameEndpoint(reactor, host, port, timeout)
    if host.isascii():
        # Twisted takes it for a name of IDNA, which may have no underscore.
        # test_address.HostTests.test_names tests the attribute.
        endpoint._badHostname = False
    return _NamedEndpoint(_join(host, port), endpoint, resolver)


def _join(host: str, port: object) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@implementer(IStreamClientEndpoint)
class _NamedEndpoint:
    """
    An endpoint with a name for people, whose hosts are looked up by a L{Resolver}.
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


@implementer(IStreamClientEndpoint)
class _WaitingEndpoint:
    """
    An endpoint of a UNIX socket that waits for a place in its queue.  In TCP the kernel
    does that.
    """

    def __init__(
        self, reactor: Any, endpoint: IStreamClientEndpoint, seconds: float
    ) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        # Not a time, so that a process that stood still goes on where it was.
        self._retries = int(seconds / RETRY_INTERVAL)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        @see: L{IStreamClientEndpoint.connect}
        """
        return Deferred.fromCoroutine(self._connect(protocolFactory))

    async def _connect(self, protocolFactory: IProtocolFactory) -> IProtocol:
        for _ in range(self._retries):
            try:
                return await self._endpoint.connect(protocolFactory)
            except ConnectError as error:
                if not isQueueFull(error):
                    raise
            await deferLater(self._reactor, RETRY_INTERVAL)
        return await self._endpoint.connect(protocolFactory)
