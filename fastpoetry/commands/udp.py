"""
The options of poems by UDP, and the servers that they ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any

from twisted.application.service import MultiService
from twisted.python import usage

from fastpoetry.commands.options import ListenerOptions
from fastpoetry.commands.readers import named
from fastpoetry.commands.values import network
from fastpoetry.error import ListenError
from fastpoetry.interfaces import IPoetrySource


class UDPOptions(ListenerOptions):
    """
    Where datagrams are answered, and to whom in full.

    @ivar addresses: each host with its port, once the options are parsed.

    @ivar trusted: the networks that are answered in full.
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
        self.addresses: list[tuple[str, int]] = []
        self.trusted: list[Any] = []

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
        self.addresses.append((host, port))

    def opt_udp_trust(self, net: str) -> None:
        """
        A network that is answered with up to 512 bytes, however short its datagrams
        are. [default: 127.0.0.0/8 and ::1]
        """
        self.trusted.append(named("udp-trust", network)(net))

    def matchUDP(self, poems: int) -> None:
        """
        See that each address has a poem, and each poem one.

        @param poems: how many there are.

        @raise usage.UsageError: when that is not so.
        """
        if self.trusted and not self.addresses:
            raise usage.UsageError("--udp-trust is nothing without --udp")
        if self.addresses and poems not in (1, len(self.addresses)):
            raise usage.UsageError(
                f"{poems} poems do not go with {len(self.addresses)} --udp"
            )


def addDatagrams(
    options: UDPOptions, services: MultiService, sources: Sequence[IPoetrySource]
) -> None:
    """
    Add the servers that the options ask for.

    @param services: what they are added to.

    @param sources: the poems.
    """
    if not options.addresses:
        return
    # Nothing of this is imported where nobody asks for it.
    from fastpoetry.doors.datagram import (
        PoetryDatagramProtocol,
        PoetryDatagramServer,
    )
    from fastpoetry.doors.limits import LOOPBACK, Limits

    for (host, port), source in zip(options.addresses, cycle(sources)):
        limits = Limits(options.trusted or LOOPBACK, options.filters().get("access"))
        protocol = PoetryDatagramProtocol(source, limits)
        server = PoetryDatagramServer(port, protocol, host)
        server.setServiceParent(services)
