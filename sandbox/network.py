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

    @ivar name: of the network, as tables have it.

    @ivar host: where the server listens.

    @ivar reader: the class of its readers.

    @ivar cut: the outcome of such a reader when its poem is cut.
    """

    name = "loopback"
    host = "127.0.0.1"
    cut = "reset"
    reader: type[Reader] = Reader

    @property
    def where(self) -> str:
        """
        The name with a preposition: C{"on loopback"}.
        """
        return f"on {self.name}"

    @contextmanager
    def atServer(self) -> Iterator[None]:
        """
        Be in the server's network: sockets and processes made meanwhile stay in it.
        """
        yield

    @contextmanager
    def atReaders(self) -> Iterator[None]:
        """
        Be in the readers' network.
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

# All ways to a server on this machine.
NETWORKS = [LOOPBACK, UNIX, TLS]
