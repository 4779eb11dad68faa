"""
The commands C{fastpoetry}, C{poetry-proxy} and C{poetry-transform}.  Each is C{twistd}
in the foreground, without a pid file, with its plugin.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from twisted.application.app import run
from twisted.application.service import IServiceMaker
from twisted.scripts.twistd import ServerOptions, runApp  # type: ignore[attr-defined]

from twisted.plugins import fastpoetry_plugin


class CommandOptions(ServerOptions):
    """
    The options of C{twistd} for a command that is one plugin, whose options are what is
    typed.
    """

    def __init__(self, maker: Any) -> None:
        """
        @param maker: the plugin, an L{IServiceMaker}.
        """
        super().__init__()
        self._maker = maker

    @property
    def subCommands(self) -> list[Any]:
        """
        The plugin alone.  To look for others, Twisted would write a cache where an
        ordinary user may not write.
        """
        maker = self._maker
        self.loadedPlugins = {maker.tapname: maker}
        return [(maker.tapname, None, maker.options, maker.description)]

    def getSynopsis(self) -> str:
        """
        @return: what the help shows before the name of the plugin.
        """
        return "Usage:"

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Parse options.

        @param options: those of the plugin; by default what was typed.
        """
        typed = sys.argv[1:] if options is None else options
        if "--_shell-completion" in typed:
            self._maker.options().parseOptions(typed)
        super().parseOptions(["-n", "--pidfile=", self._maker.tapname, *typed])


def _run(maker: IServiceMaker) -> None:
    run(runApp, lambda: CommandOptions(maker))


def fastpoetry() -> None:
    """
    C{fastpoetry}, also C{python -m fastpoetry}.
    """
    _run(fastpoetry_plugin.fastpoetry)


def poetryProxy() -> None:
    """
    C{poetry-proxy}.
    """
    _run(fastpoetry_plugin.poetryProxy)


def poetryTransform() -> None:
    """
    C{poetry-transform}.
    """
    _run(fastpoetry_plugin.poetryTransform)
