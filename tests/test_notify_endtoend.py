"""
Tests of what a real server tells its supervisor.
"""

from __future__ import annotations

import os
import signal
import socket

from twisted.trial.unittest import SynchronousTestCase

from sandbox import (
    DEADLINE,
    POEM,
    Sandbox,
    Server,
    connect,
    fetch,
    findCommand,
    quoted,
    readAll,
)
from tests.support import LONG


class NotifyTests(SynchronousTestCase):
    """
    Tests with a supervisor that listens.
    """

    def setUp(self) -> None:
        """
        Let it listen.
        """
        self.sandbox = Sandbox(self.addCleanup)
        self.supervisor = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.supervisor.close)
        self.supervisor.settimeout(DEADLINE)
        self.supervisor.bind(str(self.sandbox.path / "notify"))

    def start(self, *variables: str, listener: str = "--port 0") -> Server:
        """
        Start a server.

        @param variables: those of its environment, with their values.

        @param listener: the options that say where it listens.
        """
        twistd = f"{quoted(findCommand('twistd'))} -n --pidfile="
        return self.sandbox.foreground(
            f"env NOTIFY_SOCKET=notify {' '.join(variables)} {twistd} fastpoetry "
            f"--poem poem.txt {listener}",
            [],
        )

    def hears(self) -> str:
        """
        @return: the next message to the supervisor.
        """
        return self.supervisor.recv(1024).decode()

    def test_life(self) -> None:
        """
        A server says that it is ready when it serves, that it reloads and has done so,
        that it stops, and how many readers it waits for.
        """
        path = self.sandbox.write("poem.txt", LONG)
        server = self.start()
        self.assertEqual(self.hears(), "READY=1")
        (port,) = server.ports
        readers = [connect(port) for _ in range(2)]
        for reader in readers:
            self.assertEqual(reader.recv(1), LONG[:1])
        path.write_bytes(POEM)
        server.signal(signal.SIGHUP)
        self.assertIn("RELOADING=1\n", self.hears())
        self.assertEqual(self.hears(), "READY=1")
        self.assertEqual(fetch(port), POEM)
        server.waitForLog("sending 2817 bytes")
        server.signal(signal.SIGTERM)
        message = self.hears()
        self.assertIn("STOPPING=1\n", message)
        self.assertIn("2 readers in flight", message)
        self.assertEqual(readAll(readers.pop()), LONG[1:])
        while "STATUS=1 reader in flight" not in message:
            message = self.hears()
        self.assertEqual(readAll(readers.pop()), LONG[1:])
        server.waitForEnd()

    def test_watchdog(self) -> None:
        """
        A server that is watched is heard of as long as its reactor turns.
        """
        server = self.start("WATCHDOG_USEC=100000")
        self.assertEqual(self.hears(), "READY=1")
        for _ in range(5):
            self.assertEqual(self.hears(), "WATCHDOG=1")
        server.stop()

    def test_watchdogOfAnother(self) -> None:
        """
        One that is not the process that is watched does not say so.
        """
        server = self.start("WATCHDOG_USEC=1", f"WATCHDOG_PID={os.getpid()}")
        self.assertEqual(self.hears(), "READY=1")
        server.signal(signal.SIGTERM)
        self.assertEqual(self.hears(), "STOPPING=1\nSTATUS=0 readers in flight")
        server.waitForEnd()

    def test_cannotStart(self) -> None:
        """
        One that cannot start is never ready.
        """
        server = self.start(listener="-e unix:none/socket")
        server.waitForEnd()
        self.assertIn("cannot start: ", server.log)
        self.supervisor.setblocking(False)
        self.assertRaises(BlockingIOError, self.hears)
