"""
Sockets that were passed when the process was started: by systemd, or whoever does as
U{sd_listen_fds(3)
<https://www.freedesktop.org/software/systemd/man/latest/sd_listen_fds.html>} says.
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

from fastpoetry.description import isWhole
from fastpoetry.endpoints.unixsocket import UNIXPort, UNIXTransport
from fastpoetry.error import ListenError

# The first that is passed; the others follow.
FIRST = 3

# No process has as many descriptors.
MAX_PASSED = 10**6

# What may be passed for each domain that is asked for: both families of IP, since
# systemd makes one socket of IPv6 for both.
FAMILIES = {
    "INET": {socket.AF_INET, socket.AF_INET6},
    "INET6": {socket.AF_INET, socket.AF_INET6},
    "UNIX": {socket.AF_UNIX},
    "": {socket.AF_INET, socket.AF_INET6, socket.AF_UNIX},
}


def namesOfPassed(environment: dict[str, str], pid: int) -> list[str]:
    """
    @param environment: that of the process, as it was started.

    @param pid: its number.

    @return: the names of the descriptors that were passed, C{unknown} where they have
        none, beginning with that of L{FIRST}.
    """
    text = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(pid) or not isWhole(text, 0, MAX_PASSED):
        return []
    count = int(text)
    given = environment.get("LISTEN_FDNAMES", "")
    names = given.split(":") if given else []
    return (names + ["unknown"] * count)[:count]


def _environment() -> dict[str, str]:
    # As it was at the start: Twisted takes from os.environ what systemd has put there.
    try:
        with open("/proc/self/environ", "rb") as file:
            pairs = (
                os.fsdecode(pair).partition("=") for pair in file.read().split(b"\0")
            )
            return {name: value for name, _, value in pairs}
    except OSError:  # there is no /proc
        return dict(os.environ)


# Asked for when this is imported: as a daemon the process gets another number.
PASSED = namesOfPassed(_environment(), os.getpid())

# Those that are listened on.  They have other numbers then; somebody else may have got
# theirs.
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

        @param domain: C{INET}, C{INET6} or C{UNIX}: what the socket has to be; of the
            first two, either will do for the other.

        @param index: which of them, by its number from 0 on.

        @param name: or which, by its name.

        @raise ListenError: when it is none that can be listened on.
        """
        if domain not in FAMILIES:
            raise ListenError("The domain is none of INET, INET6 and UNIX")
        if (index is None) == (name is None):
            raise ListenError("Either an index or a name is needed")
        if name is not None:
            position = PASSED.index(name) if name in PASSED else -1
        else:
            assert index is not None
            position = int(index) if isWhole(index, 0) else -1
        if not 0 <= position < len(PASSED):
            raise ListenError("No such socket was passed")
        self._reactor = reactor
        self._fd = FIRST + position
        self._check(domain)

    def _check(self, domain: str) -> None:
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
        # A copy, of which the kernel says what it is.
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
