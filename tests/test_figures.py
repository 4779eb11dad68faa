"""
Tests of L{fastpoetry.figures}, and of those who have figures.
"""

from __future__ import annotations

import re
import subprocess
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from zope.interface import implementer
from zope.interface.verify import verifyObject

from fastpoetry.connection.outcome import Outcome
from fastpoetry.doors.datagram import (
    OUTCOMES,
    PoetryDatagramProtocol,
    PoetryDatagramServer,
)
from fastpoetry.doors.site import Site
from fastpoetry.figures import FIGURES, exposition
from fastpoetry.interfaces import Figure, IHasFigures
from fastpoetry.listening.access import Access
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import PoetryServer
from fastpoetry.service import PoetryService
from sandbox import findCommand
from tests.support import ListeningReactor, StaticSource

READERS = "fastpoetry_readers"
LENGTH = "fastpoetry_poem_bytes"
DATAGRAMS = "fastpoetry_datagrams_total"
HOSTILE = 'a\\b"c\nd,{e}=\udce9é'


@implementer(IHasFigures)
class Counting:
    """
    Has figures.
    """

    def __init__(self, *some: Figure) -> None:
        self._some = some

    def figures(self) -> Any:
        """
        Give them.
        """
        return self._some


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """
    Parse an exposition as Prometheus's own client does.
    """
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class ExpositionTests(SynchronousTestCase):
    """
    Tests of L{exposition}.
    """

    def test_none(self) -> None:
        """
        Services without figures give nothing.
        """
        self.assertEqual(exposition([object()]), "")

    def test_text(self) -> None:
        """
        Each figure has its type and meaning, and then all its values.
        """
        text = exposition(
            [
                Counting(
                    (READERS, {"listener": "a"}, 1), ("fastpoetry_poem_bytes", {}, 2)
                ),
                Counting((READERS, {"listener": "b"}, 0.5)),
            ]
        )
        self.assertEqual(
            text,
            "# HELP fastpoetry_poem_bytes The length of the poem that is loaded.\n"
            "# TYPE fastpoetry_poem_bytes gauge\n"
            "fastpoetry_poem_bytes 2\n"
            "# HELP fastpoetry_readers Connections that are open.\n"
            "# TYPE fastpoetry_readers gauge\n"
            'fastpoetry_readers{listener="a"} 1\n'
            'fastpoetry_readers{listener="b"} 0.5\n',
        )

    def test_same(self) -> None:
        """
        Figures that would have the same name are added up: a name may be there once.
        """
        figure = READERS, {"listener": "tcp:0"}, 2
        self.assertEqual(
            samples(exposition([Counting(figure), Counting(figure)])),
            {(READERS, frozenset({("listener", "tcp:0")})): 4},
        )

    def test_escaped(self) -> None:
        """
        A label may be anything, and can be written.
        """
        text = exposition([Counting((READERS, {"b": HOSTILE, "a": ""}, 1))])
        expected = HOSTILE.replace("\udce9", r"\xe9").replace("\n", "^J")
        labels = frozenset({("a", ""), ("b", expected)})
        self.assertEqual(samples(text), {(READERS, labels): 1})
        self.assertEqual(text.count("\n"), 3)
        text.encode()

    def test_names(self) -> None:
        """
        Names and meanings keep the rules; a counter is a total, and nothing else is.
        """
        for name, (kind, meaning) in FIGURES.items():
            self.assertTrue(re.fullmatch("(fastpoetry|process)_[a-z_]+", name), name)
            self.assertEqual(name.endswith("_total"), kind == "counter", name)
            self.assertTrue(meaning.endswith("."))
            self.assertNotIn("\n", meaning)

    def test_promtool(self) -> None:
        """
        Prometheus itself has nothing against all of them.
        """
        promtool = findCommand("promtool")
        text = exposition([Counting(*((name, {"a": HOSTILE}, 1) for name in FIGURES))])
        done = subprocess.run(
            [promtool, "check", "metrics"],
            input=text.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.assertEqual((done.returncode, done.stdout), (0, b""))


class ServiceTests(SynchronousTestCase):
    """
    Tests of what has figures.
    """

    def test_poem(self) -> None:
        """
        A service has the length of its poem, once it has a poem.
        """
        path = Path(self.mktemp())
        path.write_bytes(b"poem")
        service = PoetryService(path)
        verifyObject(IHasFigures, service)
        self.assertEqual(list(service.figures()), [])
        service.startService()
        labels = {"poem": str(path.resolve())}
        self.assertEqual(list(service.figures()), [(LENGTH, labels, 4)])

    def test_factory(self) -> None:
        """
        A factory has how many poems came to which end, be there none, and the bytes.
        """
        factory = PoetryFactory(StaticSource(b""))
        verifyObject(IHasFigures, factory)
        factory.counts.addWhole(10)
        factory.counts.add(Outcome.GAVE_UP, 3)
        figures = list(factory.figures())
        self.assertEqual(figures[0], ("fastpoetry_sent_bytes_total", {}, 13))
        found = {labels["outcome"]: value for _, labels, value in figures[1:]}
        expected = {outcome.name.lower(): 0 for outcome in Outcome}
        self.assertEqual(found, {**expected, "whole": 1, "gave_up": 1})
        self.assertEqual(
            {name for name, _, _ in figures[1:]}, {"fastpoetry_poems_total"}
        )

    def test_server(self) -> None:
        """
        A server has its readers, how many there may be while it listens, and what its
        factory has, each with the listener and the poem.
        """
        reactor = ListeningReactor()
        source: Any = StaticSource(b"")
        source.path = "/poem"
        factory = PoetryFactory(source, reactor=reactor)
        server = PoetryServer("tcp:0:interface=127.0.0.1", factory, 7, reactor=reactor)
        verifyObject(IHasFigures, server)
        labels = {"listener": server.description}
        size = "fastpoetry_sent_bytes_total", {**labels, "poem": "/poem"}, 0
        self.assertEqual(list(server.figures())[:2], [(READERS, labels, 0), size])
        server.startService()
        self.addCleanup(reactor.advance, 0)
        self.addCleanup(server.stopService)
        limit = "fastpoetry_readers_limit", labels, 7
        self.assertEqual(
            list(server.figures())[:3], [(READERS, labels, 0), limit, size]
        )

    def test_refused(self) -> None:
        """
        What servers have in common counts once: how many may not read.
        """
        access = Access(reactor=Clock())
        verifyObject(IHasFigures, access)
        access.refuse(ip_address("192.0.2.1"))
        factory, reactor = Factory(), ListeningReactor()
        servers = [
            PoetryServer("tcp:0", factory, reactor=reactor, access=one)
            for one in (access, None, access)
        ]
        found = samples(exposition(servers))
        self.assertEqual(found["fastpoetry_readers_refused_total", frozenset()], 1)

    def test_datagrams(self) -> None:
        """
        A server of datagrams has what became of how many, from zero on, with the
        listener and the poem.
        """
        source: Any = StaticSource(b"poem")
        for path in [{}, {"poem": "/poem"}]:
            protocol = PoetryDatagramProtocol(source, reactor=Clock())
            server = PoetryDatagramServer(17, protocol, "::1")
            verifyObject(IHasFigures, server)
            labels = {"listener": "udp:17:interface=::1", **path}
            for counts in ({}, {"answered": 2, "low port": 3}):
                protocol.counts.update(counts)
                self.assertEqual(
                    list(server.figures()),
                    [
                        (
                            DATAGRAMS,
                            {**labels, "outcome": outcome.replace(" ", "_")},
                            counts.get(outcome, 0),
                        )
                        for outcome in OUTCOMES
                    ],
                )
            source.path = "/poem"

    def test_others(self) -> None:
        """
        That of another factory has what that has, or just the readers.
        """
        site = Site(Resource(), reactor=ListeningReactor())
        site._codes[200] = 1
        factories: list[tuple[Any, list[str]]] = [
            (site, [READERS, "fastpoetry_http_responses_total"]),
            (object(), [READERS]),
        ]
        for factory, names in factories:
            server = PoetryServer("tcp:0", factory, reactor=ListeningReactor())
            self.assertEqual([name for name, _, _ in server.figures()], names)
