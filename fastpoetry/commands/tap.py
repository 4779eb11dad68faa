"""
The C{twistd fastpoetry} command: its options, and the services they ask for.
"""

from __future__ import annotations

import os
from datetime import timezone, tzinfo
from functools import partial
from typing import TYPE_CHECKING

from twisted.application.service import IService, MultiService
from twisted.python import usage

from fastpoetry.commands.udp import UDPOptions, addDatagrams
from fastpoetry.commands.web import WebOptions, addSites
from fastpoetry.daemon import DaemonService
from fastpoetry.error import FastPoetryError, PoemError
from fastpoetry.files import openFile
from fastpoetry.interfaces import IPoetrySource
from fastpoetry.protocol import PoetryFactory
from fastpoetry.service import PoetryService

if TYPE_CHECKING:
    from fastpoetry.anthology import Anthology, Choice


def timeZone(name: str) -> tzinfo:
    """
    @return: the time zone of this name.

    @raise usage.UsageError: when there is none.
    """
    if name == "UTC":  # which the system need not know
        return timezone.utc
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise usage.UsageError(
            f"--timezone is not known to this system: {name}"
        ) from error


class Options(WebOptions, UDPOptions):
    """
    The options of C{twistd fastpoetry}.

    @ivar deployments: each poem with the endpoint descriptions that it is served
        on, once the options are parsed.

    @ivar choice: which poem of an anthology a reader gets, once the options are
        parsed; L{None} when each C{--poem} is one poem.
    """

    synopsis = "[options] --poem FILE"

    longdesc = (
        "Serves a poem to whoever connects: all of it, then the end of the line. "
        "--poem, --port and --endpoint may be given several times: the first poem "
        "then goes with the first port or endpoint, the second with the second, and "
        "so on; one poem goes with all of them. With --choose, a poem is a directory "
        "of poems, or a file of poems divided by lines of %."
    )

    optParameters = [
        [
            "choose",
            None,
            None,
            "Which poem of an anthology to serve: daily, the one of the day; each, "
            "another for each reader; in-order, the next for each reader.",
        ],
        ["seed", None, None, "With daily: any text, for another order of the poems."],
        [
            "timezone",
            None,
            None,
            "With daily: where the day begins, such as Europe/Rome. [default: UTC]",
            timeZone,
        ],
    ]

    compData = usage.Completions(
        descriptions={"seed": "text"},
        multiUse=["poem"],
        optActions={
            "poem": usage.CompleteFiles("*.txt", descr="file"),
            "choose": usage.CompleteList(["daily", "each", "in-order"]),
            "timezone": usage.Completer(descr="time zone"),
        },
    )

    def __init__(self) -> None:
        super().__init__()
        self._poems: list[str] = []
        self.choice: Choice | None = None
        self.deployments: list[tuple[str, list[str]]] = []

    def opt_poem(self, file: str) -> None:
        """
        The file with the poem.
        """
        self._poems.append(file)

    def postOptions(self) -> None:
        """
        Match poems and listeners.
        """
        super().postOptions()
        self.choice = self._parseChoice()
        for poem in self._poems:
            if self.choice is None or not os.path.isdir(poem):
                self._checkPoem(poem)
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

    def _checkPoem(self, file: str) -> None:
        try:
            openFile(file, PoemError).close()
        except FastPoetryError as error:
            raise usage.UsageError(f"cannot read the poem: {error}") from error

    def _parseChoice(self) -> Choice | None:
        name = self["choose"]
        for option in ("seed", "timezone"):
            if self[option] is not None and name != "daily":
                raise usage.UsageError(f"--{option} goes with --choose daily only")
        if name is None:
            return None
        from fastpoetry.anthology import Daily, each, inOrder

        if name == "daily":
            zone = self["timezone"] or timezone.utc
            return partial(Daily, seed=self["seed"] or "", timezone=zone)
        try:
            return {"each": each, "in-order": inOrder}[name]
        except KeyError:
            raise usage.UsageError(
                f"--choose is not daily, each or in-order: {name}"
            ) from None

    def makeSource(self, poem: str) -> PoetryService | Anthology:
        """
        @return: the source of what was given as a poem.
        """
        if self.choice is None:
            return PoetryService(poem)
        from fastpoetry.anthology import Anthology

        return Anthology(poem, self.choice)


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
        for description in descriptions:
            title = poem if len(options.deployments) > 1 else ""
            factory = PoetryFactory(source, timeout=options["timeout"], title=title)
            options.makeServer(description, factory).setServiceParent(deployment)
    addDatagrams(options, services, [source for _, source in sources])
    addSites(options, services, sources)
    return services
