"""
The composition as it was first published, run by C{twistd} with our classes; and the
default one with an edited protocol.
"""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from sandbox import POEM, ROOT, Sandbox, connect, fetch, readAll
from tests.support import LONG

# What a learner changes first.
EDITED = f"""\
from fastpoetry import PoetryProtocol

def connectionMade(self):
    self.transport.write(b"edited: " + self.factory.service.poem)
    self.transport.loseConnection()

PoetryProtocol.connectionMade = connectionMade
__file__ = {str(ROOT / "fastpoetry.tac")!r}
exec(open("fastpoetry.tac").read())
"""


class PublishedTests(SynchronousTestCase):
    """
    Tests of compositions that somebody else has written.
    """

    def test_published(self) -> None:
        """
        The published C{.tac}, with C{TCPServer}, serves with our classes unchanged,
        and keeps the promises of a delivery: who talks has the whole poem.
        """
        sandbox = Sandbox(self.addCleanup, LONG)
        sandbox.writeTac("examples/first-published.tac", poetry_file="poem.txt")
        # The port is Twisted's own, and so is what the log says of it.
        texts = [" starting on ", "loaded a poem from: "]
        server = sandbox.foreground("twistd -n -y first-published.tac", texts)
        port = int(server.log.partition(texts[0])[2].split()[0])
        reader = connect(port, buffer=2**14)
        self.addCleanup(reader.close)
        reader.sendall(b"x" * 2**16)
        reader.shutdown(socket.SHUT_WR)
        received = readAll(reader)
        self.assertTrue(received == LONG, f"{len(received)} bytes")
        server.waitForLog(f"sending {len(LONG)} bytes of poetry to 127.0.0.1:")
        server.stop()

    def test_edited(self) -> None:
        """
        Who edits C{PoetryProtocol.connectionMade} sees it in the next fetch from the
        default C{.tac}.
        """
        sandbox = Sandbox(self.addCleanup)
        sandbox.writeTac(poetry_file=str(sandbox.path / "poem.txt"))
        sandbox.write("edited.tac", EDITED.encode())
        server = sandbox.foreground("twistd -n -y edited.tac")
        self.assertEqual(fetch(*server.ports), b"edited: " + POEM)
        server.stop()
