"""
Tests of the deployments and the commands in F{docs/lessons.md}.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import signal
import sys
from pathlib import Path
from unittest import skipIf

from twisted.application.service import (
    IServiceCollection,
    IServiceMaker,
    loadApplication,
)
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.daemon import DaemonService
from fastpoetry.protocol import PoetryFactory
from fastpoetry.proxy import ProxyService
from fastpoetry.server import PoetryServer
from fastpoetry.service import PoetryService
from sandbox import ROOT, Sandbox, fetch, findCommand, quoted
from tests.pages import BLOCK, matches, read

PAGE = read("docs/lessons.md")

# A reader types more slowly than a server ends: each block waits for that.
KILL = """\
kill() { command kill "$1"; while grep -qsx "$1" *.pid; do :; done; }
"""

# Notes that it is loaded.
PROBE = b"""\
open("loaded", "a").write("x")
from twisted.application.service import ServiceMaker
probe = ServiceMaker("probe", "probe", "Is loaded.", "probe")
"""

# Ends when it has begun.
SHORT = b"""\
from twisted.application.service import Application
from twisted.internet import reactor
application = Application("short")
reactor.callWhenRunning(reactor.stop)
"""


class DeploymentTests(SynchronousTestCase):
    """
    Tests of the deployments that the page shows.
    """

    def test_twoPoems(self) -> None:
        """
        F{two-poems.tac} has each poem with its own port in a collection of its
        own, and starts nothing when it is loaded.
        """
        path = str(ROOT / "examples" / "two-poems.tac")
        (top,) = IServiceCollection(loadApplication(path, "python"))
        daemon, *deployments = top
        self.assertIsInstance(daemon, DaemonService)
        found = []
        for source, server in deployments:
            self.assertIsInstance(source, PoetryService)
            self.assertIsInstance(server, PoetryServer)
            self.assertIs(server.factory.source, source)
            self.assertFalse(source.running or server.running)
            found.append((Path(source.path).resolve(), server.description))
        poetry = ROOT / "poetry"
        self.assertEqual(
            found,
            [
                (poetry / "ecstasy.txt", "tcp:10000:interface=localhost"),
                (poetry / "science.txt", "tcp:10001:interface=localhost"),
            ],
        )

    def test_proxy(self) -> None:
        """
        F{poetry-proxy.tac} is a poem server with another source.
        """
        path = str(ROOT / "examples" / "poetry-proxy.tac")
        (top,) = IServiceCollection(loadApplication(path, "python"))
        source, server = list(top)[-2:]
        self.assertIsInstance(source, ProxyService)
        self.assertIsInstance(server.factory, PoetryFactory)
        self.assertIs(server.factory.source, source)

    def test_anyExtension(self) -> None:
        """
        A deployment may be in a file of any name.
        """
        path = self.mktemp()
        shutil.copy(ROOT / "fastpoetry.tac", path)
        (top,) = IServiceCollection(loadApplication(path, "python"))
        kinds = [type(service) for service in top]
        self.assertEqual(kinds, [DaemonService, PoetryService, PoetryServer])

    def test_plugin(self) -> None:
        """
        A plugin is found whatever its file and variables are called, and the
        list of plugins is kept beside it.
        """
        text = (ROOT / "twisted" / "plugins" / "fastpoetry_plugin.py").read_text()
        text, count = re.subn(r"(?m)^\w+(?= = ServiceMaker)", "another", text, count=1)
        self.assertEqual(count, 1)
        directory = Path(self.mktemp())
        package = directory / "lesson_plugins"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "any_name.py").write_text(text)
        self.patch(sys, "path", [str(directory.resolve()), *sys.path])
        for name in ("lesson_plugins", "lesson_plugins.any_name"):
            self.addCleanup(sys.modules.pop, name)
        module = importlib.import_module("lesson_plugins")
        names = [plugin.tapname for plugin in getPlugins(IServiceMaker, module)]
        self.assertIn("fastpoetry", names)
        self.assertTrue((package / "dropin.cache").exists())

    def test_noTerminal(self) -> None:
        """
        A daemon has no terminal, and a session of its own: when the one ends in
        which it was started, it goes on.
        """
        sandbox = Sandbox(self.addCleanup)
        sandbox.writeTac()
        server = sandbox.daemon("-y fastpoetry.tac")
        self.assertNotEqual(os.getsid(server.pid), os.getsid(0))
        _, _, fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(") ")
        terminal = fields.split()[4]  # proc(5): tty_nr
        self.assertEqual(terminal, "0")
        server.stop()

    def test_whoLoadsPlugins(self) -> None:
        """
        C{twistd --help} and a command that is a plugin load the plugins, be there a
        list of them or not; C{twistd -y} does not.
        """
        sandbox = Sandbox(self.addCleanup)
        (sandbox.path / "twisted").mkdir()
        sandbox.write("twisted/plugins/probe.py", PROBE)
        sandbox.write("short.tac", SHORT)
        environment = {"PYTHONPATH": str(sandbox.path)}
        loaded = sandbox.write("loaded", b"")
        for command, count in (
            ("twistd -n -y short.tac", 0),
            ("twistd --help", 1),
            ("twistd --help", 2),
            ("twistd ftp --help", 3),
            ("twistd -n -y short.tac", 3),
        ):
            status, output = sandbox.run(command, environment=environment)
            self.assertEqual(0, status, output)
            self.assertEqual(count, len(loaded.read_text()), command)


class PageTests(SynchronousTestCase):
    """
    Tests of the commands on the page.
    """

    maxDiff = None

    def test_foreground(self) -> None:
        """
        The log of a server in the foreground, from its start to Ctrl-C, is as shown.
        """
        sandbox = Sandbox(self.addCleanup)
        sandbox.writeTac(poetry_file=str(ROOT / "poetry" / "ecstasy.txt"))
        server = sandbox.foreground("twistd --nodaemon -y fastpoetry.tac")
        (port,) = server.ports
        fetch(port)
        server.waitForLog("sending ")
        server.stop(signal.SIGINT)
        log = re.sub(r"(?m)^\S+ ", "", server.log)
        log = re.sub(rf"\b{port}\b|(?<=tcp:)0\b", "10000", log)
        (shown,) = re.findall(r"(?ms)^```text log\n(.*?)^```$", PAGE)
        if not matches(shown, log):
            self.assertEqual(shown, log)

    @skipIf(os.geteuid() != 0, "only root can make a network")
    def test_commands(self) -> None:
        """
        The blocks of commands, run from the first to the last, print what the page
        shows.
        """
        findCommand("ip")
        blocks = [
            block
            for block in BLOCK.finditer(PAGE)
            if "examples/lessons/" not in block["commands"]
        ]
        self.assertGreater(len(blocks), 8)
        sandbox = Sandbox(self.addCleanup)
        for name in ("examples", "poetry"):
            shutil.copytree(ROOT / name, sandbox.path / name)
        shutil.copy(ROOT / "fastpoetry.tac", sandbox.path)
        path = quoted(os.path.dirname(sys.executable))
        script = [f'export PATH={path}:"$PATH"', "ip link set lo up"]
        for number, block in enumerate(blocks):
            sandbox.write(f"block-{number}", (KILL + block["commands"]).encode())
            script.append(f"sh -eu block-{number} >printed-{number} 2>&1 </dev/null")
        sandbox.write("script", "\n".join(script).encode())
        ended = sandbox.run("unshare --net sh -e script")
        files = [sandbox.path / f"printed-{number}" for number in range(len(blocks))]
        printed = [file.read_text() for file in files if file.exists()]
        self.assertEqual((0, b""), ended, printed[-1:])
        for block, text in zip(blocks, printed):
            shown = block["shown"] or ""
            if not matches(shown, text):
                self.assertEqual(shown, text, block["commands"])
