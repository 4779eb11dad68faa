"""
Whether a process serves, and its figures.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet.defer import (
    Deferred,
    DeferredList,
    inlineCallbacks,
    maybeDeferred,
)
from twisted.web.http import SERVICE_UNAVAILABLE
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from fastpoetry.collection import allServices
from fastpoetry.doors.site import send
from fastpoetry.figures import exposition
from fastpoetry.interfaces import IPoetrySource
from fastpoetry.server import PoetryServer

EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


class Health(Resource):
    """
    Says whether a process serves: it does not drain, and all sources have poems.
    """

    def __init__(self, services: Any) -> None:
        """
        @param services: an L{IServiceCollection
            <twisted.application.service.IServiceCollection>}.
        """
        super().__init__()
        self._services = services
        self._known: set[Any] = set()

    def render_GET(self, request: Any) -> int:
        """
        Answer when all sources have.
        """
        answer = Deferred.fromCoroutine(self._check())
        request.notifyFinish().addErrback(lambda _: answer.cancel())
        answer.addCallbacks(
            lambda _: send(request, b"ok\n"),
            lambda failure: send(
                request,
                f"{failure.getErrorMessage()}\n".encode(),
                code=SERVICE_UNAVAILABLE,
            ),
        )
        return NOT_DONE_YET

    async def _check(self) -> None:
        services = list(allServices(self._services))
        for each in services:
            if isinstance(each, PoetryServer) and each.port is None:
                raise RuntimeError("draining")
        for each in services:
            # A source that had a poem still has one.  It is not asked again, since it
            # may count those who ask, or fetch a poem for each.
            if IPoetrySource.providedBy(each) and each not in self._known:
                try:
                    await maybeDeferred(each.getPoem)
                except Exception as error:
                    raise RuntimeError("no poem") from error
                self._known.add(each)


class Metrics(Resource):
    """
    Gives the figures of all services, for Prometheus.
    """

    def __init__(self, services: Any) -> None:
        """
        @see: L{Health}
        """
        super().__init__()
        self._services = services

    def render_GET(self, request: Any) -> int:
        """
        Give the figures.
        """
        text = exposition(allServices(self._services))
        return send(request, text.encode(), EXPOSITION)


def addStatus(root: Resource, services: Any) -> None:
    """
    Add L{Health} as C{/healthz} and L{Metrics} as C{/metrics}.

    @param root: what is at C{/}.

    @param services: see L{Health}.
    """
    root.putChild(b"healthz", Health(services))
    root.putChild(b"metrics", Metrics(services))


class StatusServer(PoetryServer):
    """
    Stops after all other servers of its collection, to say meanwhile that they drain.
    It must be the last of the collection: L{MultiService
    <twisted.application.service.MultiService>} stops its services in reverse order.
    """

    @inlineCallbacks
    def stopService(self) -> Generator[Deferred[Any], Any, None]:
        """
        @see: L{PoetryServer.stopService}
        """
        self.running = False
        grace, begun = self.grace, self.reactor.seconds()
        others = (
            maybeDeferred(each.stopService)
            for each in allServices(self.parent or ())
            if isinstance(each, PoetryServer) and each is not self
        )
        yield DeferredList(list(others))
        # What is left of the grace.  Otherwise a stop could take twice as long.
        self.grace = max(0.0, grace - (self.reactor.seconds() - begun))
        try:
            yield super().stopService()
        finally:
            self.grace = grace
