"""
The options of poems by UDP, and the servers that they ask for.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

from twisted.application.service import MultiService
from twisted.python import usage

from fastpoetry.commands.options import ListenerOptions
from fastpoetry.commands.values import asUsageError, network
from fastpoetry.error import ListenError
from fastpoetry.interfaces import IPoetrySource


class UDPOptions(usage.Options):
    """
    Where datagrams are answered, and who gets more than three times their length.
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
        self["udp"] = []  # each host with its port
        self["udp-trust"] = []

    def opt_udp(self, address: str) -> None:
        """
        [HOST:]PORT where datagrams are answered as well, with the poem or its first
        lines, at most three times as long as the datagram; HOST is localhost by
        default. May be repeated.
        """
        # Loaded only for those who ask for it.
        from fastpoetry.address import parseAddress
        from fastpoetry.doors.datagram import resolve

        try:
            host, port = parseAddress(address, lowest=0)
            resolve(host)
        except (ListenError, ValueError) as error:
            raise usage.UsageError(f"--udp: {error}") from error
        self["udp"].append((host, port))

    def opt_udp_trust(self, net: str) -> None:
        """
        A network that gets answers of up to 512 bytes, however short its datagrams are.
        May be repeated. [default: 127.0.0.0/8 and ::1]
        """
        self["udp-trust"].append(asUsageError("udp-trust", network)(net))

    def postOptions(self) -> None:
        """
        Check what the options have to do with one another.
        """
        super().postOptions()
        if self["udp-trust"] and not self["udp"]:
            raise usage.UsageError("--udp-trust is nothing without --udp")


def addDatagrams(
    options: ListenerOptions, services: MultiService, sources: Sequence[IPoetrySource]
) -> None:
    """
    Add the servers that the options ask for.

    @param options: those of a command that has L{UDPOptions}.

    @param services: what they are added to.

    @param sources: one for all addresses, or one for each.
    """
    if not options["udp"]:
        return
    # Loaded only for those who ask for it.
    from fastpoetry.doors.datagram import (
        PoetryDatagramProtocol,
        PoetryDatagramServer,
    )
    from fastpoetry.doors.limits import LOOPBACK, Limits

    for (host, port), source in zip(options["udp"], cycle(sources)):
        limits = Limits(options["udp-trust"] or LOOPBACK, options.access)
        protocol = PoetryDatagramProtocol(source, limits)
        server = PoetryDatagramServer(port, protocol, host)
        server.setServiceParent(services)
