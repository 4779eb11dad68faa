"""
The service that listens.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet import unix
from twisted.internet.defer import Deferred, inlineCallbacks, maybeDeferred
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.interfaces import IAddress, IListeningPort, IProtocolFactory
from twisted.internet.tcp import Port
from twisted.logger import Logger
from zope.interface import implementer

from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.connection import kernel
from fastpoetry.connection.factory import DeliveryFactory
from fastpoetry.error import ListenError
from fastpoetry.interfaces import IAbortable, IHasFigures, IHasReaders, IReloadable
from fastpoetry.listening.acceptor import Acceptor
from fastpoetry.listening.endpoint import closePort, openPort, parseEndpoint
from fastpoetry.text import explain, peerName, printable

if TYPE_CHECKING:
    from fastpoetry.endpoints.certificate import Certificate
    from fastpoetry.interfaces import Figure
    from fastpoetry.listening.access import Access
    from fastpoetry.listening.nets import Network


@implementer(IAbortable, IHasFigures, IHasReaders, IReloadable)
class PoetryServer(Service):
    """
    Listens on one endpoint.  A stop lets readers in flight have their poems first.

    @ivar port: the listening port, while there is one.
    """

    _log = Logger()
    port: IListeningPort | None = None
    _acceptor: Acceptor | None = None
    _certificate: Certificate | None = None  # of an ssl: endpoint

    def __init__(
        self,
        description: str,
        factory: IProtocolFactory,
        maxConnections: int | None = None,
        grace: float = 30.0,
        reusePort: bool = False,
        reactor: Any = None,
        access: Access | None = None,
        proxies: Iterable[str | Network] = (),
    ) -> None:
        """
        @param description: where to listen, as an endpoint description:
            C{tcp:10000:interface=127.0.0.1}.

        @param factory: serves the readers.

        @param maxConnections: how many readers are served at once; by default, and at
            the most, this server's even share of the descriptors of the process.

        @param grace: how many seconds a stop waits for readers in flight.

        @param reusePort: whether other processes may listen on the same port.

        @param reactor: by default the global one.

        @param access: who may read; by default everybody.  Servers may share it.

        @param proxies: networks of proxies.  If there are any, only these may connect
            (and users of a UNIX socket), and each connection begins with a header of
            the PROXY protocol.
        """
        self.description = description
        self.factory = factory
        self.maxConnections = maxConnections
        self.grace = grace
        self.reusePort = reusePort
        self.reactor: Any = maybeGlobalReactor(reactor)
        self.access = access
        self.proxies = list(proxies)

    def privilegedStartService(self) -> None:
        """
        Listen, unless it is on a UNIX socket, which needs no privilege and is to belong
        to the user that the process runs as.

        @raise ListenError: when it is impossible.
        """
        endpoint = self._makeEndpoint()
        if not isinstance(endpoint, UNIXServerEndpoint):
            self._listen(endpoint)

    def startService(self) -> None:
        """
        Listen, unless L{privilegedStartService} did; it raises the same.
        """
        if self.port is None:
            self._listen(self._makeEndpoint())
        super().startService()

    def _makeEndpoint(self) -> Any:
        most, grace = self.maxConnections, self.grace
        if most is not None and not (isinstance(most, int) and most > 0):
            raise ListenError(f"maxConnections is no whole number above 0: {most!r}")
        if not (isinstance(grace, (int, float)) and grace >= 0):
            raise ListenError(f"grace is no number of seconds, 0 or more: {grace!r}")
        return parseEndpoint(self.reactor, self.description, self.reusePort)

    def _listen(self, endpoint: Any) -> None:
        # Open the port, and let an acceptor take its place.
        acceptor = None
        try:
            self.port = port = openPort(endpoint, self.factory)
            if kernel.HAS_PROGRESS and isinstance(port, Port):
                acceptor = Acceptor(port, self.maxConnections, self.reactor)
            if self.proxies or self.access is not None:
                from fastpoetry.listening.filters import addFilters

                self.access = addFilters(acceptor, self.access, self.proxies)
            if acceptor is not None:
                acceptor.start()
        except (ListenError, OSError) as error:  # such as too few descriptors
            if acceptor is not None:
                acceptor.connections.close()
            self._closePort()
            raise ListenError(f"{explain(error)}: {self.description}") from error
        if not kernel.HAS_PROGRESS:
            self._log.warn(
                "this system has no epoll or no TCP_INFO: on {description} there is no "
                "limit, a stop cuts who is in flight, and a poem that is cut may end "
                "as if it were whole",
                description=printable(self.description),
            )
        self._acceptor = acceptor
        self._certificate = getattr(endpoint, "certificate", None)
        source = getattr(self.factory, "source", None)
        title = getattr(self.factory, "title", "") or getattr(source, "path", "")
        self._log.info(
            "listening on {address}{tls}{poem}",
            address=peerName(port.getHost()),
            tls="" if self._certificate is None else " with TLS",
            poem=f", with the poem {printable(title)}" if title else "",
        )
        if self._certificate is not None:
            self._certificate.start(self.reactor)

    def reload(self) -> Deferred[None] | None:
        """@see: L{IReloadable.reload}; the certificate is read again."""
        return None if self._certificate is None else self._certificate.reload()

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """
        Stop listening, and let the readers in flight have their poems.

        @return: a L{Deferred<twisted.internet.defer.Deferred>} that fires when none is
            left, after C{grace} seconds at the most.
        """
        super().stopService()
        port, self.port = self.port, None
        acceptor = self._acceptor
        if port is None:
            if acceptor is not None:  # it is stopping already
                yield acceptor.connections.whenNone()
            return
        if self._certificate is not None:
            self._certificate.stop()
        self._checkAll()  # readers that have all of it free their places
        if acceptor is None:
            yield maybeDeferred(port.stopListening)
        else:
            acceptor.stop()
            yield acceptor.connections.drain(self.grace, self._checkAll)
        if self.access is not None:
            self.access.flush()
        if isinstance(self.factory, DeliveryFactory):
            self._log.info(
                "served on {description}: {counts}",
                description=printable(self.description),
                counts=self.factory.counts,
            )
        if self._acceptor is acceptor:  # else it has been started again
            self._acceptor = None

    def abort(self) -> None:
        """
        Reset every connection, so that nobody takes half a poem for a whole one.  If
        the process has failed to start, also remove a UNIX socket that was made here.
        """
        if (acceptor := self._acceptor) is not None:
            self._checkAll()  # readers that have all of it are not cut
            acceptor.connections.abort()
        if self.running and isinstance(self.port, unix.Port):  # else a stop closes it
            self._closePort()

    def _closePort(self) -> None:
        port, self.port = self.port, None
        if isinstance(port, Port):
            closePort(port)

    @property
    def readers(self) -> int:
        """How many readers there are now."""
        return 0 if self._acceptor is None else len(self._acceptor.connections)

    def hasReader(
        self, source: object, peer: IAddress | None, host: IAddress | None
    ) -> bool:
        """@see: L{IHasReaders.hasReader}"""
        isServed = getattr(self.factory, "source", None) is source
        acceptor = self._acceptor if isServed else None
        return acceptor is not None and acceptor.connections.has(peer, host)

    def checkReaders(self) -> None:
        """@see: L{IHasReaders.checkReaders}"""
        if self.port is None:
            return
        if isinstance(self.factory, DeliveryFactory):
            self.factory.flushLog()
        if self._acceptor is not None:
            self._acceptor.connections.doRead()
        self._checkAll()

    def _checkAll(self) -> None:
        if isinstance(self.factory, DeliveryFactory):
            self.factory.checkAll()

    def figures(self) -> Iterator[Figure]:
        """@see: L{IHasFigures.figures}"""
        labels = {"listener": self.description}
        yield "fastpoetry_readers", labels, self.readers
        if self._acceptor is not None:
            yield "fastpoetry_readers_limit", labels, self._acceptor.maxConnections
        if IHasFigures.providedBy(self.factory):
            poem = getattr(getattr(self.factory, "source", None), "path", None)
            more = labels if poem is None else {**labels, "poem": poem}
            for name, others, value in self.factory.figures():
                yield name, {**more, **others}, value
