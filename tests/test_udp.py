"""
Tests of L{fastpoetry.commands.udp}.
"""

from __future__ import annotations

import io
import subprocess
import sys
from ipaddress import ip_address, ip_network
from typing import Any

from twisted.python._shellcomp import ZshArgumentsGenerator
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.commands import tap
from fastpoetry.doors.datagram import PoetryDatagramServer
from fastpoetry.doors.limits import LOOPBACK
from sandbox import ROOT
from tests.support import assertRefused

# What is added to a poem; what the one sentence says.
REFUSED = {
    "no port": (["--udp", "localhost"], "not a port number from 0 to 65535: localhost"),
    "a high port": (["--udp", "70000"], "not a port number from 0 to 65535: 70000"),
    "a long port": (["--udp", "1" * 5000], "not a port number from 0 to 65535: 1111"),
    "no brackets": (["--udp", "::1:17"], "not [HOST:]PORT"),
    "a long label": (["--udp", f"{'a' * 70}:5"], "--udp: not a host: aaaa"),
    "all of IPv4": (["--udp", "0.0.0.0:17"], "Not the address of one interface: "),
    "all of IPv6": (["--udp", "[::]:17"], "Not the address of one interface: "),
    "a broadcast": (["--udp", "255.255.255.255:17"], "Permission denied: 255.255"),
    "no net": (["--udp", "17", "--udp-trust", "x"], "--udp-trust is not a network"),
    "trust for nothing": (["--udp-trust", "::1"], "--udp-trust is nothing without"),
    "one poem too many": (
        ["--udp", "17", "--poem", __file__, "--port", "1", "--port", "2"],
        "2 poems for 1 --udp",
    ),
    "one address too many": (
        [
            *["--udp", "1", "--udp", "2", "--udp", "3"],
            *["--poem", __file__, "--port", "1", "--port", "2"],
        ],
        "2 poems for 3 --udp",
    ),
}


class UDPOptionsTests(SynchronousTestCase):
    """
    Tests of the options that begin with C{--udp}.
    """

    def make(self, *arguments: str) -> list[Any]:
        """
        Make the services that options ask for.

        @return: what answers datagrams.
        """
        options = tap.Options()
        options.parseOptions(["--poem", __file__, *arguments])
        services: Any = tap.makeService(options)
        return [one for one in services if isinstance(one, PoetryDatagramServer)]

    def test_none(self) -> None:
        """
        By default there are none.
        """
        self.assertEqual(self.make(), [])

    def test_addresses(self) -> None:
        """
        One poem goes with all addresses; without a host, this machine is meant.
        """
        one, two, three = self.make(
            *["--udp", "17", "--udp", "127.0.0.2:0", "--udp", "[::1]:18"]
        )
        self.assertEqual(one.args, (17, one.args[1], "localhost"))
        self.assertEqual(two.args, (0, two.args[1], "127.0.0.2"))
        self.assertEqual(three.args, (18, three.args[1], "::1"))
        self.assertEqual(
            one.args[1].limits.trusted, [ip_network(net) for net in LOOPBACK]
        )
        self.assertEqual(one.args[1].source.path, __file__)
        self.assertIsNot(one.args[1], two.args[1])

    def test_severalPoems(self) -> None:
        """
        The n-th poem goes with the n-th address.
        """
        one, two = self.make(
            *["--poem", "/etc/passwd", "--port", "1", "--port", "2"],
            *["--udp", "17", "--udp", "18"],
        )
        for server, number, path in [(one, 17, __file__), (two, 18, "/etc/passwd")]:
            self.assertEqual(server.args[0], number)
            self.assertEqual(server.args[1].source.path, path)

    def test_severalPoemsWithout(self) -> None:
        """
        Several poems need no address.
        """
        self.assertEqual(
            self.make("--poem", "/etc/passwd", "--port", "1", "--port", "2"),
            [],
        )

    def test_trust(self) -> None:
        """
        Whom to trust takes the place of this machine.
        """
        (server,) = self.make(
            *["--udp", "17", "--udp-trust", "192.0.2.0/24", "--udp-trust", "::1"]
        )
        self.assertEqual(
            server.args[1].limits.trusted,
            [ip_network("192.0.2.0/24"), ip_network("::1")],
        )

    def test_access(self) -> None:
        """
        Who may not read by TCP may not by UDP.
        """
        (server,) = self.make("--udp", "17", "--deny", "192.0.2.0/24")
        access = server.args[1].limits._access
        self.assertFalse(access.isAllowed(ip_address("192.0.2.1")))
        self.assertTrue(access.isAllowed(ip_address("192.0.3.1")))

    def test_refused(self) -> None:
        """
        What cannot be is refused in one plain sentence with the value.
        """
        assertRefused(self, self.make, REFUSED)

    def test_completion(self) -> None:
        """
        The shell completes the options, each as often as it may be given.
        """
        output = io.BytesIO()
        ZshArgumentsGenerator(tap.Options(), "twistd", output).write()
        text = output.getvalue().decode()
        # A colon would divide what the shell is told.
        self.assertIn("May be repeated.]:UDP port:", text)
        for option in ("--udp", "--udp-trust", "--port"):
            self.assertIn(f"*{option}=", text)

    def test_notLoaded(self) -> None:
        """
        Who does not ask for datagrams does not load what answers them.
        """
        printed = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys\n"
                "from fastpoetry.commands import tap\n"
                "options = tap.Options()\n"
                "options.parseOptions(['--poem', 'fastpoetry.tac'])\n"
                "tap.makeService(options)\n"
                "print([n for n in sys.modules if n.startswith('fastpoetry.')])",
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        ).stdout
        self.assertIn("fastpoetry.commands.udp", printed)
        self.assertNotIn("fastpoetry.doors", printed)
        self.assertNotIn("fastpoetry.listening.nets", printed)
