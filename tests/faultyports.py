"""
Ports whose calls fail, and who finds out what readers have then.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import select
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.tcp import Port
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection import kernel
from fastpoetry.connection.connections import Connections
from fastpoetry.endpoints.unixsocket import listenUNIX
from fastpoetry.listening import acceptor as acceptorModule
from fastpoetry.listening.acceptor import PAUSE, Acceptor
from fastpoetry.protocol import PoetryFactory
from tests.faults import (
    ABORTED,
    DAWDLES,
    ENDS,
    READS,
    TALKS,
    Call,
    Cell,
    Fault,
    FaultyEpoll,
    FaultyListener,
    FaultySocket,
)
from tests.support import LONG, Reactor, StaticSource, openDescriptors

# That of the next reader, which waits for it, too.
NEXT = 300_000

# While an error persists there are this many pauses, and this many calls may fail.
PAUSES = 3
MOST_CALLS = 50

# Enough for the largest poem and the slowest reader.
MOST_TURNS = 600

# Seconds of the deadlines, to none of which it comes: an error is known at once.
TIMEOUT = 60.0


class Reader:
    """
    A reader who leaves when it has seen an end.

    @ivar got: what it has.

    @ivar end: the end that it saw: C{"clean"}, or the name of an error.

    @ivar hasProof: whether a descriptor came, which proves that nothing is missing.
    """

    def __init__(self, address: Any, way: str) -> None:
        self.way = way
        self.got = bytearray()
        self.end = ""
        self.hasProof = False
        family = socket.AF_UNIX
        if isinstance(address, tuple):
            family = socket.AF_INET6 if len(address) == 4 else socket.AF_INET
        self.socket = socket.socket(family)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        try:
            self.socket.connect(address)
        except OSError:
            self.socket.close()
            raise
        self.socket.setblocking(False)
        self.begin()

    def begin(self) -> None:
        """
        Say what it has to say.
        """
        if self.way == TALKS:
            self.socket.send(b"GET / HTTP/1.0\r\n\r\n")
        elif self.way == ENDS:
            self.socket.shutdown(socket.SHUT_WR)

    def take(self) -> bool:
        """
        Take what is there.

        @return: whether anything was.
        """
        if self.end:
            return False
        try:
            data, ancillary, _, _ = self.socket.recvmsg(2**17, socket.CMSG_SPACE(4))
        except BlockingIOError:
            return False
        except OSError as error:
            self.end = errno.errorcode[error.errno or 0]
        else:
            self.got += data
            for _, _, descriptor in ancillary:
                self.hasProof = True
                os.close(int.from_bytes(descriptor, sys.byteorder))
            if not data:
                self.end = "clean"
        if self.end:
            self.socket.close()
        return True


def descriptors() -> int:
    """
    @return: how many descriptors this process has open.  There may be fewer than
        before, when garbage of other tests had some.
    """
    return len(openDescriptors())


class Ports:
    """
    Real ports, each with an L{Acceptor}, in the place of a reactor that runs.
    """

    def __init__(self, patch: Callable[..., Any], directory: Path) -> None:
        """
        @param patch: of the test.

        @param directory: where a UNIX socket can be.
        """
        self.fault = FaultySocket.fault = Fault()
        self.turns = 0
        self._directory = directory
        self._numbers = itertools.count()
        patch(acceptorModule, "SocketType", FaultySocket)
        patch(acceptorModule, "MAX_ACCEPTS", 10)
        patch(
            acceptorModule,
            "Connections",
            lambda reactor: Connections(reactor, FaultyEpoll(self.fault)),
        )
        patch(kernel, "fcntl", SimpleNamespace(ioctl=self._ioctl))

    def _ioctl(self, *arguments: Any) -> Any:
        self.fault.meet("ioctl")
        return fcntl.ioctl(*arguments)

    def open(self, kind: str, poem: bytes) -> None:
        """
        Listen.
        """
        self.kind = kind
        self.reactor: Any = Reactor()
        self.factory = PoetryFactory(StaticSource(poem), TIMEOUT, self.reactor)
        self.factory.noisy = False
        factory = self.wrap(self.factory)
        if kind == "unix":
            path = self._directory / str(next(self._numbers))
            port: Any = listenUNIX(self.reactor, str(path), factory, 0o666)
        else:
            port = Port(0, factory, interface="127.0.0.1", reactor=self.reactor)
        port.startListening()
        self.address = port.socket.getsockname()
        port.socket = FaultyListener(port.socket, self.fault)
        self.port = port
        self.acceptor = Acceptor(port, None, self.reactor, set())
        self.acceptor.start()

    def wrap(self, factory: PoetryFactory) -> Any:
        """
        @return: the factory of the port.
        """
        return factory

    def connect(self, way: str) -> Reader:
        """
        @return: a reader.
        """
        return Reader(self.address, way)

    def close(self) -> None:
        """
        Listen no longer.
        """
        self.acceptor.stop()

    def turn(self, reader: Reader) -> None:
        """
        One turn of the reactor, and of the reader; when there is nothing to do, the
        next call on the clock.
        """
        self.turns += 1
        isBusy = False
        takes = reader.way not in (DAWDLES, ABORTED) or self.turns % 4 == 0
        for descriptor in self.reactor.getReaders():
            if select.select([descriptor], [], [], 0)[0]:
                isBusy = True
                descriptor.doRead()
        self.reactor.advance(0)
        if (takes and reader.take()) or isBusy:
            return
        if takes and not reader.end:  # what was sent may be on its way in the kernel
            waiting = [*self.reactor.getReaders(), reader.socket]
            if select.select(waiting, [], [], 0.001)[0]:
                return
        calls = self.reactor.getDelayedCalls()
        if calls:
            # Not at once to a deadline: it may be the reader who does nothing.
            soonest = min(call.getTime() for call in calls) - self.reactor.seconds()
            self.reactor.advance(min(max(0.0, soonest), PAUSE))

    def serve(self, reader: Reader) -> None:
        """
        Serve one reader until nothing of it is left.
        """
        self.turns = 0
        mendAt = self.reactor.seconds() + PAUSES * PAUSE
        while not reader.end or self.acceptor.connections:
            self.turn(reader)
            if self.turns > MOST_TURNS:
                raise AssertionError("it never ends")
            if self.reactor.seconds() >= TIMEOUT:
                raise AssertionError("it ends with a deadline")
            if reader.way == ABORTED and self.turns == 3:
                self.acceptor.connections.abort()
            if self.reactor.seconds() >= mendAt and not self.acceptor.connections:
                self.fault.end()


class FaultTestCase(SynchronousTestCase):
    """
    Has calls fail, and judges what readers have then.

    @cvar kinds: of the sockets.

    @cvar triesAll: whether all cells are tried, and not some for each error.

    @cvar verses: what every poem is the beginning of.
    """

    kinds: tuple[str, ...]
    portsClass = Ports
    triesAll = True
    verses = LONG

    def setUp(self) -> None:
        """
        Serve one reader on each kind of port: what is opened once for all is open.
        """
        directory = Path(self.mktemp())
        directory.mkdir(parents=True)
        self.ports = self.portsClass(self.patch, Path(os.path.relpath(directory)))
        for kind in self.kinds:
            self.ports.open(kind, b"poem")
            reader = self.ports.connect(READS)
            self.ports.serve(reader)
            self.ports.close()
            self.assertEqual(bytes(reader.got), b"poem")

    def judge(self, cell: Cell, reader: Reader) -> Iterator[str]:
        """
        @return: what is wrong with what a reader has.
        """
        raise NotImplementedError

    def judgeNext(self, kind: str) -> Iterator[str]:
        """
        @return: what is wrong with what the next reader has, when all is well again.
        """
        self.ports.factory.source = StaticSource(self.verses[:NEXT])
        reader = self.ports.connect(READS)
        self.ports.serve(reader)
        if reader.got != self.verses[:NEXT] or reader.end != "clean":
            yield f"the next has {len(reader.got)} bytes, then {reader.end}"
        if kind == "unix" and not reader.hasProof:
            yield "the next has no proof"

    def tryCell(self, cell: Cell) -> Iterator[str]:
        """
        Have it fail.

        @return: what is wrong then.
        """
        ports, fault = self.ports, self.ports.fault
        before = descriptors()
        ports.open(cell.kind, self.verses[: cell.size])
        listening = descriptors()
        fault.begin(cell)
        reader = ports.connect(cell.way)
        ports.serve(reader)
        fault.end()
        if len(fault.raised) > MOST_CALLS:
            yield f"{len(fault.raised)} calls"
        if not self.verses[: cell.size].startswith(reader.got):
            yield "other bytes"
        yield from self.judge(cell, reader)
        yield from self.judgeNext(cell.kind)
        if descriptors() > listening or fault.unclosed:
            more = max(descriptors() - listening, fault.unclosed)
            yield f"{more} descriptors more than before"
        ports.close()
        ports.reactor.pump([PAUSE] * 3)
        if ports.reactor.getDelayedCalls():
            yield "something is left on the clock"
        if ports.reactor.getReaders():
            yield "something is left in the reactor"
        if descriptors() > before:
            yield f"{descriptors() - before} descriptors more than before the port"
        for failure in self.flushLoggedErrors():
            if failure.check(OSError) or failure.value not in fault.raised:
                yield f"logged: {failure.value!r}"

    def assertWhole(self, *calls: Call) -> None:
        """
        Assert that whatever the calls fail with, a reader has the whole poem or no
        clean end, nothing else is lost with it, and the next has the whole poem.
        """
        wrong: list[str] = []
        tried: set[tuple[str, str, int, str]] = set()
        met: set[tuple[str, str, int, str]] = set()
        for call in calls:
            step = 1 if self.triesAll else call.step
            for cell in itertools.islice(call.cells(), 0, None, step):
                try:
                    wrong += [f"{cell}: {what}" for what in self.tryCell(cell)]
                except Exception as error:
                    raise AssertionError(f"{cell}: {error!r}") from error
                failure = call.name, cell.error, cell.first, cell.time
                tried.add(failure)
                if self.ports.fault.raised:
                    met.add(failure)
        if wrong:
            self.fail("\n".join(wrong))
        self.assertEqual(tried - met, set(), "never failed so")
