"""
What readers have of a server whose socket was passed to it.
"""

from __future__ import annotations

import itertools
import os
import select
import socket
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection.factory import TICK
from fastpoetry.endpoints import passed
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import PoetryServer
from tests.faults import READS
from tests.faultyports import MOST_TURNS, Reader
from tests.support import LONG, ListeningReactor, StaticSource, socketPath

# Of the descriptors that are passed: each another, and none that is the next.
NUMBERS = itertools.count(200)


class PassedReadersTests(SynchronousTestCase):
    """
    A server that lets one reader in at a time, and stops while the second reads.
    """

    def runUntil(self, isDone: Callable[[], object], *readers: Reader) -> None:
        """
        Have the server and readers do what they can.
        """
        for _ in range(MOST_TURNS):
            if isDone():
                return
            for descriptor in self.reactor.getReaders():
                if select.select([descriptor], [], [], 0)[0]:
                    descriptor.doRead()
            self.reactor.advance(TICK)
            for reader in readers:
                reader.take()
        self.fail("it is never done")

    def check(self, domain: str, family: int, address: Any) -> None:
        """
        Pass a socket, and see what its readers have.
        """
        listener = socket.socket(family)
        listener.bind(address)
        listener.listen()
        address = listener.getsockname()
        self.patch(passed, "PASSED", ["poem"])
        self.patch(passed, "FIRST", next(NUMBERS))
        os.dup2(listener.fileno(), passed.FIRST)
        listener.close()
        self.reactor: Any = ListeningReactor()
        factory = PoetryFactory(StaticSource(LONG), 60.0, self.reactor)
        factory.noisy = False
        server = PoetryServer(
            f"systemd:{domain}:name=poem", factory, 1, reactor=self.reactor
        )
        server.startService()
        first, second = Reader(address, READS), Reader(address, READS)
        self.runUntil(lambda: first.end, first, second)
        self.assertEqual(second.got, b"")  # though it read all the while
        self.runUntil(lambda: second.got, second)
        self.assertLess(len(second.got), len(LONG))
        stopped = server.stopService()
        self.reactor.advance(0)
        self.assertRaises(ConnectionRefusedError, Reader, address, READS)
        self.assertNoResult(stopped)
        self.runUntil(lambda: second.end, second)
        self.runUntil(lambda: stopped.called)
        self.successResultOf(stopped)
        for reader in (first, second):
            self.assertEqual((len(reader.got), reader.end), (len(LONG), "clean"))
            self.assertEqual(reader.hasProof, domain == "UNIX")
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_inet(self) -> None:
        """
        On IPv4 the limit holds, and who is in flight at the stop gets all.
        """
        self.check("INET", socket.AF_INET, ("127.0.0.1", 0))

    def test_inet6(self) -> None:
        """
        On IPv6 the limit holds, and who is in flight at the stop gets all.
        """
        self.check("INET6", socket.AF_INET6, ("::1", 0))

    def test_unix(self) -> None:
        """
        On a UNIX socket the limit holds, and who is in flight at the stop gets all,
        with the proof.
        """
        self.check("UNIX", socket.AF_UNIX, socketPath(self.addCleanup))
