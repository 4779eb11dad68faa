"""
Tests of L{fastpoetry.endpoints.unixsocket}.
"""

from __future__ import annotations

import os
import socket
import stat
from typing import Any

from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from fastpoetry.endpoints.unixsocket import UNIXPort, listenUNIX
from fastpoetry.error import ListenError
from fastpoetry.listening import acceptor
from fastpoetry.server import PoetryServer
from fastpoetry.text import explain
from tests.support import Reactor, noSpace, openDescriptors, socketPath


class Unheard(socket.socket):
    """
    A socket of which a test can have a call fail.
    """

    def listen(self, *arguments: Any) -> None:
        """
        @see: C{socket.socket.listen}
        """
        super().listen(*arguments)


TAKEN = "Address already in use"


class CountedFactory(Factory):
    """
    A factory that knows on how many ports it is.
    """

    noisy = False

    def __init__(self) -> None:
        self.ports = 0

    def doStart(self) -> None:
        """
        One more.
        """
        self.ports += 1

    def doStop(self) -> None:
        """
        One less.
        """
        self.ports -= 1


class UNIXSocketTestCase(SynchronousTestCase):
    """
    Listens on UNIX sockets in a directory of its own.
    """

    def setUp(self) -> None:
        """
        Choose a path.
        """
        self.path = socketPath(self.addCleanup)
        self.directory = os.path.dirname(self.path)
        self.reactor = Reactor()
        self.factory = CountedFactory()

    def listen(self, path: str | bytes | None = None, mode: int = 0o666) -> UNIXPort:
        """
        Listen.
        """
        port = listenUNIX(
            self.reactor, self.path if path is None else path, self.factory, mode
        )
        self.addCleanup(port.socket.close)
        return port

    def close(self, port: UNIXPort) -> None:
        """
        Close a port.
        """
        port.stopListening()
        self.reactor.advance(0)

    def listenOtherwise(
        self, kind: int = socket.SOCK_STREAM, backlog: int | None = 5
    ) -> socket.socket:
        """
        Be somebody else who has the socket.
        """
        other = socket.socket(socket.AF_UNIX, kind)
        self.addCleanup(other.close)
        other.bind(self.path)
        if backlog is not None:
            other.listen(backlog)
        return other

    def leaveBehind(self) -> None:
        """
        Be somebody who had the socket and was killed.
        """
        self.listenOtherwise().close()

    def connect(self) -> socket.socket:
        """
        @return: a reader.
        """
        reader = socket.socket(socket.AF_UNIX)
        self.addCleanup(reader.close)
        reader.setblocking(False)
        reader.connect(self.path)
        return reader

    def assertListens(self, port: Any) -> None:
        """
        Assert that who connects comes to this port or socket.
        """
        reader = self.connect()
        accepted, _ = getattr(port, "socket", port).accept()
        with accepted:
            accepted.send(b"x")
            self.assertEqual(reader.recv(1), b"x")

    def assertRefused(
        self, path: str | bytes | None = None, reason: str = TAKEN
    ) -> None:
        """
        Assert that nobody can listen there, and all stays as it is.
        """
        before = {one: os.lstat(one) for one in os.scandir(self.directory)}
        error = self.assertRaises(CannotListenError, self.listen, path)
        self.assertEqual(explain(error), reason)
        for one, status in before.items():
            self.assertEqual(os.lstat(one)[:4], status[:4])
        self.assertEqual(
            sorted(os.listdir(self.directory)), sorted(one.name for one in before)
        )
        self.assertEqual(self.factory.ports, 0)
        self.assertEqual(self.reactor.getReaders(), [])


class PortTests(UNIXSocketTestCase):
    """
    Tests of what a port does with its file.
    """

    def test_listens(self) -> None:
        """
        A port listens, and never waits.
        """
        port = self.listen()
        verifyObject(IListeningPort, port)
        self.assertEqual(self.reactor.getReaders(), [port])
        self.assertEqual(self.factory.ports, 1)
        self.assertFalse(os.get_blocking(port.fileno()))
        self.assertFalse(os.get_inheritable(port.fileno()))
        self.assertEqual(port.getHost().name, self.path.encode())
        self.assertListens(port)

    def test_closed(self) -> None:
        """
        When it is closed, nothing is left of it.
        """
        port = self.listen()
        self.close(port)
        self.assertEqual(os.listdir(self.directory), [])
        self.assertEqual(self.factory.ports, 0)
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertRaises(FileNotFoundError, self.connect)

    def test_removed(self) -> None:
        """
        When somebody has removed the file, there is nothing to remove.
        """
        port = self.listen()
        os.unlink(self.path)
        self.close(port)
        self.assertEqual(os.listdir(self.directory), [])
        self.assertEqual(self.factory.ports, 0)

    def test_replaced(self) -> None:
        """
        A file that somebody else has put in its place stays.
        """
        port = self.listen()
        os.unlink(self.path)
        other = self.listenOtherwise()
        self.close(port)
        self.assertListens(other)

    def test_moved(self) -> None:
        """
        The file is looked for where it was made; a link that leads to it stays.
        """
        port = self.listen()
        os.rename(self.path, f"{self.path}-moved")
        os.symlink(f"{self.path}-moved", self.path)
        self.close(port)
        self.assertEqual(sorted(os.listdir(self.directory)), ["socket", "socket-moved"])

    def test_cannotRemove(self) -> None:
        """
        A port whose file cannot be removed is closed all the same, and the log says so.
        """
        port = self.listen()
        self.patch(os, "unlink", noSpace)
        with capturedLogs() as events:
            port.connectionLost(Failure(ConnectionDone()))
        self.assertIn(
            f"cannot remove the socket: unix:{self.path}: No space left on device",
            [formatEvent(event) for event in events],
        )
        self.assertEqual(self.factory.ports, 0)
        self.assertRaises(ConnectionRefusedError, self.connect)

    def test_given(self) -> None:
        """
        The file of a socket that was given stays, and so does its mode; whoever gave
        it may listen on.
        """
        other = self.listenOtherwise()
        os.chmod(self.path, 0o600)
        port = UNIXPort(self.reactor, other.dup(), self.factory)
        port.startListening()
        self.assertListens(port)
        self.close(port)
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertListens(other)

    def test_mode(self) -> None:
        """
        The file has the mode that was asked for, whatever the umask, and no more
        before.
        """
        before = []
        chmod = os.chmod

        def watch(path: bytes, mode: int) -> None:
            before.append(stat.S_IMODE(os.stat(path).st_mode))
            chmod(path, mode)

        self.patch(os, "chmod", watch)
        for umask, mode in [(0, 0o600), (0, 0o666), (0o077, 0o666), (0o022, 0o660)]:
            old = os.umask(umask)
            try:
                port = self.listen(mode=mode)
            finally:
                os.umask(old)
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), mode)
            self.assertEqual(before.pop() & ~mode, 0)
            self.close(port)

    def test_relative(self) -> None:
        """
        A relative path counts from the current directory.
        """
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.directory)
        port = self.listen("socket")
        self.assertListens(port)
        self.close(port)
        self.assertEqual(os.listdir(self.directory), [])

    def test_name(self) -> None:
        """
        A name may be any bytes; the log shows those that are no UTF-8.
        """
        self.path = os.path.join(self.directory, os.fsdecode(b"po\xc3\xa9sie\xe9"))
        with capturedLogs() as events:
            port = self.listen()
            self.assertListens(port)
            self.close(port)
        (event,) = events
        self.assertIn("po\xe9sie\\xe9 Closed", formatEvent(event))
        self.assertEqual(os.listdir(self.directory), [])

    def test_abstract(self) -> None:
        """
        A name that begins with a NUL byte has no file; only one can have it.
        """
        self.path = f"\0{self.path}\0"
        port = self.listen()
        self.assertListens(port)
        self.factory.ports = 0
        error = self.assertRaises(CannotListenError, self.listen)
        self.assertEqual(explain(error), TAKEN)
        self.close(port)
        self.assertEqual(os.listdir(self.directory), [])
        self.assertRaises(ConnectionRefusedError, self.connect)


class TakenTests(UNIXSocketTestCase):
    """
    Tests of paths where something is already, or nothing can be.
    """

    def test_stale(self) -> None:
        """
        What a killed process has left behind is replaced, whatever process its lock
        names: in a container all of them have the same number.
        """
        for number in (os.getpid(), os.getppid(), 1):
            self.leaveBehind()
            os.symlink(str(number), f"{self.path}.lock")
            port = self.listen(mode=0o640)
            self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o640)
            self.assertListens(port)
            self.close(port)
            self.assertEqual(os.listdir(self.directory), ["socket.lock"])
            os.unlink(f"{self.path}.lock")

    def test_live(self) -> None:
        """
        The socket of somebody who listens stays theirs.
        """
        other = self.listenOtherwise()
        self.assertRefused()
        other.accept()[0].close()  # that asked
        self.assertListens(other)

    def test_ours(self) -> None:
        """
        That holds for a port of the same process, too.
        """
        port = self.listen()
        error = self.assertRaises(CannotListenError, self.listen)
        self.assertEqual(explain(error), TAKEN)
        port.socket.accept()[0].close()
        self.assertListens(port)

    def test_full(self) -> None:
        """
        One who is so busy that nobody can connect listens, too.
        """
        self.listenOtherwise(backlog=0)
        while True:
            try:
                self.connect()
            except BlockingIOError:
                break
        self.assertRefused()

    def test_otherKinds(self) -> None:
        """
        So does one who listens for something else than streams.
        """
        for kind, backlog in [(socket.SOCK_DGRAM, None), (socket.SOCK_SEQPACKET, 5)]:
            self.listenOtherwise(kind, backlog)
            self.assertRefused()
            os.unlink(self.path)

    def test_noSocket(self) -> None:
        """
        What is no socket stays, and so does a link, even to one that was left behind.
        """
        other = f"{self.path}-other"
        self.leaveBehind()
        os.rename(self.path, other)
        for make in (
            lambda: open(self.path, "wb").close(),
            lambda: os.mkdir(self.path),
            lambda: os.mkfifo(self.path),
            lambda: os.symlink(other, self.path),
            lambda: os.symlink(f"{other}-missing", self.path),
        ):
            make()
            self.assertRefused()
            (os.rmdir if os.path.isdir(self.path) else os.unlink)(self.path)

    def test_noPath(self) -> None:
        """
        A path that cannot be is refused in a few words, and nothing is made in its
        place.
        """
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.directory)
        for path, reason in {
            "": "No such file or directory",
            "none/socket": "No such file or directory",
            "socket/": "No such file or directory",
            "/proc/socket": "No such file or directory",
            "x" * 108: "AF_UNIX path too long",
            "x" * 300: "AF_UNIX path too long",
            "po\0em": "Not the name of a file",
        }.items():
            self.assertRefused(path, reason)
            self.assertRefused(path.encode(), reason)

    def test_longest(self) -> None:
        """
        The longest path that the kernel takes can be listened on.
        """
        self.path += "x" * (107 - len(self.path))
        self.assertListens(self.listen())

    def test_closesWhatFails(self) -> None:
        """
        A port that cannot be opened leaves no descriptor, and no file.
        """
        before = openDescriptors()
        for place, name in ((os, "fchmod"), (os, "chmod"), (Unheard, "listen")):
            self.patch(socket, "socket", Unheard)
            patch = self.patch(place, name, noSpace)
            self.assertRefused(reason="No space left on device")
            self.assertEqual(openDescriptors(), before)
            self.assertEqual(os.listdir(self.directory), [])
            patch.restore()

    def test_noDescriptor(self) -> None:
        """
        A server for whose readers nothing can wait, since the process has no
        descriptor left, leaves no file: the process ends before its reactor could
        remove it.
        """
        self.patch(acceptor, "Connections", noSpace)
        server = PoetryServer(f"unix:{self.path}", self.factory, reactor=self.reactor)
        error = self.assertRaises(ListenError, server.startService)
        self.assertEqual(str(error), f"No space left on device: unix:{self.path}")
        server.abort()
        self.assertEqual(os.listdir(self.directory), [])
        self.assertEqual(self.reactor.getReaders(), [])
        self.assertEqual(self.factory.ports, 0)
