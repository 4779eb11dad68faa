"""
The log of real C{twistd} processes: bounded, rotated by C{logrotate}, on a full disk;
and whom it names, under load.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import SkipTest

from twisted.logger import eventsFromJSONLogFile
from twisted.trial.unittest import SynchronousTestCase

from sandbox import DEADLINE, POEM, ROOT, Sandbox, Server, fetch, holdPort, readAll

BOUNDED = "--logger fastpoetry.log.boundedLog fastpoetry --port 0 --poem poem.txt"

SMALL_LOG = """
from twisted.logger import ILogObserver
from fastpoetry.log import boundedLog
application.setComponent(ILogObserver, boundedLog("twistd.log", size=500, keep=2))
"""

JSON_LOG = b"""
from twisted.logger import jsonFileLogObserver

def log():
    return jsonFileLogObserver(open("twistd.log", "a"))
"""

OTHER = b"another poem\n"

# One that goes the ordinary way.
LONG = 100 * POEM

# Where the readers of a load come from: no name over IPv4 is longer.  (And a socket
# that is bound to 127.0.0.1 may connect to itself when nobody listens any more.)
HOST = "127.100.100.100"

# How often which reader was sent this many bytes, or is said to have been.
Readers = Counter[tuple[int, str]]


def named(text: str) -> Readers:
    """
    @return: whom a log names.
    """
    lines = re.findall(r"sending (\d+) bytes of poetry to (.*)", text)
    return Counter((int(size), name) for size, to in lines for name in to.split(", "))


class LogTests(SynchronousTestCase):
    """
    Daemons and their logs.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        self.sandbox = Sandbox(self.addCleanup)

    def logs(self) -> list[str]:
        """
        The names of the logs that there are.
        """
        return sorted(path.name for path in self.sandbox.path.glob("twistd.log*"))

    def test_bounded(self) -> None:
        """
        A .tac file can have a log of its own, of this many files of such a size.
        """
        self.sandbox.writeTac()
        with open(self.sandbox.path / "fastpoetry.tac", "a") as tac:
            tac.write(SMALL_LOG)
        server = self.sandbox.daemon("-y fastpoetry.tac")
        port = int(
            "".join((self.sandbox.path / name).read_text() for name in self.logs())
            .partition("listening on 127.0.0.1:")[2]
            .split(",")[0]
        )
        for _ in range(30):
            self.assertEqual(fetch(port), POEM)
        server.stop()
        self.assertEqual(self.logs(), ["twistd.log", "twistd.log.1", "twistd.log.2"])

    def test_logger(self) -> None:
        """
        The plugin gets a bounded log by C{--logger}, and SIGUSR1 rotates it.
        """
        server = self.sandbox.daemon(BOUNDED)
        ports = server.ports
        self.assertIn("loaded a poem", server.rotate().read_text())
        self.assertEqual(fetch(*ports), POEM)
        server.waitForLog("sending")
        server.stop()

    def test_logrotate(self) -> None:
        """
        C{logrotate} with the configuration that comes with the project moves the
        log away, and the daemon begins a new one; no line is lost.
        """
        server = self.sandbox.daemon(BOUNDED)
        ports = server.ports
        text = (ROOT / "deploy" / "logrotate").read_text()
        path = str(self.sandbox.path)
        conf = text.replace("/var/lib/fastpoetry", path)
        self.sandbox.write("conf", conf.encode()).chmod(0o644)
        status, output = self.sandbox.run("logrotate --force --state state conf")
        self.assertEqual((status, output), (0, b""))
        server.waitUntil(server.logPath.exists, "new log")
        self.assertEqual(fetch(*ports), POEM)
        server.signal(signal.SIGHUP)
        server.waitForLog("loaded a poem")
        server.stop()
        (old,) = (name for name in self.logs() if name != "twistd.log")
        everything = (self.sandbox.path / old).read_text() + server.log
        for line in ("starting up", "sending", "loaded a poem", "Server Shut Down"):
            self.assertIn(line, everything)

    def test_fullDisk(self) -> None:
        """
        When the log cannot be written, poems are served all the same.
        """
        (self.sandbox.path / "full.log").symlink_to("/dev/full")
        command = "--logfile full.log fastpoetry -e unix:socket --poem poem.txt"
        server = self.sandbox.daemon(command, log="full.log")
        for _ in range(20):
            self.assertEqual(fetch(self.sandbox.path / "socket"), POEM)
        server.signal(signal.SIGTERM)
        server.waitForEnd()
        self.assertFalse((self.sandbox.path / "twistd.pid").exists())


class LoadTests(SynchronousTestCase):
    """
    Whom the log names when readers keep coming, also while SIGTERM stops the daemon.
    """

    def setUp(self) -> None:
        """
        Make a directory, and hold a port for the daemon.
        """
        self.sandbox = Sandbox(self.addCleanup)
        # When a port that the kernel chose is closed, Linux may forget a reader who
        # is about to be connected, and leaves it waiting (3 of 100 times).
        self.port = holdPort(self.addCleanup, socket.SO_REUSEADDR)
        self.plugin = f"fastpoetry --port {self.port} --poem poem.txt"

    def load(
        self, server: Server, *steps: Callable[[], object], atOnce: int = 50
    ) -> Readers:
        """
        Have readers fetch again and again until SIGTERM has stopped the server,
        which finds as many as there are in the queue of its port.

        @param steps: what is done meanwhile, with 500 readers before each and after
            the last.

        @param atOnce: how many readers there are at a time.

        @return: who has had how much of a poem, and its clean end.
        """
        # No set: a reader may have the name of one that has just been served.
        waiting: list[str] = []
        served: list[tuple[int, str]] = []

        def read() -> None:
            address = ("127.0.0.1", self.port)
            with contextlib.suppress(ConnectionRefusedError):
                while True:
                    # A reader who is too late to be accepted is reset.
                    with contextlib.suppress(ConnectionResetError):
                        reader = socket.create_connection(address, DEADLINE, (HOST, 0))
                        name = "{}:{}".format(*reader.getsockname())
                        waiting.append(name)
                        served.append((len(readAll(reader)), name))
                        waiting.remove(name)

        def waitForMore() -> None:
            enough = len(served) + 500
            server.waitUntil(lambda: len(served) >= enough, "readers")

        with ThreadPoolExecutor(atOnce) as pool:
            readers = [pool.submit(read) for _ in range(atOnce)]
            try:
                for step in steps:
                    waitForMore()
                    step()
                waitForMore()
                server.signal(signal.SIGSTOP)
                server.waitUntil(lambda: len(waiting) == atOnce, "queue")
            finally:
                server.signal(signal.SIGTERM)
                server.signal(signal.SIGCONT)
        for reader in readers:
            reader.result()
        server.waitForEnd()
        return Counter(served)

    def assertNamed(self, served: Readers, named: Readers) -> None:
        """
        Assert that the log names all who were served, as often, and nobody else.
        """
        self.assertEqual((served - named).most_common(9), [], "served, not named")
        self.assertEqual((named - served).most_common(9), [], "named, not served")

    def logs(self) -> list[Path]:
        """
        The logs that there are.
        """
        return list(self.sandbox.path.glob("twistd.log*"))

    def checkFile(self, options: str) -> None:
        """
        Have a log rotated, by its size and by signals, and the poem replaced.
        """
        self.sandbox.write("twistd.log", b"." * 970_000 + b"\n")
        server = self.sandbox.daemon(f"{options} {self.plugin}")

        def waitForSize() -> None:
            server.waitUntil(lambda: len(self.logs()) == 2, "rotation")

        def rotate() -> None:
            before = len(self.logs())
            server.signal(signal.SIGUSR1)
            server.waitUntil(lambda: len(self.logs()) > before, "rotation")

        def replace(poem: bytes) -> None:
            self.sandbox.write("new.txt", poem).replace(self.sandbox.path / "poem.txt")
            server.signal(signal.SIGHUP)

        served = self.load(
            server,
            waitForSize,
            lambda: replace(OTHER),
            rotate,
            lambda: replace(POEM),
            lambda: replace(LONG),
            rotate,
        )
        text = "".join(path.read_text() for path in self.logs())
        self.assertNotIn("Traceback", text)
        self.assertEqual(
            {size for size, _ in served}, {len(POEM), len(OTHER), len(LONG)}
        )
        self.assertNamed(served, named(text))

    def test_file(self) -> None:
        """
        The log of C{twistd} names each reader once, however often it is rotated
        meanwhile.
        """
        self.checkFile("")

    def test_boundedFile(self) -> None:
        """
        So does a bounded log.
        """
        self.checkFile("--logger fastpoetry.log.boundedLog")

    def checkEvents(self, server: Server) -> None:
        """
        Check a log of events.
        """
        served = self.load(server)
        with server.logPath.open() as file:
            events = list(eventsFromJSONLogFile(file))
        self.assertNamed(
            served,
            Counter(
                (event["size"], name)
                for event in events
                if "size" in event
                for name in event["peer"].split(", ")
            ),
        )

    def test_events(self) -> None:
        """
        An observer of events finds the readers in the fields of each.
        """
        self.sandbox.write("jsonlog.py", JSON_LOG)
        path = {"PYTHONPATH": f"{ROOT}:{self.sandbox.path}"}
        arguments = f"--logger jsonlog.log {self.plugin}"
        self.checkEvents(self.sandbox.daemon(arguments, environment=path))

    def test_twistEvents(self) -> None:
        """
        So does who reads the JSON of C{twist}.
        """
        command = f"twist --log-format=json {self.plugin}"
        self.checkEvents(self.sandbox.foreground(command))

    def test_syslog(self) -> None:
        """
        With C{--syslog}, the log goes to F{/dev/log}, where each reader is named once,
        in messages that are not cut; SIGUSR1 does no harm.
        """
        syslog = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(syslog.close)
        try:
            syslog.bind("/dev/log")
        except OSError as error:
            raise SkipTest("/dev/log is somebody else's, or for root") from error
        self.addCleanup(os.unlink, "/dev/log")
        syslog.settimeout(DEADLINE)
        with ThreadPoolExecutor(1) as pool:
            messages = pool.submit(lambda: [*iter(lambda: syslog.recv(2**16), b"")])
            try:
                # IPv4 readers have their longest names here: [::ffff:127.100.100.100].
                command = f"--syslog --prefix verses {self.plugin} --iface ::"
                server = self.sandbox.daemon(command)
                served = self.load(server, lambda: server.signal(signal.SIGUSR1))
            finally:
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
                    last.sendto(b"", "/dev/log")
        ours = [message for message in messages.result() if b" verses: " in message]
        # A syslog may cut what is longer (RFC 5424, 6.1).
        self.assertLessEqual(max(map(len, ours)), 2048)
        text = re.sub(r"\[::ffff:([\d.]+)\]", r"\1", b"\n".join(ours).decode())
        self.assertNamed(served, named(text))
        self.assertIn(f"loaded a poem from: {self.sandbox.path}/poem.txt", text)
        self.assertIn("received SIGUSR1", text)
        self.assertFalse(server.logPath.exists())

    def test_stops(self) -> None:
        """
        Readers who come one by one, and those of a longer poem, are named likewise;
        and the next daemon goes on with the log of the last.
        """
        served: Readers = Counter()
        for poem, atOnce in ((POEM, 1), (LONG, 1), (LONG, 50)):
            self.sandbox.write("poem.txt", poem)
            server = self.sandbox.daemon(self.plugin)
            served += self.load(server, atOnce=atOnce)
        self.assertNamed(served, named(server.log))
