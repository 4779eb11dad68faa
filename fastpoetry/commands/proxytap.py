"""
The C{twistd poetry-proxy} command: its options, and the services they ask for.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService, MultiService
from twisted.python import usage

from fastpoetry.address import clientEndpoint
from fastpoetry.client import MAX_LENGTH
from fastpoetry.commands.options import ListenerOptions
from fastpoetry.commands.values import (
    asUsageError,
    positiveInteger,
    positiveSeconds,
    seconds,
)
from fastpoetry.commands.web import WebOptions, addSites
from fastpoetry.daemon import DaemonService
from fastpoetry.protocol import PoetryFactory
from fastpoetry.proxy import ProxyService


def upstreamAddress(text: str) -> str:
    """
    @return: the text.

    @raise ValueError: when it is no address of another server.
    """
    from twisted.internet import reactor

    clientEndpoint(reactor, text)  # which connects to nothing
    return text


class Options(ListenerOptions, WebOptions):
    """
    The options of C{twistd poetry-proxy}.
    """

    synopsis = "[options] --upstream [HOST:]PORT"

    longdesc = (
        "Fetches a poem from another server when somebody connects, keeps it, and "
        "serves it from then on."
    )

    optParameters: list[list[Any]] = [
        [
            "upstream",
            "u",
            None,
            "The other server: [HOST:]PORT, or a client endpoint description.",
            asUsageError("upstream", upstreamAddress),
        ],
        [
            "max-age",
            None,
            None,
            "Fetch the poem again when somebody asks and it is older than this many "
            "seconds. [default: never]",
            asUsageError("max-age", seconds),
        ],
        [
            "fetch-timeout",
            None,
            60.0,
            "Give up on a fetch that takes longer than this many seconds. (An upstream "
            "that sends nothing has --timeout.)",
            asUsageError("fetch-timeout", positiveSeconds),
        ],
        [
            "max-length",
            None,
            MAX_LENGTH,
            "How many bytes a poem may have.",
            asUsageError("max-length", positiveInteger),
        ],
    ]

    compData = usage.Completions(
        optActions={
            "upstream": usage.Completer(descr="[HOST:]PORT"),
            "max-age": usage.Completer(descr="seconds"),
            "fetch-timeout": usage.Completer(descr="seconds"),
            "max-length": usage.Completer(descr="number of bytes"),
        },
    )

    def postOptions(self) -> None:
        """
        Check that there is a server to fetch from.
        """
        super().postOptions()
        if self["upstream"] is None:
            raise usage.UsageError(
                "no server to fetch from: --upstream [HOST:]PORT is missing"
            )


def makeService(options: Options) -> IService:
    """
    @return: all services that the options ask for.
    """
    services = MultiService()
    DaemonService().setServiceParent(services)
    source = ProxyService(
        options["upstream"],
        maxAge=options["max-age"],
        timeout=options["timeout"],
        maxLength=options["max-length"],
        fetchTimeout=options["fetch-timeout"],
    )
    source.setServiceParent(services)
    for description in options.descriptions:
        factory = PoetryFactory(source, timeout=options["timeout"])
        options.makeServer(description, factory).setServiceParent(services)
    addSites(options, services, [("poem", source)])
    return services
