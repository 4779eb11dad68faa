"""
Tests of L{fastpoetry.connection.kernel}, on real sockets.
"""

from __future__ import annotations

import os
import socket
import time

from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection.kernel import Progress, isClosed, progress, setReset


class ProgressTests(SynchronousTestCase):
    """
    Tests of L{progress}.
    """

    def connect(self) -> tuple[socket.socket, socket.socket]:
        """
        Make a TCP connection.

        @return: the reader's side, which takes little, and the server's.
        """
        reader = socket.socket()
        self.addCleanup(reader.close)
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            reader.connect(listener.getsockname())
            server, _ = listener.accept()
        self.addCleanup(server.close)
        server.setblocking(False)
        return reader, server

    def fill(self, server: socket.socket) -> int:
        """
        Write as much as the kernel takes.
        """
        size = 0
        with self.assertRaises(BlockingIOError):
            while True:
                size += server.send(b"x" * 65536)
        return size

    def test_tcp(self) -> None:
        """
        What the reader's kernel has acknowledged is told from what waits in
        ours.
        """
        reader, server = self.connect()
        size = self.fill(server)
        first = progress(server.fileno())
        self.assertLess(first.acknowledged, size)
        self.assertEqual(first.acknowledged + first.pending, size)

        reader.settimeout(30)
        second = first
        while second == first:
            reader.recv(4096)
            second = progress(server.fileno())
        self.assertGreater(second.acknowledged, first.acknowledged)
        self.assertLess(second.pending, first.pending)

    def test_end(self) -> None:
        """
        When the reader has everything and the end, nothing is pending.
        """
        reader, server = self.connect()
        server.send(b"poem")
        server.shutdown(socket.SHUT_WR)
        while reader.recv(4):
            pass
        reader.close()
        self.assertEqual(server.recv(1), b"")
        self.assertEqual(progress(server.fileno()).pending, 0)

    def test_closed(self) -> None:
        """
        A connection that the reader has reset is known to be closed, though what
        was pending still counts.
        """
        reader, server = self.connect()
        self.fill(server)
        self.assertFalse(progress(server.fileno()).closed)
        self.assertFalse(isClosed(server))
        setReset(reader, True)
        reader.close()
        self.assertTrue(progress(server.fileno()).closed)
        self.assertTrue(isClosed(server))

    def test_ended(self) -> None:
        """
        A connection is closed when both sides have ended and know it: the reader
        may have been the first, and have its poem yet to take.
        """
        reader, server = self.connect()
        self.fill(server)
        server.shutdown(socket.SHUT_WR)
        reader.shutdown(socket.SHUT_WR)
        self.assertEqual(server.recv(1), b"")
        self.assertFalse(isClosed(server))
        while reader.recv(2**16):
            pass
        deadline = time.monotonic() + 30
        while not isClosed(server):  # the last acknowledgement is on its way
            self.assertLess(time.monotonic(), deadline)

    def test_setReset(self) -> None:
        """
        What a close means can be changed, to and fro.
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

    def test_unix(self) -> None:
        """
        On a UNIX socket only what is pending is known.
        """
        reader, server = socket.socketpair()
        self.addCleanup(reader.close)
        self.addCleanup(server.close)
        server.send(b"poem")
        acknowledged, pending, _ = progress(server.fileno())
        self.assertEqual(acknowledged, 0)
        self.assertGreater(pending, 0)
        reader.recv(4)
        self.assertEqual(progress(server.fileno()), Progress(0, 0))

    def test_unknown(self) -> None:
        """
        Where the kernel does not tell, nothing is known, and nothing breaks.
        """
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.assertEqual(progress(listener.fileno()), Progress(0, 0))

    def test_descriptor(self) -> None:
        """
        The descriptor that was asked about stays open.
        """
        _, server = self.connect()
        progress(server.fileno())
        os.fstat(server.fileno())
