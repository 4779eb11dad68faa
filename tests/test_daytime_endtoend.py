"""
Tests of the example of another protocol, with a real daemon.
"""

from __future__ import annotations

import re
import signal
import time
from calendar import timegm

from twisted.trial.unittest import SynchronousTestCase

from sandbox import ROOT, Sandbox, connect, fetch, readAll
from tests.refusals import RefusalTestCase

TAC = "examples/daytime.tac"


class DaytimeTests(SynchronousTestCase):
    """
    Tests of F{examples/daytime.tac}.
    """

    def test_daytime(self) -> None:
        """
        Whoever connects gets the date and the time, whatever it sends; SIGHUP changes
        nothing, and a stop lets nobody wait.
        """
        sandbox = Sandbox(self.addCleanup)
        sandbox.writeTac(TAC)
        server = sandbox.daemon("--logger fastpoetry.log.boundedLog -y daytime.tac")
        (port,) = server.ports
        before = int(time.time())
        reader = connect(port)
        reader.sendall(b"What time is it?" * 1000)
        text = readAll(reader).decode("ascii")
        date = timegm(time.strptime(text, "%A, %B %d, %Y %H:%M:%S-UTC\r\n"))
        self.assertTrue(before <= date <= time.time(), text)
        server.signal(signal.SIGHUP)
        server.waitForLog("received SIGHUP")
        self.assertEqual(len(text), len(fetch(port)))
        server.stop()
        self.assertRegex(server.log, r"served on tcp:0:interface=localhost: 2 whole; ")
        self.assertFalse((sandbox.path / "twistd.pid").exists())

    def test_size(self) -> None:
        """
        It has as many lines of code as its page says.
        """
        lines = (ROOT / TAC).read_text().splitlines()
        code = [line for line in lines if line and not line.startswith("#")]
        page = (ROOT / "docs" / "own-daemon.md").read_text()
        (said,) = re.findall(r"takes (\d+) lines", page)
        self.assertEqual(int(said), len(code))


class RefusalTests(RefusalTestCase):
    """
    A mistake, which ends the start with a plain sentence.
    """

    def test_taken(self) -> None:
        """
        It does not start on a port that is taken.
        """
        sandbox = self.addStart(
            "taken",
            "-y daytime.tac",
            "Address already in use: tcp:{taken}:interface=localhost",
        )
        sandbox.writeTac(TAC, port=self.taken)
        self.assertNoneStarts()
