"""
What a server owes its readers, with real C{twistd} processes and real clients.
"""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sandbox import Sandbox, Server, connect, fetch, readAll
from tests.daemons import PLUGIN, SMALL, TAC
from tests.support import LONG

CLIENTS = [
    "nc.openbsd 127.0.0.1 {port}",
    "nc.traditional 127.0.0.1 {port}",
    "ncat 127.0.0.1 {port}",
    # By itself, it waits half a second for the rest when its input has ended.
    "socat -t 60 - TCP:127.0.0.1:{port}",
    "curl -sS telnet://127.0.0.1:{port}",
]


def nameOf(reader: socket.socket) -> str:
    """
    @return: how the log names a reader.
    """
    host, port = reader.getsockname()
    return f"{host}:{port}"


class SmallPoemTests(SynchronousTestCase):
    """
    What a server owes its readers, with a poem that the kernel takes at once.

    @ivar poem: what the server serves.

    @ivar other: another poem.
    """

    poem = LONG[:SMALL]
    other = LONG

    def setUp(self) -> None:
        """
        Make a directory with the poem.
        """
        self.sandbox = Sandbox(self.addCleanup, self.poem)

    def assertPoem(self, received: bytes, poem: bytes | None = None) -> None:
        """
        Assert that this is a whole poem, by default the first one.
        """
        expected = self.poem if poem is None else poem
        self.assertTrue(received == expected, f"{len(received)} bytes")

    def connectSlow(self, server: Server) -> socket.socket:
        """
        Connect a reader that reads nothing, and wait until its kernel holds the
        beginning of the poem, which is all that it has room for.
        """
        (port,) = server.ports
        reader = connect(port, buffer=2**12)
        self.addCleanup(reader.close)
        reader.recv(1, socket.MSG_PEEK)
        return reader

    def test_together(self) -> None:
        """
        Readers who come together are named in one line of the log.
        """
        server = self.sandbox.daemon(PLUGIN)
        status = Path(f"/proc/{server.pid}/status")
        server.signal(signal.SIGSTOP)
        server.waitUntil(lambda: "T (stopped)" in status.read_text(), "halt")
        readers = [connect(*server.ports) for _ in range(3)]
        names = list(map(nameOf, readers))
        server.signal(signal.SIGCONT)
        for reader in readers:
            self.assertPoem(readAll(reader))
        server.stop()
        lines = re.findall(r"sending \d+ bytes of poetry to (.*)", server.log)
        self.assertEqual(", ".join(lines).split(", "), names)
        self.assertEqual(len(lines), 1)

    def test_daemonServesThePoem(self) -> None:
        """
        The daemon serves the poem byte for byte, logs that it does, and leaves
        no pid file when SIGTERM ends it.
        """
        self.sandbox.writeTac()
        server = self.sandbox.daemon(TAC)
        with connect(*server.ports) as reader:
            name = nameOf(reader)
            self.assertPoem(readAll(reader))
        self.assertTrue((self.sandbox.path / "twistd.pid").exists())
        server.stop()
        self.assertFalse((self.sandbox.path / "twistd.pid").exists())
        for line in (
            f"loaded a poem from: {self.sandbox.path}/poem.txt\n",
            f"sending {len(self.poem)} bytes of poetry to {name}\n",
        ):
            self.assertIn(line, server.log)

    def checkReload(self, server: Server) -> None:
        """
        Replace the poem by one that goes the other way, then delete it, with a
        SIGHUP after each.
        """
        poem = self.sandbox.path / "poem.txt"
        self.assertPoem(fetch(*server.ports))
        slow = self.connectSlow(server)
        self.sandbox.write("new.txt", self.other).replace(poem)
        server.signal(signal.SIGHUP)
        server.waitForLog("loaded a poem", times=2)
        self.assertPoem(fetch(*server.ports), self.other)
        poem.unlink()
        server.signal(signal.SIGHUP)
        server.waitForLog(f"No such file or directory: {poem}\n")
        self.assertPoem(fetch(*server.ports), self.other)
        self.assertPoem(readAll(slow))
        server.stop()
        self.assertEqual(server.log.count("#error]"), 1, server.log)

    def test_tacReloads(self) -> None:
        """
        SIGHUP makes a .tac daemon read its poem anew, and keep the old one when
        it cannot.  A reader in the middle of the old poem gets the rest of that.
        """
        self.sandbox.writeTac()
        self.checkReload(self.sandbox.daemon(TAC))

    def test_pluginReloads(self) -> None:
        """
        The same is true of a daemon of the plugin.
        """
        self.checkReload(self.sandbox.daemon(PLUGIN))

    def stopWithReaders(self) -> tuple[Server, list[socket.socket]]:
        """
        Stop a server while two readers read nothing.
        """
        server = self.sandbox.foreground(
            f"twistd -n {PLUGIN} --grace 999 --timeout 999"
        )
        (port,) = server.ports
        readers = [self.connectSlow(server) for _ in range(2)]
        server.signal(signal.SIGTERM)
        server.waitForLog("readers in flight: 2")
        self.assertRaises(ConnectionRefusedError, connect, port)
        return server, readers

    def test_drains(self) -> None:
        """
        Readers in flight when SIGTERM comes get the whole poem, then the server
        ends.
        """
        server, readers = self.stopWithReaders()
        for reader in readers:
            self.assertFalse(server.hasEnded())
            self.assertPoem(readAll(reader))
        server.waitForEnd()
        self.assertFalse((self.sandbox.path / "twistd.pid").exists())

    def test_secondSignal(self) -> None:
        """
        A second SIGTERM ends a server at once, and its readers with a reset.
        """
        server, readers = self.stopWithReaders()
        self.assertEqual(server.stop(), -signal.SIGTERM)
        self.assertFalse((self.sandbox.path / "twistd.pid").exists())
        for reader in readers:
            self.assertRaises(ConnectionResetError, readAll, reader)

    def kill(self) -> socket.socket:
        """
        Kill a server in the middle of a poem.

        @return: the reader of that.
        """
        server = self.sandbox.daemon(PLUGIN)
        reader = self.connectSlow(server)
        # It says so when the kernel has as much as it takes.
        server.waitForLog("sending ")
        server.signal(signal.SIGKILL)
        server.waitForEnd()
        return reader

    def test_killed(self) -> None:
        """
        When the server is killed, the reader gets the whole poem all the same:
        the kernel had it, and its end.
        """
        self.assertPoem(readAll(self.kill()))

    def checkClients(self, says: bytes) -> None:
        """
        Have each client get the poem, while one is in the middle of it.
        """
        server = self.sandbox.daemon(PLUGIN)
        (port,) = server.ports
        slow = self.connectSlow(server)
        slow.sendall(says)
        for client in CLIENTS:
            status, received = self.sandbox.run(client.format(port=port), says=says)
            self.assertEqual(status, 0, f"{client}: {received[-200:]!r}")
            self.assertTrue(received == self.poem, f"{client}: {len(received)} bytes")
        self.assertPoem(readAll(slow))
        server.stop()

    def test_clients(self) -> None:
        """
        The usual clients get the poem, byte for byte, and end by themselves.
        """
        self.checkClients(says=b"")

    def test_clientsThatTalk(self) -> None:
        """
        What a client says takes nothing from the poem.
        """
        self.checkClients(says=b"hi\n")


class LongPoemTests(SmallPoemTests):
    """
    The same with a poem of which the kernels of both sides hold only a part for a
    reader that reads nothing.
    """

    poem = LONG
    other = LONG[:SMALL]

    def test_killed(self) -> None:
        """
        When the server is killed in the middle of a poem, the reader sees a reset,
        not the end of a shorter poem.
        """
        self.assertRaises(ConnectionResetError, readAll, self.kill())
