"""
Tests of L{fastpoetry.commands.arguments}.
"""

from __future__ import annotations

import io
import os

from twisted.trial.unittest import SynchronousTestCase

from fastpoetry import __version__
from fastpoetry.commands.arguments import Options, makeParser, parse
from tests.support import Reactor

# What is given; what the one sentence says.
REFUSED = {
    "nothing": ([], "the following arguments are required: [HOST:]PORT"),
    "no port": (["localhost"], "not a port number from 1 to 65535: localhost"),
    "no port among others": (["17", "18x", "19"], "to 65535: 18x"),
    "no endpoint": (
        ["tcp:localhost:x"],
        "tcp:localhost:x (not a port number from 1 to 65535: x)",
    ),
    "unknown option": (["--poem", "17"], "unrecognized arguments: --poem"),
    "part of an option": (["--time", "5", "17"], "unrecognized arguments: --time"),
    "no time": (["--timeout", "0", "17"], "not a number of seconds above 0: 0"),
    "negative time": (["--timeout=-1", "17"], "not a number of seconds above 0: -1"),
    "time no number": (["17", "--timeout", "soon"], "seconds above 0: soon"),
    "endless time": (["17", "--timeout", "inf"], "seconds above 0: inf"),
    "not a time": (["17", "--timeout", "nan"], "seconds above 0: nan"),
    "time missing": (["17", "--timeout"], "--timeout: expected one argument"),
    "no jobs": (["--jobs", "0", "17"], "not a whole number above 0: 0"),
    "half a job": (["--jobs", "0.5", "17"], "not a whole number above 0: 0.5"),
    "jobs in other digits": (["--jobs", "\u0661", "17"], "above 0: \u0661"),
    "no time in all": (["--total-timeout", "0", "17"], "seconds above 0: 0"),
    "no length": (["--max-length", "0", "17"], "not a whole number above 0: 0"),
    "length no number": (["--max-length", "1k", "17"], "number above 0: 1k"),
    "control characters": (["\x1b[31m\n"], "from 1 to 65535: ^[[31m^J"),
    "control characters of an option": (["--\x9b", "17"], r"arguments: --\u009b"),
    "name without server": (
        ["--transform", "loud", "17"],
        "--transform and --transform-server go together",
    ),
    "server without name": (
        ["--transform-server", "11000", "17"],
        "--transform and --transform-server go together",
    ),
    "server no address": (
        ["--transform", "loud", "--transform-server", "x", "17"],
        "not a port number from 1 to 65535: x",
    ),
    "name with a dot": (
        ["--transform", "a.b", "--transform-server", "18", "17"],
        "not the name of a transform: 'a.b'",
    ),
    "empty name": (
        ["--transform", "", "--transform-server", "18", "17"],
        "not the name of a transform: ''",
    ),
    "name not text": (
        ["--transform", os.fsdecode(b"\xff"), "--transform-server", "18", "17"],
        r"not the name of a transform: '\udcff'",
    ),
}


class ArgumentsTests(SynchronousTestCase):
    """
    Tests of the command line.
    """

    def setUp(self) -> None:
        """
        Have something to print on.
        """
        self.reactor = Reactor()
        self.stdout = io.StringIO()
        self.stderr = io.StringIO()

    def parse(self, *arguments: str) -> Options:
        """
        Parse a command line.
        """
        return parse(self.reactor, arguments, self.stdout, self.stderr)

    def end(self, *arguments: str) -> object:
        """
        Parse a command line that leaves nothing to do.

        @return: the exit status.
        """
        return self.assertRaises(SystemExit, self.parse, *arguments).code

    def test_defaults(self) -> None:
        """
        Nothing is needed but where the poems are.
        """
        options = self.parse("17", "example.org:18", "unix:/run/poem.sock")
        self.assertEqual(
            [str(endpoint) for endpoint in options.endpoints],
            ["localhost:17", "example.org:18", "unix:/run/poem.sock"],
        )
        self.assertIsNone(options.transform)
        self.assertIsNone(options.transformServer)
        self.assertEqual((options.timeout, options.jobs), (60.0, 10))
        self.assertEqual((options.totalTimeout, options.maxLength), (3600.0, 2**30))
        switches = (options.inOrder, options.quiet, options.raw)
        self.assertEqual(switches, (False, False, False))
        self.assertEqual(self.stdout.getvalue() + self.stderr.getvalue(), "")

    def test_anyOrder(self) -> None:
        """
        Options and addresses may stand in any order.
        """
        options = self.parse(
            *["17", "--quiet", "18", "--timeout", "2.5", "--jobs", "3", "--in-order"],
            *["--raw", "--total-timeout", "9", "--max-length", "100"],
            *["19", "--transform-server", "[::1]:20", "--transform", "loud", "21"],
        )
        self.assertEqual(
            [str(endpoint) for endpoint in options.endpoints],
            ["localhost:17", "localhost:18", "localhost:19", "localhost:21"],
        )
        self.assertEqual(options.transform, "loud")
        self.assertEqual(str(options.transformServer), "[::1]:20")
        self.assertEqual((options.timeout, options.jobs), (2.5, 3))
        self.assertEqual((options.totalTimeout, options.maxLength), (9.0, 100))
        switches = (options.inOrder, options.quiet, options.raw)
        self.assertEqual(switches, (True, True, True))

    def test_refused(self) -> None:
        """
        A mistake gives the usage and one sentence with the value, and status 2.
        """
        for name, (arguments, sentence) in REFUSED.items():
            self.stderr = io.StringIO()
            self.assertEqual(self.end(*arguments), 2, name)
            usage, line = self.stderr.getvalue().splitlines()
            self.assertEqual(usage, "usage: get-poetry [options] [HOST:]PORT ...")
            self.assertTrue(line.startswith("get-poetry: error: "), line)
            self.assertTrue(line.endswith(sentence), line)
        self.assertEqual(self.stdout.getvalue(), "")

    def test_help(self) -> None:
        """
        Help comes on standard output, with every option, and status 0.
        """
        self.assertEqual(self.end("--help"), 0)
        for option in makeParser()._option_string_actions:
            self.assertIn(option, self.stdout.getvalue())
        self.assertEqual(self.stderr.getvalue(), "")

    def test_version(self) -> None:
        """
        The version is that of this package.
        """
        self.assertEqual(self.end("--version"), 0)
        self.assertEqual(self.stdout.getvalue(), f"get-poetry {__version__}\n")
