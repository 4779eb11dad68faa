"""
A crowd of readers in one thread, each with manners of its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Union

from OpenSSL import SSL

# What a reader takes or says at a time, in bytes.
GULP = 2**16

# How often readers with a pace of their own get a turn, in seconds.
TICK = 0.002

# So many seconds after a UNIX socket was full, a reader tries again to connect.
AGAIN = 0.02

TCPAddress = tuple[str, int]
Address = Union[TCPAddress, str]  # which is the path of a UNIX socket


@dataclass
class Manners:
    """
    How a reader behaves.

    @ivar says: what it sends as soon as it is connected.

    @ivar saysFirst: whether it reads only when all of that is sent.

    @ivar saysPerSecond: how many bytes it sends a second, without end.

    @ivar saysAt: after how many bytes read it sends C{says}, in place of at once.

    @ivar halfCloses: whether it half-closes when it has said what it C{says}: over
        TLS with a close_notify, and nothing else.

    @ivar bareEnd: whether it half-closes below TLS, without a close_notify, then.

    @ivar greetings: how many of its two parts of TLS's handshake it sends before it
        falls silent, or leaves if it C{leavesAt} some point: 0 or 1; L{None} for
        one who sends both.

    @ivar readsPerSecond: how many bytes it reads a second, at the most; 0 for one
        that reads nothing, L{None} for one that reads as it can.

    @ivar leavesAt: after how many bytes read it closes.

    @ivar resets: whether it leaves with a reset.

    @ivar staysFor: how many seconds it keeps the connection after the end.

    @ivar receiveBuffer: the size of the kernel's buffer for it, in bytes, where
        that is not the system's own.
    """

    says: bytes = b""
    saysFirst: bool = False
    saysPerSecond: int = 0
    saysAt: int = 0
    halfCloses: bool = False
    bareEnd: bool = False
    greetings: int | None = None
    readsPerSecond: float | None = None
    leavesAt: int | None = None
    resets: bool = False
    staysFor: float = 0.0
    receiveBuffer: int | None = None


class Reader:
    """
    One reader, by TCP.

    @ivar outcome: how it ended: C{"whole"} (every byte, then a clean end), C{"cut"}
        (a clean end too early, or other bytes), C{"empty"}, C{"reset"},
        C{"refused"}, C{"left"} (by its own will), what else a door has, or L{None}
        as long as it has not.

    @ivar connected: whether it ever was.

    @ivar greeted: whether nothing but the poem is to come.

    @ivar got: how many bytes it has read.

    @ivar isServed: whether it has seen the end of a whole poem.

    @ivar hungUp: seconds from the attempt to connect until the other side was seen
        to have closed, though there may be something to read yet; L{None} before.

    @ivar firstByte: seconds from the attempt to connect to the first byte.

    @ivar lasted: seconds from the attempt to connect to the end.
    """

    family = socket.AF_INET

    def __init__(
        self, address: Address, poems: Iterable[bytes], manners: Manners
    ) -> None:
        self.manners = manners
        self.outcome: str | None = None
        self.got = 0
        self.firstByte: float | None = None
        self.lasted: float | None = None
        self.connected = self.greeted = self.isServed = False
        self.hungUp: float | None = None
        self._address = address
        self._poems = list(poems)
        self._said = 0
        self._halfClosed = False
        self._endAt: float | None = None
        self.socket = socket.socket(self.family)
        self.socket.setblocking(False)
        self.fd = self.socket.fileno()
        if manners.receiveBuffer is not None:
            self.socket.setsockopt(
                socket.SOL_SOCKET, socket.SO_RCVBUF, manners.receiveBuffer
            )
        self.started = self.progressAt = time.monotonic()
        self._connectAt: float | None = None
        self._connect(self.started)

    @property
    def paced(self) -> bool:
        """
        Whether it is a clock, not the kernel, that says when it has a turn.
        """
        manners = self.manners
        return bool(manners.readsPerSecond or manners.saysPerSecond) or (
            self._endAt is not None or self._connectAt is not None
        )

    @property
    def waitsFor(self) -> int:
        """
        The events that it waits for, as a mask for epoll.
        """
        if not self.connected:
            return select.EPOLLOUT
        if not self.greeted:
            return select.EPOLLIN
        manners, mask = self.manners, 0
        talks = self._said < len(manners.says) and self.got >= manners.saysAt
        if talks:
            mask |= select.EPOLLOUT
        if manners.readsPerSecond is None and not (talks and manners.saysFirst):
            mask |= select.EPOLLIN
        return mask

    def step(self, now: float) -> None:
        """
        Do what can be done now.

        @param now: seconds of the monotonic clock.
        """
        before = -1
        if self._connectAt is not None:
            if now >= self._connectAt:
                self._connect(now)
            return
        try:
            if not self.connected:
                # Before the answer to a connect, a send would fail with EAGAIN.
                self.socket.getpeername()
                self.connected = True
            self.greeted = self.greeted or self._greet(now)
            # One that reads as it can goes on while there is something.
            while self.greeted and self.outcome is None and self.got > before:
                before = self.got
                self._say(now)
                self._read(now)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                self.look(now)
            elif error.errno in (errno.ECONNRESET, errno.EPIPE):
                self._finish("reset", now)
            else:
                raise

    def _connect(self, now: float) -> None:
        self._connectAt = None
        code = self.socket.connect_ex(self._address)
        if code == errno.EAGAIN:
            # A UNIX socket whose queue is full: one that can wait would wait.
            self._connectAt = now + AGAIN
        elif code not in (0, errno.EINPROGRESS):
            self._finish("refused", now)

    def look(self, now: float) -> None:
        """
        See whether the connection is broken.
        """
        code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            # One that had no turn since may not know that it was connected.
            isReset = self.connected or code == errno.ECONNRESET
            self._finish("reset" if isReset else "refused", now)

    def _greet(self, now: float) -> bool:
        """
        Say what has to be said before the poem.

        @return: whether that is done.
        """
        return True

    def _say(self, now: float) -> None:
        manners = self.manners
        size = len(manners.says)
        if manners.saysPerSecond:
            size = int((now - self.started) * manners.saysPerSecond)
        if self.got < manners.saysAt:
            return
        while self._said < size:
            part = manners.says[self._said : self._said + GULP]
            part = part or b"x" * min(size - self._said, GULP)
            try:
                self._said += self._send(part)
                self.progressAt = now
            except BlockingIOError:
                return
        if manners.halfCloses and not self._halfClosed:
            self._halfClose()
            self._halfClosed = True

    def _send(self, data: bytes) -> int:
        return self.socket.send(data)

    def _halfClose(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def _read(self, now: float) -> None:
        manners = self.manners
        if self._endAt is not None:
            if now >= self._endAt:
                self._finish("whole", now)
            return
        if manners.leavesAt is not None and self.got >= manners.leavesAt:
            self._finish("left", now)
            return
        if manners.saysFirst and self._said < len(manners.says):
            return
        room = GULP
        if manners.readsPerSecond is not None:
            allowed = int((now - self.started) * manners.readsPerSecond) - self.got
            room = min(room, allowed)
        if manners.leavesAt is not None:
            room = min(room, manners.leavesAt - self.got)
        if room <= 0:
            return
        try:
            data = self._receive(room)
        except BlockingIOError:
            return
        self.progressAt = now
        if data:
            self.firstByte = self.firstByte or now - self.started
            self._poems = [p for p in self._poems if p.startswith(data, self.got)]
            self.got += len(data)
        elif not any(len(poem) == self.got for poem in self._poems):
            self._finish(self._cut() if self.got else "empty", now)
        else:
            self._end(now)

    def _end(self, now: float) -> None:
        """
        Every byte has come, and the end.
        """
        self.isServed = True
        self._endAt = now + self.manners.staysFor
        if not self.manners.staysFor:
            self._finish("whole", now)

    def _receive(self, room: int) -> bytes:
        return self.socket.recv(room)

    def _cut(self) -> str:
        """
        @return: what a clean end too early is called.
        """
        return "cut"

    def _finish(self, outcome: str, now: float) -> None:
        self.outcome = outcome
        self.lasted = now - self.started
        self.close(self.manners.resets)

    def close(self, reset: bool) -> None:
        """
        Close the connection.

        @param reset: whether with a reset.
        """
        if reset:
            with contextlib.suppress(OSError):
                self.socket.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
        self.socket.close()


class UNIXReader(Reader):
    """
    One reader, by a UNIX socket.  C{"whole"} is a poem with the proof that it is all
    (see L{fastpoetry.endpoints.unixsocket.UNIXTransport}), C{"unproven"} every byte
    without it; a clean end too early is C{"cut without proof"}, or C{"cut, and
    proven"}, which must not be.

    @ivar isProven: whether the last bytes came with the proof.
    """

    family = socket.AF_UNIX
    isProven = False

    def _receive(self, room: int) -> bytes:
        data, descriptors, _, _ = socket.recv_fds(self.socket, room, 8)
        for descriptor in descriptors:
            os.close(descriptor)
        if data:
            self.isProven = len(descriptors) > 0
        return data

    def _end(self, now: float) -> None:
        if self.isProven:
            super()._end(now)
        else:
            self._finish("unproven", now)

    def _cut(self) -> str:
        return "cut, and proven" if self.isProven else "cut without proof"


class TLSReader(Reader):
    """
    One reader, by TLS.  Its clean end is a close_notify; any other is C{"reset"}.  It
    trusts every server.
    """

    _context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    _greetings = 0
    _connection: Any  # of pyOpenSSL, where there is one

    def _greet(self, now: float) -> bool:
        manners = self.manners
        if self._greetings != manners.greetings:
            if self._greetings == 0:
                # Over the socket the answer may come before the call returns, and
                # the second would follow at once.
                below = None if manners.greetings else self.socket
                self._connection = SSL.Connection(self._context, below)
                self._connection.set_connect_state()
            self._greetings += 1
            if manners.greetings:
                with contextlib.suppress(SSL.WantReadError):
                    self._connection.do_handshake()
                self.socket.send(self._connection.bio_read(GULP))
                raise BlockingIOError
            self._do(self._connection.do_handshake)
            return True
        if manners.leavesAt is not None:
            self._finish("left", now)
        elif not self.socket.recv(GULP):  # it is silent, until it is let go
            self._finish("reset", now)
        return False

    def _send(self, data: bytes) -> int:
        sent: int = self._do(self._connection.send, data)
        return sent

    def _halfClose(self) -> None:
        if self.manners.bareEnd:
            super()._halfClose()
        else:
            self._do(self._connection.shutdown)

    def _receive(self, room: int) -> bytes:
        data: bytes = self._do(self._connection.recv, room)
        return data

    def _do(self, action: Callable[..., Any], *arguments: object) -> Any:
        """
        Have something done, with the results that a socket has.
        """
        try:
            return action(*arguments)
        except (SSL.WantReadError, SSL.WantWriteError):
            raise BlockingIOError from None
        except SSL.ZeroReturnError:  # a close_notify
            return b""
        except SSL.Error as error:  # an end without, for one
            raise ConnectionResetError(errno.ECONNRESET, repr(error)) from error

    def close(self, reset: bool) -> None:
        """
        Close the connection, with a close_notify where it is no reset.

        @see: L{Reader.close}
        """
        if self.greeted and not (reset or self._halfClosed):
            with contextlib.suppress(SSL.Error):
                self._connection.shutdown()
        super().close(reset)


class Crowd:
    """
    Readers of one server.

    @ivar readers: all that there ever were.
    """

    def __init__(
        self,
        address: Address,
        poems: Iterable[bytes],
        kind: type[Reader] = Reader,
        inside: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        """
        @param address: host and port of the server, or the path of its UNIX socket.

        @param poems: what may come; a whole poem is one of them.

        @param kind: what its readers are.

        @param inside: the network that the readers connect from.
        """
        self.address = address
        self.poems = list(poems)
        self.readers: list[Reader] = []
        self._kind = kind
        self._inside = inside
        self._open: dict[int, Reader] = {}
        self._paced: set[Reader] = set()
        self._epoll = select.epoll()

    def __len__(self) -> int:
        """
        How many have not ended.
        """
        return len(self._open)

    def add(self, count: int, manners: Manners | None = None) -> list[Reader]:
        """
        Connect so many readers at once.
        """
        manners = manners or Manners()
        with self._inside():
            new = [self._kind(self.address, self.poems, manners) for _ in range(count)]
        self.readers += new
        for reader in new:
            if reader.outcome is None:
                self._open[reader.fd] = reader
                self._epoll.register(reader.fd, reader.waitsFor)
                self._arrange(reader)
        return new

    def run(
        self,
        seconds: float = 600.0,
        until: Callable[[], bool] | None = None,
        patience: float = 60.0,
    ) -> None:
        """
        Let the readers do what they do.

        @param seconds: for how long at most; 0 for one turn.

        @param until: or until this is so; by default until all have ended.

        @param patience: how long nothing may happen to anybody, before they are
            let be as they are; only where C{until} is not given.
        """
        start = time.monotonic()
        # Their manners may have been changed meanwhile.
        for reader in tuple(self._open.values()):
            self._arrange(reader)
        lookAt = start + 0.5
        while self._open if until is None else not until():
            now = time.monotonic()
            for reader in tuple(self._paced):
                self._step(reader, now)
            pause = TICK if self._paced or until else 0.05
            for fd, events in self._epoll.poll(pause, 512):
                if fd in self._open:
                    self._step(self._open[fd], time.monotonic(), events)
            if until is None and now > lookAt:
                lookAt = now + 0.5
                last = max((r.progressAt for r in self._open.values()), default=now)
                if now - max(start, last) > patience:
                    return
            if now >= start + seconds:
                return

    def _step(self, reader: Reader, now: float, events: int = 0) -> None:
        reader.step(now)
        if reader.outcome is None and events & (select.EPOLLERR | select.EPOLLHUP):
            if events & select.EPOLLHUP and reader.hungUp is None:
                reader.hungUp = now - reader.started
            reader.look(now)
            if reader.outcome is None and not events & reader.waitsFor:
                # Both sides have ended; it would be told so for ever.
                with contextlib.suppress(FileNotFoundError):
                    self._epoll.unregister(reader.fd)
        if reader.outcome is None:
            self._arrange(reader)
        else:
            del self._open[reader.fd]
            self._paced.discard(reader)

    def _arrange(self, reader: Reader) -> None:
        if reader.paced:
            self._paced.add(reader)
            with contextlib.suppress(FileNotFoundError):
                self._epoll.unregister(reader.fd)
        else:
            self._paced.discard(reader)
            try:
                self._epoll.modify(reader.fd, reader.waitsFor)
            except FileNotFoundError:
                self._epoll.register(reader.fd, reader.waitsFor)

    def outcomes(self, readers: Iterable[Reader] | None = None) -> Counter[str]:
        """
        @return: how many ended in which way; C{"hung"} for those that have not
            ended, and C{"never served"} for those of them that saw not one byte.
        """
        names = [
            reader.outcome or ("hung" if reader.got else "never served")
            for reader in (self.readers if readers is None else readers)
        ]
        return Counter(names)

    def close(self) -> None:
        """
        Close every connection with a reset.
        """
        for reader in self._open.values():
            reader.close(reset=True)
        self._open.clear()
        self._paced.clear()
        self._epoll.close()
