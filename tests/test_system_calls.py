"""
Every error that a system call of the serving path can end with, made to happen on
real sockets: a reader has the whole poem, or no clean end.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from typing import Any

from fastpoetry.endpoints.unixsocket import UNIXTransport
from tests.faults import (
    ABORTED,
    ACCEPT,
    CLOSE,
    DAWDLES,
    ENDS,
    EPOLL,
    GETSOCKOPT,
    READS,
    RECV,
    SEND,
    SETBLOCKING,
    SETSOCKOPT,
    SHUTDOWN,
    SOCKET,
    TALKS,
    Call,
    Cell,
)
from tests.faultyports import NEXT, FaultTestCase, Reader

# None; one that goes at once, on UNIX with its last byte; one for which that goes by
# itself; and one that waits for its reader.
SIZES = (0, 2_817, 17_000, 5_000_000)

KINDS = ("tcp", "unix")

ALL = (READS, DAWDLES, TALKS, ENDS)


def noDescriptor(*arguments: object) -> int:
    """
    Fail as C{open} when the process may have no more descriptors.
    """
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


class ErrorTests(FaultTestCase):
    """
    Each call, with each of its errors.
    """

    kinds = KINDS

    def judge(self, cell: Cell, reader: Reader) -> Iterator[str]:
        """
        @return: what is wrong with what a reader has.
        """
        isTCP, call = cell.kind == "tcp", cell.call
        isWhole, isClean = len(reader.got) == cell.size, reader.end == "clean"
        said = f"{len(reader.got)} bytes, then {reader.end}"
        if isTCP and not (isWhole and isClean) and reader.end != "ECONNRESET":
            yield said
        if reader.hasProof and not isWhole:
            yield f"{said}, with the proof"
        if call.isHarmless and not (isWhole and isClean):
            yield f"{said}, though the error is harmless"
        isProved = isTCP or reader.hasProof or not cell.size
        if isWhole and not isProved and call.name != "sendmsg":
            yield f"{said}, without the proof"

    def check(self, name: str, errors: str, **options: Any) -> None:
        """
        Have one of the calls fail with each of its errors.

        @param options: of the L{Call}.
        """
        options.setdefault("kinds", KINDS)
        self.assertWhole(Call(name, errors, SIZES, **options))

    def test_send(self) -> None:
        """
        It cannot send.
        """
        self.check("send", SEND, numbers=(1, 2, 20))

    def test_sendmsg(self) -> None:
        """
        It cannot send the proof that a poem is whole.
        """
        # What it was to send goes without the proof that nothing is missing.
        self.check(
            "sendmsg",
            f"{SOCKET} ECONNRESET EACCES EAGAIN EDESTADDRREQ EINTR EISCONN EMSGSIZE"
            " ENOTCONN EOPNOTSUPP EPERM EPIPE ETOOMANYREFS",
            numbers=(1,),
            kinds=("unix",),
            isHarmless=True,
        )

    def test_recv(self) -> None:
        """
        It cannot read what the reader says.
        """
        self.check("recv", RECV, ways=ALL)

    def test_shutdown(self) -> None:
        """
        It cannot send the end.
        """
        self.check("shutdown", SHUTDOWN, numbers=(1,), ways=ALL)

    def test_setsockopt(self) -> None:
        """
        It cannot say what the end will be.
        """
        self.check("setsockopt", SETSOCKOPT, ways=(*ALL, ABORTED))

    def test_getsockopt(self) -> None:
        """
        It cannot ask how far the reader is.
        """
        self.check("getsockopt", GETSOCKOPT, ways=ALL, kinds=("tcp",), isHarmless=True)

    def test_ioctl(self) -> None:
        """
        It cannot ask how far the reader of a UNIX socket is.
        """
        self.check(
            "ioctl",
            "EBADF EFAULT EINVAL ENOTTY",
            ways=ALL,
            kinds=("unix",),
            isHarmless=True,
        )

    def test_register(self) -> None:
        """
        It cannot wait for a reader.
        """
        self.check("register", EPOLL)

    def test_modify(self) -> None:
        """
        It cannot wait for something else of a reader.
        """
        self.check("modify", EPOLL, numbers=(1,), ways=(READS, DAWDLES, ABORTED))

    def test_unregister(self) -> None:
        """
        It cannot cease to wait for a reader.
        """
        self.check("unregister", EPOLL, ways=(READS, DAWDLES, ABORTED))

    def test_accept(self) -> None:
        """
        It cannot let a reader in.
        """
        # The reader waits in the queue of the port meanwhile.
        self.check("accept", ACCEPT, isHarmless=True)

    def test_close(self) -> None:
        """
        A descriptor is closed with an error.
        """
        # The descriptor is given back all the same.
        self.check("close", CLOSE, numbers=(1,), ways=ALL, isHarmless=True)

    def test_setblocking(self) -> None:
        """
        It cannot have a socket not block.
        """
        self.check("setblocking", SETBLOCKING)

    def test_openProof(self) -> None:
        """
        What proves that a poem is whole is there before the first reader: that there
        is no descriptor left costs nobody a poem.
        """
        for _, _, descriptor in UNIXTransport._proof:
            os.close(int.from_bytes(descriptor, sys.byteorder))
        UNIXTransport._proof.clear()
        poem = self.verses[:NEXT]
        self.ports.open("unix", poem)
        self.patch(os, "open", noDescriptor)
        reader = self.ports.connect(READS)
        self.ports.serve(reader)
        self.ports.close()
        self.assertEqual((len(poem), "clean"), (len(reader.got), reader.end))
        self.assertTrue(reader.hasProof)
