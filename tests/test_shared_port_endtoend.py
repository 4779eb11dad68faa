"""
Tests of daemons that share a port, each a real process.
"""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from twisted.trial.unittest import SynchronousTestCase

from sandbox import POEM, ROOT, Sandbox, Server, connect, fetch, holdPort

TAC = "fastpoetry.tac"
UNIT = ROOT / "deploy" / "fastpoetry@.service"

READERS = 16


class SharedPortTests(SynchronousTestCase):
    """
    Tests with C{reusePort}.
    """

    def setUp(self) -> None:
        """
        Hold a port that nobody listens on.
        """
        self.sandbox = Sandbox(self.addCleanup)
        self.port = holdPort(self.addCleanup, socket.SO_REUSEPORT)

    def start(self, count: int) -> list[Server]:
        """
        Start daemons from one .tac file.
        """
        self.sandbox.writeTac(TAC, port=self.port, poetry_file="poem.txt")
        path = self.sandbox.path / TAC
        server = "PoetryFactory(poetry_service)"
        path.write_text(path.read_text().replace(server, f"{server}, reusePort=True"))
        return [
            self.sandbox.daemon(
                f"--pidfile {number}.pid --logfile {number}.log -y {TAC}",
                log=f"{number}.log",
                pidfile=f"{number}.pid",
            )
            for number in range(count)
        ]

    def test_daemons(self) -> None:
        """
        Daemons of one .tac file share the readers; each has its own pid file, and a
        log with its own readers.
        """
        daemons = self.start(3)
        self.assertEqual(len({daemon.pid for daemon in daemons}), 3)
        poems = 300
        with ThreadPoolExecutor(READERS) as pool:
            self.assertEqual(
                set(pool.map(fetch, [self.port] * poems)),
                {POEM},
            )
        for daemon in daemons:
            daemon.stop()
        shares = [daemon.readers for daemon in daemons]
        self.assertEqual(sum(shares), poems)
        # A fair draw is never so uneven: this is six standard deviations off.
        self.assertGreater(min(shares), poems // 6)

    def test_stopUnderLoad(self) -> None:
        """
        When one of them stops, the readers that it has let in get their poems, and
        from then on the others serve everybody.  Those it has not let in are reset
        before they have anything, or served by the others.
        """
        daemons = self.start(2)
        hasStopped = threading.Event()
        outcomes: Counter[str] = Counter()

        def read() -> None:
            while not hasStopped.is_set():
                got = b""
                try:
                    with connect(self.port) as reader:
                        while part := reader.recv(2**16):
                            got += part
                    outcome = "whole" if got == POEM else f"{len(got)} bytes, and end"
                except ConnectionResetError:
                    outcome = f"{len(got)} bytes, and reset"
                outcomes[outcome] += 1

        with ThreadPoolExecutor(READERS) as pool:
            try:
                done = [pool.submit(read) for _ in range(READERS)]
                for daemon in daemons:
                    daemon.waitForLog("127.0.0.1:", 100)
                daemons[0].stop()
                served = daemons[1].log.count("127.0.0.1:")
                daemons[1].waitForLog("127.0.0.1:", served + 100)
            finally:
                hasStopped.set()
            for one in done:
                one.result()
        self.assertLessEqual(set(outcomes), {"whole", "0 bytes, and reset"})
        self.assertLessEqual(outcomes["0 bytes, and reset"], READERS)
        self.assertEqual(fetch(self.port), POEM)
        daemons[1].stop()
        named = sum(daemon.readers for daemon in daemons)
        self.assertEqual(named, outcomes["whole"] + 1)

    def test_template(self) -> None:
        """
        Two daemons of the unit that comes with the project share a port.
        """
        text = UNIT.read_text()
        (command,) = re.findall("(?m)^ExecStart=.*/(twistd .*)$", text)
        (listen,) = re.findall('(?m)^Environment="LISTEN=(.*)"$', text)
        changes = {
            "-n --pidfile=": "--pidfile %i.pid",  # by which a test finds a daemon
            "$LISTEN": listen,
            "--port 10000": f"--port {self.port}",
            "--iface 0.0.0.0": "--iface 127.0.0.1",
            "/opt/fastpoetry/poem.txt": "poem.txt",
        }
        for old, new in changes.items():
            self.assertEqual(command.count(old), 1, old)
            command = command.replace(old, new)
        daemons = []
        for number in "12":
            arguments = command.replace("%i", number).split(" ", 1)[1]
            log = f"{number}.log"
            daemons.append(
                self.sandbox.daemon(
                    f"--logfile {log} {arguments}", log, f"{number}.pid"
                )
            )
        for _ in range(100):
            self.assertEqual(fetch(self.port), POEM)
        for daemon in daemons:
            daemon.stop()
            self.assertGreater(daemon.readers, 0)
