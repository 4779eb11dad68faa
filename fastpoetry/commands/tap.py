"""
The C{twistd fastpoetry} command: its options, and the services they ask for.
"""

from __future__ import annotations

from twisted.application.service import IService, MultiService
from twisted.python import usage

from fastpoetry.commands.anthology import AnthologyOptions
from fastpoetry.commands.options import ListenerOptions
from fastpoetry.commands.udp import UDPOptions, addDatagrams
from fastpoetry.commands.web import WebOptions, addSites
from fastpoetry.daemon import DaemonService
from fastpoetry.interfaces import IPoetrySource
from fastpoetry.protocol import PoetryFactory


class Options(ListenerOptions, AnthologyOptions, UDPOptions, WebOptions):
    """
    The options of C{twistd fastpoetry}.

    @ivar deployments: each poem with the endpoint descriptions that it is served
        on, once the options are parsed.
    """

    synopsis = "[options] --poem FILE"

    longdesc = (
        "Sends a whole poem to whoever connects, and then closes the connection. "
        "--poem, --port and --endpoint may be given several times: the first poem "
        "then goes with the first port or endpoint, the second with the second, and "
        "so on; one poem goes with all of them. With --choose, a poem is a directory "
        "of poems, or a file of poems divided by lines of %."
    )

    compData = usage.Completions(
        multiUse=["poem"],
        optActions={"poem": usage.CompleteFiles(descr="file")},
    )

    def __init__(self) -> None:
        super().__init__()
        self["poem"] = []
        self.deployments: list[tuple[str, list[str]]] = []

    def opt_poem(self, file: str) -> None:
        """
        The file with the poem; with --choose, a directory or a file of poems. May be
        repeated.
        """
        self["poem"].append(file)

    def postOptions(self) -> None:
        """
        Match poems and listeners.
        """
        super().postOptions()
        poems, listeners = self["poem"], self.listeners
        for poem in poems:
            self.checkPoem(poem)
        if not poems:
            raise usage.UsageError("no poem to serve: --poem FILE is missing")
        if len(poems) == 1:
            self.deployments = [(poems[0], self.descriptions)]
        elif len(poems) == len(listeners):
            self.deployments = list(zip(poems, listeners))
        else:
            raise usage.UsageError(
                f"{len(poems)} poems for {len(listeners)} ports and endpoints: "
                "give one poem, or as many"
            )
        if self["udp"] and len(poems) not in (1, len(self["udp"])):
            raise usage.UsageError(
                f"{len(poems)} poems for {len(self['udp'])} --udp: "
                "give one poem, or as many"
            )


def makeService(options: Options) -> IService:
    """
    @return: all services that the options ask for, each poem's with its listeners in
        a L{MultiService} of its own, and then the other doors.
    """
    services = MultiService()
    DaemonService().setServiceParent(services)
    sources: list[tuple[str, IPoetrySource]] = []
    for poem, descriptions in options.deployments:
        deployment = MultiService()
        deployment.setServiceParent(services)
        source = options.makeSource(poem)
        source.setServiceParent(deployment)
        sources.append((poem, source))
        title = poem if len(options.deployments) > 1 else ""
        for description in descriptions:
            factory = PoetryFactory(source, timeout=options["timeout"], title=title)
            options.makeServer(description, factory).setServiceParent(deployment)
    addDatagrams(options, services, [source for _, source in sources])
    addSites(options, services, sources)
    return services
