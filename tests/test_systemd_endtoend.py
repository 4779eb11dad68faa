"""
Tests of the units in F{deploy/}, with a real systemd, as they are installed.
"""

from __future__ import annotations

import re
import shutil
import signal
import socket
import ssl

from twisted.trial.unittest import SynchronousTestCase

from sandbox import (
    POEM,
    ROOT,
    SANDBOX_VARIABLE,
    Sandbox,
    fetch,
    findCommand,
    holdPort,
    readAll,
)
from tests.support import LONG
from tests.systemd import DEPLOY, PROBE, Machine
from tests.unitprobe import ATTEMPTS

DOCS = ROOT / "docs" / "running.md"
UNITS = ("fastpoetry.service", "fastpoetry@.service")

PORT = 10000
QUOTD = 17


class UnitTests(SynchronousTestCase):
    """
    Tests of the files.
    """

    def setUp(self) -> None:
        """
        Put them where their program is one of this machine.
        """
        self.sandbox = Sandbox(self.addCleanup)
        self.twistd = findCommand("twistd")
        for path in DEPLOY.glob("fastpoetry*"):
            text = path.read_text().replace(
                "/opt/fastpoetry/bin/twistd", f'"{self.twistd}"'
            )
            self.sandbox.write(f"units/{path.name}", text.encode())

    def test_verify(self) -> None:
        """
        systemd has nothing to say against them.
        """
        findCommand("systemd-analyze")
        for name in (*UNITS, "fastpoetry.socket"):
            status, output = self.sandbox.run(
                f"systemd-analyze verify {self.sandbox.path}/units/{name}"
            )
            self.assertEqual((status, output), (0, b""))

    def test_security(self) -> None:
        """
        By its measure, they are exposed to little: 1.5 of 10 at the most.
        """
        for name in UNITS:
            status, output = self.sandbox.run(
                "systemd-analyze security --offline=true --no-pager --threshold=15 "
                f"{self.sandbox.path}/units/{name}"
            )
            self.assertEqual(status, 0, output.decode())

    def test_same(self) -> None:
        """
        The units have the same limits, and the docs say which are tried here.
        """
        texts = [(DEPLOY / name).read_text() for name in UNITS]
        limits = [text.partition("\n# Nothing but ")[2] for text in texts]
        self.assertEqual(*limits)
        names = {*re.findall(r"(?m)^(\w+)=", limits[0]), "DynamicUser"}
        names.remove("WantedBy")
        listed = []
        for title in ("Tried", "Not tried"):
            (line,) = re.findall(f"(?m)^- {title}: ((?:.|\n  )*)$", DOCS.read_text())
            listed.append(set(re.findall(r"`(\w+)`", line)))
        tried, notTried = listed
        self.assertEqual(tried, {name.partition("=")[0] for name in ATTEMPTS})
        self.assertEqual(names - tried, notTried)
        self.assertLess(tried, names)

    def test_socketActivate(self) -> None:
        """
        The command of the unit, as the socket unit has it, serves on a port that is
        passed.
        """
        findCommand("systemd-socket-activate")
        unit = (self.sandbox.path / "units" / "fastpoetry.service").read_text()
        (command,) = re.findall("(?m)^ExecStart=(.*)$", unit)
        conf = (DEPLOY / "fastpoetry-socket.conf").read_text()
        (listen,) = re.findall('(?m)^Environment="LISTEN=(.*)"$', conf)
        command = command.replace("$LISTEN", listen)
        command = command.replace("/opt/fastpoetry/poem.txt", "poem.txt")
        port = holdPort(self.addCleanup, socket.SO_REUSEADDR)
        server = self.sandbox.foreground(
            f"systemd-socket-activate -l {port} -E {SANDBOX_VARIABLE} -E PYTHONPATH "
            f"{command}",
            ["Listening on "],
        )
        self.assertEqual(fetch(port), POEM)
        server.stop()


class SystemdTests(SynchronousTestCase):
    """
    Tests with a systemd that runs them.
    """

    def setUp(self) -> None:
        """
        Start it.
        """
        self.sandbox = Sandbox(self.addCleanup)
        self.machine = Machine(self.sandbox, self.addCleanup)

    def fetch(self, port: int = PORT) -> bytes:
        """
        Get a poem.
        """
        return readAll(self.machine.connect("127.0.0.1", port))

    def test_life(self) -> None:
        """
        A daemon serves when its start is done, reloads, and a stop says whom it waits
        for, and waits.
        """
        self.machine.systemctl("start fastpoetry")
        self.assertEqual(self.fetch(), POEM)
        self.machine.write("poem.txt", LONG)
        self.machine.systemctl("reload fastpoetry")
        self.machine.waitForJournal("Reloaded fastpoetry.service")
        self.machine.waitForJournal("loaded a poem from: ", 2)
        reader = self.machine.connect("127.0.0.1", PORT)
        self.assertEqual(reader.recv(1), LONG[:1])
        self.machine.systemctl("stop --no-block fastpoetry")
        self.machine.waitFor("fastpoetry", "StatusText", "1 reader in flight")
        self.assertEqual(self.machine.show("fastpoetry", "ActiveState"), "deactivating")
        self.assertEqual(readAll(reader), LONG[1:])
        self.machine.waitFor("fastpoetry", "ActiveState", "inactive")
        self.assertEqual(self.machine.show("fastpoetry", "Result"), "success")

    def test_journal(self) -> None:
        """
        The log is in the journal, and has priorities.
        """
        self.machine.write("poem.txt", b"")
        self.machine.systemctl("start fastpoetry")
        self.assertIn("listening on 0.0.0.0:10000", self.machine.journal(""))
        warnings = self.machine.journal("-p warning")
        self.assertIn("the poem is empty", warnings)
        self.assertNotIn("listening", warnings)

    def test_cannotStart(self) -> None:
        """
        One that cannot start fails, and does not count as started before.
        """
        self.machine.remove("poem.txt")
        status, output = self.machine.run("systemctl start fastpoetry")
        self.assertEqual(status, 1, output)
        self.assertIn("cannot read the poem", self.machine.journal(""))

    def test_watchdog(self) -> None:
        """
        A daemon whose reactor does not turn any more is replaced.
        """
        self.machine.drop("fastpoetry.service", "[Service]\nWatchdogSec=3\n")
        self.machine.systemctl("start fastpoetry")
        self.machine.mainProcess("fastpoetry").signal(signal.SIGSTOP)
        self.machine.waitForJournal("Watchdog timeout")
        self.machine.waitForJournal("Started fastpoetry.service", 2)
        self.assertEqual(self.fetch(), POEM)

    def test_tls(self) -> None:
        """
        TLS is possible under the limits of the unit, with a key for a group.
        """
        endpoint = self.sandbox.makeCertificate(PORT).replace("=", "=/opt/fastpoetry/")
        for name in ("key", "cert.pem"):
            self.machine.write(name, (self.sandbox.path / name).read_bytes())
        key = self.sandbox.path / "installed" / "key"
        shutil.chown(key, group="adm")
        key.chmod(0o640)
        self.machine.drop(
            "fastpoetry.service",
            f'[Service]\nSupplementaryGroups=adm\nEnvironment="LISTEN=-e {endpoint}"\n',
        )
        self.machine.systemctl("start fastpoetry")
        context = ssl.create_default_context(cafile=self.sandbox.path / "cert.pem")
        for _ in range(2):
            reader = context.wrap_socket(
                self.machine.connect("127.0.0.1", PORT), server_hostname="localhost"
            )
            self.assertEqual(readAll(reader), POEM)
            self.machine.systemctl("reload fastpoetry")

    def test_socket(self) -> None:
        """
        With the socket unit the first reader starts the daemon, on a port that is
        privileged, and who comes during a restart waits.
        """
        conf = (DEPLOY / "fastpoetry-socket.conf").read_text()
        self.machine.drop("fastpoetry.service", conf)
        self.machine.systemctl("start fastpoetry.socket")
        self.assertEqual(self.machine.show("fastpoetry", "ActiveState"), "inactive")
        self.assertEqual(self.fetch(QUOTD), POEM)
        self.machine.systemctl("restart --no-block fastpoetry")
        for _ in range(20):
            self.assertEqual(self.fetch(QUOTD), POEM)
        self.machine.waitForJournal("Started fastpoetry.service", 2)

    def test_template(self) -> None:
        """
        Two daemons of the template share a port.
        """
        self.machine.systemctl("start fastpoetry@1 fastpoetry@2")
        for _ in range(100):
            self.assertEqual(self.fetch(), POEM)
        for number in "12":
            self.assertIn(
                "sending 2817 bytes", self.machine.journal("", f"fastpoetry@{number}")
            )
            self.machine.systemctl(f"stop fastpoetry@{number}")

    def test_limits(self) -> None:
        """
        What each directive forbids is not possible to a process of the unit, though it
        is without.
        """
        self.sandbox.write(
            "units/free.service",
            f"[Service]\nType=oneshot\nExecStart={PROBE}\n".encode(),
        )
        self.machine.drop("fastpoetry.service", f"[Service]\nExecStartPost={PROBE}\n")
        self.machine.systemctl("start fastpoetry free")
        for unit, outcome in [("free", "possible"), ("fastpoetry", "forbidden")]:
            journal = self.machine.journal("", unit)
            found = re.findall("(?m)^(.*): (possible|forbidden)$", journal)
            self.assertEqual(
                found, [(name, outcome) for name in ATTEMPTS], (unit, journal)
            )
