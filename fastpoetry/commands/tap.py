"""
The C{twistd fastpoetry} command: its options, and the services they ask for.
"""

from __future__ import annotations

from twisted.application.service import IService, MultiService
from twisted.python import usage

from fastpoetry.commands.udp import UDPOptions
from fastpoetry.daemon import DaemonService
from fastpoetry.error import FastPoetryError
from fastpoetry.protocol import PoetryFactory
from fastpoetry.service import PoetryService, openPoem


class Options(UDPOptions):
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

    compData = usage.Completions(
        multiUse=["poem"],
        optActions={"poem": usage.CompleteFiles("*.txt", descr="poem")},
    )

    def __init__(self) -> None:
        super().__init__()
        self._poems: list[str] = []
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

    def postOptions(self) -> None:
        """
        Match poems and listeners.
        """
        super().postOptions()
        if not self._poems:
            raise usage.UsageError("no poem to serve: --poem FILE is missing")
        if len(self._poems) == 1:
            self.deployments = [(self._poems[0], self.descriptions)]
        elif len(self._poems) == len(self.listeners):
            self.deployments = list(zip(self._poems, self.listeners))
        else:
            raise usage.UsageError(
                f"{len(self._poems)} poems do not go with "
                f"{len(self.listeners)} ports and endpoints"
            )
        self.matchUDP(len(self._poems))


def makeService(options: Options) -> IService:
    """
    @return: all services that the options ask for, each poem's in a
        L{MultiService} of its own.
    """
    services = MultiService()
    DaemonService().setServiceParent(services)
    for number, (poem, descriptions) in enumerate(options.deployments):
        deployment = MultiService()
        deployment.setServiceParent(services)
        source = PoetryService(poem)
        source.setServiceParent(deployment)
        for description in descriptions:
            title = poem if len(options.deployments) > 1 else ""
            factory = PoetryFactory(source, timeout=options["timeout"], title=title)
            options.makeServer(description, factory).setServiceParent(deployment)
        for server in options.makeUDPServers(number, source):
            server.setServiceParent(deployment)
    return services
