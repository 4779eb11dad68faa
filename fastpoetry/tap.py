"""
The C{twistd fastpoetry} command: its options, and the services they ask for.
"""

from __future__ import annotations

import math
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.endpoints import quoteStringArgument
from twisted.python import usage

from fastpoetry import __version__
from fastpoetry.daemon import DaemonService
from fastpoetry.endpoint import parseEndpoint
from fastpoetry.error import FastPoetryError
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import PoetryServer
from fastpoetry.service import PoetryService, openPoem


def portNumber(text: str) -> int:
    """
    @return: the number of a TCP port, 0 for one that the system chooses.

    @raise usage.UsageError: when the text is something else.
    """
    if not (text.isascii() and text.isdigit() and int(text) <= 65535):
        raise usage.UsageError(f"not a port number from 0 to 65535: {text}")
    return int(text)


def count(text: str) -> int:
    """
    @return: a number of things, 1 or more.

    @raise usage.UsageError: when the text is something else.
    """
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise usage.UsageError(f"not a whole number above 0: {text}")
    return int(text)


def seconds(text: str) -> float:
    """
    @return: a length of time, in seconds, 0 or more.

    @raise usage.UsageError: when the text is something else.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise usage.UsageError(f"not a number of seconds, 0 or more: {text}")
    return number


def timeout(text: str) -> float:
    """
    @return: a length of time, in seconds, above 0.

    @raise usage.UsageError: when the text is something else.
    """
    number = seconds(text)
    if number == 0:
        raise usage.UsageError(f"not a number of seconds above 0: {text}")
    return number


class Options(usage.Options):
    """
    The options of C{twistd fastpoetry}.

    @ivar deployments: each poem with the endpoint descriptions that it is served
        on, once the options are parsed.
    """

    synopsis = "[options] --poem FILE"

    longdesc = (
        "Serves a poem to whoever connects: all of it, then the end of the line. "
        "--poem, --port and --endpoint may be given several times: the first poem "
        "then goes with the first port or endpoint, the second with the second, and "
        "so on; one poem goes with all of them."
    )

    optParameters = [
        ["iface", None, "localhost", "The address that ports are opened on."],
        [
            "max-connections",
            None,
            None,
            "How many readers are served at once on each port or endpoint; others "
            "wait. [default: what the file descriptor limit allows]",
            count,
        ],
        [
            "timeout",
            None,
            60.0,
            "Give up on a reader that takes nothing for so many seconds.",
            timeout,
        ],
        [
            "grace",
            None,
            30.0,
            "When stopping, let readers in flight finish for so many seconds.",
            seconds,
        ],
    ]

    optFlags = [
        ["reuse-port", None, "Let other processes listen on the same ports."],
    ]

    compData = usage.Completions(
        descriptions={
            "iface": "address",
            "max-connections": "number of readers",
            "timeout": "seconds",
            "grace": "seconds",
        },
        multiUse=["poem", "port", "endpoint"],
        optActions={
            "poem": usage.CompleteFiles("*.txt", descr="poem"),
            "iface": usage.CompleteHostnames(),
            "endpoint": usage.Completer(descr="endpoint description"),
            "port": usage.Completer(descr="port number"),
        },
    )

    def __init__(self) -> None:
        super().__init__()
        self._poems: list[str] = []
        self._listeners: list[int | str] = []
        self.deployments: list[tuple[str, list[str]]] = []

    def opt_poem(self, file: str) -> None:
        """
        The file with the poem.
        """
        try:
            openPoem(file).close()
        except FastPoetryError as error:
            raise usage.UsageError(f"cannot read the poem: {error}") from error
        self._poems.append(file)

    def opt_port(self, number: str) -> None:
        """
        The TCP port to listen on. [default: 10000]
        """
        self._listeners.append(portNumber(number))

    opt_p = opt_port

    def opt_endpoint(self, description: str) -> None:
        """
        The endpoint to listen on, in place of a port, such as tcp6:10000.
        """
        self._listeners.append(description)

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
        Match poems and listeners.
        """
        if not self._poems:
            raise usage.UsageError("no poem to serve: --poem FILE is missing")
        descriptions = [self._describe(listener) for listener in self._listeners]
        if not descriptions:
            descriptions = [self._describe(10000)]
        if len(self._poems) == 1:
            self.deployments = [(self._poems[0], descriptions)]
        elif len(self._poems) == len(descriptions):
            self.deployments = [
                (poem, [description])
                for poem, description in zip(self._poems, descriptions)
            ]
        else:
            raise usage.UsageError(
                f"{len(self._poems)} poems do not go with "
                f"{len(descriptions)} ports and endpoints"
            )

    def _describe(self, listener: int | str) -> str:
        if isinstance(listener, int):
            return f"tcp:{listener}:interface={quoteStringArgument(self['iface'])}"
        # To parse it is to check it; a port opens only when a service starts.
        from twisted.internet import reactor

        try:
            parseEndpoint(reactor, listener)
        except FastPoetryError as error:
            raise usage.UsageError(str(error)) from error
        return listener


def makeService(options: Options) -> IService:
    """
    @return: all services that the options ask for, each poem's in a
        L{MultiService} of its own.
    """
    services = MultiService()
    DaemonService().setServiceParent(services)
    for poem, descriptions in options.deployments:
        deployment = MultiService()
        deployment.setServiceParent(services)
        source = PoetryService(poem)
        source.setServiceParent(deployment)
        for description in descriptions:
            server = _makeServer(options, description, source)
            server.setServiceParent(deployment)
    return services


def _makeServer(options: Options, description: str, source: Any) -> PoetryServer:
    return PoetryServer(
        description,
        PoetryFactory(source, timeout=options["timeout"]),
        maxConnections=options["max-connections"],
        grace=options["grace"],
        reusePort=bool(options["reuse-port"]),
    )
