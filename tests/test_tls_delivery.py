"""
Tests of L{fastpoetry.endpoints.tlstransport}: poems, and floods.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.logger import capturedLogs, formatEvent

from fastpoetry.connection.state import State
from fastpoetry.endpoints.tlstransport import MAX_WITHOUT_DATA
from fastpoetry.endpoints.tlswriter import RECORD
from fastpoetry.protocol import PoetryFactory
from tests.support import POEM, Reactor, StaticSource, writeAnd
from tests.tlspeer import BIG, VERSIONS, Client, Creator, Listener, TLSTestCase, TLSWire

# No record has more than this many bytes besides what it holds (RFC 5246, 6.2.3).
EXTRA = 2048


class Broken(SSL.Connection):
    """
    A connection of OpenSSL that fails.

    @ivar sends: this many times it does not.
    """

    sends = 3

    def send(self, *arguments: Any) -> int:
        """
        Fail, or not yet.
        """
        self.sends -= 1
        if self.sends < 0:
            raise SSL.Error([("SSL routines", "", "internal error")])
        return super().send(*arguments)


class Endless(SSL.Connection):
    """
    A connection of OpenSSL that cannot end.
    """

    def shutdown(self) -> bool:
        """
        Fail.
        """
        raise SSL.Error([("SSL routines", "", "shutdown while in init")])


class Short(SSL.Connection):
    """
    A connection of OpenSSL with a client that wants short records.
    """

    def send(self, data: Any, flags: int = 0) -> int:
        """
        Send what is in one.
        """
        return super().send(data[:512])


class DeliveryTests(TLSTestCase):
    """
    Tests of poems over TLS.
    """

    def serve(
        self, poem: Any = BIG, version: int = SSL.TLS1_3_VERSION, **options: Any
    ) -> tuple[TLSWire, Client]:
        """
        Connect a reader.
        """
        factory = PoetryFactory(StaticSource(poem), 60.0, Reactor())
        wire = TLSWire(factory, **options)
        self.delivery = wire.tls.wrappedProtocol
        return wire, Client(wire, version)

    def checkWhole(self, wire: TLSWire, client: Client, poem: bytes) -> None:
        """
        See that a reader has everything, and lets go of it.
        """
        self.assertEqual((bytes(client.heard), client.error), (poem, None))
        self.assertTrue(client.hasEnd)
        self.assertEqual((wire.socket.seen, wire.sends.count("end")), ("clean", 1))
        self.assertEqual(len(wire.socket.taken), len(poem) + wire.tls.overhead)
        wire.tick()
        self.assertIs(self.delivery.state, State.ACKNOWLEDGED)
        wire.say(client.notify())
        wire.halfClose()
        wire.tick()
        self.checkNothingLeft(wire)
        self.assertEqual(wire.socket.seen, "clean")

    def test_small(self) -> None:
        """
        A small poem, C{close_notify} and the end go out at once, and an empty one,
        too, and one that came late.
        """
        for version in VERSIONS.values():
            for poem in (POEM, b"", bytes(RECORD)):
                for isLate in (False, True):
                    late: Deferred[bytes] = Deferred()
                    wire, client = self.serve(late if isLate else poem, version)
                    word = client.lastWord()
                    if isLate:
                        wire.say(word)
                        client.listen()
                    del wire.sends[:]
                    if isLate:
                        late.callback(poem)
                        wire.turn()
                    else:
                        wire.say(word)
                    self.assertEqual(wire.sends, [len(wire.socket.held), "end"])
                    client.listen()
                    self.checkWhole(wire, client, poem)

    def test_long(self) -> None:
        """
        A long poem comes whole, and no more than a record of it is encrypted before
        the kernel has taken the one before.
        """
        for version in VERSIONS.values():
            for room in (1, 1000, RECORD, 50_000, 2**20):
                for poem in (BIG, bytes(RECORD + 1), bytes(2 * RECORD)):
                    wire, client = self.serve(poem, version)
                    client.begin(room)
                    while wire.socket.held:
                        self.assertLessEqual(wire.waiting, RECORD + EXTRA)
                        client.listen(max(room, 1000))
                        wire.socket.capacity = max(room, 1000)
                        wire.turn()
                    client.listen()
                    self.checkWhole(wire, client, poem)

    def test_shortRecords(self) -> None:
        """
        A client may want shorter records (RFC 6066): it gets all of them.
        """
        for poem in (POEM * 100, BIG):
            wire, client = self.serve(poem, creator=Creator(Short))
            client.talk()
            self.checkWhole(wire, client, poem)

    def test_peerEndsFirst(self) -> None:
        """
        Readers who end before they have anything, or in the middle, in whichever way,
        get all of it.
        """
        for version in VERSIONS.values():
            for isFirst in (False, True):
                for saysIt, ends in ((True, False), (True, True), (False, True)):
                    wire, client = self.serve(version=version)
                    word = client.lastWord()
                    wire.socket.capacity = 1000
                    if version == SSL.TLS1_2_VERSION or not isFirst:
                        wire.say(word)
                        word = b""
                        client.listen(2000)
                    wire.say(word + client.notify() if saysIt else word or b"")
                    if ends:
                        wire.halfClose()
                    self.assertFalse(wire.isReading)
                    wire.socket.capacity = 2**20
                    wire.turn()
                    client.listen()
                    self.assertTrue(client.hasEnd)
                    self.assertEqual(client.heard, BIG)
                    self.assertEqual(wire.socket.seen, "clean")
                    wire.tick()
                    self.checkNothingLeft(wire)

    def test_afterTheEnd(self) -> None:
        """
        What a reader says after its C{close_notify} is not heard, nor kept, even if
        the protocol wants more.
        """
        kept: list[int] = []

        class Counting(SSL.Connection):
            """
            A connection of OpenSSL that counts what it is given.
            """

            def bio_write(self, data: Any) -> int:
                """
                Count it.
                """
                kept.append(len(data))
                return super().bio_write(data)

        for isAtOnce in (False, True):
            protocol = Listener()
            wire, client = self.connect(protocol, creator=Creator(Counting))
            client.begin()
            end, more = client.notify(), bytes(1000)
            wire.say(end + more if isAtOnce else end)
            del kept[:]
            protocol.transport.resumeProducing()
            wire.say(more)
            wire.halfClose()
            self.assertEqual(protocol.events, ["made", "read"])
            self.assertEqual((kept, wire.socket.said), ([], [b""]))
            self.assertFalse(wire.gone)
            protocol.transport.abortConnection()
            wire.turn()

    def test_notRead(self) -> None:
        """
        It stays with the kernel.
        """
        wire, client = self.connect(Listener())
        client.begin()
        wire.say(client.notify())
        wire.say(b"more")
        self.assertEqual(wire.socket.said, [b"more"])
        self.assertFalse(wire.isReading)

    def test_aborted(self) -> None:
        """
        A poem that is aborted in the middle never has C{close_notify}, and is reset.
        """
        for poem in (POEM, BIG):
            wire, client = self.serve(poem)
            client.begin(100)
            client.listen(50)
            protocol = wire.tls.wrappedProtocol
            protocol.transport.abortConnection()
            wire.socket.capacity = 2**20
            protocol.transport.loseWriteConnection()
            wire.turn()
            client.decrypt(bytes(wire.sent))
            self.assertEqual((client.hasEnd, wire.sends.count("end")), (False, 0))
            self.assertEqual(wire.socket.seen, "reset")
            self.checkNothingLeft(wire)

    def test_reset(self) -> None:
        """
        Nor has one whose reader has gone.
        """
        wire, client = self.serve()
        client.begin(100)
        wire.reset()
        client.decrypt(bytes(wire.sent))
        self.assertEqual((client.hasEnd, wire.sends.count("end")), (False, 0))
        self.checkNothingLeft(wire)

    def test_writeFails(self) -> None:
        """
        Nor has one that OpenSSL fails to encrypt, be it at first or in the middle.
        """
        for sends in range(3):
            self.patch(Broken, "sends", sends)
            wire, client = self.serve(creator=Creator(Broken))
            client.talk()
            self.assertEqual((client.hasEnd, wire.sends.count("end")), (False, 0))
            client.decrypt(bytes(wire.sent))
            self.assertEqual(len(client.heard), sends * RECORD)
            self.assertEqual(wire.socket.seen, "reset")
            self.checkNothingLeft(wire)

    def test_caught(self) -> None:
        """
        Nor does one whose protocol takes no notice of that.
        """
        for data in (POEM, BIG):
            self.patch(Broken, "sends", 1)
            more = writeAnd(data, "loseWriteConnection")
            protocol = Listener(lambda one, more=more: more(one.write(POEM) or one))  # type: ignore[misc]
            wire, client = self.connect(protocol, creator=Creator(Broken))
            client.talk()
            self.assertEqual((client.hasEnd, wire.socket.seen), (False, "reset"))
            self.assertEqual(protocol.events, ["made", ConnectionAborted])
            self.checkNothingLeft(wire)

    def test_endFails(self) -> None:
        """
        Without C{close_notify} there is no end.
        """
        wire, client = self.serve(creator=Creator(Endless))
        client.talk()
        self.assertEqual((client.hasEnd, wire.socket.seen), (False, "reset"))
        self.checkNothingLeft(wire)

    def test_nonsense(self) -> None:
        """
        A reader that says nonsense after its handshake is reset.
        """
        protocol = Listener()
        wire, client = self.connect(protocol)
        client.begin()
        wire.say(b"\x17\3\3\0\x20" + bytes(32))
        self.assertEqual(protocol.events, ["made", ConnectionAborted])
        self.assertEqual(wire.socket.seen, "reset")
        self.checkNothingLeft(wire)

    def test_nonsenseForPoem(self) -> None:
        """
        The log says what was wrong with a reader's TLS.
        """
        wire, client = self.serve()
        client.begin(0)
        with capturedLogs() as events:
            wire.say(b"\x17\3\3\0\x20" + bytes(32))
        (line,) = map(formatEvent, events)
        self.assertIn(" got 0 of 256000 bytes: SSL routines: decryption failed", line)


class FloodTests(TLSTestCase):
    """
    Tests of readers who send records without content.
    """

    def flood(
        self, isAsked: bool, says: bytes = b"", count: int = MAX_WITHOUT_DATA // 20
    ) -> tuple[TLSWire, Listener]:
        """
        Send changes of keys until the server has enough, or this many.

        @param isAsked: whether they want an answer.

        @param says: what is said after each ten of them.
        """
        protocol = Listener()
        wire, client = self.connect(protocol)
        client.begin(room=0)
        forger = client.forge()
        self.sent = 0
        for number in range(count):
            data = forger.keyUpdate(isAsked)
            self.sent += len(data)
            if says and number % 10 == 9:
                data += forger.record(says)
            wire.say(data)
            if wire.gone:
                break
        return wire, protocol

    def test_cutOff(self) -> None:
        """
        So many bytes in a row without anything for the protocol are too many.
        """
        wire, protocol = self.flood(isAsked=False)
        self.assertEqual(protocol.events, ["made", ConnectionAborted])
        self.assertEqual(wire.socket.seen, "reset")
        self.assertLess(MAX_WITHOUT_DATA, self.sent + EXTRA)  # and its handshake
        self.assertLess(self.sent, MAX_WITHOUT_DATA + 80)

    def test_content(self) -> None:
        """
        With something for it, they are not.
        """
        wire, protocol = self.flood(isAsked=False, says=b"x")
        self.assertEqual(set(protocol.events), {"made", b"x"})
        self.assertFalse(wire.gone)

    def test_answers(self) -> None:
        """
        Not so many answers are kept for a reader that does not take them, whatever
        comes in between.
        """
        for says in (b"", b"x"):
            wire, protocol = self.flood(isAsked=True, says=says)
            self.assertEqual(protocol.events[-1], ConnectionAborted)
            self.assertEqual(wire.socket.seen, "reset")
            self.assertLess(wire.waiting, MAX_WITHOUT_DATA + EXTRA)

    def test_slow(self) -> None:
        """
        A reader that does not take what the protocol itself has to say is left alone.
        """

        class Echo(Listener):
            """
            Says what it hears.
            """

            def dataReceived(self, data: bytes) -> None:
                """
                Say it.
                """
                self.transport.write(data)

        wire, client = self.connect(Echo())
        client.begin()
        client.listen()
        wire.socket.capacity = 0
        client.say(BIG)
        self.assertGreater(wire.waiting, len(BIG))
        wire.socket.capacity = 2**20
        wire.turn()
        client.listen()
        self.assertEqual(client.heard, BIG)

    def test_empty(self) -> None:
        """
        OpenSSL itself cuts off who sends records with nothing in them.
        """
        protocol = Listener()
        wire, client = self.connect(protocol)
        client.begin()
        forger = client.forge()
        for _ in range(100):
            wire.say(b"" if wire.gone else forger.record(b""))
        self.assertEqual(protocol.events, ["made", ConnectionAborted])
        self.assertEqual(wire.socket.seen, "reset")
