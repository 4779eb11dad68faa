"""
The options of whatever listens, and the server that they ask for.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.interfaces import IProtocolFactory
from twisted.python import usage

from fastpoetry.commands.readers import ReaderOptions
from fastpoetry.commands.subcommand import SubcommandOptions
from fastpoetry.commands.values import (
    asUsageError,
    interface,
    positiveInteger,
    positiveSeconds,
    seconds,
)
from fastpoetry.description import portNumber
from fastpoetry.error import FastPoetryError
from fastpoetry.listening.endpoint import parseEndpoint
from fastpoetry.server import PoetryServer

DEFAULT_PORT = 10000
DEFAULT_INTERFACE = "localhost"


def endpointDescription(text: str) -> str:
    """
    @return: the text.

    @raise usage.UsageError: when it does not describe an endpoint of a server.
    """
    from twisted.internet import reactor

    try:
        # This opens no port.
        parseEndpoint(reactor, text)
    except FastPoetryError as error:
        raise usage.UsageError(str(error)) from error
    return text


class ListenerOptions(SubcommandOptions, ReaderOptions):
    """
    Where to listen, how many readers are served at once, and for how long.

    A class with the options of something else, such as a door, derives from
    L{usage.Options} alone.  The class C{Options} of a command derives from this one
    and from those.
    """

    optParameters: list[list[Any]] = [
        [
            "max-connections",
            None,
            None,
            "How many readers are served at once on each port or endpoint; others "
            "wait. [default: what the file descriptor limit allows]",
            asUsageError("max-connections", positiveInteger),
        ],
        [
            "timeout",
            None,
            60.0,
            "Give up on a reader that takes nothing for this many seconds.",
            asUsageError("timeout", positiveSeconds),
        ],
        [
            "grace",
            None,
            30.0,
            "When stopping, wait this many seconds for readers in flight.",
            asUsageError("grace", seconds),
        ],
    ]

    optFlags = [
        ["reuse-port", None, "Let other processes listen on the same ports."],
    ]

    compData = usage.Completions(
        multiUse=["port", "endpoint", "iface"],
        optActions={
            "max-connections": usage.Completer(descr="number of readers"),
            "timeout": usage.Completer(descr="seconds"),
            "grace": usage.Completer(descr="seconds"),
            "iface": usage.CompleteHostnames(descr="address"),
            "endpoint": usage.Completer(descr="endpoint description"),
            "port": usage.Completer(descr="port number"),
        },
    )

    def __init__(self) -> None:
        super().__init__()
        self["iface"] = []
        self._given: list[int | str] = []  # ports and endpoints, in their order

    def opt_port(self, number: str) -> None:
        """
        The TCP port to listen on. May be repeated. [default: 10000]
        """
        self._given.append(asUsageError("port", portNumber)(number))

    opt_p = opt_port

    def opt_iface(self, address: str) -> None:
        """
        The address that ports are opened on. May be repeated. [default: localhost]
        """
        self["iface"].append(asUsageError("iface", interface)(address))

    def opt_endpoint(self, description: str) -> None:
        """
        The endpoint to listen on, in place of a port, such as tcp6:10000. May be
        repeated.
        """
        self._given.append(endpointDescription(description))

    opt_e = opt_endpoint

    @property
    def listeners(self) -> list[list[str]]:
        """
        Each port and endpoint, in the order given, as endpoint descriptions: one for an
        endpoint, and for a port one on each interface.
        """
        return [self._describe(one) for one in self._given or [DEFAULT_PORT]]

    def _describe(self, one: int | str) -> list[str]:
        if isinstance(one, str):
            return [one]
        return [
            f"tcp:{one}:interface={quoteStringArgument(each)}"
            for each in self["iface"] or [DEFAULT_INTERFACE]
        ]

    @property
    def descriptions(self) -> list[str]:
        """
        The endpoint descriptions of all L{listeners}.
        """
        return [description for some in self.listeners for description in some]

    @property
    def limits(self) -> dict[str, Any]:
        """
        What every server is made with, by the names of its arguments.
        """
        return {
            "maxConnections": self["max-connections"],
            "grace": self["grace"],
            "reusePort": bool(self["reuse-port"]),
        }

    def makeServer(self, description: str, factory: IProtocolFactory) -> PoetryServer:
        """
        @param description: one of the L{descriptions}, or that of another endpoint.

        @return: a server with these limits, for those who may read.
        """
        return PoetryServer(
            description,
            factory,
            access=self.access,
            proxies=self["proxy-protocol"],
            **self.limits,
        )
