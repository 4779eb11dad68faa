"""
Tests of L{fastpoetry.commands.transformtap}, and of the plugin that leads to it.
"""

from __future__ import annotations

import io
from typing import Any

from twisted.application.service import IService, IServiceMaker
from twisted.plugin import IPlugin, getPlugins
from twisted.python import usage
from twisted.python._shellcomp import ZshArgumentsGenerator
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from fastpoetry.commands import transformtap
from fastpoetry.daemon import DaemonService
from fastpoetry.server import PoetryServer
from fastpoetry.transform import TRANSFORMS, TransformService
from tests.support import keepProcess


class OptionsTests(SynchronousTestCase):
    """
    Tests of L{transformtap.Options}.
    """

    def parse(self, *arguments: str) -> transformtap.Options:
        """
        Parse options.
        """
        options = transformtap.Options()
        options.parseOptions(arguments)
        return options

    def test_defaults(self) -> None:
        """
        Nothing is needed.
        """
        options = self.parse()
        self.assertEqual(options.descriptions, ["tcp:10000:interface=localhost"])
        self.assertEqual(options["max-length"], 2**20)
        self.assertEqual(options["timeout"], 60)
        self.assertEqual(options["request-timeout"], 60)
        self.assertEqual(options["max-memory"], 2**28)

    def test_refused(self) -> None:
        """
        What cannot be is refused in one plain sentence with the value.
        """
        numbers = "is not a whole number above 0"
        seconds = "is not a number of seconds above 0"
        options = {
            "max-length": numbers,
            "max-memory": numbers,
            "request-timeout": seconds,
        }
        for option, sentence in options.items():
            for value in ("0", "-1", "1M", ""):
                error = self.assertRaises(
                    usage.UsageError, self.parse, f"--{option}", value
                )
                expected = f"--{option} {sentence}: {value}"
                self.assertTrue(str(error).endswith(expected), str(error))

    def test_memory(self) -> None:
        """
        There has to be memory for the longest request, and by default there is.
        """
        options = self.parse("--max-length", "1000000000")
        self.assertEqual(options["max-memory"], 3 * 10**9)
        options = self.parse("--max-length", "100", "--max-memory", "300")
        self.assertEqual(options["max-memory"], 300)
        error = self.assertRaises(
            usage.UsageError, self.parse, "--max-length=100", "--max-memory=299"
        )
        sentence = "--max-memory is less than 3 times --max-length: 299"
        self.assertEqual(str(error), sentence)

    def test_help(self) -> None:
        """
        The help has the names of all transforms.
        """
        text = self.parse().getUsage()
        for name in TRANSFORMS:
            self.assertIn(name, text)

    def test_completion(self) -> None:
        """
        The shell can complete every option, and takes no number for a file.
        """
        output = io.BytesIO()
        ZshArgumentsGenerator(transformtap.Options(), "twistd", output).write()
        text = output.getvalue().decode()
        for option in ("max-length", "max-memory", "request-timeout", "endpoint"):
            self.assertIn(f"--{option}", text)
        self.assertNotIn("_files", text)


class MakeServiceTests(SynchronousTestCase):
    """
    Tests of L{transformtap.makeService}.
    """

    def test_tree(self) -> None:
        """
        The process comes first, and all ports have one table, one thread, and memory
        together.
        """
        options = transformtap.Options()
        options.parseOptions(
            [
                *["-p", "1", "-p", "2", "--max-length", "100", "--timeout", "5"],
                *["--grace", "6", "--max-connections", "7"],
                *["--max-memory", "800", "--request-timeout", "9"],
            ]
        )
        keepProcess(self.addCleanup)
        services: Any = transformtap.makeService(options)
        verifyObject(IService, services)
        daemon, transforms, *servers = services
        first = servers[0].factory
        self.assertEqual((first.memory.size, first.requestTimeout), (800, 9.0))
        self.assertIsInstance(daemon, DaemonService)
        self.assertIsInstance(transforms, TransformService)
        for number, server in enumerate(servers, 1):
            self.assertIsInstance(server, PoetryServer)
            self.assertEqual(server.description, f"tcp:{number}:interface=localhost")
            self.assertIs(server.factory.service, transforms)
            self.assertIs(server.factory.memory, first.memory)
            self.assertIs(server.factory.thread, first.thread)
            self.assertEqual(
                (server.factory.maxLength, server.factory.timeout), (100, 5.0)
            )
            self.assertEqual((server.grace, server.maxConnections), (6.0, 7))
        self.assertEqual(len(servers), 2)


class PluginTests(SynchronousTestCase):
    """
    Tests of the plugin.
    """

    def test_found(self) -> None:
        """
        The plugin system finds the command by its name.
        """
        (maker,) = (
            plugin
            for plugin in getPlugins(IServiceMaker)
            if plugin.tapname == "poetry-transform"
        )
        verifyObject(IServiceMaker, maker)
        verifyObject(IPlugin, maker)
        self.assertIs(maker.options, transformtap.Options)
        self.assertIs(maker.makeService, transformtap.makeService)
