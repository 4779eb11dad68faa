"""
TLS for the tests: certificates, and a client that is played by the test.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from OpenSSL import SSL
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IOpenSSLServerConnectionCreator,
    IProtocol,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import classImplementsOnly, implementer

from fastpoetry.endpoints.tlstransport import TLSFactory
from tests.certificates import makeCertificate
from tests.support import Reactor
from tests.wire import Wire

VERSIONS = {"TLS 1.2": SSL.TLS1_2_VERSION, "TLS 1.3": SSL.TLS1_3_VERSION}

# The kinds of a record, and an alert in plain text (RFC 8446, 5.1 and 6).
ALERT, HANDSHAKE, DATA = 21, 22, 23
PLAIN_CLOSE_NOTIFY = b"\x15\3\3\0\2\1\0"

# A poem of many records.
BIG = bytes(range(256)) * 1000

CERTIFICATE = makeCertificate()


@implementer(IOpenSSLServerConnectionCreator)
class Creator:
    """
    Makes connections of OpenSSL.
    """

    def __init__(self, kind: type[SSL.Connection] = SSL.Connection) -> None:
        """
        @param kind: of this kind.
        """
        self._kind = kind
        self._context = CERTIFICATE.options().getContext()

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """
        Make one.
        """
        return self._kind(self._context)


class TLSWire(Wire):
    """
    A connection to a factory over TLS, as yet without a word of the client.

    @ivar sends: how many bytes each C{send} gave to the kernel, and C{"end"}.

    @ivar sent: all that the kernel was given, be it on its way or lost.
    """

    def __init__(
        self,
        factory: Any,
        capacity: int = 2**20,
        connections: Any = None,
        creator: Any = None,
    ) -> None:
        """
        @param creator: of the connections of OpenSSL.
        """
        self.sends: list[int | str] = []
        self.sent = bytearray()
        tls: Any = TLSFactory(creator or Creator(), factory, factory.reactor)
        tls.reactor = factory.reactor
        super().__init__(tls, capacity, connections)
        self.tls = self.protocol
        send, shutdown = self.socket.send, self.socket.shutdown

        def recordedSend(data: bytes, flags: int = 0) -> int:
            size = send(data, flags)
            self.sends.append(size)
            self.sent += data[:size]
            return size

        def recordedShutdown(how: int) -> None:
            shutdown(how)
            self.sends.append("end")

        self.socket.send = recordedSend  # type: ignore[method-assign]
        self.socket.shutdown = recordedShutdown  # type: ignore[method-assign]

    @property
    def waiting(self) -> int:
        """
        How many bytes are encrypted that the kernel has not taken.
        """
        transport = self.transport
        left = len(transport.dataBuffer) - transport.offset
        return int(left + transport._tempDataLen)


class Client:
    """
    A client of TLS.

    @ivar tls: its connection of OpenSSL.

    @ivar heard: what it was told.

    @ivar hasEnd: whether C{close_notify} came.

    @ivar hasHandshake: whether its handshake is done.

    @ivar error: what has ended it, such as an alert.
    """

    def __init__(
        self,
        wire: TLSWire,
        version: int = SSL.TLS1_3_VERSION,
        prepare: Callable[[SSL.Context], object] = id,
    ) -> None:
        """
        @param prepare: is called with the context first.
        """
        self.wire = wire
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        self._secrets: dict[bytes, bytes] = {}
        context.set_keylog_callback(self._keepSecret)
        prepare(context)
        self.tls = SSL.Connection(context, None)
        self.tls.set_connect_state()
        self.heard = bytearray()
        self.hasEnd = self.hasHandshake = False
        self.error: SSL.Error | None = None
        self._decrypted = 0

    def _keepSecret(self, connection: SSL.Connection, line: bytes) -> None:
        name, _, secret = line.split()
        self._secrets[name] = bytes.fromhex(secret.decode())

    def decrypt(self, data: bytes) -> None:
        """
        Hear what is new of all that has come by now.
        """
        new, self._decrypted = data[self._decrypted :], len(data)
        if new:
            self.tls.bio_write(new)
        try:
            if not self.hasHandshake:
                self.tls.do_handshake()
                self.hasHandshake = True
            while not self.hasEnd:
                self.heard += self.tls.recv(2**16)
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            self.hasEnd = True
        except SSL.Error as error:
            self.error = self.error or error

    def listen(self, size: int | None = None) -> None:
        """
        Take this many bytes from the wire, or all that there are and come, and decrypt
        what that is.
        """
        if not self.wire.socket.broken:
            self.wire.take(size)
        self.decrypt(bytes(self.wire.socket.taken))

    def flush(self) -> bytes:
        """
        @return: what it has to say.
        """
        try:
            return self.tls.bio_read(2**20)
        except SSL.WantReadError:
            return b""

    def talk(self) -> None:
        """
        Listen, and say what it has to say, until there is nothing more.
        """
        self.listen()
        while data := self.flush():
            self.wire.say(data)
            self.listen()

    def lastWord(self) -> bytes:
        """
        Begin the handshake.

        @return: what is missing for the server to end it.
        """
        self.listen()
        self.wire.say(self.flush())
        self.listen()
        return self.flush()

    def begin(self, room: int = 2**20) -> None:
        """
        Have the handshake, and take nothing of what comes then.

        @param room: for how many bytes of it the kernel has room.
        """
        word = self.lastWord()
        self.wire.socket.capacity = room
        self.wire.say(word)

    def say(self, data: bytes) -> None:
        """
        Say something.
        """
        while data:
            data = data[self.tls.send(data) :]  # a record at a time
        self.wire.say(self.flush())

    def notify(self) -> bytes:
        """
        @return: C{close_notify}.
        """
        self.tls.shutdown()
        return self.flush()

    def forge(self) -> Forger:
        """
        @return: what makes records of TLS 1.3 in place of it, which must have said
            nothing but its handshake.
        """
        return Forger(self._secrets[b"CLIENT_TRAFFIC_SECRET_0"])


class Forger:
    """
    Makes records of TLS 1.3 that no client would make (RFC 8446, 5.2 and 7).
    """

    def __init__(self, secret: bytes) -> None:
        """
        @param secret: of TLS_AES_256_GCM_SHA384.
        """
        self._use(secret)

    def _use(self, secret: bytes) -> None:
        self._secret = secret
        self._cipher = AESGCM(self._expand("key", 32))
        self._iv = int.from_bytes(self._expand("iv", 12), "big")
        self._number = 0

    def _expand(self, label: str, size: int) -> bytes:
        name = b"tls13 " + label.encode()
        info = struct.pack(">HB", size, len(name)) + name + b"\0"
        return HKDFExpand(hashes.SHA384(), size, info).derive(self._secret)

    def record(self, content: bytes, kind: int = DATA) -> bytes:
        """
        @return: a record.
        """
        header = b"\x17\3\3" + struct.pack(">H", len(content) + 17)
        nonce = (self._iv ^ self._number).to_bytes(12, "big")
        self._number += 1
        data = self._cipher.encrypt(nonce, content + bytes([kind]), header)
        return header + data

    def keyUpdate(self, isAsked: bool) -> bytes:
        """
        @param isAsked: whether the server is asked for a new key, too.

        @return: the record that announces a new key.
        """
        record = self.record(b"\x18\0\0\1" + bytes([isAsked]), HANDSHAKE)
        self._use(self._expand("traffic upd", 48))
        return record


@implementer(IHalfCloseableProtocol)
class Listener(Protocol):
    """
    A protocol that knows halves, and writes down what happens to it.

    @ivar events: C{"made"}, what was heard, C{"read"} and C{"write"} for the halves
        that have ended, and the kind of the reason when it is lost.
    """

    transport: Any

    def __init__(self, begin: Callable[[Any], object] = id) -> None:
        """
        @param begin: what it does with its transport when it is connected.
        """
        self.events: list[Any] = []
        self.begin = begin

    def connectionMade(self) -> None:
        """
        Begin.
        """
        self.events.append("made")
        self.begin(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Hear something.
        """
        self.events.append(data)

    def readConnectionLost(self) -> None:
        """
        The other side has ended.
        """
        self.events.append("read")

    def writeConnectionLost(self) -> None:
        """
        This side has ended.
        """
        self.events.append("write")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Write down why.
        """
        self.events.append(reason.type)


class WholeListener(Listener):
    """
    The same for a protocol that knows no halves.
    """


classImplementsOnly(WholeListener, IProtocol)


class Only:
    """
    A factory of one protocol.

    @ivar timeout: as a L{TLSFactory} looks for it.
    """

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.reactor = Reactor()
        self.timeout: float | None = 7.0

    def buildProtocol(self, address: Any) -> Any:
        """
        Give it.
        """
        return self.protocol


class TLSTestCase(SynchronousTestCase):
    """
    Connects clients of TLS.
    """

    def connect(
        self,
        protocol: Any,
        version: int = SSL.TLS1_3_VERSION,
        prepare: Callable[[SSL.Context], object] = id,
        **options: Any,
    ) -> tuple[TLSWire, Client]:
        """
        Connect a client.

        @param prepare: see L{Client}.

        @param options: see L{TLSWire}.
        """
        wire = TLSWire(Only(protocol), **options)
        return wire, Client(wire, version, prepare)

    def checkNothingLeft(self, wire: TLSWire) -> None:
        """
        See that a connection is over, and all that it had.
        """
        self.assertTrue(wire.gone)
        self.assertEqual(wire.reactor.getDelayedCalls(), [])
        self.assertEqual(wire.reactor.getReaders(), [])
        self.assertEqual(len(wire.connections), 0)


class TLSProtocolTestCase(TLSTestCase):
    """
    Connects clients, for protocols that know halves of a connection and for others.
    """

    def begin(
        self, protocol: Any, room: int = 2**20, **options: Any
    ) -> tuple[TLSWire, Client]:
        """
        Connect a client, and have the handshake.

        @param room: for how many bytes the kernel has room then.
        """
        wire, client = self.connect(protocol, **options)
        client.begin(room)
        return wire, client

    def hear(self, wire: TLSWire, client: Client) -> bytes:
        """
        @return: all that comes when there is room for it.
        """
        wire.socket.capacity = 2**22
        wire.turn()
        client.listen()
        self.assertIs(client.error, None)
        return bytes(client.heard)
