"""
Errors of system calls that C{strace} makes a real daemon meet.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sandbox import DEADLINE, POEM, Sandbox, connect, fetch, findCommand, readAll
from tests.support import LONG

PLUGIN = "fastpoetry --port 0 --poem poem.txt --endpoint unix:socket"


class InjectionTests(SynchronousTestCase):
    """
    A daemon on TCP and a UNIX socket, one of whose calls fails.
    """

    def start(self, poem: bytes) -> None:
        """
        Start a daemon.
        """
        self.strace = findCommand("strace")
        self.poem = poem
        self.sandbox = Sandbox(self.addCleanup, poem)
        self.server = self.sandbox.daemon(PLUGIN)
        (self.port,) = self.server.ports
        self.path = self.sandbox.path / "socket"
        self.trace = self.sandbox.path / "trace"
        for address in (self.port, self.path):
            self.assertEqual(fetch(address), poem)

    def inject(self, fault: str) -> subprocess.Popen[bytes]:
        """
        Have calls fail from now on, for as long as the C{strace} runs that does it.

        @param fault: which and how; strace(1).
        """
        status = Path(f"/proc/{self.server.pid}/status")
        name = fault.partition(":")[0]
        arguments = f"-qq -o {self.trace} -e trace={name} -e inject={fault}".split()
        tracer = subprocess.Popen([self.strace, *arguments, "-p", str(self.server.pid)])
        self.addCleanup(self.mend, tracer)
        self.server.waitUntil(
            lambda: f"TracerPid:\t{tracer.pid}\n" in status.read_text(), "strace"
        )
        return tracer

    def mend(self, tracer: subprocess.Popen[bytes]) -> None:
        """
        Have the calls work again.
        """
        tracer.terminate()
        tracer.wait(DEADLINE)

    def assertWell(self) -> None:
        """
        Assert that nobody after that finds anything wrong.
        """
        for address in (self.port, self.path):
            self.assertEqual(fetch(address), self.poem)
        self.server.stop()

    def test_send(self) -> None:
        """
        The reader of a poem that could not be sent to its end gets a reset, and a
        client knows.
        """
        self.start(LONG)
        with connect(self.port, 2**15) as reader:
            got = reader.recv(1)
            tracer = self.inject("sendto:error=ENOBUFS:when=1")
            with self.assertRaises(ConnectionResetError):
                while True:
                    got += reader.recv(2**16)
        self.mend(tracer)
        self.assertLess(len(got), len(LONG))
        self.assertTrue(LONG.startswith(got))
        for address in (self.port, f"unix:{self.path}"):
            tracer = self.inject("sendto:error=ENOBUFS:when=2")
            status, output = self.sandbox.run(f"get-poetry {address}")
            self.mend(tracer)
            self.assertEqual(status, 1, output)
        self.assertWell()

    def test_shutdown(self) -> None:
        """
        An end that could not be sent is a reset.
        """
        self.start(LONG)
        with connect(self.port, 2**15) as reader:
            got = reader.recv(1)
            tracer = self.inject("shutdown:error=ENOTCONN")
            with self.assertRaises(ConnectionResetError):
                while True:
                    got += reader.recv(2**16)
        self.mend(tracer)
        self.assertTrue(LONG.startswith(got))
        self.assertWell()

    def test_wait(self) -> None:
        """
        Readers for whom the kernel cannot wait are reset; those who need no waiting
        have their poem.
        """
        self.start(LONG)
        tracer = self.inject("epoll_ctl:error=ENOMEM")
        for _ in range(3):
            with self.assertRaises(ConnectionResetError):
                fetch(self.port)
        self.mend(tracer)
        self.assertLess(self.trace.read_text().count("INJECTED"), 3 * 10)
        self.assertWell()

    def test_accept(self) -> None:
        """
        While nobody can be let in, readers wait, and the daemon tries again after a
        pause, and not before; then they have their poem.
        """
        self.start(POEM)
        tracer = self.inject("accept4:error=ENFILE")
        readers = [connect(self.port), connect(self.path)]
        said = "cannot accept: Too many open files in system"
        self.server.waitForLog(said, times=4)
        self.mend(tracer)
        for reader in readers:
            self.assertEqual(readAll(reader), POEM)
        failed = self.trace.read_text().count("INJECTED")
        self.assertEqual(self.server.log.count(said), failed)
        self.assertWell()
