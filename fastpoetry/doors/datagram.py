"""
A poem by UDP: one datagram in, one out (U{RFC 865
<https://www.rfc-editor.org/rfc/rfc865>}).
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from twisted.application.internet import UDPServer
from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.udp import Port
from twisted.logger import Logger
from zope.interface import implementer

from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.doors.limits import MAX_ANSWER, MAX_RATIO, REASONS, Limits
from fastpoetry.error import ListenError
from fastpoetry.interfaces import Figure, IHasFigures, IPoetrySource
from fastpoetry.text import explain, peerName, printable

# Bytes that are read of a question: a longer one would not get a longer answer.
MAX_QUESTION = -(-MAX_ANSWER // MAX_RATIO)

# How many questions may wait for a poem, and for how many seconds.
MAX_WAITING = 100
POEM_TIMEOUT = 30.0

# Questions that are read in one turn of the reactor.
MAX_READS = 64

# What becomes of a question: an answer, or why there is none.
OUTCOMES = ("answered", *REASONS, "no poem", "not sent")

# Seconds between two lines of the log about datagrams, if there were any.
REPORT_INTERVAL = 60.0


def headOf(poem: bytes, room: int) -> bytes:
    """
    @param poem: the whole poem.

    @param room: how many bytes there is room for.

    @return: the poem, or as many of its first lines as there is room for, perhaps none.
    """
    return poem if len(poem) <= room else poem[: poem.rfind(b"\n", 0, room) + 1]


class PoetryDatagramProtocol(DatagramProtocol):
    """
    Answers a datagram with a poem, with the first lines of it, or, for a reason, not at
    all.

    @ivar counts: how many questions had which outcome.
    """

    _log = Logger()

    transport: Any
    noisy = False
    _report: IDelayedCall | None = None

    def __init__(
        self,
        source: IPoetrySource,
        limits: Limits | None = None,
        reactor: Any = None,
    ) -> None:
        """
        @param source: what has the poem.

        @param limits: whom it answers, and with how many bytes.  Protocols cannot share
            them.

        @param reactor: by default the global one.
        """
        self.source = source
        self.limits = limits or Limits()
        self.reactor: Any = maybeGlobalReactor(reactor)
        self.counts: Counter[str] = Counter()
        self._reported: Counter[str] = Counter()
        self._waiting: set[Deferred[str]] = set()

    def datagramReceived(self, datagram: bytes, addr: tuple[Any, ...]) -> None:
        """
        Answer a question, unless there is a reason not to.

        @param datagram: the question, whatever it says.

        @param addr: the sender: a host and a port, for IPv6 also a flow and a scope.
        """
        now = self.reactor.seconds()
        room, reason = self.limits.check(addr, len(datagram), now)
        if reason is None and len(self._waiting) >= MAX_WAITING:
            reason = "limit"
        if reason is not None:
            self._count(reason)
            return
        answer: Deferred[str] = Deferred.fromCoroutine(self._answer(addr, room))
        self._waiting.add(answer)
        answer.addCallback(self._count)
        answer.addBoth(lambda _: self._waiting.discard(answer))

    async def _answer(self, address: tuple[Any, ...], room: int) -> str:
        # Send an answer that has room for that many bytes, and give the outcome.
        asked: Deferred[Any] = maybeDeferred(self.source.getPoem)
        try:
            poem = await asked.addTimeout(POEM_TIMEOUT, self.reactor)
            if not isinstance(poem, bytes):
                raise TypeError(f"it is no bytes: {poem!r:.40}")
        except Exception as error:
            isFirst = self.counts["no poem"] == self._reported["no poem"]
            if isFirst and self.transport is not None:
                reason = printable(explain(error))
                self._log.error("no poem for datagrams: {reason}", reason=reason)
            return "no poem"
        head = headOf(poem, room)
        if not head:
            return "no room"
        try:
            self.transport.write(head, address)
        except Exception:  # no memory, no route, a firewall, or the port is closed
            return "not sent"
        return "answered"

    def _count(self, outcome: str) -> None:
        self.counts[outcome] += 1
        if self._report is None:
            self._report = self.reactor.callLater(REPORT_INTERVAL, self._handleReport)

    def _handleReport(self) -> None:
        self._report = None
        new = self.counts - self._reported
        self._reported = self.counts.copy()
        counts = ", ".join(f"{new[outcome]} {outcome}" for outcome in new)
        self._log.info("datagrams on {name}: {counts}", name=self._name, counts=counts)

    def startProtocol(self) -> None:
        """
        Log the address.
        """
        self._name = peerName(self.transport.getHost())
        self._log.info("listening for datagrams on {name}", name=self._name)

    def stopProtocol(self) -> None:
        """
        Drop the questions that wait for a poem.
        """
        for answer in list(self._waiting):
            answer.cancel()
        if self._report is not None:
            self._report.cancel()
            self._handleReport()


class _Port(Port):
    """
    A port that reads only some questions in one turn, and keeps the scope of an
    address.  Twisted's drops the scope, and reads until it has 256 KiB, which a flood
    of empty datagrams never comes to.
    """

    def doRead(self) -> None:
        """
        Read no more than L{MAX_READS} questions.
        """
        for _ in range(MAX_READS):
            try:
                datagram, address = self.socket.recvfrom(self.maxPacketSize)
            except OSError:  # there are no more, or ICMP says that an answer was lost
                break
            try:
                self.protocol.datagramReceived(datagram, address)
            except Exception:  # of a subclass; the port stays open
                self.protocol._log.failure("an error costs an answer")


def resolve(host: str) -> str:
    """
    Look up an address to listen on.  An answer has to come from the address to which
    the question went, so it must be the address of one interface.

    @param host: an address, or a name that has one of IPv4.

    @return: the address.

    @raise ListenError: when there is none, or it is not that of one interface.
    """
    try:
        found = host if isIPv6Address(host) else socket.gethostbyname(host)
        address = ip_address(found)
        isMapped = int(address) >> 32 == 0xFFFF  # ::ffff:0.0.0.0 is all of IPv4
        if address.is_unspecified or address.is_multicast or isMapped:
            raise ValueError("Not the address of one interface")
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((found, 9))  # fails for a broadcast address
    except UnicodeError as error:
        raise ListenError(f"not a host: {host}") from error
    except (OSError, ValueError) as error:
        raise ListenError(f"{explain(error)}: {host}") from error
    return found


@implementer(IHasFigures)
class PoetryDatagramServer(UDPServer):
    """
    Listens for datagrams on one address of this machine.  The arguments are those of
    C{listenUDP}: the number of the port (0 for any that is free), a
    L{PoetryDatagramProtocol}, and the address, or a name that has one of IPv4.
    """

    def figures(self) -> Iterator[Figure]:
        """
        @see: L{IHasFigures.figures}
        """
        number, protocol, host = self.args
        labels = {"listener": f"udp:{number}:interface={host}"}
        poem = getattr(protocol.source, "path", None)
        if poem is not None:
            labels["poem"] = poem
        counts = {**dict.fromkeys(OUTCOMES, 0), **protocol.counts}
        for outcome, count in counts.items():
            more = {**labels, "outcome": outcome.replace(" ", "_")}
            yield "fastpoetry_datagrams_total", more, count

    def _getPort(self) -> Port:
        number, protocol, host = self.args
        port = _Port(number, protocol, resolve(host), MAX_QUESTION, protocol.reactor)
        try:
            port.startListening()
        except CannotListenError as error:
            reason = explain(error)
            raise ListenError(f"{reason}: UDP port {number} of {host}") from error
        return port
