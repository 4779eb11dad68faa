"""
UNIX sockets: ports, whether their socket was made here or passed, and connections.

They lean on C{_sendmsgQueue} of Twisted (held by C{tests/test_transport_twisted.py}),
C{_shouldShutdown} and C{_logConnectionLostMsg} (held by C{tests/test_unixsocket.py}).
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, ClassVar

from twisted.internet import tcp, unix
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger
from twisted.python.failure import Failure

from fastpoetry.connection.transport import Transport
from fastpoetry.text import printable

# Seconds to wait for other processes that are about to listen in the same directory.
LOCK_TIMEOUT = 5.0

# The kernel takes this many bytes or fewer at once, or none of them.
PAGE = 4096

_DONT_WAIT = int(socket.MSG_DONTWAIT)


class UNIXTransport(Transport, unix.Server):
    """
    A connection over a UNIX socket.  There is no reset here: a connection that is cut
    ends like one that is whole.  So the last byte before a half-close comes with a
    descriptor (C{SCM_RIGHTS}, unix(7)).  It proves to clients that look for it that
    nothing is missing; the kernel hides it from others.
    """

    isTCP = False
    _proof: ClassVar[list[tuple[int, int, bytes]]] = []

    def __init__(self, connection: Any, protocol: Any, peer: Any, reactor: Any) -> None:
        """@see: L{Transport}"""
        super().__init__(connection, protocol, peer, reactor)
        self._sendmsgQueue: list[int] = []
        self.makeProof()

    @classmethod
    def makeProof(cls) -> None:
        """
        Open the descriptor that all of them send, unless it is open.  A port does this
        when it begins to listen: later there may be no descriptor left.

        @raise OSError: when there is no descriptor left.
        """
        if not cls._proof:
            null = struct.pack("i", os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
            cls._proof.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, null))

    def writeSomeData(self, data: bytes) -> Any:
        """@see: L{twisted.internet.abstract.FileDescriptor.writeSomeData}"""
        if self._sendmsgQueue:
            return unix.Server.writeSomeData(self, data)
        ends = self._writeDisconnecting and not self._tempDataLen
        if not data or not ends or self.producer is not None:
            return super().writeSomeData(data)
        if len(data) > (1 if self.offset else PAGE):  # the last byte goes by itself
            return super().writeSomeData(memoryview(data)[:-1])  # type: ignore[arg-type]
        try:
            return self.socket.sendmsg([data], self._proof, _DONT_WAIT)
        except BlockingIOError:
            return 0  # not below, which might succeed by now, without the proof
        except OSError:
            # Too many descriptors may be on their way to readers: send it without one.
            return super().writeSomeData(data)


class UNIXPort(unix.Port):
    """
    A port on a socket that listens already.  Twisted's own port changes the mode of the
    file and removes it, whoever made it.
    """

    _log = Logger()

    factory: Any

    # Other processes may have the socket, too.
    _shouldShutdown = False

    def __init__(
        self,
        reactor: Any,
        listener: socket.socket,
        factory: IProtocolFactory,
        isOurs: bool = False,
    ) -> None:
        """
        @param listener: the socket; the port closes it.

        @param isOurs: whether to remove its file when the port is closed.
        """
        name = listener.getsockname()
        super().__init__(name, factory, reactor=reactor)
        self._listener = listener
        self._path = os.fsencode(name)
        self._printable = printable(os.fsdecode(name))
        self._made = _identity(self._path) if isOurs else None

    def startListening(self) -> None:
        """
        @see: L{twisted.internet.interfaces.IListeningPort.startListening}
        """
        self.socket = self._listener
        self.fileno = self.socket.fileno  # type: ignore[method-assign]
        self.factory.doStart()
        self.connected = True
        self.numberAccepts = 100  # as a port of Twisted's: in one turn
        self.startReading()

    def _logConnectionLostMsg(self) -> None:
        # Twisted's own line is lost if the path is not valid UTF-8.
        self._log.info("(UNIX Port {path} Closed)", path=self._printable)

    def connectionLost(self, reason: Failure) -> None:
        """
        Close the socket, and remove its file if it was made here and is still there.
        """
        try:
            if self._made is not None and self._made == _identity(self._path):
                os.unlink(self._path)
        except OSError as error:  # it is in a directory that is not ours
            self._log.error(
                "cannot remove the socket: {description}: {reason}",
                description=f"unix:{self._printable}",
                reason=error.strerror,
            )
        finally:
            tcp.Port.connectionLost(self, reason)


def listenUNIX(
    reactor: Any, path: str | bytes, factory: IProtocolFactory, mode: int
) -> UNIXPort:
    """
    Listen on a UNIX socket.  One that a killed process has left behind is replaced.

    @param reactor: what the port listens with.

    @param path: its file; or an abstract name, which begins with a NUL byte and has no
        file.

    @param factory: serves the readers.

    @param mode: the permissions of the file.

    @raise CannotListenError: when it is impossible, or another process listens there.
    """
    name = os.fsencode(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    try:
        UNIXTransport.makeProof()
        if name.startswith(b"\0"):
            listener.bind(name)
            listener.listen()
            port = UNIXPort(reactor, listener, factory)
        else:
            with _locked(os.path.dirname(name) or b"."):
                _bind(listener, name, mode)
                port = UNIXPort(reactor, listener, factory, isOurs=True)
    except (OSError, ValueError) as error:
        listener.close()
        raise CannotListenError(None, name, error) from error
    port.startListening()
    return port


@contextmanager
def _locked(directory: bytes) -> Iterator[None]:
    # Hold a lock on a directory: of two processes that find the same socket left
    # behind, the second must not replace the new one of the first.
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:  # it may be writable, but not readable
        yield
        return
    try:
        deadline = time.monotonic() + LOCK_TIMEOUT
        while time.monotonic() < deadline:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:  # there are no locks on directories here, as on NFS
                break
        yield
    finally:
        os.close(fd)


def _bind(listener: socket.socket, path: bytes, mode: int) -> None:
    # Bind a socket to a file, and have it listen, or leave no file.
    if b"\0" in path:  # for the kernel the path would end there
        raise ValueError("Not the name of a file")
    os.fchmod(listener.fileno(), mode)  # bind() gives the file no other permissions
    try:
        listener.bind(path)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not _isStale(path):
            raise
        os.unlink(path)
        listener.bind(path)
    try:
        os.chmod(path, mode)
        listener.listen()
    except BaseException:
        os.unlink(path)
        raise


def _isStale(path: bytes) -> bool:
    # A socket on which nobody listens refuses a connection.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            isSocket = stat.S_ISSOCK(os.lstat(path).st_mode)
            probe.connect(path)
        except ConnectionRefusedError:
            return isSocket
        except OSError:
            pass
    return False


def _identity(path: bytes) -> tuple[int, int] | None:
    with suppress(OSError):
        found = os.lstat(path)
        return found.st_dev, found.st_ino
    return None
