"""
The doors over HTTP of a command of C{twistd}: their options, and the services they ask
for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath

from twisted.application.service import MultiService
from twisted.python import usage

from fastpoetry.commands.options import ListenerOptions, checkEndpoint
from fastpoetry.interfaces import IPoetrySource


class WebOptions(ListenerOptions):
    """
    Where to serve pages, figures and XML-RPC.
    """

    optParameters = [
        [
            "http",
            None,
            None,
            "The endpoint to serve pages on, such as tcp:8080:interface=localhost.",
        ],
        [
            "status",
            None,
            None,
            "The endpoint to serve /healthz and /metrics on. [default: that of --http]",
        ],
    ]

    optFlags = [
        ["xmlrpc", None, "Serve XML-RPC at /RPC2 of --http, too."],
    ]

    compData = usage.Completions(
        optActions={
            "http": usage.Completer(descr="endpoint description"),
            "status": usage.Completer(descr="endpoint description"),
        },
    )

    def postOptions(self) -> None:
        """
        Check the endpoints.
        """
        super().postOptions()
        for name in ("http", "status"):
            if self[name] is not None:
                checkEndpoint(self[name])
        if self["xmlrpc"] and self["http"] is None:
            raise usage.UsageError("--xmlrpc needs --http ENDPOINT")


def nameSources(
    sources: Iterable[tuple[str, IPoetrySource]],
) -> dict[str, IPoetrySource]:
    """
    Name poems for their addresses.

    @param sources: each with the file that it is from.

    @return: each by a name that no other has.
    """
    named: dict[str, IPoetrySource] = {}
    for path, source in sources:
        stem = name = re.sub(r"[^\w-]+", "-", PurePath(path).stem).strip("-") or "poem"
        number = 1
        while name in named or name in {"healthz", "metrics", "RPC2"}:
            number += 1
            name = f"{stem}-{number}"
        named[name] = source
    return named


def addSites(
    options: WebOptions,
    services: MultiService,
    sources: Iterable[tuple[str, IPoetrySource]],
) -> None:
    """
    Add the servers that the options ask for.

    @param services: what they are added to, and what the figures are of.

    @see: L{nameSources}
    """
    if options["http"] is None and options["status"] is None:
        return
    # Nothing of this is imported where nobody asks for it.
    from twisted.web.resource import Resource

    from fastpoetry.doors.site import Site
    from fastpoetry.doors.status import StatusServer, addStatus

    root = status = Resource()
    if options["http"] is not None:
        from fastpoetry.doors.web import addPoems

        named = nameSources(sources)
        addPoems(root, named)
        if options["xmlrpc"]:
            from fastpoetry.doors.xmlrpc import PoemMethods

            root.putChild(b"RPC2", PoemMethods(named))
        site = Site(root, options["timeout"])
        options.makeServer(options["http"], site).setServiceParent(services)
    if options["status"] is not None:
        status = Resource()
        site = Site(status, options["timeout"])
        # Who may read is said of poems.
        server = StatusServer(
            options["status"],
            site,
            maxConnections=options["max-connections"],
            grace=options["grace"],
            reusePort=bool(options["reuse-port"]),
        )
        server.setServiceParent(services)
    addStatus(status, services)
