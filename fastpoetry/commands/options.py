"""
The options that every listener has, and the server that they ask for.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.application.app import ServerOptions
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.interfaces import IProtocolFactory
from twisted.python import usage

from fastpoetry import __version__
from fastpoetry.commands.readers import ReaderOptions, named
from fastpoetry.commands.twistdoptions import checkServerOptions
from fastpoetry.commands.values import count, seconds, timeout
from fastpoetry.description import portNumber
from fastpoetry.descriptors import raiseDescriptorLimit
from fastpoetry.error import FastPoetryError
from fastpoetry.listening.endpoint import parseEndpoint
from fastpoetry.log import openStreams
from fastpoetry.server import PoetryServer
from fastpoetry.text import brief

DEFAULT_PORT = 10000
DEFAULT_INTERFACE = "localhost"


def checkEndpoint(description: str) -> None:
    """
    @raise usage.UsageError: when the text describes no endpoint of a server.
    """
    # To parse it is to check it; a port opens only when a service starts.
    from twisted.internet import reactor

    try:
        parseEndpoint(reactor, description)
    except FastPoetryError as error:
        raise usage.UsageError(str(error)) from error


class ListenerOptions(ReaderOptions):
    """
    Where to listen, and how long and how many readers are served.

    @ivar listeners: the endpoint descriptions to listen on, in the order given, once
        the options are parsed.  A port has one on each interface.
    """

    optParameters = [
        [
            "max-connections",
            None,
            None,
            "How many readers are served at once on each port or endpoint; others "
            "wait. [default: what the file descriptor limit allows]",
            named("max-connections", count),
        ],
        [
            "timeout",
            None,
            60.0,
            "Give up on a reader that takes nothing for so many seconds.",
            named("timeout", timeout),
        ],
        [
            "grace",
            None,
            30.0,
            "When stopping, let readers in flight finish for so many seconds.",
            named("grace", seconds),
        ],
    ]

    optFlags = [
        ["reuse-port", None, "Let other processes listen on the same ports."],
    ]

    compData = usage.Completions(
        descriptions={
            "max-connections": "number of readers",
            "timeout": "seconds",
            "grace": "seconds",
        },
        multiUse=["port", "endpoint", "iface"],
        optActions={
            "iface": usage.CompleteHostnames(descr="address"),
            "endpoint": usage.Completer(descr="endpoint description"),
            "port": usage.Completer(descr="port number"),
        },
    )

    def __init__(self) -> None:
        openStreams()  # before an endpoint is parsed, for which there is a reactor
        super().__init__()
        # The help has the docstring of an opt_ method as it is indented.
        self.docs = {
            name: doc and " ".join(doc.split()) for name, doc in self.docs.items()
        }
        self._given: list[int | str] = []
        self._interfaces: list[str] = []
        self.listeners: list[list[str]] = []

    @property
    def descriptions(self) -> list[str]:
        """
        All endpoint descriptions.
        """
        return [description for some in self.listeners for description in some]

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Parse options.

        @raise usage.UsageError: when they are wrong; its text is one sentence.

        @raise SystemExit: in its place, with that sentence, when these are the
            options of a command of C{twistd}, which ends with status 0 otherwise
            before Twisted 26.10, and prints all its options above the sentence.
            So it is when C{twistd} cannot do what its own options say.
        """
        if self.parent is not None:
            raiseDescriptorLimit()  # before the reactor is made, which needs some
        try:
            super().parseOptions(options)
            if isinstance(self.parent, ServerOptions):
                checkServerOptions(self.parent)
        except usage.UsageError as error:
            if self.parent is None:
                raise
            sentence = brief(f"{self.parent.subCommand}: {error}")
            raise SystemExit(sentence) from error

    def opt_port(self, number: str) -> None:
        """
        The TCP port to listen on. [default: 10000]
        """
        try:
            self._given.append(portNumber(number))
        except ValueError as error:
            raise usage.UsageError(str(error)) from error

    opt_p = opt_port

    def opt_iface(self, address: str) -> None:
        """
        The address that ports are opened on; may be repeated. [default: localhost]
        """
        if not address:  # which would be all of them
            raise usage.UsageError("--iface is no address: ''")
        self._interfaces.append(address)

    def opt_endpoint(self, description: str) -> None:
        """
        The endpoint to listen on, in place of a port, such as tcp6:10000.
        """
        self._given.append(description)

    opt_e = opt_endpoint

    def opt_version(self) -> None:
        """
        Display the version of fastpoetry and exit.
        """
        print(f"fastpoetry version: {__version__}")
        raise SystemExit(0)

    def parseArgs(self, *arguments: str) -> None:
        """
        There are none.
        """
        if arguments:
            raise usage.UsageError(f"not an option: {arguments[0]}")

    def postOptions(self) -> None:
        """
        Describe all ports and endpoints.
        """
        given = self._given or [DEFAULT_PORT]
        self.listeners = [self._describe(one) for one in given]

    def _describe(self, one: int | str) -> list[str]:
        if isinstance(one, int):
            interfaces = self._interfaces or [DEFAULT_INTERFACE]
            return [
                f"tcp:{one}:interface={quoteStringArgument(interface)}"
                for interface in interfaces
            ]
        checkEndpoint(one)
        return [one]

    def makeServer(self, description: str, factory: IProtocolFactory) -> PoetryServer:
        """
        @return: the server for one endpoint, such as one of the L{descriptions}.
        """
        return PoetryServer(
            description,
            factory,
            maxConnections=self["max-connections"],
            grace=self["grace"],
            reusePort=bool(self["reuse-port"]),
            **self.filters(),
        )
