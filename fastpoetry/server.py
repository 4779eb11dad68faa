"""
The service that listens.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from twisted.application.service import Service
from twisted.internet.defer import (
    Deferred,
    TimeoutError,
    inlineCallbacks,
    maybeDeferred,
)
from twisted.internet.endpoints import UNIXServerEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.internet.task import LoopingCall
from twisted.internet.tcp import Port
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.connection import kernel
from fastpoetry.connection.connections import Connections
from fastpoetry.connection.delivery import DeliveryFactory
from fastpoetry.error import ListenError
from fastpoetry.interfaces import (
    Figure,
    IAbortable,
    IHasFigures,
    IHasReaders,
    IReloadable,
)
from fastpoetry.listening.acceptor import Acceptor
from fastpoetry.listening.endpoint import parseEndpoint
from fastpoetry.listening.unixsocket import UNIXPort
from fastpoetry.text import explain, peerName, printable

if TYPE_CHECKING:
    from fastpoetry.listening.access import Access
    from fastpoetry.listening.nets import Network

# While a stop waits for readers, the log says how many every so many seconds.
REPORT = 5.0


def _hostAndPort(address: Any) -> tuple[str, int] | None:
    # On a port of both families, an IPv4 address looks otherwise.  On a UNIX socket
    # there is none that could be compared.
    host = getattr(address, "host", None)
    return host and (host.removeprefix("::ffff:"), address.port)


@implementer(IAbortable, IHasFigures, IHasReaders, IReloadable)
class PoetryServer(Service):
    """
    Listens on one endpoint, and when it stops, lets the readers in flight have
    the rest of their poems first.

    @ivar port: the listening port, while there is one.
    """

    _log = Logger()

    port: IListeningPort | None = None
    _acceptor: Acceptor | None = None
    _certificate: Any = None  # of a TLSEndpoint

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

        @param factory: what serves the readers.

        @param maxConnections: how many readers are served at once; by default,
            and at the most, as many as the process has descriptors for, shared
            evenly among its servers.

        @param grace: how many seconds a stop waits for readers in flight.

        @param reusePort: whether other processes may listen on the same port.

        @param reactor: by default the global one.

        @param access: who may read; by default everybody.  Servers may have it in
            common.

        @param proxies: networks of proxies.  When there are any, only they may connect,
            or who can to a UNIX socket, and each connection begins with a header of
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

    @property
    def readers(self) -> int:
        """
        How many readers there are now.
        """
        return 0 if self._acceptor is None else len(self._acceptor.connections)

    def figures(self) -> Iterator[Figure]:
        """
        @see: L{IHasFigures.figures}
        """
        labels = {"listener": self.description}
        yield "fastpoetry_readers", labels, self.readers
        if self._acceptor is not None:
            yield "fastpoetry_readers_limit", labels, self._acceptor.limit
        if IHasFigures.providedBy(self.factory):
            poem = getattr(getattr(self.factory, "source", None), "path", None)
            more = labels if poem is None else {**labels, "poem": poem}
            for name, others, value in self.factory.figures():
                yield name, {**more, **others}, value

    def hasReader(
        self, source: object, here: IAddress | None, there: IAddress | None
    ) -> bool:
        """
        @see: L{IHasReaders.hasReader}
        """
        if self._acceptor is None or getattr(self.factory, "source", 0) is not source:
            return False
        wanted = _hostAndPort(here), _hostAndPort(there)
        return None not in wanted and any(
            _hostAndPort(each.getPeer()) == wanted[0]
            and _hostAndPort(each.getHost()) == wanted[1]
            for each in self._acceptor.connections
        )

    def privilegedStartService(self) -> None:
        """
        Listen, unless it is on a UNIX socket, which needs no privilege and is to
        belong to the user that the process runs as.

        @raise ListenError: when it is impossible.
        """
        endpoint = self._makeEndpoint()
        if not isinstance(endpoint, UNIXServerEndpoint):
            self._listen(endpoint)

    def _makeEndpoint(self) -> IStreamServerEndpoint:
        most, grace = self.maxConnections, self.grace
        if most is not None and not (isinstance(most, int) and most > 0):
            raise ListenError(f"maxConnections is no whole number above 0: {most!r}")
        if not (isinstance(grace, (int, float)) and grace >= 0):
            raise ListenError(f"grace is no number of seconds, 0 or more: {grace!r}")
        try:
            self._proxies = [ip_network(one) for one in self.proxies]
        except ValueError as error:
            raise ListenError(f"proxies has no networks: {error}") from error
        return parseEndpoint(self.reactor, self.description, self.reusePort)

    def _listen(self, endpoint: IStreamServerEndpoint) -> None:
        # No reader is let in before the reactor runs, and by then all services have
        # started.
        results: list[IListeningPort | Failure] = []
        listening = endpoint.listen(self.factory).addBoth(results.append)
        if not results:
            listening.cancel()
            raise ListenError(f"Cannot tell at once if it listens: {self.description}")
        (port,) = results
        if isinstance(port, Failure):
            reason = explain(port.value)
            raise ListenError(f"{reason}: {self.description}") from port.value
        self.port = port
        isFiltered = self._proxies or self.access is not None
        if isFiltered and not (kernel.TELLS and isinstance(port, Port)):
            self._closePort()
            raise ListenError(f"Nobody can be refused here: {self.description}")
        if kernel.TELLS and isinstance(port, Port):
            try:
                self._acceptor = Acceptor(port, self.maxConnections, self.reactor)
                self._filter(self._acceptor, port)
                self._acceptor.start()
            except OSError as error:  # the process has no descriptor left
                self._closePort()
                raise ListenError(f"{explain(error)}: {self.description}") from error
        elif not kernel.TELLS:
            self._log.warn(
                "this system has no epoll or no TCP_INFO: on {description} there is no "
                "limit, a stop cuts who is in flight, and a poem that is cut may end "
                "as if it were whole",
                description=printable(self.description),
            )
        self._certificate = getattr(endpoint, "certificate", None)
        self._log.info(
            "listening on {address}{tls}{poem}",
            address=peerName(port.getHost()),
            tls="" if self._certificate is None else " with TLS",
            poem=self._poem(),
        )
        if self._certificate is not None:
            self._certificate.start(self.reactor)

    def _poem(self) -> str:
        source = getattr(self.factory, "source", None)
        title = getattr(self.factory, "title", "") or getattr(source, "path", "")
        return f", with the poem {printable(title)}" if title else ""

    def _filter(self, acceptor: Acceptor, port: Port) -> None:
        if self._proxies:
            # Most need none of it.
            from fastpoetry.listening.access import Access
            from fastpoetry.listening.proxyheader import HeaderFactory

            self.access = self.access or Access(reactor=self.reactor)
            acceptor.buildProtocol = HeaderFactory(
                port.factory, self._proxies, self.access, self.reactor
            ).buildProtocol
        elif self.access is not None:
            acceptor.admit = self.access.admit

    def startService(self) -> None:
        """
        Listen, unless L{privilegedStartService} did.

        @raise ListenError: when it is impossible.
        """
        if self.port is None:
            self._listen(self._makeEndpoint())
        super().startService()

    def reload(self) -> Deferred[None] | None:
        """
        Read the certificate anew, if there is one.

        @see: L{IReloadable.reload}
        """
        if self._certificate is None:
            return None
        reloading: Deferred[None] = self._certificate.reload()
        return reloading

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """
        Listen no longer, and let the readers in flight have their poems.

        @return: a L{Deferred} that fires when none is left, after L{grace}
            seconds at the most.
        """
        super().stopService()
        port, self.port = self.port, None
        acceptor = self._acceptor
        if port is None:
            if acceptor is not None:  # it stops already
                yield acceptor.connections.whenNone()
            return
        if self._certificate is not None:
            self._certificate.stop()
        self._checkAll()  # who has ended makes room
        if acceptor is not None:
            acceptor.stop()
        try:
            if acceptor is None:
                yield maybeDeferred(port.stopListening)
            else:  # at once: a turn later would reset those who come meanwhile
                acceptor.connectionLost(Failure(ConnectionDone()))
        except OSError as error:  # a UNIX socket that is gone, or not ours to remove
            self._log.error(
                "cannot remove the socket: {description}: {reason}",
                description=printable(self.description),
                reason=error.strerror,
            )
        if acceptor is not None and acceptor.connections:
            yield self._drain(acceptor.connections)
        if self.access is not None:
            self.access.flush()
        if isinstance(self.factory, DeliveryFactory):
            self._log.info(
                "served on {description}: {counts}",
                description=printable(self.description),
                counts=self.factory.counts,
            )
        if self._acceptor is acceptor:  # or it has been started again
            self._acceptor = None

    @inlineCallbacks
    def _drain(self, connections: Connections) -> Generator[Deferred[Any], Any, None]:
        report = LoopingCall(
            lambda: self._log.info(
                "stopping, readers in flight: {count}", count=len(connections)
            )
        )
        report.clock = self.reactor
        report.start(REPORT)
        try:
            yield connections.whenNone().addTimeout(self.grace, self.reactor)
        except TimeoutError:
            self._log.warn(
                "aborting the readers left after {grace} seconds: {count}",
                count=len(connections),
                grace=self.grace,
            )
            self._abortReaders(connections)
            yield connections.whenNone()
        finally:
            report.stop()

    def checkReaders(self) -> None:
        """
        @see: L{IHasReaders.checkReaders}
        """
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

    def _abortReaders(self, connections: Connections) -> None:
        self._checkAll()  # who has everything by now is not cut
        connections.abort()

    def abort(self) -> None:
        """
        Reset every connection, so that nobody takes half a poem for a whole; and
        when there was no stop, since the process has failed to start, remove a
        UNIX socket that was made here.
        """
        if self._acceptor is not None:
            self._abortReaders(self._acceptor.connections)
        if self.running and isinstance(self.port, UNIXPort):
            self._closePort()

    def _closePort(self) -> None:
        # At once: when a start has failed, the reactor has no other turn.
        port: Any = self.port
        self.port = None
        with suppress(OSError):  # its socket is in a directory that is not ours
            port.connectionLost(Failure(ConnectionDone()))
