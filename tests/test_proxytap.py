"""
Tests of L{fastpoetry.commands.proxytap}.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.commands import proxytap
from fastpoetry.daemon import DaemonService
from fastpoetry.proxy import ProxyService
from tests.support import assertRefused, keepProcess

REFUSED = {
    "no upstream": ([], "--upstream [HOST:]PORT is missing"),
    "no port": (["--upstream", "example.org"], "example.org"),
    "port too high": (["-u", "localhost:70000"], "localhost:70000"),
    "endpoint": (["-u", "bogus:a:b"], "bogus:a:b"),
    "negative age": (["-u", "1", "--max-age", "-1"], "-1"),
    "age no number": (["-u", "1", "--max-age", "old"], "old"),
    "listener": (["-u", "1", "-p", "x"], "x"),
}


class ProxyTapTests(SynchronousTestCase):
    """
    Tests of the options and the services of C{twistd poetry-proxy}.
    """

    def make(self, *arguments: str) -> Any:
        """
        Make the services that options ask for.
        """
        options = proxytap.Options()
        options.parseOptions(arguments)
        keepProcess(self.addCleanup)
        return list(proxytap.makeService(options))  # type: ignore[call-overload]

    def test_services(self) -> None:
        """
        One proxy serves all ports; the process comes first.
        """
        daemon, proxy, *servers = self.make(
            *["-u", "example.org:17", "-p", "1", "-p", "2", "--max-age", "5"],
            *["--timeout", "6", "--grace", "7"],
        )
        self.assertIsInstance(daemon, DaemonService)
        self.assertIsInstance(proxy, ProxyService)
        self.assertEqual(proxy.upstream, "example.org:17")
        self.assertEqual((proxy.maxAge, proxy.timeout), (5.0, 6.0))
        self.assertEqual(proxy.maxLength, 2**30)
        self.assertEqual(
            [server.description for server in servers],
            ["tcp:1:interface=localhost", "tcp:2:interface=localhost"],
        )
        for server in servers:
            self.assertIs(server.factory.source, proxy)
            self.assertEqual((server.factory.timeout, server.grace), (6.0, 7.0))

    def test_defaults(self) -> None:
        """
        A poem is kept for ever by default.
        """
        _, proxy, _ = self.make("-u", "17")
        self.assertEqual(proxy.upstream, "17")
        self.assertIsNone(proxy.maxAge)

    def test_refused(self) -> None:
        """
        What cannot be is refused in one plain sentence with the value.
        """
        assertRefused(self, self.make, REFUSED)

    def test_plugin(self) -> None:
        """
        The plugin system finds the command by its name.
        """
        (maker,) = (p for p in getPlugins(IServiceMaker) if p.tapname == "poetry-proxy")
        self.assertIs(maker.options, proxytap.Options)
        self.assertIs(maker.makeService, proxytap.makeService)
