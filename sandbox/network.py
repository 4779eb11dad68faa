"""
What is between server and readers: loopback, a UNIX socket, TLS.  A link with a delay
is in L{sandbox.link}.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sandbox.otherreaders import TLSReader, UNIXReader
from sandbox.reader import Reader


class Loopback:
    """
    Server and readers on one machine.

    @ivar name: for a table.

    @ivar host: where the server listens.

    @ivar reader: what its readers are.

    @ivar cut: how a reader that knows its trade sees a poem that is cut.
    """

    name = "loopback"
    host = "127.0.0.1"
    cut = "reset"
    reader: type[Reader] = Reader

    @property
    def where(self) -> str:
        """
        What is said of something that is tried here.
        """
        return f"on {self.name}"

    @contextmanager
    def atServer(self) -> Iterator[None]:
        """
        Be where the server is: sockets and processes made there stay there.
        """
        yield

    @contextmanager
    def atReaders(self) -> Iterator[None]:
        """
        Be where the readers are.
        """
        yield


class UNIXSockets(Loopback):
    """
    Server and readers on one machine, with a UNIX socket between them, where there
    is no reset.
    """

    name = "a UNIX socket"
    cut = "cut without proof"
    reader = UNIXReader


LOOPBACK = Loopback()
UNIX = UNIXSockets()


class TLSConnections(Loopback):
    """
    TLS, on another network.
    """

    reader = TLSReader

    def __init__(self, network: Loopback = LOOPBACK) -> None:
        self.name = "TLS" if network is LOOPBACK else f"TLS on {network.name}"
        self.host = network.host
        self.atServer = network.atServer  # type: ignore[method-assign]
        self.atReaders = network.atReaders  # type: ignore[method-assign]

    @property
    def where(self) -> str:
        """
        @see: L{Loopback.where}
        """
        return f"over {self.name}"


TLS = TLSConnections()

# All that are on this machine alone.
DOORS = [LOOPBACK, UNIX, TLS]
