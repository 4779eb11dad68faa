"""
Sockets that were passed to this process when it was started, by systemd or another
program that follows U{sd_listen_fds(3)
<https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html>}.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any

from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from fastpoetry.description import isWholeNumber
from fastpoetry.endpoints.unixsocket import UNIXPort, UNIXTransport
from fastpoetry.error import ListenError

# The number of the first passed descriptor; the others follow.
FIRST = 3

# No process has as many descriptors.
MAX_PASSED = 10**6

# The families that a socket may have for each domain that is asked for.  systemd makes
# one socket of IPv6 for both families of IP.
FAMILIES = {
    "INET": {socket.AF_INET, socket.AF_INET6},
    "INET6": {socket.AF_INET, socket.AF_INET6},
    "UNIX": {socket.AF_UNIX},
    "": {socket.AF_INET, socket.AF_INET6, socket.AF_UNIX},
}


def namesOfPassed(environment: dict[str, str], pid: int) -> list[str]:
    """
    @param environment: the environment that the process was started with.

    @param pid: the number of the process.

    @return: the names of the passed descriptors, from that of L{FIRST} on; C{unknown}
        for those without a name.
    """
    text = environment.get("LISTEN_FDS", "")
    isForUs = environment.get("LISTEN_PID") == str(pid)
    if not (isForUs and isWholeNumber(text, 0, MAX_PASSED)):
        return []
    count = int(text)
    given = environment.get("LISTEN_FDNAMES", "")
    names = given.split(":") if given else []
    return (names + ["unknown"] * count)[:count]


def _environment() -> dict[str, str]:
    # As it was at the start: Twisted removes what systemd has put into os.environ.
    try:
        with open("/proc/self/environ", "rb") as file:
            pairs = (
                os.fsdecode(pair).partition("=") for pair in file.read().split(b"\0")
            )
            return {name: value for name, _, value in pairs}
    except OSError:  # there is no /proc
        return dict(os.environ)


# Read when this module is imported: twistd forks to become a daemon, and then the
# process has another number than LISTEN_PID.
PASSED = namesOfPassed(_environment(), os.getpid())

# Numbers of those that are listened on already.  The port works on a copy, so something
# else may have got the number since.
TAKEN: set[int] = set()


@implementer(IStreamServerEndpoint)
class PassedEndpoint:
    """
    Listens on a socket that was passed.
    """

    def __init__(
        self,
        reactor: Any,
        domain: str = "",
        index: str | None = None,
        name: str | None = None,
    ) -> None:
        """
        @param reactor: what it listens with.

        @param domain: what the socket has to be: C{INET} or C{INET6}, which mean the
            same, or C{UNIX}; by default any.

        @param index: which of the passed sockets, counted from 0; or

        @param name: which, by its name.

        @raise ListenError: when there is no such socket, or it does not listen.
        """
        if domain not in FAMILIES:
            raise ListenError("The domain is none of INET, INET6 and UNIX")
        if (index is None) == (name is None):
            raise ListenError("Either an index or a name is needed")
        if name is not None:
            position = PASSED.index(name) if name in PASSED else -1
        else:
            assert index is not None
            position = int(index) if isWholeNumber(index, 0) else -1
        if not 0 <= position < len(PASSED):
            raise ListenError("No such socket was passed")
        self._reactor = reactor
        self._fd = FIRST + position
        self._check(domain)

    def _check(self, domain: str) -> None:
        # Ask the socket what it is.
        with self._open() as listener:
            isListening = False
            with suppress(OSError):
                isListening = bool(
                    listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                )
            if listener.type != socket.SOCK_STREAM or not isListening:
                raise ListenError("The socket that was passed does not listen")
            self._isUNIX = listener.family == socket.AF_UNIX
            if listener.family not in FAMILIES[domain]:
                family = getattr(listener.family, "name", listener.family)
                raise ListenError(f"The socket that was passed is one of {family}")

    def _open(self) -> socket.socket:
        # Make a copy of the descriptor.
        if self._fd in TAKEN:
            raise ListenError("The socket that was passed is listened on already")
        try:
            copy = os.dup(self._fd)
            try:
                return socket.socket(fileno=copy)
            except OSError:  # it is no socket
                os.close(copy)
                raise
        except OSError as error:
            raise ListenError("No such socket was passed") from error

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        @see: L{IStreamServerEndpoint.listen}
        """
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        # Make a port of the socket, and close the descriptor that was passed.
        if self._isUNIX:
            UNIXTransport.makeProof()
        listener = self._open()
        listener.setblocking(False)
        os.close(self._fd)
        TAKEN.add(self._fd)
        if self._isUNIX:
            port: Any = UNIXPort(self._reactor, listener, factory)
            port.startListening()
        else:
            with listener:  # the port works on a copy
                port = self._reactor.adoptStreamPort(
                    listener.fileno(), listener.family, factory
                )
        return port  # type: ignore[no-any-return]
