"""
The options of anthologies, and the source that they ask for.
"""

from __future__ import annotations

import os
from datetime import timezone, tzinfo
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.python import usage

from fastpoetry.commands.values import asUsageError
from fastpoetry.error import FastPoetryError, PoemError
from fastpoetry.files import openFile
from fastpoetry.service import PoetryService

if TYPE_CHECKING:
    from fastpoetry.anthology import Anthology, Choice


def timeZone(name: str) -> tzinfo:
    """
    @return: the time zone of this name.

    @raise ValueError: when there is none.
    """
    if name == "UTC":  # which a system may lack
        return timezone.utc
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"not known to this system: {name}") from error


class AnthologyOptions(usage.Options):
    """
    Which poem of an anthology a reader gets.

    @ivar choice: what chooses it, once the options are parsed; C{None} when each
        C{--poem} is one poem.
    """

    optParameters: list[list[Any]] = [
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
            asUsageError("timezone", timeZone),
        ],
    ]

    compData = usage.Completions(
        optActions={
            "seed": usage.Completer(descr="text"),
            "choose": usage.CompleteList(["daily", "each", "in-order"]),
            "timezone": usage.Completer(descr="time zone"),
        },
    )

    choice: Choice | None = None

    def postOptions(self) -> None:
        """
        Check what the options have to do with one another.
        """
        super().postOptions()
        for option in ("seed", "timezone"):
            if self[option] is not None and self["choose"] != "daily":
                raise usage.UsageError(f"--{option} goes with --choose daily only")
        if self["choose"] is not None:
            self.choice = self._makeChoice(self["choose"])

    def _makeChoice(self, name: str) -> Choice:
        # Loaded only for those who ask for it.
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

    def checkPoem(self, path: str) -> None:
        """
        @raise usage.UsageError: when what was given as a poem cannot be read.
        """
        if self.choice is not None and os.path.isdir(path):
            return
        try:
            openFile(path, PoemError).close()
        except FastPoetryError as error:
            hint = " (a directory needs --choose)" if os.path.isdir(path) else ""
            raise usage.UsageError(f"cannot read the poem: {error}{hint}") from error

    def makeSource(self, path: str) -> PoetryService | Anthology:
        """
        @return: the source of what was given as a poem.
        """
        if self.choice is None:
            return PoetryService(path)
        from fastpoetry.anthology import Anthology

        return Anthology(path, self.choice)
