"""
Every error that a system call of the serving path can end with, made to happen on
real sockets: a reader has the whole poem, or no clean end.
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
from typing import Any, NamedTuple

from twisted.internet.error import ConnectionDone
from twisted.internet.tcp import Port
from twisted.internet.unix import Port as UNIXPort
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.connection import kernel
from fastpoetry.connection.connections import Connections
from fastpoetry.connection.transport import UNIXTransport
from fastpoetry.listening import acceptor as acceptorModule
from fastpoetry.listening.acceptor import PAUSE, Acceptor
from fastpoetry.protocol import PoetryFactory
from tests.support import Reactor, StaticSource

# None; one that goes at once, on UNIX with its last byte; one for which that goes by
# itself; and one that waits for its reader.
SIZES = (0, 2_817, 17_000, 5_000_000)

# That of the next reader, which waits for it, too.
NEXT = 300_000

KINDS = ("tcp", "unix")

# What a reader does: it reads; it says something first; it says that it will say no
# more; it reads in every fourth turn; it does so, and is aborted before the first.
READS, TALKS, ENDS, DAWDLES, ABORTED = "reads", "talks", "ends", "dawdles", "is aborted"

# The n-th call fails, or all from the n-th on.
ONCE, ALWAYS = "once", "always"

# These say that a call would succeed later, and the kernel then tells when: no socket
# is ready while each call ends so.  (After EINTR, Python itself calls again.)
LATER = {"EAGAIN", "EALREADY", "EINTR"}

# While an error persists there are so many pauses, and so many calls may fail.
PAUSES = 3
MOST_CALLS = 50

# Enough for the largest poem and the slowest reader, and too few for the deadline of
# a reader who takes nothing: an error is known at once.
MOST_TURNS = 600

SOCKET = "EBADF EFAULT EINVAL ENOBUFS ENOMEM ENOTSOCK"
NETWORK = "ECONNRESET EHOSTUNREACH ENETDOWN ENETUNREACH ETIMEDOUT"
EPOLL = "EBADF EEXIST EINVAL ELOOP ENOENT ENOMEM ENOSPC EPERM"


class Call(NamedTuple):
    """
    A system call.

    @ivar errors: what it can fail with (its manual page; tcp(7), ip(7), unix(7)).

    @ivar numbers: which of the calls fail.

    @ivar ways: what its readers do.

    @ivar kinds: over which sockets it is made.

    @ivar isHarmless: whether the reader gets the whole poem in spite of it.
    """

    errors: str
    numbers: tuple[int, ...] = (1, 2)
    ways: tuple[str, ...] = (READS, DAWDLES)
    kinds: tuple[str, ...] = KINDS
    isHarmless: bool = False


CALLS = {
    "send": Call(
        f"{SOCKET} {NETWORK} EACCES EAGAIN EALREADY EDESTADDRREQ EINTR EISCONN EMSGSIZE"
        " ENOTCONN EOPNOTSUPP EPERM EPIPE",
        numbers=(1, 2, 20),
    ),
    # What it was to send goes without the proof that nothing is missing.
    "sendmsg": Call(
        f"{SOCKET} ECONNRESET EACCES EAGAIN EDESTADDRREQ EINTR EISCONN EMSGSIZE"
        " ENOTCONN EOPNOTSUPP EPERM EPIPE ETOOMANYREFS",
        numbers=(1,),
        kinds=("unix",),
        isHarmless=True,
    ),
    "recv": Call(
        f"{SOCKET} {NETWORK} EAGAIN ECONNREFUSED EINTR ENOTCONN EPIPE",
        ways=(READS, DAWDLES, TALKS, ENDS),
    ),
    "shutdown": Call(
        "EBADF EINVAL ENOBUFS ENOMEM ENOTCONN ENOTSOCK",
        numbers=(1,),
        ways=(READS, DAWDLES, TALKS, ENDS),
    ),
    "setsockopt": Call(
        f"{SOCKET} EDOM ENOPROTOOPT EPERM",
        ways=(READS, DAWDLES, TALKS, ENDS, ABORTED),
    ),
    "getsockopt": Call(
        f"{SOCKET} ENOPROTOOPT EPERM",
        ways=(READS, DAWDLES, TALKS, ENDS),
        kinds=("tcp",),
        isHarmless=True,
    ),
    "ioctl": Call(
        "EBADF EFAULT EINVAL ENOTTY",
        ways=(READS, DAWDLES, TALKS, ENDS),
        kinds=("unix",),
        isHarmless=True,
    ),
    "register": Call(EPOLL),
    "modify": Call(EPOLL, numbers=(1,), ways=(READS, DAWDLES, ABORTED)),
    "unregister": Call(EPOLL, ways=(READS, DAWDLES, ABORTED)),
    # The reader waits in the queue of the port meanwhile.
    "accept": Call(
        f"{SOCKET} EAGAIN ECONNABORTED EHOSTDOWN EHOSTUNREACH EINTR EMFILE ENETDOWN"
        " ENETUNREACH ENFILE ENONET ENOPROTOOPT ENOSR EOPNOTSUPP EPERM EPROTO"
        " EPROTONOSUPPORT ESOCKTNOSUPPORT ETIMEDOUT",
        isHarmless=True,
    ),
    # The descriptor is given back all the same.
    "close": Call(
        "EBADF EDQUOT EINTR EIO ENOSPC",
        numbers=(1,),
        ways=(READS, DAWDLES, TALKS, ENDS),
        isHarmless=True,
    ),
    "setblocking": Call("EACCES EAGAIN EBADF EFAULT EINVAL ENOTTY EPERM"),
}


class Cell(NamedTuple):
    """
    One way for one call to fail, and for whom.
    """

    call: str
    error: str
    first: int
    time: str
    size: int
    kind: str
    way: str

    @property
    def name(self) -> str:
        """
        What it is, in words.
        """
        since = f"call {self.first}" + (" and all after it" * (self.time == ALWAYS))
        where = f"{self.size} bytes over {self.kind} to a reader who {self.way}"
        return f"{self.call} fails with {self.error}, {since}: {where}"


def cells(call: str) -> Iterator[Cell]:
    """
    @return: all that can go wrong with a call.
    """
    one = CALLS[call]
    for row in itertools.product(
        one.errors.split(), one.numbers, (ONCE, ALWAYS), SIZES, one.kinds, one.ways
    ):
        cell = Cell(call, *row)
        if cell.error not in LATER or cell.time == ONCE:
            yield cell


class Fault:
    """
    Has one of the calls fail.

    @ivar hits: how many times it did.

    @ivar unclosed: how many sockets were accepted, and not closed.
    """

    def __init__(self) -> None:
        self.unclosed = 0
        self.end()

    def begin(self, cell: Cell) -> None:
        """
        Have a call fail from now on.
        """
        self._call, self._first, self._time = cell.call, cell.first, cell.time
        self._number: int = getattr(errno, cell.error)
        self._calls = self.hits = 0

    def end(self) -> None:
        """
        Have all of them work again.
        """
        self._call = ""

    def meet(self, call: str) -> None:
        """
        Fail, if this is the call.
        """
        if call != self._call:
            return
        self._calls += 1
        isFirst = self._calls == self._first
        if isFirst or (self._time == ALWAYS and self._calls > self._first):
            self.hits += 1
            raise OSError(self._number, os.strerror(self._number))


class FaultySocket(socket.SocketType):
    """
    An accepted socket whose calls can fail.
    """

    fault: Fault

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.fault.unclosed += 1

    def send(self, *arguments: Any) -> int:
        self.fault.meet("send")
        return super().send(*arguments)

    def sendmsg(self, *arguments: Any) -> int:
        self.fault.meet("sendmsg")
        return super().sendmsg(*arguments)

    def recv(self, *arguments: Any) -> bytes:
        self.fault.meet("recv")
        return super().recv(*arguments)

    def recvmsg(self, *arguments: Any) -> Any:
        self.fault.meet("recv")
        return super().recvmsg(*arguments)

    def shutdown(self, how: int) -> None:
        self.fault.meet("shutdown")
        super().shutdown(how)

    def setsockopt(self, *arguments: Any) -> None:
        self.fault.meet("setsockopt")
        super().setsockopt(*arguments)

    def getsockopt(self, *arguments: Any) -> Any:
        self.fault.meet("getsockopt")
        return super().getsockopt(*arguments)

    def setblocking(self, flag: bool) -> None:
        self.fault.meet("setblocking")
        super().setblocking(flag)

    def close(self) -> None:
        super().close()
        self.fault.unclosed -= 1
        self.fault.meet("close")


class FaultyListener:
    """
    A listening socket that can fail to accept.
    """

    def __init__(self, listener: Any, fault: Fault) -> None:
        self._listener = listener
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def _accept(self) -> Any:
        self._fault.meet("accept")
        return self._listener._accept()


class FaultyEpoll:
    """
    An C{epoll} that can fail to change.
    """

    def __init__(self, fault: Fault) -> None:
        self._epoll = select.epoll()
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        return getattr(self._epoll, name)

    def register(self, fd: int, events: int) -> None:
        """
        Wait for something new.
        """
        self._fault.meet("register")
        self._epoll.register(fd, events)

    def modify(self, fd: int, events: int) -> None:
        """
        Wait for something else.
        """
        self._fault.meet("modify")
        self._epoll.modify(fd, events)

    def unregister(self, fd: int) -> None:
        """
        Wait no longer.
        """
        self._fault.meet("unregister")
        self._epoll.unregister(fd)


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
        isUNIX = isinstance(address, str)
        self.socket = socket.socket(socket.AF_UNIX if isUNIX else socket.AF_INET)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        self.socket.connect(address)
        self.socket.setblocking(False)
        if way == TALKS:
            self.socket.send(b"GET / HTTP/1.0\r\n\r\n")
        elif way == ENDS:
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


def noDescriptor(*arguments: object) -> int:
    """
    Fail as C{open} when the process may have no more descriptors.
    """
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def descriptors() -> int:
    """
    @return: how many descriptors this process has open.  There may be fewer than
        before, when garbage of other tests had some.
    """
    return len(os.listdir("/proc/self/fd"))


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
        self.reactor: Any = Reactor()
        factory = PoetryFactory(StaticSource(poem), 60.0, self.reactor)
        factory.noisy = False
        if kind == "tcp":
            port: Any = Port(0, factory, interface="127.0.0.1", reactor=self.reactor)
        else:
            path = self._directory / str(next(self._numbers))
            port = UNIXPort(str(path), factory, reactor=self.reactor)
        port.startListening()
        self.address = port.socket.getsockname()
        port.socket = FaultyListener(port.socket, self.fault)
        self.port = port
        self.acceptor = Acceptor(port, None, self.reactor, set())
        self.acceptor.start()

    def close(self) -> None:
        """
        Listen no longer.
        """
        self.acceptor.stop()
        self.port.connectionLost(Failure(ConnectionDone()))

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
            soonest = min(call.getTime() for call in calls)
            self.reactor.advance(max(0.0, soonest - self.reactor.seconds()))

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
            if reader.way == ABORTED and self.turns == 3:
                self.acceptor.connections.abort()
            if self.reactor.seconds() >= mendAt and not self.acceptor.connections:
                self.fault.end()


class ErrorTests(SynchronousTestCase):
    """
    Each call of L{CALLS}, with each of its errors.
    """

    def setUp(self) -> None:
        """
        Serve one reader on each kind of port: what is opened once for all is open.
        """
        directory = Path(self.mktemp())
        directory.mkdir(parents=True)
        self.ports = Ports(self.patch, Path(os.path.relpath(directory)))
        for kind in KINDS:
            self.ports.open(kind, b"poem")
            reader = Reader(self.ports.address, READS)
            self.ports.serve(reader)
            self.ports.close()
            self.assertEqual(bytes(reader.got), b"poem")
        verses = b"".join(b"verse %d\n" % number for number in range(500_000))
        self.poems = {size: verses[:size] for size in (*SIZES, NEXT)}

    def judge(self, cell: Cell, reader: Reader) -> Iterator[str]:
        """
        @return: what is wrong with what a reader has.
        """
        poem, isTCP = self.poems[cell.size], cell.kind == "tcp"
        isWhole, isClean = len(reader.got) == len(poem), reader.end == "clean"
        said = f"{len(reader.got)} bytes, then {reader.end}"
        if not poem.startswith(reader.got):
            yield "other bytes"
        if isTCP and not (isWhole and isClean) and reader.end != "ECONNRESET":
            yield said
        if reader.hasProof and not isWhole:
            yield f"{said}, with the proof"
        if CALLS[cell.call].isHarmless and not (isWhole and isClean):
            yield f"{said}, though the error is harmless"
        isProved = isTCP or reader.hasProof or not poem
        if isWhole and not isProved and cell.call != "sendmsg":
            yield f"{said}, without the proof"

    def judgeNext(self, kind: str) -> Iterator[str]:
        """
        @return: what is wrong with what the next reader has, when all is well again.
        """
        self.ports.port.factory.source = StaticSource(self.poems[NEXT])
        reader = Reader(self.ports.address, READS)
        self.ports.serve(reader)
        if reader.got != self.poems[NEXT] or reader.end != "clean":
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
        ports.open(cell.kind, self.poems[cell.size])
        listening = descriptors()
        fault.begin(cell)
        reader = Reader(ports.address, cell.way)
        ports.serve(reader)
        fault.end()
        if fault.hits > MOST_CALLS:
            yield f"{fault.hits} calls"
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
            yield f"logged: {failure.value!r}"

    def assertWhole(self, call: str) -> None:
        """
        Assert that whatever a call fails with, a reader has the whole poem or no
        clean end, nothing else is lost with it, and the next has the whole poem.
        """
        wrong: list[str] = []
        tried: set[tuple[str, int, str]] = set()
        met: set[tuple[str, int, str]] = set()
        for cell in cells(call):
            try:
                wrong += [f"{cell.name}: {what}" for what in self.tryCell(cell)]
            except Exception as error:
                raise AssertionError(f"{cell.name}: {error!r}") from error
            failure = cell.error, cell.first, cell.time
            tried.add(failure)
            if self.ports.fault.hits:
                met.add(failure)
        if wrong:
            self.fail("\n".join(wrong))
        self.assertEqual(set(), tried - met, "never failed so")

    def test_send(self) -> None:
        """
        It cannot send.
        """
        self.assertWhole("send")

    def test_sendmsg(self) -> None:
        """
        It cannot send the proof that a poem is whole.
        """
        self.assertWhole("sendmsg")

    def test_recv(self) -> None:
        """
        It cannot read what the reader says.
        """
        self.assertWhole("recv")

    def test_shutdown(self) -> None:
        """
        It cannot send the end.
        """
        self.assertWhole("shutdown")

    def test_setsockopt(self) -> None:
        """
        It cannot say what the end will be.
        """
        self.assertWhole("setsockopt")

    def test_getsockopt(self) -> None:
        """
        It cannot ask how far the reader is.
        """
        self.assertWhole("getsockopt")

    def test_ioctl(self) -> None:
        """
        It cannot ask how far the reader of a UNIX socket is.
        """
        self.assertWhole("ioctl")

    def test_register(self) -> None:
        """
        It cannot wait for a reader.
        """
        self.assertWhole("register")

    def test_modify(self) -> None:
        """
        It cannot wait for something else of a reader.
        """
        self.assertWhole("modify")

    def test_unregister(self) -> None:
        """
        It cannot cease to wait for a reader.
        """
        self.assertWhole("unregister")

    def test_accept(self) -> None:
        """
        It cannot let a reader in.
        """
        self.assertWhole("accept")

    def test_close(self) -> None:
        """
        A descriptor is closed with an error.
        """
        self.assertWhole("close")

    def test_setblocking(self) -> None:
        """
        It cannot have a socket not block.
        """
        self.assertWhole("setblocking")

    def test_openProof(self) -> None:
        """
        What proves that a poem is whole is there before the first reader: that there
        is no descriptor left costs nobody a poem.
        """
        for _, _, descriptor in UNIXTransport._proof:
            os.close(int.from_bytes(descriptor, sys.byteorder))
        UNIXTransport._proof.clear()
        poem = self.poems[NEXT]
        self.ports.open("unix", poem)
        self.patch(os, "open", noDescriptor)
        reader = Reader(self.ports.address, READS)
        self.ports.serve(reader)
        self.ports.close()
        self.assertEqual((len(poem), "clean"), (len(reader.got), reader.end))
        self.assertTrue(reader.hasProof)
