"""
The log of real C{twistd} processes: bounded, rotated by C{logrotate}, on a full disk.
"""

from __future__ import annotations

import signal

from twisted.trial.unittest import SynchronousTestCase

from tests.processes import POEM, ROOT, Ground, fetch

BOUNDED = "--logger fastpoetry.log.boundedLog fastpoetry --port 0 --poem poem.txt"

SMALL_LOG = """
from twisted.logger import ILogObserver
from fastpoetry.log import boundedLog
application.setComponent(ILogObserver, boundedLog("twistd.log", size=500, keep=2))
"""


class LogTests(SynchronousTestCase):
    """
    Daemons and their logs.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        self.ground = Ground(self.addCleanup)

    def logs(self) -> list[str]:
        """
        The names of the logs that there are.
        """
        return sorted(path.name for path in self.ground.path.glob("twistd.log*"))

    def test_bounded(self) -> None:
        """
        A .tac file can have a log of its own, of so many files of such a size.
        """
        self.ground.writeTac()
        with open(self.ground.path / "fastpoetry.tac", "a") as tac:
            tac.write(SMALL_LOG)
        server = self.ground.daemon("-y fastpoetry.tac")
        port = int(
            "".join((self.ground.path / name).read_text() for name in self.logs())
            .partition("PoetryFactory starting on ")[2]
            .split()[0]
        )
        for _ in range(30):
            self.assertEqual(POEM, fetch(port))
        server.stop()
        self.assertEqual(["twistd.log", "twistd.log.1", "twistd.log.2"], self.logs())

    def test_logger(self) -> None:
        """
        The plugin gets a bounded log by C{--logger}, and SIGUSR1 rotates it.
        """
        server = self.ground.daemon(BOUNDED)
        ports = server.ports
        self.assertIn("loaded a poem", server.rotate().read_text())
        self.assertEqual(POEM, fetch(*ports))
        server.waitForLog("sending")
        server.stop()

    def test_logrotate(self) -> None:
        """
        C{logrotate} with the configuration that comes with the project moves the
        log away, and the daemon begins a new one; no line is lost.
        """
        server = self.ground.daemon(BOUNDED)
        ports = server.ports
        text = (ROOT / "deploy" / "logrotate").read_text()
        path = str(self.ground.path)
        conf = text.replace("/var/lib/fastpoetry", path)
        self.ground.write("conf", conf.encode()).chmod(0o644)
        status, output = self.ground.run("logrotate --force --state state conf")
        self.assertEqual((0, b""), (status, output))
        server.waitUntil(server.logPath.exists, "new log")
        self.assertEqual(POEM, fetch(*ports))
        server.signal(signal.SIGHUP)
        server.waitForLog("loaded a poem")
        server.stop()
        (old,) = (name for name in self.logs() if name != "twistd.log")
        everything = (self.ground.path / old).read_text() + server.log
        for line in ("starting up", "sending", "loaded a poem", "Server Shut Down"):
            self.assertIn(line, everything)

    def test_fullDisk(self) -> None:
        """
        When the log cannot be written, poems are served all the same.
        """
        (self.ground.path / "full.log").symlink_to("/dev/full")
        command = "--logfile full.log fastpoetry -e unix:socket --poem poem.txt"
        server = self.ground.daemon(command, log="full.log")
        for _ in range(20):
            self.assertEqual(POEM, fetch(self.ground.path / "socket"))
        server.signal(signal.SIGTERM)
        server.waitForEnd()
        self.assertFalse((self.ground.path / "twistd.pid").exists())
