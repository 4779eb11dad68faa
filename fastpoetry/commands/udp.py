"""
The options of poems by UDP, and the servers that they ask for.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from fastpoetry.commands.options import ListenerOptions
from fastpoetry.commands.values import network
from fastpoetry.error import ListenError
from fastpoetry.interfaces import IPoetrySource


class UDPOptions(ListenerOptions):
    """
    Where datagrams are answered, and to whom in full.
    """

    compData = usage.Completions(
        multiUse=["udp", "udp-trust"],
        optActions={
            "udp": usage.Completer(descr="UDP port"),
            "udp-trust": usage.Completer(descr="network"),
        },
    )

    def __init__(self) -> None:
        super().__init__()
        self._addresses: list[tuple[str, int]] = []
        self._trusted: list[Any] = []

    def opt_udp(self, address: str) -> None:
        """
        [HOST:]PORT that answers datagrams, too, each with the poem or its first lines,
        in at most three times its length; HOST is localhost by default.
        """
        from fastpoetry.address import parseAddress
        from fastpoetry.doors.datagram import resolve

        try:
            host, port = parseAddress(address, lowest=0)
            resolve(host)
        except (ListenError, ValueError) as error:
            raise usage.UsageError(f"--udp: {error}") from error
        self._addresses.append((host, port))

    def opt_udp_trust(self, net: str) -> None:
        """
        A network that is answered with up to 512 bytes, however short its datagrams
        are. [default: 127.0.0.0/8 and ::1]
        """
        try:
            self._trusted.append(network(net))
        except ValueError as error:
            raise usage.UsageError(f"--udp-trust is {error}") from error

    def matchUDP(self, poems: int) -> None:
        """
        See that each address has a poem, and each poem one.

        @param poems: how many there are.

        @raise usage.UsageError: when that is not so.
        """
        if self._trusted and not self._addresses:
            raise usage.UsageError("--udp-trust is nothing without --udp")
        if self._addresses and poems not in (1, len(self._addresses)):
            raise usage.UsageError(
                f"{poems} poems do not go with {len(self._addresses)} --udp"
            )
        self._isOnePoem = poems == 1

    def makeUDPServers(self, number: int, source: IPoetrySource) -> list[IService]:
        """
        @param number: that of the poem, from 0 on.

        @param source: what has it.
        """
        addresses = self._addresses
        if not self._isOnePoem:
            addresses = addresses[number : number + 1]
        if not addresses:
            return []
        from fastpoetry.doors.datagram import (
            PoetryDatagramProtocol,
            PoetryDatagramServer,
        )
        from fastpoetry.doors.limits import LOOPBACK, Limits

        servers: list[IService] = []
        for host, port in addresses:
            limits = Limits(self._trusted or LOOPBACK, self.filters().get("access"))
            protocol = PoetryDatagramProtocol(source, limits)
            servers.append(PoetryDatagramServer(port, protocol, host))
        return servers
