"""
A client of HTTP on a pretended socket.
"""

from __future__ import annotations

import http.client
import io
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from twisted.internet import _producer_helpers
from twisted.internet.task import Cooperator
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from fastpoetry.doors.site import Site
from tests.support import Reactor
from tests.wire import Wire


def parse(data: bytes, method: str = "GET") -> tuple[http.client.HTTPResponse, bytes]:
    """
    @param data: one answer, and perhaps more.

    @param method: what was asked with.

    @return: the answer, and what follows it.
    """
    file = io.BytesIO(data)
    file.close = lambda: None  # type: ignore[method-assign]
    response = http.client.HTTPResponse(
        SimpleNamespace(makefile=lambda mode: file),  # type: ignore[arg-type]
        method=method,
    )
    response.begin()
    response.body = response.read()  # type: ignore[attr-defined]
    return response, file.read()


class WebTestCase(SynchronousTestCase):
    """
    Serves a site in memory.
    """

    timeout = 60.0

    def setUp(self) -> None:
        """
        Make a site without pages.
        """
        self.reactor = Reactor()
        cooperator = Cooperator(scheduler=lambda call: self.reactor.callLater(0, call))
        self.patch(_producer_helpers, "cooperate", cooperator.cooperate)
        self.root = Resource()
        self.site: Any = Site(self.root, self.timeout, self.reactor)
        self.site.doStart()
        self.addCleanup(self.assertNothingLeft)

    def assertNothingLeft(self) -> None:
        """
        When all have left, nothing is under way.
        """
        if self.site.numPorts:
            self.site.doStop()
        for channel in tuple(self.site.channels):
            channel.transport.abortConnection()
        self.reactor.advance(0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def connect(self, capacity: int = 2**20) -> Wire:
        """
        @param capacity: how many bytes the kernel holds for the client.

        @return: a connection.
        """
        return Wire(self.site, capacity)

    def hear(self, wire: Wire) -> bytes:
        """
        @return: what has come since the last time.
        """
        wire.take()
        data = bytes(wire.socket.taken)
        wire.socket.taken.clear()
        return data

    def ask(
        self,
        path: str,
        method: str = "GET",
        headers: Mapping[str, str] = {},
        body: bytes = b"",
    ) -> Any:
        """
        Ask on a connection of its own.

        @return: the answer, with its C{body}.
        """
        wire = self.connect()
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        wire.say("\r\n".join([*lines, "", ""]).encode() + body)
        response, rest = parse(self.hear(wire), method)
        self.assertEqual(rest, b"")
        self.assertEqual(wire.socket.seen, "clean")
        return response
