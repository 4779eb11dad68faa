"""
Tests of L{fastpoetry.connection.kernel}, on real sockets.
"""

from __future__ import annotations

import gc
import socket
import struct
import time
from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection import kernel
from fastpoetry.connection.kernel import Progress, acknowledged, progress, setReset
from sandbox import DEADLINE
from tests.support import openDescriptors
from tests.wire import CLOSE, ESTABLISHED, FIN_WAIT1, FIN_WAIT2, LAST_ACK


class KernelTestCase(SynchronousTestCase):
    """
    Has a server that sends, and waits for the kernel.
    """

    def fill(self, server: socket.socket) -> int:
        """
        Write as much as the kernel takes.
        """
        size = 0
        with self.assertRaises(BlockingIOError):
            while True:
                size += server.send(b"x" * 65536)
        return size

    def waitUntil(self, condition: Callable[[], bool]) -> None:
        """
        Wait for what the kernel is about to do.
        """
        deadline = time.monotonic() + DEADLINE
        while not condition():
            self.assertLess(time.monotonic(), deadline)


def isClosed(server: socket.socket) -> bool:
    """
    @return: whether a connection on which the end was sent is closed.
    """
    return progress(server, 0).isClosed


class TCPTests(KernelTestCase):
    """
    Tests of TCP connections.
    """

    def connect(self, buffer: int = 4096) -> tuple[socket.socket, socket.socket]:
        """
        Make a TCP connection.

        @param buffer: how much the reader's kernel holds.

        @return: the reader's side, and the server's.
        """
        reader = socket.socket()
        self.addCleanup(reader.close)
        reader.settimeout(DEADLINE)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            reader.connect(listener.getsockname())
            server, _ = listener.accept()
        self.addCleanup(server.close)
        server.setblocking(False)
        return reader, server

    def state(self, server: socket.socket) -> int:
        """
        @return: the state of a connection.
        """
        return server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]

    def test_acknowledged(self) -> None:
        """
        What the reader's kernel has acknowledged is told from what waits in ours.
        """
        reader, server = self.connect()
        size = self.fill(server)
        first = progress(server)
        self.assertLess(first.acknowledged, size)
        self.assertFalse(first.isComplete)
        second = first
        while second == first:
            reader.recv(4096)
            second = progress(server)
        self.assertGreater(second.acknowledged, first.acknowledged)

    def test_exactly(self) -> None:
        """
        It is told to the byte.
        """
        _, server = self.connect()
        self.assertEqual(progress(server), Progress(0, False))
        server.send(b"poem")
        self.waitUntil(lambda: progress(server).acknowledged == 4)
        self.assertEqual(progress(server), Progress(4, False))

    def test_complete(self) -> None:
        """
        A delivery is complete when the end is sent and the reader's kernel has
        acknowledged it: for this the reader does nothing.
        """
        reader, server = self.connect()
        server.send(b"poem")
        server.shutdown(socket.SHUT_WR)
        self.waitUntil(lambda: progress(server, 4).isComplete)
        self.assertEqual(self.state(server), FIN_WAIT2)
        self.assertFalse(isClosed(server))
        reader.close()

    def test_notComplete(self) -> None:
        """
        It is not as long as something waits in our kernel.
        """
        reader, server = self.connect()
        size = self.fill(server)
        server.shutdown(socket.SHUT_WR)
        self.assertEqual(self.state(server), FIN_WAIT1)
        self.assertFalse(progress(server, size).isComplete)
        while reader.recv(2**16):
            pass
        self.waitUntil(lambda: progress(server, size).isComplete)

    def test_reset(self) -> None:
        """
        A connection that the reader has reset is known to be closed, but not to be
        complete, and one that is open is neither.
        """
        reader, server = self.connect()
        size = self.fill(server)
        self.assertEqual(self.state(server), ESTABLISHED)
        self.assertFalse(isClosed(server))
        setReset(reader, True)
        reader.close()
        self.waitUntil(lambda: self.state(server) == CLOSE)
        self.assertFalse(progress(server, size).isComplete)
        self.assertTrue(isClosed(server))
        self.assertTrue(isClosed(server))

    def test_closed(self) -> None:
        """
        A connection is closed when both sides have ended and know it: the reader
        may have been the first, and have its poem yet to take.
        """
        reader, server = self.connect()
        size = self.fill(server)
        server.shutdown(socket.SHUT_WR)
        reader.shutdown(socket.SHUT_WR)
        self.waitUntil(lambda: self.state(server) != FIN_WAIT1)
        self.assertEqual(server.recv(1), b"")
        self.assertFalse(isClosed(server))
        self.assertEqual(
            (progress(server, size).isComplete, isClosed(server)), (False, False)
        )
        while reader.recv(2**16):
            pass
        self.waitUntil(lambda: isClosed(server))
        self.assertTrue(progress(server, size).isComplete)
        self.assertTrue(isClosed(server))

    def test_readerFirst(self) -> None:
        """
        So it is when the reader has ended before.
        """
        reader, server = self.connect()
        self.fill(server)
        reader.shutdown(socket.SHUT_WR)
        server.shutdown(socket.SHUT_WR)
        self.assertFalse(isClosed(server))
        while reader.recv(2**16):
            pass
        self.waitUntil(lambda: isClosed(server))

    def test_lastAcknowledgement(self) -> None:
        """
        While the last acknowledgement is missing it is neither complete nor closed.
        """
        reader, server = self.connect()
        reader.shutdown(socket.SHUT_WR)
        size = self.fill(server)
        server.shutdown(socket.SHUT_WR)
        self.waitUntil(lambda: self.state(server) == LAST_ACK)
        self.assertEqual(
            (progress(server, size).isComplete, isClosed(server)), (False, False)
        )

    def test_closedByTheReader(self) -> None:
        """
        A reader that takes everything, then closes, closes the connection.
        """
        reader, server = self.connect()
        server.send(b"poem")
        server.shutdown(socket.SHUT_WR)
        while reader.recv(4):
            pass
        reader.close()
        self.waitUntil(lambda: isClosed(server))
        self.assertEqual(server.recv(1), b"")

    def closeAll(self, resets: bool) -> None:
        """
        Have a reader that has everything close, with a reset or without.
        """
        reader, server = self.connect()
        server.send(b"poem")
        self.assertEqual(progress(server, 4)[1:], (False, False))
        server.shutdown(socket.SHUT_WR)
        self.waitUntil(lambda: self.state(server) == FIN_WAIT2)
        self.assertEqual(progress(server, 4)[1:], (True, False))
        while reader.recv(4):
            pass
        setReset(reader, resets)
        reader.close()
        self.waitUntil(lambda: self.state(server) == CLOSE)
        self.assertEqual(progress(server, 4)[1:], (True, True))
        self.assertEqual(progress(server, 5)[1:], (False, True))
        server.close()

    def test_closedWhole(self) -> None:
        """
        A closed connection is known to be complete if nothing is missing.
        """
        for resets in (False, True):
            self.closeAll(resets)

    def test_setReset(self) -> None:
        """
        What a close means can be changed, to and fro, and is inherited.
        """
        for resets in (True, False):
            reader, server = self.connect()
            setReset(server, True)
            setReset(server, resets)
            server.close()
            if resets:
                self.assertRaises(ConnectionResetError, reader.recv, 1)
            else:
                self.assertEqual(reader.recv(1), b"")
        with socket.create_server(("127.0.0.1", 0)) as listener:
            setReset(listener, True)
            reader = socket.create_connection(listener.getsockname(), DEADLINE)
            listener.accept()[0].close()
        with reader:
            self.assertRaises(ConnectionResetError, reader.recv, 1)

    def test_resetAfterTheEnd(self) -> None:
        """
        As long as the reset is not taken back, a close is one, though the end was
        sent: the reader does not take what was cut for whole.
        """
        reader, server = self.connect()
        setReset(server, True)
        self.fill(server)
        server.shutdown(socket.SHUT_WR)
        server.close()
        with self.assertRaises(ConnectionResetError):
            while reader.recv(2**16):
                pass

    def test_setResetFails(self) -> None:
        """
        It is an error where the socket is closed.
        """
        _, server = self.connect()
        server.close()
        self.assertRaises(OSError, setReset, server, True)

    def test_unknown(self) -> None:
        """
        Where the kernel does not tell, everything is acknowledged, and nothing is
        closed.
        """

        class Silent(socket.socket):
            """
            A socket whose kernel is older, or another one.
            """

            answer: bytes | None = None

            def getsockopt(self, *arguments: object) -> bytes:  # type: ignore[override]
                """
                Give what there is.
                """
                if self.answer is None:
                    raise OSError("no such option")
                return self.answer

        with Silent() as silent:
            self.assertEqual(progress(silent), Progress(0, True))
            self.assertIsNone(acknowledged(silent))
            self.assertFalse(isClosed(silent))
            silent.answer = struct.pack("B", ESTABLISHED)
            self.assertEqual(progress(silent), Progress(0, True))
        _, server = self.connect()
        server.close()
        self.assertEqual(progress(server), Progress(0, True))
        self.assertFalse(isClosed(server))

    def test_tells(self) -> None:
        """
        This kernel, which is Linux, tells.
        """
        self.assertTrue(kernel.HAS_PROGRESS)

    def test_descriptor(self) -> None:
        """
        The descriptor that was asked about stays open, and there is no other.
        """
        _, server = self.connect()
        gc.collect()  # garbage of other tests may have descriptors
        before = openDescriptors()
        progress(server)
        isClosed(server)
        self.assertEqual(openDescriptors(), before)


class UNIXTests(KernelTestCase):
    """
    Tests of UNIX sockets.
    """

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """
        @return: the reader's side, and the server's.
        """
        reader, server = socket.socketpair()
        self.addCleanup(reader.close)
        self.addCleanup(server.close)
        reader.settimeout(DEADLINE)
        server.setblocking(False)
        return reader, server

    def test_progress(self) -> None:
        """
        That the reader takes something is seen, and when it has taken everything.
        """
        reader, server = self.connect()
        self.assertEqual(progress(server, 4), Progress(0, True))
        self.fill(server)
        first = progress(server)
        self.assertFalse(first.isComplete)
        while progress(server) == first:
            reader.recv(4096)
        self.assertGreater(progress(server).acknowledged, first.acknowledged)
        self.assertFalse(progress(server, 4).isComplete)
        reader.setblocking(False)
        with self.assertRaises(BlockingIOError):
            while True:
                reader.recv(2**16)
        self.assertEqual(progress(server, 4), Progress(0, True))

    def test_byByte(self) -> None:
        """
        One byte that is left is as good as all: the poem is not complete.
        """
        reader, server = self.connect()
        server.send(b"poem")
        reader.recv(3)
        self.assertFalse(progress(server, 4).isComplete)
        reader.recv(1)
        self.assertTrue(progress(server, 4).isComplete)

    def test_readerCloses(self) -> None:
        """
        A connection is closed when the reader has ended and everything was read.
        """
        reader, server = self.connect()
        server.send(b"poem")
        server.shutdown(socket.SHUT_WR)
        self.assertFalse(isClosed(server))
        reader.recv(4)
        self.assertFalse(isClosed(server))
        reader.close()
        self.assertEqual(progress(server, 4), Progress(0, True, True))

    def test_readerHalfCloses(self) -> None:
        """
        The reader's end alone closes nothing: it may take its poem yet.
        """
        reader, server = self.connect()
        server.send(b"poem")
        reader.shutdown(socket.SHUT_WR)
        self.assertFalse(isClosed(server))
        self.assertEqual(
            (progress(server, 4).isComplete, isClosed(server)), (False, False)
        )
        reader.recv(4)
        self.assertTrue(isClosed(server))

    def test_readerTalks(self) -> None:
        """
        Nor is it closed while what the reader said is unread, and that is left to
        be read.
        """
        reader, server = self.connect()
        reader.send(b"thanks")
        reader.shutdown(socket.SHUT_WR)
        self.assertFalse(isClosed(server))
        self.assertEqual(server.recv(10), b"thanks")
        self.assertTrue(isClosed(server))

    def test_readerGoes(self) -> None:
        """
        A reader that goes with something unread has closed it.
        """
        reader, server = self.connect()
        server.send(b"poem")
        reader.close()
        self.assertTrue(isClosed(server))
        self.assertTrue(isClosed(server))

    def test_blocking(self) -> None:
        """
        To ask never blocks, be the socket a blocking one.
        """
        _, server = self.connect()
        server.setblocking(True)
        self.assertFalse(isClosed(server))
        self.assertEqual(progress(server, 4), Progress(0, True))

    def test_unknown(self) -> None:
        """
        Where it cannot be known, everything was read, and nothing is closed.
        """
        with socket.socket(socket.AF_UNIX) as unconnected:
            self.assertFalse(isClosed(unconnected))
            self.assertEqual(progress(unconnected, 4), Progress(0, True))

    def test_setReset(self) -> None:
        """
        There is no reset: a close is an end, with or without it.
        """
        for resets in (True, False):
            reader, server = self.connect()
            setReset(server, resets)
            server.send(b"po")
            server.close()
            self.assertEqual((reader.recv(10), reader.recv(10)), (b"po", b""))
