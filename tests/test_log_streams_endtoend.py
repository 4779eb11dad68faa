"""
Where the log of real C{twistd} processes leads: closed descriptors, pipes that nobody
empties, the journal, JSON, and files that cannot be rotated.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import select
import shlex
import signal
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from sandbox import DEADLINE, POEM, Process, Sandbox, Server, fetch, findCommand, quoted
from tests.daemons import PLUGIN, TAC
from tests.refusals import RefusalTestCase
from tests.support import F_SETPIPE_SZ

# Which is parsed, so there is a reactor, before there is a service.
ENDPOINT = "fastpoetry --endpoint tcp:0:interface=localhost --poem poem.txt"

# A second observer, which knows all that is logged.
ALL = """
from twisted.logger import globalLogPublisher, textFileLogObserver
globalLogPublisher.addObserver(textFileLogObserver(open("all.log", "w")))
"""

CLOSED = {"<&-": {0}, ">&-": {1}, "2>&-": {2}, "<&- >&- 2>&-": {0, 1, 2}}


class StreamsTestCase(SynchronousTestCase):
    """
    Has a directory with a poem and a .tac file.
    """

    def setUp(self) -> None:
        """
        Make the directory.
        """
        self.sandbox = Sandbox(self.addCleanup)
        self.sandbox.writeTac()
        self.twistd = quoted(findCommand("twistd"))

    def shell(self, command: str) -> str:
        """
        @return: a command that has the shell become another one.
        """
        return f"sh -c {shlex.quote(command)}"


class ClosedTests(StreamsTestCase):
    """
    A start with standard streams that are closed.
    """

    def check(self, server: Server, closed: set[int]) -> None:
        """
        See that it serves, and has F{/dev/null} in their place.
        """
        server.waitForLog("loaded a poem from")
        self.assertEqual(fetch(*server.ports), POEM)
        for fd in closed:
            link = os.readlink(f"/proc/{server.pid}/fd/{fd}")
            self.assertEqual(link, "/dev/null")
        server.stop()
        server.logPath.unlink()

    def test_daemon(self) -> None:
        """
        A daemon starts.
        """
        for what in (ENDPOINT, TAC):
            for how in CLOSED:
                command = self.shell(f"exec {self.twistd} {what} {how}")
                self.assertEqual(self.sandbox.run(command), (0, b""), command)
                pid = int((self.sandbox.path / "twistd.pid").read_text())
                log = self.sandbox.path / "twistd.log"
                self.check(Server(pid, log), {0, 1, 2})

    def test_foreground(self) -> None:
        """
        So does C{twistd -n}.
        """
        options = "-n --pidfile= --logfile twistd.log"
        for what in (ENDPOINT, TAC):
            for how, closed in CLOSED.items():
                log = self.sandbox.write("twistd.log", b"")
                command = self.shell(f"exec {self.twistd} {options} {what} {how}")
                pid = self.sandbox.foreground(command, ()).pid
                self.check(Server(pid, log), closed)

    def test_reactor(self) -> None:
        """
        C{twistd -n} starts also when the reactor was there before.
        """
        options = "-n --pidfile= --logfile twistd.log --reactor poll"
        for what in (PLUGIN, TAC):
            log = self.sandbox.write("twistd.log", b"")
            command = f"exec {self.twistd} {options} {what} <&- >&- 2>&-"
            pid = self.sandbox.foreground(self.shell(command), ()).pid
            self.check(Server(pid, log), set())


class PipeTests(StreamsTestCase):
    """
    A log that goes to a pipe.
    """

    fetched = 0

    def fetch(self, *ports: int) -> None:
        """
        Get the poem once more.
        """
        self.assertEqual(fetch(*ports), POEM)
        self.fetched += 1

    def stall(self, command: str) -> list[str]:
        """
        Start a server, and read nothing of its log while others read poems; then all.

        @return: the lines that came.
        """
        end, fd = os.pipe()
        self.addCleanup(os.close, end)
        self.addCleanup(os.close, fd)
        fcntl.fcntl(fd, F_SETPIPE_SZ, 8192)
        with open(os.dup(fd), "wb") as pipe:
            child = self.sandbox._start(command, pipe, ".", {})
        came = b""
        while b"loaded a poem from" not in came:
            self.assertTrue(select.select([end], [], [], DEADLINE)[0], came)
            came += os.read(end, 2**16)
        port = int(re.findall(rb"Factory starting on (\d+)", came)[0])
        room = select.poll()
        room.register(fd, select.POLLOUT)
        while b"lines of the log were dropped" not in came:
            while room.poll(0):
                self.fetch(port)
            for _ in range(100):
                self.fetch(port)
            came += os.read(end, 2**16)
        # From here on there is room for all.
        fcntl.fcntl(fd, F_SETPIPE_SZ, 2**18)
        child.send_signal(signal.SIGTERM)
        Process(child.pid).waitForEnd()
        self.assertEqual(child.wait(), -signal.SIGTERM)
        came += os.read(end, 2**18)
        self.assertNotIn(b"Traceback", came)
        return came.decode().splitlines()

    def dropped(self, lines: list[str]) -> int:
        """
        @return: how many lines are said to have been dropped.
        """
        numbers = re.findall(r"(\d+) lines of the log were dropped", "\n".join(lines))
        self.assertNotEqual([], numbers)
        return sum(map(int, numbers))

    def test_plugin(self) -> None:
        """
        Readers get their poems all the same.
        """
        lines = self.stall(f"twistd -n {PLUGIN}")
        self.assertGreater(self.dropped(lines), 0)

    def test_tac(self) -> None:
        """
        The number of lines that were dropped is right.
        """
        with open(self.sandbox.path / "fastpoetry.tac", "a") as tac:
            tac.write(ALL)
        lines = self.stall(f"twistd -n {TAC}")
        # The first line comes again when twistd begins to log.
        logged = (self.sandbox.path / "all.log").read_text().splitlines()[1:]
        self.assertEqual(len(logged), len(lines) + self.dropped(lines))
        self.assertLess(set(lines), set(logged))

    def test_json(self) -> None:
        """
        In JSON there is a line for each reader, or it is among those dropped.
        """
        lines = self.stall(f"twistd -n --logger fastpoetry.log.json {PLUGIN}")
        entries = [json.loads(line) for line in lines]
        peers = [entry["peer"] for entry in entries if "peer" in entry]
        dropped = sum(entry.get("lines", 0) for entry in entries)
        self.assertEqual(len(peers) + dropped, self.fetched)

    def test_encoding(self) -> None:
        """
        What the encoding of standard output has no letters for is escaped.
        """
        self.sandbox.write("\u8a69.txt", POEM)
        for what in (PLUGIN.replace("poem.txt", "\u8a69.txt"), TAC):
            self.sandbox.writeTac(poetry_file="\u8a69.txt")
            command = f"env PYTHONIOENCODING=latin-1 {self.twistd} -n --pidfile= {what}"
            server = self.sandbox.foreground(command)
            self.assertIn("/\\u8a69.txt", server.log)
            server.stop()


class JournalTests(StreamsTestCase):
    """
    A log that goes to the journal.
    """

    def test_journal(self) -> None:
        """
        Every line has its priority; SIGUSR1 does no harm.
        """
        name = "JOURNAL_STREAM=$(stat -Lc %d:%i /proc/$$/fd/1)"
        command = f"{self.twistd} -n --logger fastpoetry.log.journal"
        for what in (PLUGIN, TAC):
            start = self.shell(f"{name} exec {command} --pidfile= {what}")
            server = self.sandbox.foreground(start)
            server.signal(signal.SIGUSR1)
            server.waitForLog("received SIGUSR1")
            self.assertEqual(fetch(*server.ports), POEM)
            (self.sandbox.path / "poem.txt").rename(self.sandbox.path / "away.txt")
            server.signal(signal.SIGHUP)
            server.waitForLog("<3>[fastpoetry.service.PoetryService#error] kept")
            (self.sandbox.path / "away.txt").rename(self.sandbox.path / "poem.txt")
            self.assertEqual(server.stop(), -signal.SIGTERM)
            for line in server.log.splitlines():
                self.assertRegex(line, r"^<[3-6]>\[")


class FileTests(StreamsTestCase):
    """
    A log in a file.
    """

    def test_logfile(self) -> None:
        """
        C{--logfile} names the file of a bounded log, and of JSON; it is rotated also
        from another directory, and its successor has its mode.
        """
        (self.sandbox.path / "sub").mkdir()
        for form in ("boundedLog", "json"):
            for what in (f"--rundir sub {PLUGIN}", TAC):
                log = self.sandbox.path / f"{form}.log"
                server = self.sandbox.daemon(
                    f"--logfile {log.name} --logger fastpoetry.log.{form} {what}",
                    log=log.name,
                )
                old = server.rotate()
                self.assertIn("loaded a poem", old.read_text())
                self.assertEqual(old.stat().st_mode, log.stat().st_mode)
                log.rename(log.with_name("away"))
                server.signal(signal.SIGUSR1)
                server.waitUntil(log.exists, "new log")
                server.stop()
                self.assertFalse((self.sandbox.path / "twistd.log").exists())
                old.unlink()
                log.unlink()

    def test_foreground(self) -> None:
        """
        In the foreground, too, there and in a .tac file.
        """
        with open(self.sandbox.path / "fastpoetry.tac", "a") as tac:
            tac.write(
                "from twisted.logger import ILogObserver\n"
                "from fastpoetry.log import json\n"
                "application.setComponent(ILogObserver, json())\n"
            )
        for what in (f"--logger fastpoetry.log.json {PLUGIN}", TAC):
            log = self.sandbox.write("poem.log", b"")
            start = self.sandbox.foreground(
                f"twistd -nl poem.log --pidfile= {what}", ()
            )
            server = Server(start.pid, log)
            server.waitForLog("loaded a poem from")
            server.stop()
            entries = [json.loads(line) for line in server.log.splitlines()]
            self.assertEqual(entries[-1]["message"], "Server Shut Down.")

    def test_unwritable(self) -> None:
        """
        Where the user of C{--uid} may rename nothing, the file is written to as before.
        """
        if os.getuid() != 0:
            raise SkipTest("--uid is for root")
        log = self.sandbox.write("twistd.log", b"")
        os.chown(log, 65534, 65534)
        server = self.sandbox.daemon(
            f"--uid 65534 --gid 65534 --logger fastpoetry.log.boundedLog {PLUGIN}"
        )
        server.signal(signal.SIGUSR1)
        server.signal(signal.SIGHUP)
        server.waitForLog("loaded a poem from", 2)
        self.assertEqual(fetch(*server.ports), POEM)
        server.waitForLog("sending")
        server.signal(signal.SIGTERM)
        server.waitForEnd()
        self.assertIn("Server Shut Down", log.read_text())
        self.assertEqual([*self.sandbox.path.glob("twistd.log*")], [log])


class LogRefusalTests(RefusalTestCase):
    """
    Logs that cannot be.
    """

    def test_refused(self) -> None:
        """
        One sentence says why, and nothing is left.
        """
        sandbox = Sandbox(self.addCleanup)
        sandbox.writeTac()
        os.mkfifo(sandbox.path / "fifo")
        bounded = "--logger fastpoetry.log.boundedLog"
        for what in (PLUGIN, TAC):
            for twistd, options, sentence in (
                ("twistd", f"{bounded} -l no/log", "cannot log to no/log: No such"),
                ("twistd -n", f"{bounded} -l no/log", "cannot log to no/log: No such"),
                ("twistd", f"{bounded} -l fifo", "cannot log to fifo: No such"),
                ("twistd", "--logger fastpoetry.log.journal -l -", "a daemon has none"),
                ("twistd", f"{bounded} -l -", "a daemon has none"),
            ):
                self.assertRefuses(sandbox, f"{twistd} {options} {what}", sentence)

    def test_reactorHasDescriptor(self) -> None:
        """
        So it is when the reactor of C{--reactor} has the number of a closed stream.
        """
        sandbox = Sandbox(self.addCleanup)
        sandbox.writeTac()
        twistd = quoted(findCommand("twistd"))
        for what in (PLUGIN, TAC):
            command = f"exec {twistd} --reactor poll {what} <&-"
            self.assertRefuses(
                sandbox,
                f"sh -c {shlex.quote(command)}",
                "stdin is closed, and its descriptor 0 in use by the reactor",
            )
