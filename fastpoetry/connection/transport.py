"""
The transport of an ordinary connection on a port with a fast lane.
"""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.internet.main import CONNECTION_LOST
from twisted.internet.tcp import Server

# How many bytes of a larger poem go to the kernel at once.  Larger pieces fall out of
# the processor's cache before the reader has them; and with as many as the kernel
# holds unsent, which is Twisted's 128 KiB (see
# L{fastpoetry.listening.acceptor.UNSENT}), it would wait for the next until it has
# nothing left.
SENT_AT_ONCE = 112 * 1024


class PoetryTransport(Server):
    """
    A transport that never copies what is left of a poem.
    """

    # Twisted copies what is left as soon as that is less than this, once for each
    # reader and again after each send.
    SEND_LIMIT = 1

    def writeSomeData(self, data: bytes) -> int | ConnectionLost:
        """
        @see: L{twisted.internet.tcp.Connection.writeSomeData}
        """
        try:
            return self.socket.send(memoryview(data)[:SENT_AT_ONCE])
        except BlockingIOError:
            return 0
        except OSError:
            return CONNECTION_LOST


class EndedTransport(PoetryTransport):
    """
    A transport for a connection whose end is sent.
    """

    _writeDisconnected = True  # as Twisted says it when it has half-closed itself
