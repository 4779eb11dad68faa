"""
From an endpoint description to a listening port.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)

from fastpoetry.error import ListenError
from fastpoetry.text import explain


def parseEndpoint(
    reactor: Any, description: str, reusePort: bool = False
) -> IStreamServerEndpoint:
    """
    Make an endpoint of its description.

    @param reactor: what the endpoint will listen with.

    @param description: as in Twisted's U{endpoint howto
        <https://docs.twisted.org/en/stable/core/howto/endpoints.html>}, such as
        C{tcp:10000:interface=127.0.0.1}.

    @param reusePort: whether a TCP port is to be shared with other processes
        that ask for the same (C{SO_REUSEPORT}).

    @raise ListenError: when this is not the description of a server endpoint.
    """
    if reusePort:
        reactor = _PortSharingReactor(reactor)
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, description)
    # Each kind of endpoint has a parser of its own, with errors of its own.
    except Exception as error:
        reason = _parserReason(error, description)
        raise ListenError(f"Not an endpoint: {description} ({reason})") from error
    return endpoint


def _parserReason(error: Exception, description: str) -> str:
    if description.startswith("systemd:") and isinstance(error, LookupError):
        return "systemd passed no such socket"
    if isinstance(error, ImportError):
        return f"TLS is not installed: {error}"
    return explain(error)


def removeLock(error: BaseException | None) -> None:
    """
    Remove the lock that Twisted leaves behind when it cannot listen on a UNIX socket.

    @param error: what came of listening.
    """
    name = error.port if isinstance(error, CannotListenError) else None
    if isinstance(name, (str, bytes)):  # which of them, depends on the release
        lock = os.fsencode(name) + b".lock"
        with suppress(OSError, ValueError):  # which may have no name in any directory
            if os.readlink(lock) == b"%d" % os.getpid():
                os.remove(lock)


class _PortSharingReactor:
    """
    A reactor whose TCP ports are shared.  An endpoint has no option for it, but
    those that are plain TCP end in C{listenTCP}.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

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
        @see: L{twisted.internet.interfaces.IReactorTCP.listenTCP}
        """
        family = socket.AF_INET6 if isIPv6Address(interface) else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            try:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                listener.bind((interface, port))
                listener.listen(backlog)
            except OSError as error:
                raise CannotListenError(interface, port, error) from error
            listener.setblocking(False)
            # The port works on a copy of the descriptor.
            adopted: IListeningPort = self._reactor.adoptStreamPort(
                listener.fileno(), family, factory
            )
            return adopted
