"""
Tests of L{fastpoetry.service}.
"""

from __future__ import annotations

import os
from io import FileIO

from twisted.application.service import IService
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from fastpoetry import files
from fastpoetry.error import PoemError
from fastpoetry.interfaces import IPoetrySource, IReloadable
from fastpoetry.service import PoetryService
from tests.support import openDescriptors

POEMS = {
    "UTF-8": "perché\n".encode(),
    "not UTF-8": b"perch\xe9\n",
    "byte-order mark": b"\xef\xbb\xbfpoem\n",
    "CRLF": b"one\r\ntwo\r\n",
    "NUL": b"one\0two\n",
    "no final newline": b"poem",
    "one byte": b"p",
    "every byte": bytes(range(256)),
}


class PoetryServiceTests(SynchronousTestCase):
    """
    Tests of L{PoetryService}.
    """

    def setUp(self) -> None:
        """
        Make a poem.
        """
        self.path = self.mktemp()
        self.write(b"first\n")
        self.service = PoetryService(self.path)

    def write(self, poem: bytes) -> None:
        """
        Write the poem.
        """
        with open(self.path, "wb") as file:
            file.write(poem)

    def assertRefused(self, path: str, reason: str) -> None:
        """
        Assert that a poem is not read, and that the error says why.
        """
        service = PoetryService(path)
        error = self.assertRaises(PoemError, service.startService)
        self.assertEqual(str(error), f"{reason}: {os.path.abspath(path)}")
        self.assertFalse(service.running)

    def test_interfaces(self) -> None:
        """
        It is a service, a source of poetry, and can be reloaded.
        """
        for interface in (IService, IPoetrySource, IReloadable):
            verifyObject(interface, self.service)

    def test_start(self) -> None:
        """
        Starting reads the poem, and the log says from where.
        """
        with capturedLogs() as events:
            self.service.startService()
        self.assertTrue(self.service.running)
        self.assertEqual(self.service.poem, b"first\n")
        self.assertEqual(self.service.getPoem(), b"first\n")
        self.assertEqual(
            [formatEvent(event) for event in events],
            [f"loaded a poem from: {os.path.abspath(self.path)}"],
        )

    def test_notStarted(self) -> None:
        """
        Before it has started the service has no poem, not an empty one.
        """
        self.assertIsNone(self.service.poem)
        self.assertRaises(PoemError, self.service.getPoem)

    def test_bytes(self) -> None:
        """
        The bytes of the file are the bytes of the poem, whatever they are.
        """
        for name, poem in POEMS.items():
            self.write(poem)
            self.service.startService()
            self.assertEqual(self.service.poem, poem, name)

    def test_empty(self) -> None:
        """
        An empty file is an empty poem, with a warning.
        """
        self.write(b"")
        with capturedLogs() as events:
            self.service.startService()
        self.assertEqual(self.service.poem, b"")
        self.assertEqual(
            [formatEvent(e) for e in events if e["log_level"] == LogLevel.warn],
            [f"the poem is empty: {os.path.abspath(self.path)}"],
        )

    def test_nothingYet(self) -> None:
        """
        A file that has nothing yet, as /proc/kmsg, is refused, not an empty poem.
        """
        reader, writer = os.pipe()
        self.addCleanup(os.close, writer)
        os.set_blocking(reader, False)
        self.patch(files, "openRegular", lambda path: FileIO(reader))
        self.assertRefused("kmsg", "Resource temporarily unavailable")

    def test_relativePath(self) -> None:
        """
        A relative path counts from where the process was when the service was
        made, though C{twistd} changes the directory before it starts.
        """
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir("/")
        self.service.startService()
        self.assertEqual(self.service.poem, b"first\n")

    def test_refused(self) -> None:
        """
        What cannot be read, or could keep the reader waiting, is refused at
        once.
        """
        fifo = self.mktemp()
        os.mkfifo(fifo)
        self.assertRefused(self.mktemp(), "No such file or directory")
        self.assertRefused(os.path.dirname(fifo), "Not a regular file")
        self.assertRefused(fifo, "Not a regular file")
        self.assertRefused("/dev/zero", "Not a regular file")
        self.assertRefused("/proc/self/mem", "Input/output error")
        self.assertRefused(os.path.join(self.path, "x"), "Not a directory")

    def test_nulInPath(self) -> None:
        """
        A path that is none is refused in the same way.
        """
        error = self.assertRaises(PoemError, PoetryService("a\0b").startService)
        self.assertIn("Not the name of a file: ", str(error))

    def test_notUTF8(self) -> None:
        """
        A path that is not UTF-8 can be logged, and told.
        """
        path = os.fsdecode(os.fsencode(self.path) + b"\xe8")
        os.rename(self.path, path)
        service = PoetryService(path)
        with capturedLogs() as events:
            service.startService()
        (line,) = map(formatEvent, events)
        self.assertEqual(line.encode()[-4:], b"\\xe8")
        os.remove(path)
        error = self.assertRaises(PoemError, service.startService)
        self.assertEqual(str(error).encode()[-4:], b"\\xe8")

    def test_nothingLeftOpen(self) -> None:
        """
        A file that is refused is closed again.
        """
        before = openDescriptors()
        self.assertRefused("/dev/zero", "Not a regular file")
        self.assertEqual(openDescriptors(), before)
