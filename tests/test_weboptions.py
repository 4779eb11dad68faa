"""
Tests of L{fastpoetry.commands.web}.
"""

from __future__ import annotations

import io
import subprocess
import sys
from functools import partial
from typing import Any

from twisted.python._shellcomp import ZshArgumentsGenerator
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import getChildForRequest
from twisted.web.test.requesthelper import DummyRequest

from fastpoetry.commands import proxytap, tap
from fastpoetry.commands.web import nameSources
from fastpoetry.daemon import DaemonService
from fastpoetry.doors.site import Site
from fastpoetry.doors.status import Health, Metrics, StatusServer
from fastpoetry.doors.web import List, PoemPage, PoemText
from fastpoetry.doors.xmlrpc import PoemMethods
from fastpoetry.server import PoetryServer
from tests.support import assertRefused

HTTP = "tcp:8080:interface=localhost"
STATUS = "unix:/run/status"

REFUSED = {
    "page endpoint": (["--http", "8080"], "Not an endpoint: 8080"),
    "page endpoint of no kind": (["--http", "bogus:1"], "Not an endpoint: bogus:1"),
    "status endpoint": (["--status", "tcp:x"], ": tcp:x"),
    "nowhere for XML-RPC": (["--xmlrpc"], "--xmlrpc needs --http ENDPOINT"),
    "nowhere for XML-RPC but the status": (
        ["--xmlrpc", "--status", STATUS],
        "--xmlrpc needs --http ENDPOINT",
    ),
}


class WebOptionsTests(SynchronousTestCase):
    """
    Tests of the options, and of what they ask for.
    """

    def make(self, *arguments: str, module: Any = tap) -> list[Any]:
        """
        Make services.
        """
        options = module.Options()
        first = ["--upstream", "1"] if module is proxytap else ["--poem", __file__]
        options.parseOptions([*first, *arguments])
        return list(module.makeService(options))

    def leaf(self, site: Site, path: str) -> Any:
        """
        Find what answers.
        """
        return getChildForRequest(
            site.resource,
            DummyRequest([path.encode()]),
        )

    def test_refused(self) -> None:
        """
        What cannot be is refused in one plain sentence with the value.
        """
        for module in (tap, proxytap):
            assertRefused(self, partial(self.make, module=module), REFUSED)

    def test_none(self) -> None:
        """
        Nothing is served that nobody asked for.
        """
        daemon, deployment = self.make()
        self.assertIsInstance(daemon, DaemonService)
        self.assertEqual(len(list(deployment)), 2)

    def test_http(self) -> None:
        """
        Pages come with the status on one site, with the limits of every listener.
        """
        *_, server = self.make(
            *["--http", HTTP, "--timeout", "5", "--grace", "6"],
            *["--max-connections", "7", "--reuse-port"],
        )
        self.assertIs(type(server), PoetryServer)
        site = server.factory
        self.assertEqual(
            (server.description, server.grace, server.maxConnections, site.timeout),
            (HTTP, 6.0, 7, 5.0),
        )
        self.assertTrue(server.reusePort)
        for path, kind in (
            ("", PoemPage),
            ("test_weboptions", PoemPage),
            ("test_weboptions.txt", PoemText),
            ("healthz", Health),
            ("metrics", Metrics),
        ):
            self.assertIsInstance(self.leaf(site, path), kind)
        self.assertNotIsInstance(self.leaf(site, "RPC2"), PoemMethods)

    def test_several(self) -> None:
        """
        Several poems are on one site.
        """
        *_, server = self.make("--poem", "/etc/passwd", "-p1", "-p2", "--http", HTTP)
        self.assertIsInstance(self.leaf(server.factory, ""), List)
        self.assertIsInstance(self.leaf(server.factory, "passwd"), PoemPage)

    def test_xmlrpc(self) -> None:
        """
        XML-RPC is on the site of the pages.
        """
        *_, server = self.make("--http", HTTP, "--xmlrpc")
        self.assertIsInstance(self.leaf(server.factory, "RPC2"), PoemMethods)

    def test_status(self) -> None:
        """
        The status may have an endpoint of its own, and is nowhere else then; its server
        is the last, where a stop begins.
        """
        for arguments in ([], ["--http", HTTP]):
            *others, server = self.make(
                *["--status", STATUS, "--timeout", "5", "--grace", "6"],
                *["--max-connections", "7", "--reuse-port", *arguments],
            )
            self.assertEqual(
                (server.grace, server.maxConnections, server.factory.timeout),
                (6.0, 7, 5.0),
            )
            self.assertTrue(server.reusePort)
            self.assertIsInstance(server, StatusServer)
            self.assertEqual(server.description, STATUS)
            self.assertIsInstance(self.leaf(server.factory, "metrics"), Metrics)
            self.assertNotIsInstance(self.leaf(server.factory, ""), PoemPage)
            for other in others[2:]:
                self.assertNotIsInstance(self.leaf(other.factory, "metrics"), Metrics)
            self.assertEqual(len(others[2:]), len(arguments) // 2)

    def test_proxy(self) -> None:
        """
        A proxy has pages of its poem, too.
        """
        *_, server = self.make("--http", HTTP, module=proxytap)
        self.assertIsInstance(self.leaf(server.factory, "poem.txt"), PoemText)

    def test_completion(self) -> None:
        """
        The shell can complete them.
        """
        output = io.BytesIO()
        ZshArgumentsGenerator(tap.Options(), "twistd", output).write()
        for option in (b"--http", b"--status", b"--xmlrpc", b"--endpoint", b"--poem"):
            self.assertIn(option, output.getvalue())

    def test_imports(self) -> None:
        """
        Without these options, nothing of it is imported.
        """
        script = (
            "import sys; from fastpoetry.commands import tap; options = tap.Options(); "
            "options.parseOptions(sys.argv[1:]); tap.makeService(options); "
            "print([n for n in sys.modules if n.startswith('fastpoetry.doors') "
            "or n.startswith('twisted.web') or n == 'fastpoetry.figures'])"
        )
        found = [
            subprocess.run(
                [sys.executable, "-c", script, "--poem", __file__, *arguments],
                stdout=subprocess.PIPE,
                check=True,
            ).stdout
            for arguments in ([], ["--status", STATUS], ["--http", HTTP])
        ]
        self.assertEqual(found[0], b"[]\n")
        self.assertNotIn(b"doors.web", found[1])
        self.assertIn(b"doors.web", found[2])
        self.assertNotIn(b"doors.xmlrpc", found[2])


class NameTests(SynchronousTestCase):
    """
    Tests of L{nameSources}.
    """

    def test_names(self) -> None:
        """
        Poems are named after their files, each otherwise, and so that they can stand in
        an address and hide nothing else.
        """
        for paths, names in (
            (["/a/alla_sera.txt"], ["alla_sera"]),
            (["a.txt", "b/a.txt", "a", "a-2.txt"], ["a", "a-2", "a-3", "a-2-2"]),
            (["a poem/?<#>%.b.txt", "..", ".txt"], ["b", "poem", "txt"]),
            (["Über.txt", "\udce9", "\n"], ["Über", "poem", "poem-2"]),
            (["healthz", "metrics.txt", "RPC2"], ["healthz-2", "metrics-2", "RPC2-2"]),
        ):
            sources: list[Any] = [(path, object()) for path in paths]
            named = nameSources(sources)
            self.assertEqual(list(named), names)
            self.assertEqual(list(named.values()), [source for _, source in sources])
