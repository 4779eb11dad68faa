"""
Tests of the options of L{fastpoetry.commands.tap} for anthologies.
"""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import timezone
from typing import Any
from zoneinfo import ZoneInfo

from twisted.python._shellcomp import ZshArgumentsGenerator
from twisted.python.filepath import FilePath
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.anthology import Anthology, Daily, each, inOrder
from fastpoetry.commands import tap
from tests.support import assertRefused

# What is added to a poem; what the one sentence says.
REFUSED = {
    "no such choice": (
        ["--choose", "any"],
        "--choose is not daily, each or in-order: any",
    ),
    "seed without a choice": (["--seed", "x"], "--seed goes with --choose daily only"),
    "seed of another choice": (
        ["--choose", "each", "--seed", ""],
        "--seed goes with --choose daily only",
    ),
    "time zone of another choice": (
        ["--choose", "in-order", "--timezone", "UTC"],
        "--timezone goes with --choose daily only",
    ),
    "no such poem": (
        ["--choose", "each", "--poem", "nosuch"],
        "No such file or directory: nosuch",
    ),
    "device": (
        ["--choose", "each", "--poem", "/dev/zero"],
        "Not a regular file: /dev/zero",
    ),
}

# What is no time zone, be it that of a file with something else or of no file.
NO_ZONES = [
    "Europe/Fiesole",
    "Europe",
    "",
    "/etc/passwd",
    "../passwd",
    "a\0b",
    "x" * 300,
]


class OptionsTests(SynchronousTestCase):
    """
    Tests of L{tap.Options}.
    """

    def setUp(self) -> None:
        """
        Make a directory of poems.
        """
        self.poems = self.mktemp()
        FilePath(self.poems).createDirectory()

    def parse(self, *arguments: str) -> tap.Options:
        """
        Parse options.
        """
        options = tap.Options()
        options.parseOptions(["--poem", self.poems, *arguments])
        return options

    def sources(self, *arguments: str) -> list[Any]:
        """
        @return: the sources of the poems that options ask for.
        """
        daemon: Any = tap.makeService(self.parse(*arguments))
        _, *deployments = daemon
        return [next(iter(deployment)) for deployment in deployments]

    def test_choices(self) -> None:
        """
        A choice makes anthologies of all poems.
        """
        for name, choice in [("each", each), ("in-order", inOrder)]:
            sources = self.sources(
                "--choose", name, "--poem", __file__, *["-p1", "-p2"]
            )
            for source, path in zip(sources, [self.poems, __file__]):
                self.assertIsInstance(source, Anthology)
                self.assertEqual(FilePath(path).path, source.path)
                self.assertIs(source.choose, choice)

    def test_daily(self) -> None:
        """
        The poem of the day has a seed and a time zone; by default, no seed, and UTC.
        """
        (source,) = self.sources("--choose", "daily")
        self.assertIs(source.choose.func, Daily)
        self.assertEqual(source.choose.keywords, {"seed": "", "timezone": timezone.utc})
        (source,) = self.sources(
            *["--choose", "daily", "--seed", "x", "--timezone", "Europe/Rome"]
        )
        self.assertEqual(
            source.choose.keywords, {"seed": "x", "timezone": ZoneInfo("Europe/Rome")}
        )

    def test_refused(self) -> None:
        """
        What cannot be is refused in one plain sentence with the value.
        """
        nothing: list[str] = []
        noChoice = nothing, f"Not a regular file: {self.poems}"
        assertRefused(self, self.parse, {**REFUSED, "no choice": noChoice})

    def test_noTimeZone(self) -> None:
        """
        So is what is no time zone.
        """
        refused = {
            name: (
                ["--choose", "daily", "--timezone", name],
                f"--timezone is not known to this system: {name}",
            )
            for name in NO_ZONES
        }
        assertRefused(self, self.parse, refused)

    def test_noTimeZones(self) -> None:
        """
        A system that knows no time zones knows UTC.
        """
        self.patch(sys.modules["zoneinfo"], "ZoneInfo", None)
        options = self.parse("--choose", "daily", "--timezone", "UTC")
        choice: Any = options.choice
        self.assertIs(choice.keywords["timezone"], timezone.utc)

    def test_completion(self) -> None:
        """
        The shell can complete the choices.
        """
        output = io.BytesIO()
        ZshArgumentsGenerator(tap.Options(), "twistd", output).write()
        text = output.getvalue().decode().replace("\\", "")
        self.assertIn("daily each in-order", text)
        self.assertIn("--seed", text)
        self.assertIn("--timezone", text)

    def test_notImported(self) -> None:
        """
        Who serves one poem does not load anthologies.
        """
        program = (
            "import sys\n"
            "from fastpoetry.commands import tap\n"
            "options = tap.Options()\n"
            "options.parseOptions(['--poem', sys.argv[1], *sys.argv[2:]])\n"
            "tap.makeService(options)\n"
            "print('fastpoetry.anthology' in sys.modules)\n"
        )
        for more, isImported in [([], b"False"), (["--choose", "each"], b"True")]:
            command = [sys.executable, "-c", program, __file__, *more]
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
            self.assertEqual(printed.strip(), isImported)
