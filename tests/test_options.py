"""
Tests of L{fastpoetry.commands.options}.
"""

from __future__ import annotations

import io
import signal
import sys
from itertools import chain

from twisted.python import usage
from twisted.python._shellcomp import ZshArgumentsGenerator
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry import __version__
from fastpoetry.commands import subcommand
from fastpoetry.commands.options import ListenerOptions
from fastpoetry.connection.factory import DeliveryFactory
from fastpoetry.text import brief
from tests.support import assertRefused, outputFile

# What is given; what the one sentence says.
REFUSED = {
    "port too high": (["--port", "70000"], "70000"),
    "port of thousands of digits": (["--port", "1" * 5000], "from 0 to 65535: 1111"),
    "port below 0": (["--port", "-1"], "-1"),
    "port no number": (["--port", "abc"], "abc"),
    "port empty": (["--port", ""], "not a port number from 0 to 65535: "),
    "port in other digits": (["-p", "\u0661"], "\u0661"),
    "address empty": (["--iface", ""], "--iface is no address: ''"),
    "second address empty": (
        ["--iface", "::1", "--iface", ""],
        "--iface is no address: ''",
    ),
    "endpoint": (["--endpoint", "tcp:x"], ": tcp:x"),
    "endpoint of no kind": (["-e", "bogus:1"], ": bogus:1"),
    "endpoint around another": (
        ["-e", "haproxy:tcp:1"],
        "Not an endpoint: haproxy:tcp:1 "
        "(--proxy-protocol is what reads the header of HAProxy)",
    ),
    "endpoint not passed": (
        ["-e", "systemd:index=0"],
        "No such socket was passed: systemd:index=0",
    ),
    "negative limit": (["--max-connections", "-5"], "-5"),
    "no limit": (
        ["--max-connections", "0"],
        "--max-connections is not a whole number above 0: 0",
    ),
    "limit no number": (["--max-connections", "many"], "many"),
    "negative timeout": (["--timeout", "-5"], "-5"),
    "no timeout": (
        ["--timeout", "0"],
        "--timeout is not a number of seconds above 0: 0",
    ),
    "timeout no number": (["--timeout", "soon"], "soon"),
    "endless timeout": (["--timeout", "inf"], "inf"),
    "negative grace": (
        ["--grace", "-0.5"],
        "--grace is not a number of seconds, 0 or more: -0.5",
    ),
    "grace no number": (["--grace", "nan"], "nan"),
    "unknown option": (["--poetry", "x"], "poetry"),
    "argument": (["poem.txt"], "not an option: poem.txt"),
}


class ListenerOptionsTests(SynchronousTestCase):
    """
    Tests of L{ListenerOptions}.
    """

    def parse(self, *arguments: str) -> ListenerOptions:
        """
        Parse options.
        """
        options = ListenerOptions()
        options.parseOptions(arguments)
        return options

    def test_defaults(self) -> None:
        """
        Nothing is needed.
        """
        options = self.parse()
        self.assertEqual(options.descriptions, ["tcp:10000:interface=localhost"])
        self.assertEqual(options["timeout"], 60)
        self.assertEqual(options["grace"], 30)
        self.assertEqual(options["max-connections"], None)
        self.assertEqual(options["reuse-port"], 0)

    def test_interface(self) -> None:
        """
        The interface holds for all ports, wherever it stands, and may be IPv6.
        """
        options = self.parse("-p", "1", "--iface", "::1", "--port", "2")
        self.assertEqual(
            options.descriptions,
            [r"tcp:1:interface=\:\:1", r"tcp:2:interface=\:\:1"],
        )

    def test_interfaces(self) -> None:
        """
        Each port is opened on each interface, wherever these stand, and counts for one
        listener; endpoints have none.
        """
        options = self.parse(
            *["--iface", "127.0.0.1", "-p", "1", "-e", "unix:/run/poem"],
            *["-p", "2", "--iface", "fe80::1%eth0"],
        )
        one, other = "interface=127.0.0.1", r"interface=fe80\:\:1%eth0"
        self.assertEqual(
            options.listeners,
            [
                [f"tcp:1:{one}", f"tcp:1:{other}"],
                ["unix:/run/poem"],
                [f"tcp:2:{one}", f"tcp:2:{other}"],
            ],
        )
        self.assertEqual(options.descriptions, list(chain(*options.listeners)))

    def test_interfacesOfTheDefault(self) -> None:
        """
        Without a port, that of the default is opened on each interface.
        """
        options = self.parse("--iface", "127.0.0.1", "--iface", "127.0.0.2")
        self.assertEqual(
            options.listeners,
            [["tcp:10000:interface=127.0.0.1", "tcp:10000:interface=127.0.0.2"]],
        )

    def test_order(self) -> None:
        """
        Ports and endpoints keep the order in which they are given.
        """
        options = self.parse("-p", "1", "-e", "unix:/run/poem", "-p", "2")
        self.assertEqual(
            options.descriptions,
            [
                "tcp:1:interface=localhost",
                "unix:/run/poem",
                "tcp:2:interface=localhost",
            ],
        )

    def test_refused(self) -> None:
        """
        What cannot be is refused in one plain sentence with the value.
        """
        assertRefused(self, self.parse, REFUSED)

    def test_ofACommand(self) -> None:
        """
        A mistake in the options of a command ends that with the sentence, and a
        status that is not 0.
        """

        class Command(usage.Options):
            subCommands = [["serve", None, ListenerOptions, ""]]

        for port in ("x", "x\n", "1" * 5000):
            with self.assertRaises(SystemExit) as caught:
                Command().parseOptions(["serve", "--port", port])
            sentence = f"serve: --port is not a port number from 0 to 65535: {port}"
            self.assertEqual(caught.exception.code, brief(sentence))

    def test_makeServer(self) -> None:
        """
        A server is made as the options say.
        """
        factory = DeliveryFactory()
        options = self.parse("--grace", "0", "--max-connections", "12", "--reuse-port")
        server = options.makeServer("tcp:17", factory)
        self.assertEqual(server.description, "tcp:17")
        self.assertIs(server.factory, factory)
        self.assertEqual((server.grace, server.maxConnections), (0.0, 12))
        self.assertIs(server.reusePort, True)

    def test_version(self) -> None:
        """
        The version is that of this package.
        """
        stdout = outputFile(self)
        self.assertRaises(SystemExit, self.parse, "--version")
        stdout.seek(0)
        self.assertEqual(stdout.read(), f"fastpoetry {__version__}\n")

    def test_help(self) -> None:
        """
        What the help says of an option has no indentation in it.
        """
        options = ListenerOptions()
        for name in ("rate", "proxy-protocol"):
            self.assertIn(" ", options.docs[name])
            self.assertNotIn("  ", options.docs[name])

    def test_completion(self) -> None:
        """
        The shell can complete every option, and takes no number for a file.
        """
        output = io.BytesIO()
        ZshArgumentsGenerator(ListenerOptions(), "twistd", output).write()
        text = output.getvalue().decode()
        for option in ("port", "endpoint", "iface", "timeout", "reuse-port"):
            self.assertIn(f"--{option}", text)
        self.assertNotIn("_files", text)

    def test_shortHelp(self) -> None:
        """
        C{-h} prints the help, as C{--help} does.
        """
        for option in ("-h", "--help"):
            stdout = outputFile(self)
            with self.assertRaises(SystemExit) as caught:
                ListenerOptions().parseOptions([option])
            self.assertEqual(caught.exception.code, 0)
            stdout.seek(0)
            self.assertIn("--port=", stdout.read())

    def test_fullOutput(self) -> None:
        """
        Help and version that cannot be written are told in a sentence; when nobody
        reads them, SIGPIPE ends the process.
        """
        outputFile(self)
        self.patch(subcommand, "openStreams", lambda: None)
        with open("/dev/full", "w") as full:
            for stdout, sentence in [
                (full, "cannot write to standard output: No space left on device"),
                (None, "standard output is closed"),
            ]:
                for option in ("--help", "--version"):
                    self.patch(sys, "stdout", stdout)
                    error = self.assertRaises(usage.UsageError, self.parse, option)
                    self.assertEqual(str(error), sentence)
        self.assertIs(signal.getsignal(signal.SIGPIPE), signal.SIG_DFL)
