"""
Tests of L{fastpoetry.commands.tap}, and of the plugin that leads to it.
"""

from __future__ import annotations

import io
import os
from functools import partial
from typing import Any

from twisted.application.service import IService, IServiceMaker, MultiService
from twisted.plugin import IPlugin, getPlugins
from twisted.python import usage
from twisted.python._shellcomp import ZshArgumentsGenerator
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from fastpoetry.commands import tap
from fastpoetry.daemon import DaemonService
from fastpoetry.server import PoetryServer
from fastpoetry.service import PoetryService
from tests.support import assertRefused, keepProcess

# What is added to a poem and a port; what the one sentence says.
REFUSED = {
    "no such poem": (["--poem", "nosuch"], "No such file or directory: nosuch"),
    "directory": (["--poem", "/"], "Not a regular file: /"),
    "device": (["--poem", "/dev/zero"], "Not a regular file: /dev/zero"),
    "one poem too many": (["--poem", __file__], "2 poems for 1 ports"),
    "one poem too many for a port on two interfaces": (
        ["--poem", __file__, "--iface", "::1", "--iface", "127.0.0.1"],
        "2 poems for 1 ports",
    ),
    "listener": (["--port", "70000"], "70000"),
}


class OptionsTests(SynchronousTestCase):
    """
    Tests of L{tap.Options}.
    """

    def setUp(self) -> None:
        """
        Make a poem.
        """
        self.poem = self.mktemp()
        with open(self.poem, "w") as file:
            file.write("poem\n")

    def parse(self, *arguments: str) -> tap.Options:
        """
        Parse options.
        """
        options = tap.Options()
        options.parseOptions(arguments)
        return options

    def test_defaults(self) -> None:
        """
        A poem is all that is needed.
        """
        self.assertEqual(
            self.parse("--poem", self.poem).deployments,
            [(self.poem, ["tcp:10000:interface=localhost"])],
        )

    def test_several(self) -> None:
        """
        The n-th poem goes with the n-th port or endpoint, in the order given.
        """
        other = self.mktemp()
        FilePath(other).setContent(b"other\n")
        options = self.parse(
            *["--poem", self.poem, "-e", "unix:/run/poem", "--poem", other, "-p", "2"],
        )
        self.assertEqual(
            options.deployments,
            [
                (self.poem, ["unix:/run/poem"]),
                (other, ["tcp:2:interface=localhost"]),
            ],
        )

    def test_interfaces(self) -> None:
        """
        The n-th poem goes with the n-th port on all interfaces.
        """
        other = self.mktemp()
        FilePath(other).setContent(b"other\n")
        options = self.parse(
            *["--poem", self.poem, "--port", "1", "--poem", other, "--port", "2"],
            *["--iface", "127.0.0.1", "--iface", "127.0.0.2"],
        )
        self.assertEqual(
            options.deployments,
            [
                (
                    poem,
                    [f"tcp:{port}:interface=127.0.0.{number}" for number in (1, 2)],
                )
                for poem, port in [(self.poem, 1), (other, 2)]
            ],
        )

    def test_refused(self) -> None:
        """
        What cannot be is refused in one plain sentence with the value.
        """
        given = ("--poem", self.poem, "--port", "0")
        assertRefused(self, partial(self.parse, *given), REFUSED)

    def test_noPoem(self) -> None:
        """
        Without a poem there is nothing to serve.
        """
        error = self.assertRaises(usage.UsageError, self.parse, "--port", "1")
        self.assertIn("--poem FILE is missing", str(error))

    def test_completion(self) -> None:
        """
        The shell can complete the names of files for a poem, and for nothing else, and
        all other options.
        """
        output = io.BytesIO()
        ZshArgumentsGenerator(tap.Options(), "twistd", output).write()
        text = output.getvalue().decode()
        (line,) = (line for line in text.splitlines() if "_files" in line)
        self.assertIn("--poem=", line)
        self.assertIn("--endpoint", text)


class MakeServiceTests(SynchronousTestCase):
    """
    Tests of L{tap.makeService}.
    """

    def make(self, *arguments: str) -> Any:
        """
        Make the services that options ask for.
        """
        options = tap.Options()
        options.parseOptions(arguments)
        keepProcess(self.addCleanup)
        return tap.makeService(options)

    def test_tree(self) -> None:
        """
        The process comes first, and each poem has a collection of its own.
        """
        here = os.path.abspath(__file__)
        services = self.make(
            *["--poem", here, "--poem", "/etc/passwd", "-p", "1", "-p", "2"],
            *["--timeout", "5", "--grace", "6", "--max-connections", "7"],
        )
        daemon, one, two = services
        self.assertIsInstance(daemon, DaemonService)
        for collection, path, number in [(one, here, 1), (two, "/etc/passwd", 2)]:
            self.assertIsInstance(collection, MultiService)
            source, server = collection
            verifyObject(IService, server)
            self.assertIsInstance(source, PoetryService)
            self.assertIsInstance(server, PoetryServer)
            self.assertEqual(source.path, path)
            self.assertIs(server.factory.source, source)
            self.assertEqual(server.description, f"tcp:{number}:interface=localhost")
            self.assertEqual(
                (server.factory.timeout, server.grace, server.maxConnections),
                (5.0, 6.0, 7),
            )
            self.assertFalse(server.reusePort)

    def test_onePoem(self) -> None:
        """
        One poem is loaded once for all its ports.
        """
        services = self.make("--poem", __file__, "-p", "1", "-p", "2", "--reuse-port")
        _, deployment = services
        source, *servers = deployment
        self.assertEqual([server.factory.source for server in servers], [source] * 2)
        self.assertTrue(all(server.reusePort for server in servers))

    def test_interfaces(self) -> None:
        """
        A port has a server on each interface, each with one poem.
        """
        services = self.make(
            *["--poem", __file__, "--poem", "/etc/passwd", "-p", "1", "-p", "2"],
            *["--iface", "127.0.0.1", "--iface", "::1"],
        )
        _, *deployments = services
        for number, deployment in enumerate(deployments, 1):
            source, *servers = deployment
            self.assertEqual(
                [server.factory.source for server in servers], [source] * 2
            )
            self.assertEqual(
                [server.description for server in servers],
                [
                    f"tcp:{number}:interface=127.0.0.1",
                    rf"tcp:{number}:interface=\:\:1",
                ],
            )


class PluginTests(SynchronousTestCase):
    """
    Tests of the plugin.
    """

    def test_found(self) -> None:
        """
        The plugin system finds the command by its name.
        """
        (maker,) = (p for p in getPlugins(IServiceMaker) if p.tapname == "fastpoetry")
        verifyObject(IServiceMaker, maker)
        verifyObject(IPlugin, maker)
        self.assertIs(maker.options, tap.Options)
        self.assertIs(maker.makeService, tap.makeService)
