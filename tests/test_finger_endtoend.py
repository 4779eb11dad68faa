"""
Tests of the example of a protocol that is asked before it answers, with a real daemon.
"""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from sandbox import DEADLINE, ROOT, Sandbox, connect, readAll

TAC = "examples/finger.tac"


class FingerTests(SynchronousTestCase):
    """
    Tests of F{examples/finger.tac}.
    """

    def setUp(self) -> None:
        """
        Serve the poems of this project.
        """
        sandbox = Sandbox(self.addCleanup)
        sandbox.writeTac(TAC)
        (sandbox.path / "poetry").symlink_to(ROOT / "poetry")
        tac = sandbox.path / "finger.tac"
        tac.write_text(tac.read_text().replace("../poetry", "poetry"))
        self.server = sandbox.daemon("-y finger.tac")
        self.addCleanup(self.server.stop)

    def ask(self, *pieces: bytes) -> bytes:
        """
        @return: the answer to a query that comes in pieces.
        """
        with connect(self.server.ports[0]) as client:
            for piece in pieces:
                client.sendall(piece)
            return readAll(client)

    def test_poem(self) -> None:
        """
        A name is answered with its poem, whatever is said afterwards.
        """
        poem = (ROOT / "poetry" / "ecstasy.txt").read_bytes()
        self.assertEqual(self.ask(b"ecstasy\r\n"), poem)
        self.assertEqual(self.ask(b"ecs", b"tasy\r", b"\nthanks\r\n"), poem)

    def test_others(self) -> None:
        """
        Any other query is answered with the names, also one that is too long.
        """
        names = sorted(path.stem for path in (ROOT / "poetry").glob("*.txt"))
        listed = "".join(f"{name}\r\n" for name in names).encode()
        for query in (b"\r\n", b"nobody\r\n", b"x" * 2000):
            self.assertEqual(self.ask(query), listed)

    def test_halfQuery(self) -> None:
        """
        A client that ends before its query is whole is reset.
        """
        with connect(self.server.ports[0]) as client:
            client.settimeout(DEADLINE)
            client.sendall(b"ecs")
            client.shutdown(socket.SHUT_WR)
            self.assertRaises(ConnectionResetError, client.recv, 1)
