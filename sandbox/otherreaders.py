"""
Readers by a UNIX socket, and by TLS.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL

from sandbox.reader import GULP, Reader


class UNIXReader(Reader):
    """
    One reader, by a UNIX socket.  A poem is C{"whole"} with the proof that all of it
    came (see L{fastpoetry.endpoints.unixsocket.UNIXTransport}), and C{"unproven"}
    without.  A clean end too early is C{"cut without proof"}, or C{"cut, and proven"},
    which must never happen.

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
    One reader, by TLS.  A clean end is a close_notify; any other end is C{"reset"}.
    The reader trusts every server.
    """

    _context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    _greetings = 0
    _connection: Any  # of pyOpenSSL, where there is one

    def _greet(self, now: float) -> bool:
        """
        Do the handshake, or as much of it as its manners say.

        @see: L{Reader._greet}
        """
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
        elif not self.socket.recv(GULP):  # silent until the server closes
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
        Call a method of the connection, with the results and errors of a socket.
        """
        try:
            return action(*arguments)
        except (SSL.WantReadError, SSL.WantWriteError):
            raise BlockingIOError from None
        except SSL.ZeroReturnError:  # a close_notify
            return b""
        except SSL.Error as error:  # an end without a close_notify, for one
            raise ConnectionResetError(errno.ECONNRESET, repr(error)) from error

    def close(self, reset: bool) -> None:
        """
        Close the connection, with a close_notify unless it is a reset.

        @see: L{Reader.close}
        """
        if self.hasGreeted and not (reset or self._hasHalfClosed):
            with contextlib.suppress(SSL.Error):
                self._connection.shutdown()
        super().close(reset)
