"""
One reader of a poem, by TCP.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import time
from collections.abc import Iterable

from sandbox.connections import Address
from sandbox.manners import Manners

# What a reader takes or says at a time, in bytes.
GULP = 2**16

# So many seconds after a UNIX socket was full, a reader tries again to connect.
AGAIN = 0.02


class Reader:
    """
    One reader, by TCP.

    @ivar outcome: how it ended: C{"whole"} (every byte, then a clean end), C{"cut"}
        (a clean end too early, or other bytes), C{"empty"}, C{"reset"},
        C{"refused"}, C{"left"} (by its own will), or what a subclass adds; C{None}
        while it has not ended.

    @ivar isConnected: whether it is, or was, connected.

    @ivar hasGreeted: whether its handshake, if it has one, is done.

    @ivar got: how many bytes it has read.

    @ivar isServed: whether it has seen the end of a whole poem.

    @ivar hungUp: seconds from the attempt to connect until the server closed, as far
        as epoll tells; there may still be something to read.  C{None} before.

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
        self.isConnected = self.hasGreeted = self.isServed = False
        self.hungUp: float | None = None
        self._address = address
        self._poems = list(poems)
        self._said = 0
        self._hasHalfClosed = False
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
    def isPaced(self) -> bool:
        """
        Whether a clock says when it has a turn, not the kernel.
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
        if not self.isConnected:
            return select.EPOLLOUT
        if not self.hasGreeted:
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
            if not self.isConnected:
                # Before the answer to a connect, a send would fail with EAGAIN.
                self.socket.getpeername()
                self.isConnected = True
            self.hasGreeted = self.hasGreeted or self._greet(now)
            # Go on as long as there is something to read.
            while self.hasGreeted and self.outcome is None and self.got > before:
                before = self.got
                self._say(now)
                self._read(now)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.ENOTCONN:
                self.check(now)
            elif error.errno in (errno.ECONNRESET, errno.EPIPE):
                self._finish("reset", now)
            else:
                raise

    def _connect(self, now: float) -> None:
        self._connectAt = None
        code = self.socket.connect_ex(self._address)
        if code == errno.EAGAIN:
            # The queue of the UNIX socket is full: a blocking socket would wait.
            self._connectAt = now + AGAIN
        elif code not in (0, errno.EINPROGRESS):
            self._finish("refused", now)

    def check(self, now: float) -> None:
        """
        See whether the connection is broken.
        """
        code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            # A reader that had no turn since may not know that it was connected.
            isReset = self.isConnected or code == errno.ECONNRESET
            self._finish("reset" if isReset else "refused", now)

    def _greet(self, now: float) -> bool:
        """
        Do the handshake that comes before the poem, if there is one.

        @return: whether it is done.
        """
        return True

    def _say(self, now: float) -> None:
        """
        Send what its manners demand by now, then half-close if they do.
        """
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
        if manners.halfCloses and not self._hasHalfClosed:
            self._halfClose()
            self._hasHalfClosed = True

    def _send(self, data: bytes) -> int:
        return self.socket.send(data)

    def _halfClose(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def _read(self, now: float) -> None:
        """
        Read once, as much as its manners allow by now, and end if that was the end.
        """
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
        End, after every byte and a clean end have come.
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
