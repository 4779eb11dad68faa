"""
The C{twistd poetry-transform} command: its options, and the services they ask for.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService, MultiService
from twisted.python import usage

from fastpoetry.capacity import Memory, OneThread
from fastpoetry.commands.options import ListenerOptions
from fastpoetry.commands.values import (
    asUsageError,
    positiveInteger,
    positiveSeconds,
)
from fastpoetry.daemon import DaemonService
from fastpoetry.transform import (
    EXPANSION,
    MAX_MEMORY,
    MAX_REQUEST,
    TRANSFORMS,
    TransformFactory,
    TransformService,
)


class Options(ListenerOptions):
    """
    The options of C{twistd poetry-transform}.
    """

    synopsis = "[options]"

    longdesc = (
        "Transforms poems. A client sends one netstring, NAME.POEM, and gets one "
        f"back with the transformed poem. The names: {', '.join(TRANSFORMS)}."
    )

    optParameters: list[list[Any]] = [
        [
            "max-length",
            None,
            MAX_REQUEST,
            "How many bytes a request may have, name and poem together.",
            asUsageError("max-length", positiveInteger),
        ],
        [
            "max-memory",
            None,
            None,
            "How many bytes all requests and their answers may take together; others "
            f"wait. [default: {MAX_MEMORY}, or {EXPANSION} times max-length]",
            asUsageError("max-memory", positiveInteger),
        ],
        [
            "request-timeout",
            None,
            60.0,
            "Give up on a client whose whole request has not come this many seconds "
            "after it connected. (One that sends nothing has --timeout.)",
            asUsageError("request-timeout", positiveSeconds),
        ],
    ]

    compData = usage.Completions(
        optActions={
            "max-length": usage.Completer(descr="number of bytes"),
            "max-memory": usage.Completer(descr="number of bytes"),
            "request-timeout": usage.Completer(descr="seconds"),
        }
    )

    def postOptions(self) -> None:
        """
        Check that there is memory for the longest request.
        """
        super().postOptions()
        least = EXPANSION * self["max-length"]
        if self["max-memory"] is None:
            self["max-memory"] = max(MAX_MEMORY, least)
        elif self["max-memory"] < least:
            raise usage.UsageError(
                f"--max-memory is less than {EXPANSION} times --max-length: "
                f"{self['max-memory']}"
            )


def makeService(options: Options) -> IService:
    """
    @return: all services that the options ask for.
    """
    services = MultiService()
    DaemonService().setServiceParent(services)
    transforms = TransformService()
    transforms.setServiceParent(services)
    memory, thread = Memory(options["max-memory"]), OneThread()
    for description in options.descriptions:
        factory = TransformFactory(
            transforms,
            options["timeout"],
            options["max-length"],
            requestTimeout=options["request-timeout"],
            memory=memory,
            thread=thread,
        )
        options.makeServer(description, factory).setServiceParent(services)
    return services
