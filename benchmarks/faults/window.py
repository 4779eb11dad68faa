"""
How a slow reader's kernel acknowledges.

C{--timeout} counts from what the reader's kernel has acknowledged.  When the
receive buffer is full, the kernel closes its window, and opens it again only when
a good part of the buffer is free; nothing is acknowledged meanwhile.
"""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, suppress

from benchmarks.faults import Scale
from benchmarks.faults.slow import BUFFERS
from benchmarks.report import table
from fastpoetry.connection.kernel import progress
from fastpoetry.listening.acceptor import MAX_UNSENT
from sandbox.link import openLink
from sandbox.network import Loopback
from sandbox.subject import BIG

TCP_NOTSENT_LOWAT = 25


class Pair:
    """
    A connection that one side writes as it can and the other reads slowly.

    @ivar silence: the longest time without an acknowledgement, in seconds.
    """

    def __init__(self, network: Loopback, buffer: int | None, stack: ExitStack) -> None:
        self.network, self.buffer = network, buffer
        self.silence = 0.0
        with network.atServer():
            listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, MAX_UNSENT)
        listener.bind((network.host, 0))
        listener.listen()
        with network.atReaders():
            self._reader = stack.enter_context(socket.socket())
        if buffer is not None:
            self._reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._reader.connect(listener.getsockname())
        self._writer = stack.enter_context(listener.accept()[0])
        self._writer.setblocking(False)
        self._reader.setblocking(False)
        self._sent = self._read = self._acknowledged = 0
        self._start = self._at = time.monotonic()

    def turn(self, rate: int) -> None:
        """
        Write, read, and look.

        @param rate: how many bytes a second are read.
        """
        with suppress(BlockingIOError):
            while True:
                piece = BIG[self._sent : self._sent + MAX_UNSENT]
                self._sent += self._writer.send(piece)
        now = time.monotonic()
        due = int((now - self._start) * rate) - self._read
        if due > 0:
            with suppress(BlockingIOError):
                self._read += len(self._reader.recv(due))
        acknowledged = progress(self._writer).acknowledged
        # Until the buffer is full for the first time, the window is open.
        if now - self._start > 1 and now - self._at > self.silence:
            self.silence = now - self._at
        if acknowledged != self._acknowledged:
            self._acknowledged, self._at = acknowledged, now


def silences(seconds: float, rate: int) -> str:
    """
    Read slowly, with receive buffers of several sizes.

    @param seconds: for how long.

    @param rate: how many bytes a second.

    @return: the longest time without an acknowledgement, in Markdown.
    """
    with openLink() as link, ExitStack() as stack:
        pairs = [
            Pair(network, buffer, stack)
            for network in Scale(link=link).networks
            for buffer in BUFFERS
        ]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for pair in pairs:
                pair.turn(rate)
            time.sleep(0.01)
    rows = []
    for pair in pairs:
        name = "the system's" if pair.buffer is None else f"{pair.buffer:,}"
        rows.append([pair.network.name, name, f"{pair.silence:.1f} s"])
    silence = f"longest silence at {rate:,} bytes/s"
    return table(["network", "receive buffer", silence], rows)
