"""
The C{twistd poetry-transform} command: its options, and the services they ask for.
"""

from __future__ import annotations

from twisted.application.service import IService, MultiService
from twisted.python import usage

from fastpoetry.commands.options import ListenerOptions, named
from fastpoetry.commands.values import count
from fastpoetry.daemon import DaemonService
from fastpoetry.transform import (
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

    optParameters = [
        [
            "max-length",
            None,
            MAX_REQUEST,
            "How many bytes a request may have, name and poem together.",
            named("max-length", count),
        ],
    ]

    compData = usage.Completions(descriptions={"max-length": "number of bytes"})


def makeService(options: Options) -> IService:
    """
    @return: all services that the options ask for.
    """
    services = MultiService()
    DaemonService().setServiceParent(services)
    transforms = TransformService()
    transforms.setServiceParent(services)
    for description in options.descriptions:
        factory = TransformFactory(
            transforms, options["timeout"], options["max-length"]
        )
        options.makeServer(description, factory).setServiceParent(services)
    return services
