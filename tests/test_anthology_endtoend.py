"""
Tests of anthologies with real processes: C{twistd}, and C{strfile} as a counterpart.
"""

from __future__ import annotations

import signal
import struct
import time
from datetime import datetime, timezone

from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.anthology import readPoems
from sandbox import Sandbox, Server, fetch
from tests.refusals import RefusalTestCase
from tests.support import DAY
from tests.wallclock import WallClock

# Poems, none of which is the one before in the order of bytes.
NAMES = (b"two", b"one", b"four", b"three", b"six", b"five", b"nine", b"eight")
POEMS = [b"%s\nis a poem\n" % name for name in NAMES]

# Each mistake on the command line with the sentence that answers it.
MISTAKES = {
    "--poem poem.txt --choose": "option --choose requires argument",
    "--poem poem.txt --choose any": "--choose is not daily, each or in-order: any",
    "--poem none --choose each": "No such file or directory: none",
    "--poem fifo --choose each": "Not a regular file: fifo",
    "--poem poem.txt --seed x": "--seed goes with --choose daily only",
    "--poem poem.txt --choose each --seed x": "--seed goes with --choose daily only",
    "--poem poem.txt --choose in-order --timezone UTC": (
        "--timezone goes with --choose daily only"
    ),
    "--poem poem.txt --choose daily --timezone Europe/Fiesole": (
        "--timezone is not known to this system: Europe/Fiesole"
    ),
    "--poem quotes --choose daily --port 0": ("A blank poem: {dir}/quotes:3"),
    "--poem {dir}/empty --choose in-order --port 0": ("No poem in: {dir}/empty"),
}


class AnthologyTests(SynchronousTestCase):
    """
    Tests of real daemons.
    """

    def setUp(self) -> None:
        """
        Make an anthology, as a file and as a directory.
        """
        self.sandbox = Sandbox(self.addCleanup)
        self.sandbox.write("quotes", b"%\n".join(POEMS))
        for number, poem in enumerate(reversed(POEMS)):
            self.sandbox.write(f"directory/{number}", poem)

    def fetchEach(self, server: Server) -> list[bytes]:
        """
        Fetch as many poems as there are.
        """
        (port,) = server.ports
        return [fetch(port) for _ in POEMS]

    def test_reload(self) -> None:
        """
        The readers get one poem after the other; after SIGHUP those of the new file,
        unless it is broken.
        """
        server = self.sandbox.foreground(
            "twistd -n fastpoetry --poem quotes --choose in-order --port 0",
            ["loaded 8 poems from: "],
        )
        self.assertEqual(self.fetchEach(server), POEMS)
        self.sandbox.write("quotes", b"new\n%\n")
        server.signal(signal.SIGHUP)
        server.waitForLog(f"loaded 1 poems from: {self.sandbox.path}/quotes\n")
        self.assertEqual(self.fetchEach(server), [b"new\n"] * 8)
        self.sandbox.write("quotes", b"one\n%\n\n%\n")
        server.signal(signal.SIGHUP)
        server.waitForLog(
            f"kept the old poems: A blank poem: {self.sandbox.path}/quotes:3\n"
        )
        self.assertEqual(self.fetchEach(server), [b"new\n"] * 8)
        server.stop()

    def test_each(self) -> None:
        """
        Every reader gets one of the poems, whole, and all of them are given.
        """
        server = self.sandbox.daemon("fastpoetry --poem directory --choose each -p 0")
        (port,) = server.ports
        self.assertEqual({fetch(port) for _ in range(300)}, {*POEMS})
        server.stop()

    def test_several(self) -> None:
        """
        Several anthologies are chosen from each on its own.
        """
        server = self.sandbox.daemon(
            "fastpoetry --choose in-order --poem quotes -p 0 --poem directory -p 0"
        )
        one, two = server.ports
        for poem, other in zip(POEMS, reversed(POEMS)):
            self.assertEqual((fetch(one), fetch(two)), (poem, other))
        server.stop()

    def test_daily(self) -> None:
        """
        On each day two processes have the same poem, at every door, whether their
        poems are in a file or in a directory, though the clock be set back; and all
        of the poems in as many days.
        """
        clock = WallClock(self.sandbox)
        first = datetime(2035, 1, 1, 12, tzinfo=timezone.utc).timestamp()
        first -= first // DAY % len(POEMS) * DAY  # of a cycle
        clock.set(first - time.time())
        command = "fastpoetry --choose daily --seed x --timezone Europe/Rome --port 0"
        one, two = (
            self.sandbox.daemon(
                f"--pidfile {name}.pid --logfile {name}.log {command} {more}",
                f"{name}.log",
                f"{name}.pid",
                {**clock.environment, "PYTHONHASHSEED": name},
            )
            for name, more in [
                ("1", "--poem quotes --endpoint unix:socket"),
                ("2", "--poem directory"),
            ]
        )
        seen: dict[int, bytes] = {}
        for day in [*range(len(POEMS)), 3, 2, 1]:
            clock.set(first + day * DAY - time.time())
            poem = seen.setdefault(day, fetch(one.ports[0]))
            for door in (one.ports[0], self.sandbox.path / "socket", two.ports[0]):
                self.assertEqual(fetch(door), poem)
        self.assertEqual(sorted(seen.values()), sorted(POEMS))
        for server in (one, two):
            server.stop()


class RefusalTests(RefusalTestCase):
    """
    Mistakes, each of which ends the start with a plain sentence.
    """

    def test_mistakes(self) -> None:
        """
        No mistake starts a server.
        """
        for options, sentence in MISTAKES.items():
            sandbox = self.addStart(options, f"fastpoetry {options}", sentence)
            sandbox.write("quotes", b"one\n%\n\t\n")
            (sandbox.path / "empty").mkdir()
        self.assertNoneStarts()


class StrfileTests(SynchronousTestCase):
    """
    Tests against the program that C{fortune} has its poems from.
    """

    def test_same(self) -> None:
        """
        The poems of a file are the strings that C{strfile} makes of it.
        """
        sandbox = Sandbox(self.addCleanup)
        for data in (
            b"%\n".join(POEMS),
            b"%\n%\none\n%\n%\ntwo\n%%\n% \n %\n%\n\n three\n%\n",
            b"one\n%\ntwo",
            b"one\n",
        ):
            path = sandbox.write("quotes", data)
            status, output = sandbox.run("strfile -s quotes")
            self.assertEqual((status, output), (0, b""))
            # A header, whose second number is how many there are; where each begins.
            index = (sandbox.path / "quotes.dat").read_bytes()
            (count,) = struct.unpack_from(">L", index, 4)
            starts = struct.unpack_from(f">{count}L", index, 24)
            strings = [data[start:].split(b"\n%\n")[0] for start in starts]
            poems = list(readPoems(str(path)))
            self.assertEqual(
                [string.rstrip(b"\n") for string in strings],
                [poem.rstrip(b"\n") for poem in poems],
            )
