"""
Tests of what L{fastpoetry.client} waits for, and has room for.
"""

from __future__ import annotations

import io
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost

from fastpoetry import client
from fastpoetry.client import (
    PoetryCancelledError,
    PoetryTimeoutError,
    PoetryTooLongError,
)
from tests.test_client import GetPoetryTestCase


class TimeTests(GetPoetryTestCase):
    """
    Tests of deadlines.
    """

    def test_connectTimeout(self) -> None:
        """
        A server that cannot be reached in time is given up, at the earliest when
        the time is over.
        """
        poem = self.get(connectTimeout=5.0)
        self.assertEqual(self.reactor.tcpClients[0][3], 5.0)
        self.reactor.advance(4.9)
        self.assertNoResult(poem)
        self.reactor.pump([0.1, 0])
        self.assertFails(
            poem,
            PoetryTimeoutError,
            "localhost:17: no connection for 5 seconds, 0 bytes received",
        )
        self.assertTrue(self.reactor.connectors[0].stoppedConnecting)

    def test_nameServerTimeout(self) -> None:
        """
        The time that it takes to find the host counts.
        """
        self.reactor.resolves = False
        poem = self.get(connectTimeout=5.0)
        self.reactor.pump([5.0, 0])
        self.failureResultOf(poem, PoetryTimeoutError)

    def test_timeout(self) -> None:
        """
        The time to connect over, a server may take any time for a poem, but only
        so much without a byte.
        """
        poem = self.get(connectTimeout=2.0, timeout=1.5)
        server = self.reactor.accept()
        for _ in range(10):
            self.reactor.advance(1.4)
            server.send(b"x")
        self.reactor.advance(1.4)
        self.assertNoResult(poem)
        self.reactor.pump([0.1, 0])
        self.assertTrue(server.isAborted)
        self.assertFails(
            poem,
            PoetryTimeoutError,
            "localhost:17: nothing came for 1.5 seconds, 10 bytes received",
        )
        server.end(ConnectionLost())

    def test_silence(self) -> None:
        """
        A server that accepts, and sends nothing at all, is given up, too.
        """
        poem = self.get(timeout=1.0)
        self.reactor.accept()
        self.reactor.pump([1.0, 0])
        self.failureResultOf(poem, PoetryTimeoutError)

    def test_totalTimeout(self) -> None:
        """
        A server that sends a byte now and then is given up when the time for
        everything is over.
        """
        poem = self.get(timeout=1.5, totalTimeout=10.0)
        server = self.reactor.accept()
        for _ in range(9):
            self.reactor.advance(1.0)
            server.send(b"x")
        self.assertNoResult(poem)
        self.reactor.advance(1.0)
        self.assertTrue(server.isAborted)
        self.assertFails(
            poem,
            PoetryTimeoutError,
            "localhost:17: not all of it came in 10 seconds, 9 bytes received",
        )
        self.checkNothingLeft()
        server.end(ConnectionLost())

    def test_totalTimeoutConnecting(self) -> None:
        """
        The time that it takes to connect counts.
        """
        poem = self.get(connectTimeout=20.0, totalTimeout=10.0)
        self.reactor.advance(10.0)
        self.assertTrue(self.reactor.connectors[0].stoppedConnecting)
        self.assertFails(
            poem,
            PoetryTimeoutError,
            "localhost:17: not all of it came in 10 seconds, 0 bytes received",
        )

    def test_totalTimeoutInTime(self) -> None:
        """
        A poem that comes in time is a poem.
        """
        poem = self.get(totalTimeout=10.0)
        self.reactor.advance(9.9)
        self.reactor.accept().sendPoem(b"poem")
        self.assertEqual(self.successResultOf(poem), b"poem")

    def test_stoodStill(self) -> None:
        """
        A process that stood still for longer than the timeout first reads what
        has come meanwhile, each time.
        """
        poem = self.get(timeout=1.0)
        server = self.reactor.accept()
        for piece in (b"one", b"two"):
            # In a reactor's turn, calls that are due come before what is read.
            self.reactor.callLater(1000.0, server.send, piece)
            self.reactor.advance(1000.0)
            self.reactor.advance(0.9)
        server.end()
        self.assertEqual(self.successResultOf(poem), b"onetwo")

    def test_stoodStillInAll(self) -> None:
        """
        For a process that stood still, the time for everything goes on as well:
        a poem that has come meanwhile takes more than one turn to read.
        """
        poem = self.get(totalTimeout=10.0)
        server = self.reactor.accept()
        self.reactor.advance(1000.0)
        for piece in (b"one", b"two"):
            self.reactor.advance(0.1)
            server.send(piece)
        server.end()
        self.assertEqual(self.successResultOf(poem), b"onetwo")

    def test_stoodStillConnecting(self) -> None:
        """
        A process that stood still while it connected has time to go on.
        """
        poem = self.get(connectTimeout=5.0)
        self.reactor.advance(1000.0)
        self.reactor.advance(4.9)
        self.reactor.accept().sendPoem(b"poem")
        self.assertEqual(self.successResultOf(poem), b"poem")


class RoomTests(GetPoetryTestCase):
    """
    Tests of poems that are long.
    """

    def test_maxLength(self) -> None:
        """
        A poem may be as long as was asked for, and is given up as soon as it is
        longer.
        """
        poem = self.get(maxLength=4)
        self.reactor.accept().sendPoem(b"poem")
        self.assertEqual(self.successResultOf(poem), b"poem")
        poem = self.get(maxLength=4)
        server = self.reactor.accept()
        server.send(b"poem")
        self.assertNoResult(poem)
        server.send(b"s")
        self.assertTrue(server.isAborted)
        self.assertFails(
            poem,
            PoetryTooLongError,
            "localhost:17: longer than 4 bytes, 5 bytes received",
        )
        server.end(ConnectionLost())

    def assertNoMemory(self, poem: Deferred[bytes], received: int) -> None:
        """
        Assert that there is no poem, for want of memory.
        """
        self.assertFails(
            poem,
            PoetryTooLongError,
            f"localhost:17: no memory left for more, {received} bytes received",
        )

    def test_noMemory(self) -> None:
        """
        A poem for which there is no memory left is given up, and what came of it
        forgotten.
        """

        contents: list[io.BytesIO] = []

        class Full(io.BytesIO):
            def __init__(self) -> None:
                super().__init__()
                contents.append(self)

            def write(self, data: Any) -> int:
                if self.tell() + len(data) > 4:
                    raise MemoryError
                return super().write(data)

        self.patch(client, "BytesIO", Full)
        poem = self.get()
        server = self.reactor.accept()
        server.send(b"poem")
        self.assertNoResult(poem)
        server.send(b"s")
        self.assertTrue(server.isAborted)
        self.assertTrue(contents[0].closed)
        self.assertNoMemory(poem, 5)
        server.send(b"what was on the way")
        server.end(ConnectionLost())

    def test_noMemoryToRead(self) -> None:
        """
        So is one that cannot be read for want of memory.
        """
        poem = self.get()
        server = self.reactor.accept()
        server.send(b"half")
        server.end(MemoryError())
        self.assertNoMemory(poem, 4)

    def test_memory(self) -> None:
        """
        The pieces of a poem are not kept beside it.
        """

        poem = self.get()
        server = self.reactor.accept()
        piece = bytes(1000)
        before = sys.getrefcount(piece)
        server.send(piece)
        server.send(b"end")
        self.assertEqual(sys.getrefcount(piece), before)
        server.end()
        self.assertEqual(self.successResultOf(poem), piece + b"end")

    def test_received(self) -> None:
        """
        Who wants to know is told how many bytes come.
        """
        sizes: list[int] = []
        self.get(received=sizes.append)
        server = self.reactor.accept()
        server.send(b"one")
        server.send(b"two, three")
        server.end()
        self.assertEqual(sizes, [3, 10])

    def test_cancelInTheMiddle(self) -> None:
        """
        Who is told how much has come may cancel at that.
        """
        poem: Deferred[bytes] = self.get(
            received=lambda size: poem.cancel(), maxLength=3
        )
        server = self.reactor.accept()
        server.send(b"half")
        self.failureResultOf(poem, PoetryCancelledError)
        server.end(ConnectionLost())
