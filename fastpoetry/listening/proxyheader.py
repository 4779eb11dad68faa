"""
What a TCP proxy such as HAProxy says of a reader, before anything of the reader's own:
the U{PROXY protocol<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>},
versions 1 and 2.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import ip_address
from struct import Struct
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.connection.delivery import FIN_TIMEOUT
from fastpoetry.deadline import Deadline
from fastpoetry.listening.access import Access, addressOf
from fastpoetry.listening.nets import Address, Network, unmapped
from fastpoetry.text import peerName

# A proxy sends its header at once.  These seconds are for a segment that was lost.
HEADER_TIMEOUT = 5.0

# How a header of each version begins, and its greatest length in bytes.  In version 2
# more may follow the addresses; it is skipped.
BEGIN_1, MAX_1 = b"PROXY ", 107
BEGIN_2, MAX_2 = b"\r\n\r\n\0\r\nQUIT\n", 4096

_LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: .*)?"
    rb"|TCP([46]) ([^ %]+) ([^ %]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))",
    re.DOTALL,
)

# In version 2: the first 16 bytes of every header; then, by the family of addresses,
# source and destination, each with its port.  Addresses of UNIX sockets are skipped.
_START = Struct(">12xBBH")
_LOCAL, _PROXY = 0x20, 0x21
_ADDRESSES = [Struct(f">16x{each}") for each in ("", "4s4sHH", "16s16sHH", "216x")]


def parseHeader(data: bytes) -> tuple[IAddress | None, int] | None:
    """
    Look for a header.

    @param data: what has been received so far.

    @return: the reader's address, C{None} if the header has none, and the length of the
        header in bytes; or C{None} as long as the header is not whole.

    @raise ValueError: when this is no header.
    """
    if data.startswith(BEGIN_2):
        return _parse2(data)
    if data.startswith(BEGIN_1):
        return _parse1(data)
    if BEGIN_1.startswith(data) or BEGIN_2.startswith(data):
        return None
    raise ValueError("it begins with something else")


def _parse1(data: bytes) -> tuple[IAddress | None, int] | None:
    # Version 1 is a line of text.
    line, end, _ = data[:MAX_1].partition(b"\r\n")
    if not end and len(line) < MAX_1:
        return None
    match = _LINE.fullmatch(line) if end else None
    if match is None:
        raise ValueError("it is malformed")
    version, source, destination, *ports = match.groups()
    if version is None:
        return None, len(line + end)
    hosts = [ip_address(host.decode()) for host in (source, destination)]
    if {each.version for each in hosts} != {int(version)} or max(map(int, ports)) >> 16:
        raise ValueError("it has no such addresses")
    return _peer(hosts[0], int(ports[0])), len(line + end)


def _parse2(data: bytes) -> tuple[IAddress | None, int] | None:
    # Version 2 is binary.
    if len(data) < _START.size:
        return None
    command, byte, length = _START.unpack_from(data)
    family, kind = divmod(0 if command == _LOCAL else byte, 16)
    end = _START.size + length
    isFamily = family < len(_ADDRESSES) and kind < 3 and bool(family) == bool(kind)
    isKnown = isFamily and command in (_LOCAL, _PROXY)
    if not isKnown or not _ADDRESSES[family].size <= end <= MAX_2:
        raise ValueError("it is malformed")
    if len(data) < end:
        return None
    if fields := _ADDRESSES[family].unpack_from(data):
        return _peer(ip_address(fields[0]), fields[2]), end
    return None, end


def _peer(host: Address, port: int) -> IAddress:
    host = unmapped(host)
    kind = IPv4Address if host.version == 4 else IPv6Address
    return kind("TCP", str(host), port)


@implementer(IHalfCloseableProtocol)
class HeaderProtocol(Protocol):
    """
    Reads a header, and then puts another protocol in its place.
    """

    _log = Logger()

    factory: HeaderFactory
    transport: Any
    _received = b""
    _why = ""

    def connectionMade(self) -> None:
        """
        Wait for the header.
        """
        self._deadline = Deadline(self.factory.reactor, self._handleTimeout)
        self._deadline.start(self.factory.timeout)

    def _handleTimeout(self) -> None:
        self._fail(f"it takes longer than {self.factory.timeout} seconds")

    def _fail(self, why: str) -> None:
        self._why = why
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        Collect the header.
        """
        self._received += data
        try:
            header = parseHeader(self._received)
        except ValueError:
            self._fail("it sends something else")
        else:
            if header is not None:
                self._begin(*header)

    def _begin(self, peer: IAddress | None, size: int) -> None:
        # Put the reader's protocol in the place of this one, if the reader is let in.
        self._deadline.stop()
        transport, factory = self.transport, self.factory
        rest, self._received = self._received[size:], b""
        transport.peer = peer or transport.peer
        isCheck = peer is None or factory.isProxy(peer)
        isAdmitted = isCheck or factory.access.admit(transport)
        protocol = factory.buildNext(transport.peer) if isAdmitted else None
        if protocol is None:
            transport.abortConnection()
            return
        delivery = getattr(protocol, "wrappedProtocol", protocol)
        if isCheck:
            protocol.isQuiet = delivery.isQuiet = True
        else:
            # The proxy has acknowledged what its reader may still wait for.  If this
            # side closed, what the reader sends next would make the proxy cut it off.
            delivery.finTimeout = factory.finTimeout
        transport.protocol = protocol
        protocol.makeConnection(transport)
        if rest:
            protocol.dataReceived(rest)

    def readConnectionLost(self) -> None:
        """
        The proxy has half-closed.  A clean end would look like an empty poem, so the
        connection is reset.
        """
        self._fail("it left" if self._received else "")

    def writeConnectionLost(self) -> None:
        """
        Never called: this side does not half-close.
        """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Log why there is no header; not for a port probe, which sends nothing.
        """
        self._deadline.stop()
        if self._received and not self._why:
            self._why = "aborted" if reason.check(ConnectionAborted) else "it left"
        if self._why:
            peer = peerName(self.transport.getPeer())
            self._log.info("no header from {peer}: {why}", peer=peer, why=self._why)


class HeaderFactory:
    """
    Reads a header before a protocol of another factory begins.

    @ivar buildNext: makes that protocol.

    @ivar timeout: how many seconds a header may take in all.

    @ivar finTimeout: how many seconds to wait for the end of a proxy that has
        acknowledged everything.

    @ivar access: decides which readers are let in.
    """

    def __init__(
        self, factory: Any, proxies: Collection[Network], access: Access, reactor: Any
    ) -> None:
        """
        @param factory: of the protocols.

        @param proxies: networks whose headers are believed; on a UNIX socket, all are.

        @param reactor: the clock.
        """
        self.buildNext = factory.buildProtocol
        timeout = getattr(factory, "timeout", None) or HEADER_TIMEOUT
        self.timeout = min(HEADER_TIMEOUT, timeout)
        self.finTimeout = max(FIN_TIMEOUT, timeout)
        self._proxies = proxies
        self.access = access
        self.reactor = reactor

    def isProxy(self, peer: IAddress) -> bool:
        """
        @return: whether a peer has the address of a proxy.
        """
        address = addressOf(peer)
        return address is not None and any(address in one for one in self._proxies)

    def buildProtocol(self, peer: IAddress) -> HeaderProtocol | None:
        """
        @see: L{twisted.internet.interfaces.IProtocolFactory.buildProtocol}
        """
        address = addressOf(peer)
        if address is not None and not self.isProxy(peer):
            self.access.refuse(address)
            return None
        protocol = HeaderProtocol()
        protocol.factory = self
        return protocol
