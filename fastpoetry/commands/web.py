"""
The options of pages, figures and XML-RPC over HTTP, and the servers that they ask for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any

from twisted.application.service import MultiService
from twisted.python import usage

from fastpoetry.commands.options import ListenerOptions, endpointDescription
from fastpoetry.interfaces import IPoetrySource


class WebOptions(usage.Options):
    """
    Where to serve pages, figures and XML-RPC.
    """

    optParameters: list[list[Any]] = [
        [
            "http",
            None,
            None,
            "The endpoint to serve pages on, such as tcp:8080:interface=localhost.",
            endpointDescription,
        ],
        [
            "status",
            None,
            None,
            "The endpoint to serve /healthz and /metrics on. [default: that of --http]",
            endpointDescription,
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
        Check what the options have to do with one another.
        """
        super().postOptions()
        if self["xmlrpc"] and self["http"] is None:
            raise usage.UsageError("--xmlrpc needs --http ENDPOINT")


def nameSources(
    sources: Iterable[tuple[str, IPoetrySource]],
) -> dict[str, IPoetrySource]:
    """
    Name poems after their files, for the addresses of their pages.

    @param sources: each with the path of its file.

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
    options: ListenerOptions,
    services: MultiService,
    sources: Iterable[tuple[str, IPoetrySource]],
) -> None:
    """
    Add the servers that the options ask for.

    @param options: those of a command that has L{WebOptions}.

    @param services: what they are added to, and what the figures are of.

    @see: L{nameSources}
    """
    if options["http"] is None and options["status"] is None:
        return
    # Loaded only for those who ask for it.
    from twisted.web.resource import Resource

    from fastpoetry.doors.site import Site
    from fastpoetry.doors.status import StatusServer, addStatus

    status = Resource()
    if options["http"] is not None:
        root = _makePages(sources, bool(options["xmlrpc"]))
        site = Site(root, options["timeout"])
        options.makeServer(options["http"], site).setServiceParent(services)
        if options["status"] is None:
            status = root
    if options["status"] is not None:
        site = Site(status, options["timeout"])
        # The options that say who may read are about poems: anybody gets the figures.
        server = StatusServer(options["status"], site, **options.limits)
        server.setServiceParent(services)
    addStatus(status, services)


def _makePages(sources: Iterable[tuple[str, IPoetrySource]], hasXMLRPC: bool) -> Any:
    from twisted.web.resource import Resource

    from fastpoetry.doors.web import addPoems

    root = Resource()
    named = nameSources(sources)
    addPoems(root, named)
    if hasXMLRPC:
        from fastpoetry.doors.xmlrpc import PoemMethods

        root.putChild(b"RPC2", PoemMethods(named))
    return root
