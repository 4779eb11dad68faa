"""
Every error that a call of the serving path can end with over TLS, be it one of the
system or of OpenSSL: a reader has the whole poem, or no C{close_notify}.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from fastpoetry.endpoints.tlstransport import TLSFactory
from fastpoetry.protocol import PoetryFactory
from tests.certificates import makeCertificate
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
    TALKS,
    Call,
    Cell,
    Fault,
)
from tests.faultyports import FaultTestCase, Ports, Reader

# None; one record; several; and so many that they wait for their reader.
SHORT, LONG, LONGEST = 2_817, 60_000, 600_000
SIZES = (0, SHORT, LONG)

# It ends TCP, and not TLS.
LEAVES = "says no more, and no close_notify"

ALL = (READS, DAWDLES, TALKS, ENDS, LEAVES)

VERSIONS = {"TLS 1.3": SSL.TLS1_3_VERSION, "TLS 1.2": SSL.TLS1_2_VERSION}

# What a call of OpenSSL can end with.
OPENSSL = "Error SysCallError MemoryError"


class FaultyConnection(SSL.Connection):
    """
    A connection of OpenSSL whose calls can fail.
    """

    fault: Fault

    def bio_write(self, *arguments: Any) -> int:
        self.fault.meet("SSL.bio_write")
        return super().bio_write(*arguments)

    def bio_read(self, *arguments: Any) -> bytes:
        self.fault.meet("SSL.bio_read")
        return super().bio_read(*arguments)

    def do_handshake(self) -> None:
        self.fault.meet("SSL.do_handshake")
        super().do_handshake()

    def recv(self, *arguments: Any) -> bytes:
        self.fault.meet("SSL.recv")
        return super().recv(*arguments)

    def send(self, *arguments: Any) -> int:
        self.fault.meet("SSL.send")
        return super().send(*arguments)

    def shutdown(self) -> bool:
        self.fault.meet("SSL.shutdown")
        return super().shutdown()


@implementer(IOpenSSLServerConnectionCreator)
class FaultyCreator:
    """
    Makes connections of OpenSSL, or fails to.
    """

    def __init__(self, fault: Fault) -> None:
        self._fault = fault
        self._context = makeCertificate().options().getContext()

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """
        @see: L{IOpenSSLServerConnectionCreator.serverConnectionForTLS}
        """
        self._fault.meet("SSL.Connection")
        return FaultyConnection(self._context)


class TLSReader(Reader):
    """
    A reader over TLS: the end that it sees is clean if it is C{close_notify}, and
    else a cut.
    """

    _isSecure = False

    def __init__(self, address: Any, way: str, version: int) -> None:
        """
        @param version: of TLS.
        """
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(version)
        self.tls = SSL.Connection(context)
        self.tls.set_connect_state()
        super().__init__(address, way)

    def begin(self) -> None:
        """
        Begin the handshake.
        """
        self._proceed()

    def take(self) -> bool:
        """
        Take what is there.

        @return: whether anything was.
        """
        if self.end:
            return False
        try:
            data = self.socket.recv(2**14)  # in four turns more comes
        except BlockingIOError:
            return False
        except OSError as error:
            self.end = errno.errorcode[error.errno or 0]
        else:
            if data:
                self.tls.bio_write(data)
                self._proceed()
            else:
                self.end = "a cut"
        if self.end:
            self.socket.close()
        return True

    def _proceed(self) -> None:
        try:
            if not self._isSecure:
                self.tls.do_handshake()
                self._isSecure = True
                self._speak()
            while True:
                self.got += self.tls.recv(2**14)
        except SSL.WantReadError:
            self._flush()
        except SSL.ZeroReturnError:
            self.end = "clean"
        except SSL.Error:
            self.end = "an alert"

    def _speak(self) -> None:
        if self.way == TALKS:
            self.tls.send(b"GET / HTTP/1.0\r\n\r\n")
        elif self.way == ENDS:
            self.tls.shutdown()
        elif self.way == LEAVES:
            self._flush()
            with contextlib.suppress(OSError):  # the connection was reset
                self.socket.shutdown(socket.SHUT_WR)

    def _flush(self) -> None:
        # There may be nothing to say, or nobody to hear it.
        with contextlib.suppress(SSL.WantReadError, OSError):
            self.socket.sendall(self.tls.bio_read(2**16))


class TLSPorts(Ports):
    """
    Real ports with TLS.
    """

    def __init__(self, patch: Any, directory: Path) -> None:
        """
        @see: L{Ports}
        """
        super().__init__(patch, directory)
        self.fault.others = {
            "Error": lambda: SSL.Error([("SSL routines", "", "internal error")]),
            "SysCallError": lambda: SSL.SysCallError(-1, "Unexpected EOF"),
            "MemoryError": MemoryError,
        }
        self._creator = FaultyCreator(self.fault)
        FaultyConnection.fault = self.fault

    def wrap(self, factory: PoetryFactory) -> Any:
        """
        @return: the factory of the port.
        """
        return TLSFactory(self._creator, factory, self.reactor)

    def connect(self, way: str) -> Reader:
        """
        @return: a reader.
        """
        return TLSReader(self.address, way, VERSIONS[self.kind])


class TLSFaultTestCase(FaultTestCase):
    """
    Has calls fail over TLS.
    """

    kinds = tuple(VERSIONS)
    portsClass = TLSPorts
    triesAll = False

    def judge(self, cell: Cell, reader: Reader) -> Iterator[str]:
        """
        @return: what is wrong with what a reader has.
        """
        isWhole, isClean = len(reader.got) == cell.size, reader.end == "clean"
        said = f"{len(reader.got)} bytes, then {reader.end}"
        if isClean and not isWhole:
            yield said
        if cell.call.isHarmless and not (isWhole and isClean):
            yield f"{said}, though the error is harmless"

    def check(
        self,
        name: str,
        errors: str,
        *numbers: int,
        sizes: tuple[int, ...] = SIZES,
        ways: tuple[str, ...] = ALL,
        isHarmless: bool = False,
    ) -> None:
        """
        Have one of the calls fail with each of its errors.

        @see: L{Call}
        """
        kinds = self.kinds
        call = Call(name, errors, sizes, kinds, numbers, ways, isHarmless)
        self.assertWhole(call)


class SystemTests(TLSFaultTestCase):
    """
    Each call of the system, with each of its errors.
    """

    def test_send(self) -> None:
        """
        It cannot send its part of the handshake, or what follows that.
        """
        self.check("send", SEND, 1, 2)

    def test_sendMore(self) -> None:
        """
        It cannot send one of many records, or the last.
        """
        self.check("send", SEND, 3, sizes=(SHORT, LONG))
        self.check("send", SEND, 4, 7, sizes=(LONG,))
        self.check("send", SEND, 20, sizes=(LONGEST,), ways=(READS, DAWDLES))

    def test_recv(self) -> None:
        """
        It cannot read the reader's part of the handshake, or what follows that.
        """
        self.check("recv", RECV, 1, 2)
        self.check("recv", RECV, 3, sizes=(SHORT, LONG), ways=(LEAVES,))

    def test_shutdown(self) -> None:
        """
        It cannot send the end of TCP.
        """
        self.check("shutdown", SHUTDOWN, 1)

    def test_setsockopt(self) -> None:
        """
        It cannot say what the end of TCP will be.
        """
        self.check("setsockopt", SETSOCKOPT, 1, ways=(*ALL, ABORTED))

    def test_getsockopt(self) -> None:
        """
        It cannot ask how far the reader is.
        """
        self.check("getsockopt", GETSOCKOPT, 1, isHarmless=True)
        self.check(
            "getsockopt",
            GETSOCKOPT,
            2,
            3,
            sizes=(LONGEST,),
            ways=(READS, DAWDLES),
            isHarmless=True,
        )

    def test_register(self) -> None:
        """
        It cannot wait for a reader.
        """
        self.check("register", EPOLL, 1)
        self.check("register", EPOLL, 2, sizes=(0,), ways=(DAWDLES,))

    def test_modify(self) -> None:
        """
        It cannot wait for something else of a reader.
        """
        self.check("modify", EPOLL, 1, sizes=(SHORT, LONG))
        self.check("modify", EPOLL, 2, sizes=(SHORT, LONG), ways=(LEAVES,))

    def test_unregister(self) -> None:
        """
        It cannot cease to wait for a reader.
        """
        self.check("unregister", EPOLL, 1)
        self.check("unregister", EPOLL, 2, sizes=(0,), ways=(DAWDLES,))

    def test_accept(self) -> None:
        """
        It cannot let a reader in, as when there is no descriptor left.
        """
        self.check("accept", ACCEPT, 1, 2, isHarmless=True)

    def test_close(self) -> None:
        """
        A descriptor is closed with an error.
        """
        self.check("close", CLOSE, 1, isHarmless=True)

    def test_setblocking(self) -> None:
        """
        It cannot have a socket not block.
        """
        self.check("setblocking", SETBLOCKING, 1)
        self.check("setblocking", SETBLOCKING, 2, sizes=(0,), ways=(DAWDLES,))


class StopTests(TLSFaultTestCase):
    """
    Who is in flight when a port is closed.
    """

    def test_stop(self) -> None:
        """
        A reader who has connected at the stop gets all, however far its handshake is.
        """
        poem = self.verses[:LONG]
        for kind in self.kinds:
            for turns in range(5):
                self.ports.open(kind, poem)
                reader = self.ports.connect(READS)
                for _ in range(turns):
                    self.ports.turn(reader)
                self.assertEqual(reader.end, "")
                self.ports.close()
                self.ports.serve(reader)
                self.assertEqual((len(reader.got), reader.end), (LONG, "clean"))
                self.assertEqual(self.ports.reactor.getDelayedCalls(), [])


class OpenSSLTests(TLSFaultTestCase):
    """
    Each call of OpenSSL, with each kind of error.
    """

    triesAll = True

    def test_connection(self) -> None:
        """
        There is no connection of OpenSSL for a reader.
        """
        self.check("SSL.Connection", OPENSSL, 1)

    def test_bioWrite(self) -> None:
        """
        It cannot hand on what the reader says.
        """
        self.check("SSL.bio_write", OPENSSL, 1, 2)

    def test_bioRead(self) -> None:
        """
        It cannot fetch what is to be sent.
        """
        self.check("SSL.bio_read", OPENSSL, 1, 2, 3)

    def test_handshake(self) -> None:
        """
        The handshake fails.
        """
        self.check("SSL.do_handshake", OPENSSL, 1, 2)

    def test_recv(self) -> None:
        """
        It cannot decrypt what the reader says.
        """
        self.check("SSL.recv", OPENSSL, 1)
        self.check("SSL.recv", OPENSSL, 2, ways=(TALKS,))

    def test_send(self) -> None:
        """
        It cannot encrypt the poem.
        """
        self.check("SSL.send", OPENSSL, 1, sizes=(SHORT, LONG))

    def test_sendRecord(self) -> None:
        """
        It cannot encrypt one of many records, or the last.
        """
        self.check("SSL.send", OPENSSL, 2, 6, sizes=(LONG,))

    def test_shutdown(self) -> None:
        """
        It cannot make the end.
        """
        self.check("SSL.shutdown", OPENSSL, 1)
