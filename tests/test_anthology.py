"""
Tests of L{fastpoetry.anthology}.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from unittest import mock

from twisted.application.service import IService
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from fastpoetry import files
from fastpoetry.anthology import Anthology, Choice, Daily, inOrder, readPoems
from fastpoetry.error import PoemError
from fastpoetry.interfaces import IPoetrySource, IReloadable
from tests.support import DAY, Reactor
from tests.test_anthology_choice import PlayedClock
from tests.threads import PlayedThreads, noThread

# What a file has, and the poems that are made of it.
FILES = {
    "one poem": (b"one\ntwo\n", [b"one\ntwo\n"]),
    "two": (b"one\n%\ntwo\n", [b"one\n", b"two\n"]),
    "a divider at the end": (b"one\n%\ntwo\n%\n", [b"one\n", b"two\n"]),
    "dividers at the start": (b"%\n%\none\n", [b"one\n"]),
    "several dividers": (b"one\n%\n%\n%\ntwo\n", [b"one\n", b"two\n"]),
    "no final newline": (b"one\n%\ntwo", [b"one\n", b"two"]),
    "no newline after a divider": (b"one\n%\ntwo\n%", [b"one\n", b"two\n"]),
    "another system's lines": (b"one\r\n%\r\ntwo\r\n", [b"one\r\n", b"two\r\n"]),
    "no newline after its divider": (b"one\r\n%\r", [b"one\r\n"]),
    "more on the line": (b"one\n%%\n% \n %\n50%\n", [b"one\n%%\n% \n %\n50%\n"]),
    "a lone carriage return": (b"one\r%\rtwo\n%\rx\n", [b"one\r%\rtwo\n%\rx\n"]),
    "white space around": (b"\n one\n\n%\n\ttwo\n", [b"\n one\n\n", b"\ttwo\n"]),
    "any bytes": (b"\0\xff\n%\n\xe9", [b"\0\xff\n", b"\xe9"]),
}

# What a file has, and what is said of it.
BROKEN = {
    "nothing": (b"", "No poem in: {path}"),
    "only dividers": (b"%\n%\n", "No poem in: {path}"),
    "a blank line": (
        b"one\ntwo\n%\n%\n \t\n\n%\nthree\n",
        "A blank poem: {path}:5",
    ),
    "a blank line at the end": (
        b"one\r\n%\r\n\r\n",
        "A blank poem: {path}:3",
    ),
    "a blank file": (b"\n", "A blank poem: {path}:1"),
}


class ReadTests(SynchronousTestCase):
    """
    Tests of L{readPoems}.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        self.directory = self.mktemp()
        os.mkdir(self.directory)

    def write(self, name: str, data: bytes) -> str:
        """
        Write a file.

        @return: its path.
        """
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def read(self, path: str) -> list[bytes]:
        """
        Read an anthology.
        """
        return list(readPoems(path))

    def assertRefused(self, path: str, sentence: str) -> None:
        """
        Assert that an anthology is not read, and what is said of it.
        """
        error = self.assertRaises(PoemError, self.read, path)
        self.assertEqual(str(error), sentence)

    def test_file(self) -> None:
        """
        The poems of a file are what lies between lines that are exactly C{%}, byte
        for byte; where nothing lies between them, there is none.
        """
        for name, (data, poems) in FILES.items():
            self.assertEqual(self.read(self.write("file", data)), poems, name)

    def test_broken(self) -> None:
        """
        A file without a poem, or with a blank one, is refused, and said where.
        """
        for data, sentence in BROKEN.values():
            path = self.write("file", data)
            self.assertRefused(path, sentence.format(path=path))

    def test_directory(self) -> None:
        """
        The poems of a directory are those of its files, in the order of their names.
        """
        self.write("b", b"three\n")
        self.write("a", b"one\n%\ntwo\n")
        self.write("B", b"zero\n")
        self.assertEqual(
            self.read(self.directory), [b"zero\n", b"one\n", b"two\n", b"three\n"]
        )

    def test_leftOut(self) -> None:
        """
        What is hidden in a directory, or made by C{strfile}, or no regular file, is
        left out, and never waited for.  A link is what it leads to.
        """
        path = self.write("poem.txt", b"poem\n")
        for name in (".hidden", "poem.dat", "poem.u8"):
            self.write(name, b"no\n")
        os.mkdir(os.path.join(self.directory, "directory"))
        self.write("directory/poem.txt", b"no\n")
        os.mkfifo(os.path.join(self.directory, "fifo"))
        os.symlink("/dev/zero", os.path.join(self.directory, "zero"))
        os.symlink(os.path.abspath(path), os.path.join(self.directory, "link"))
        self.assertEqual(self.read(self.directory), [b"poem\n"] * 2)

    def test_brokenDirectory(self) -> None:
        """
        A directory without a poem is refused, and so is one with a file that is; that
        file is named.
        """
        self.assertRefused(self.directory, f"No poem in: {self.directory}")
        self.write("a", b"one\n")
        path = self.write("b", b"two\n%\n\n%\nthree\n")
        self.assertRefused(self.directory, f"A blank poem: {path}:3")

    def test_unreadable(self) -> None:
        """
        What is not there, or cannot be read, is refused.
        """
        self.assertRefused("nosuch", "No such file or directory: nosuch")
        self.assertRefused("/dev/zero", "Not a regular file: /dev/zero")
        self.assertRefused("/proc/self/mem", "Input/output error: /proc/self/mem")
        self.assertRefused("a\0b", "Not the name of a file: 'a\\x00b'")

    def test_directoryGone(self) -> None:
        """
        A directory that is gone by the time that it is listed is refused.
        """
        with mock.patch("os.path.isdir", return_value=True):
            self.assertRefused("nosuch", "No such file or directory: nosuch")


class AnthologyTests(SynchronousTestCase):
    """
    Tests of L{Anthology}.
    """

    def setUp(self) -> None:
        """
        Make an anthology.
        """
        self.path = self.mktemp()
        self.write(b"one\n%\ntwo\n")
        self.threads = PlayedThreads()
        self.patch(files, "callInThread", self.threads.callInThread)
        self.service = self.make(inOrder)

    def make(self, choose: Choice = Daily) -> Anthology:
        """
        @return: a service of the file.
        """
        return Anthology(self.path, choose, Reactor())

    def write(self, data: bytes) -> None:
        """
        Write its file.
        """
        with open(self.path, "wb") as file:
            file.write(data)

    def test_interfaces(self) -> None:
        """
        It is a service, a source of poetry, and can be reloaded.
        """
        for interface in (IService, IPoetrySource, IReloadable):
            verifyObject(interface, self.service)

    def test_start(self) -> None:
        """
        Starting reads the poems, and the log says how many, and from where.
        """
        with capturedLogs() as events:
            self.service.startService()
        self.assertTrue(self.service.running)
        self.assertEqual(
            [formatEvent(event) for event in events],
            [f"loaded 2 poems from: {os.path.abspath(self.path)}"],
        )
        self.assertEqual(
            [self.service.getPoem() for _ in range(3)], [b"one\n", b"two\n", b"one\n"]
        )

    def test_notStarted(self) -> None:
        """
        Before it has started the service has no poem.
        """
        error = self.assertRaises(PoemError, self.service.getPoem)
        self.assertEqual(str(error), f"Not loaded yet: {os.path.abspath(self.path)}")

    def test_refused(self) -> None:
        """
        Without poems it does not start.
        """
        self.write(b"one\n%\n\n")
        error = self.assertRaises(PoemError, self.service.startService)
        self.assertIn(f"{os.path.abspath(self.path)}:3", str(error))
        self.assertFalse(self.service.running)

    def test_tooLarge(self) -> None:
        """
        Poems that do not fit the memory are a sentence.
        """

        def choose(poems: object) -> Callable[[], bytes]:
            raise MemoryError

        service = self.make(choose)
        error = self.assertRaises(PoemError, service.startService)
        self.assertEqual(
            str(error), f"Too large for the memory: {os.path.abspath(self.path)}"
        )

    def test_twice(self) -> None:
        """
        A poem that is there twice is one.
        """
        self.write(b"one\n%\none\n%\ntwo\n")
        self.service.startService()
        self.assertEqual(
            [self.service.getPoem() for _ in range(3)], [b"one\n", b"two\n", b"one\n"]
        )

    def test_daily(self) -> None:
        """
        The poem of the day is what is chosen where nothing else is said.
        """
        service = self.make()
        service.startService()
        self.assertIn(service.getPoem(), [b"one\n", b"two\n"])
        clock = PlayedClock(2026, 11, 26)
        service = self.make(partial(Daily, now=clock))
        service.startService()
        self.assertEqual(service.getPoem(), service.getPoem())
        poem = service.getPoem()
        clock.seconds += DAY
        self.assertNotEqual(poem, service.getPoem())

    def test_relativePath(self) -> None:
        """
        A relative path counts from where the process was when the service was made.
        """
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir("/")
        self.service.startService()
        self.assertEqual(self.service.getPoem(), b"one\n")

    def take(self, count: int) -> bytes:
        """
        @return: this many poems, one after the other.
        """
        return b"".join(self.service.getPoem() for _ in range(count))

    def test_reload(self) -> None:
        """
        Reloading reads the poems that are there now; meanwhile the old ones are served.
        """
        self.service.startService()
        self.write(b"three\n%\nfour\n")
        reloading = self.service.reload()
        self.assertNoResult(reloading)
        self.assertEqual(self.take(3), b"one\ntwo\none\n")
        with capturedLogs() as events:
            self.threads.finish()
        self.assertIs(self.successResultOf(reloading), None)
        self.assertEqual(self.take(2), b"three\nfour\n")
        self.assertEqual(
            [formatEvent(event) for event in events],
            [f"loaded 2 poems from: {os.path.abspath(self.path)}"],
        )

    def assertKeeps(self, reason: str) -> None:
        """
        Assert that a reload keeps the old poems, and that the log says why.
        """
        with capturedLogs() as events:
            reloading = self.service.reload()
            if self.threads.waiting:
                self.threads.finish()
        self.assertIs(self.successResultOf(reloading), None)
        self.assertEqual(
            [(event["log_level"], formatEvent(event)) for event in events],
            [(LogLevel.error, f"kept the old poems: {reason}")],
        )
        self.assertEqual(self.take(2), b"one\ntwo\n")

    def test_reloadFails(self) -> None:
        """
        When reloading fails, the old poems stay, and the log has one error.
        """
        self.service.startService()
        self.write(b"three\n%\n\n%\n")
        self.assertKeeps(f"A blank poem: {os.path.abspath(self.path)}:3")
        self.patch(files, "callInThread", noThread)
        self.assertKeeps(f"can't start new thread: {os.path.abspath(self.path)}")

    def test_stops(self) -> None:
        """
        What is found after the service has stopped is dropped, without a word.
        """
        self.service.startService()
        self.write(b"three\n")
        with capturedLogs() as events:
            reloading = self.service.reload()
            self.service.stopService()
            self.threads.finish()
        self.assertIs(self.successResultOf(reloading), None)
        self.assertEqual(events, [])
        self.assertEqual(self.take(1), b"one\n")

    def test_stopsLater(self) -> None:
        """
        When nothing was read anew there is nothing to drop.
        """
        self.service.startService()
        self.service.stopService()
        self.assertFalse(self.service.running)
