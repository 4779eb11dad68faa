"""
Tests of the commands that are C{twistd} with a plugin named.
"""

from __future__ import annotations

import io
import runpy
import sys
from collections.abc import Callable
from typing import Any

from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry import __version__
from fastpoetry.address import clientEndpoint
from fastpoetry.commands import main
from fastpoetry.description import CLIENTS
from fastpoetry.error import ListenError
from fastpoetry.listening.endpoint import parseEndpoint
from tests.support import Reactor, keepProcess, outputFile
from twisted import plugin
from twisted.plugins import fastpoetry_plugin

COMMANDS: dict[str, Callable[[], None]] = {
    "fastpoetry": main.fastpoetry,
    "poetry-proxy": main.poetryProxy,
    "poetry-transform": main.poetryTransform,
}


class CommandTests(SynchronousTestCase):
    """
    Tests of the commands, and of L{main.CommandOptions}.
    """

    def setUp(self) -> None:
        """
        Have a file as standard output.
        """
        keepProcess(self.addCleanup)
        self.stdout = outputFile(self)

    def assertPrints(self, command: Callable[[], Any], *argv: str) -> str:
        """
        Assert that a command ends with status 0.

        @return: what it has printed.
        """
        before = self.stdout.tell()
        self.patch(sys, "argv", list(argv))
        end = self.assertRaises(SystemExit, command)
        self.assertFalse(end.code)
        self.stdout.seek(before)
        return self.stdout.read()

    def test_help(self) -> None:
        """
        C{--help} is about the options of the plugin, as those of the command.
        """
        for name, command in COMMANDS.items():
            text = self.assertPrints(command, f"/usr/bin/{name}", "--help")
            self.assertTrue(text.startswith(f"Usage: {name} [options]"), text)
            self.assertIn("--max-connections=", text)
            self.assertNotIn("--pidfile", text)

    def test_module(self) -> None:
        """
        C{python -m fastpoetry} is C{fastpoetry}.
        """
        text = self.assertPrints(
            lambda: runpy.run_module("fastpoetry", run_name="__main__"),
            "/usr/lib/fastpoetry/__main__.py",
            "--version",
        )
        self.assertEqual(text, f"fastpoetry {__version__}\n")

    def test_options(self) -> None:
        """
        A command stays in the foreground, and has no pid file.
        """
        options = main.CommandOptions(fastpoetry_plugin.fastpoetry)
        options.parseOptions(["--poem", __file__, "--port", "17"])
        self.assertEqual(options.subCommand, "fastpoetry")
        self.assertTrue(options["nodaemon"])
        self.assertEqual(options["pidfile"], "")
        deployments = [(__file__, ["tcp:17:interface=localhost"])]
        self.assertEqual(options.subOptions.deployments, deployments)

    def test_mistake(self) -> None:
        """
        A mistake is told in a sentence that names the command; the options of
        C{twistd} are one.
        """
        for name, command in COMMANDS.items():
            self.patch(sys, "argv", [f"/usr/bin/{name}", "--pidfile", "x"])
            end = self.assertRaises(SystemExit, command)
            self.assertEqual(end.code, f"{name}: option --pidfile not recognized")

    def test_completion(self) -> None:
        """
        The shell is told how to complete the words of a command.
        """
        output = io.BytesIO()
        self.patch(usage.Options, "_shellCompFile", output)
        self.assertPrints(
            main.poetryProxy,
            *["/usr/bin/poetry-proxy", "--up", "--_shell-completion", "zsh:2"],
        )
        text = output.getvalue().decode()
        self.assertTrue(text.startswith("#compdef poetry-proxy\n"), text)
        self.assertIn("--upstream=", text)
        self.assertNotIn("--pidfile", text)


class NoPluginsTests(SynchronousTestCase):
    """
    Twisted looks for plugins, and keeps what it has found beside them, which warns in
    the log where that cannot be written.  Nothing of that is needed.
    """

    def setUp(self) -> None:
        """
        Have it fail when it looks.
        """
        keepProcess(self.addCleanup)

        def fail(package: Any) -> None:
            raise AssertionError("it looks for plugins")

        self.patch(plugin, "getCache", fail)

    def test_commands(self) -> None:
        """
        A command knows its plugin.
        """
        options = main.CommandOptions(fastpoetry_plugin.fastpoetry)
        options.parseOptions(["--poem", __file__, "--endpoint", "tcp6:17"])
        self.assertIs(options.loadedPlugins["fastpoetry"], fastpoetry_plugin.fastpoetry)

    def test_servers(self) -> None:
        """
        All kinds of endpoints that servers can have are known.
        """
        for description in ("tcp:17", "tcp6:17", "unix:/run/poem.sock"):
            parseEndpoint(Reactor(), description)
        # These are made of files and sockets that are not there.
        for description in ("ssl:17:privateKey=k:certKey=c", "systemd:index=0"):
            self.assertRaises(ListenError, parseEndpoint, Reactor(), description)

    def test_clients(self) -> None:
        """
        So are all those that clients can have.
        """
        for kind in CLIENTS:
            rest = "/run/poem.sock" if kind == "unix" else "localhost:17"
            clientEndpoint(Reactor(), f"{kind}:{rest}")
