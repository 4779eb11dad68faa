"""
Tests of L{fastpoetry.socketmemory}.
"""

from __future__ import annotations

import os

from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.listening import acceptor as acceptorModule
from fastpoetry.listening.acceptor import Acceptor
from fastpoetry.socketmemory import CHECK_INTERVAL, WARN_AGAIN, SocketMemory
from tests.acceptors import AcceptorTestCase

# Pages: a megabyte has 250 of 4,000 bytes.
LOW, PRESSURE = 250_000, 375_000

USED = """\
sockets: used 9813
TCP: inuse 9412 orphan 0 tw 3 alloc 9500 mem {}
UDP: inuse 0 mem 7
FRAG: inuse 0 memory 0
"""


class SocketMemoryTests(SynchronousTestCase):
    """
    Tests of L{SocketMemory}, with files of the test.
    """

    def setUp(self) -> None:
        """
        Make the files.
        """
        self.patch(os, "sysconf", lambda name: 4000)
        self.used, self.limits = self.mktemp(), self.mktemp()
        self.memory = SocketMemory(self.used, self.limits)
        self.now = 0.0
        self.write(self.limits, f"{LOW}\t{PRESSURE}\t{2 * PRESSURE}\n")

    def write(self, path: str, text: str) -> None:
        """
        Write a file.
        """
        with open(path, "w") as file:
            file.write(text)

    def look(self, used: int, after: float = CHECK_INTERVAL) -> list[str]:
        """
        Look while this many pages are used.

        @return: what the log says then.
        """
        self.write(self.used, USED.format(used))
        self.now += after
        with capturedLogs() as events:
            self.memory.check(self.now, 8012)
        for event in events:
            self.assertIs(event["log_level"], LogLevel.warn)
        return [str(formatEvent(event)) for event in events]

    def test_warns(self) -> None:
        """
        The warning comes at the first number of the kernel's, and not before.
        """
        self.assertEqual(self.look(LOW - 1), [])
        self.assertEqual(
            self.look(LOW),
            [
                "the kernel has 1000 MB in use for TCP sockets, and from 1500 MB on "
                "everybody is served slowly; there are 8012 readers here: see "
                "--max-connections, --timeout and net.ipv4.tcp_mem"
            ],
        )

    def test_once(self) -> None:
        """
        It comes again when there was room meanwhile, and not when the number goes up
        and down.
        """
        self.assertEqual(len(self.look(LOW)), 1)
        low = int(WARN_AGAIN * LOW)
        for used in (LOW - 1, LOW, PRESSURE, low, LOW):
            self.assertEqual(self.look(used), [])
        self.assertEqual(self.look(low - 1), [])
        self.assertEqual(len(self.look(LOW)), 1)

    def test_pause(self) -> None:
        """
        It looks once a second.
        """
        self.assertEqual(self.look(0), [])
        self.assertEqual(self.look(LOW, after=CHECK_INTERVAL / 2), [])
        self.assertEqual(len(self.look(LOW, after=CHECK_INTERVAL / 2)), 1)

    def test_silent(self) -> None:
        """
        Where the kernel says nothing of the kind, nothing is said here.
        """
        for text in ("", "TCP: inuse 1 mem\n", "TCP: inuse 1\n", "TCP: mem x\n", "TCP"):
            self.write(self.used, text)
            self.now += CHECK_INTERVAL
            self.memory.check(self.now, 1)
        self.look(LOW - 1)
        for text in ("", "1 2"):
            self.write(self.limits, text)
            self.assertEqual(self.look(LOW), [])
        for path in (self.limits, self.used):
            os.remove(path)
            self.now += CHECK_INTERVAL
            self.memory.check(self.now, 1)

    def test_kernel(self) -> None:
        """
        By default it asks the kernel.
        """
        self.write(self.limits, "0 1 1\n")
        with capturedLogs() as events:
            SocketMemory(limits=self.limits).check(0.0, 0)
        self.assertEqual(len(events), 1)


class Looks(SocketMemory):
    """
    Counts the looks.
    """

    def __init__(self) -> None:
        self.looks: list[tuple[float, int]] = []

    def check(self, now: float, readers: int) -> None:
        """
        @see: L{SocketMemory.check}
        """
        self.looks.append((now, readers))


class AcceptorTests(AcceptorTestCase):
    """
    Tests of when a port looks.
    """

    def setUp(self) -> None:
        """
        Let two readers be many.
        """
        super().setUp()
        self.patch(acceptorModule, "MANY_READERS", 2)
        self.memory = Looks()
        self.patch(Acceptor, "memory", self.memory)

    def test_looks(self) -> None:
        """
        It looks when it lets somebody in and has many, and tells how many the process
        has.
        """
        other = self.listen(5)
        self.connect(1)
        other.doRead()
        acceptor = self.listen(5)
        self.connect(1)
        acceptor.doRead()
        self.assertEqual(self.memory.looks, [])
        self.reactor.advance(17)
        self.connect(1)
        acceptor.doRead()
        self.assertEqual(self.memory.looks, [(17, 3)])

    def test_unix(self) -> None:
        """
        Readers on a UNIX socket take none of that memory.
        """
        acceptor = self.listenUNIX(5)
        for _ in range(2):
            self.connectUNIX()
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 2)
        self.assertEqual(self.memory.looks, [])

    def test_shared(self) -> None:
        """
        All ports of a process have one, so that there is one warning.
        """
        self.assertIs(self.listen(5).memory, self.listen(5).memory)
