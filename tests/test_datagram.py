"""
Tests of L{fastpoetry.doors.datagram}, in memory.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.error import MessageLengthError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.doors.datagram import PoetryDatagramProtocol, headOf
from fastpoetry.doors.limits import Limits
from fastpoetry.listening import nets
from fastpoetry.listening.access import Access
from tests.support import StaticSource

POEM = b"one\ntwo\nthree\n"
LONG = b"a line of twenty by\n" * 100
HOME = ("127.0.0.1", 40000)
WORLD = ("192.0.2.1", 40000)


class PretendedPort:
    """
    A port for datagrams.

    @ivar sent: what was sent, and to whom.

    @ivar error: what comes of sending.
    """

    error: Exception | None = None

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, Any]] = []
        self.deliver: Callable[[bytes, Any], object] = lambda *sent: self.sent.append(
            sent
        )

    def getHost(self) -> IPv4Address:
        """
        @see: L{twisted.internet.interfaces.IListeningPort.getHost}
        """
        return IPv4Address("UDP", "127.0.0.1", 17)

    def write(self, data: bytes, address: Any) -> None:
        """
        @see: L{twisted.internet.interfaces.IUDPTransport.write}
        """
        if self.error is not None:
            raise self.error
        self.deliver(data, address)


def start(
    source: Any, clock: Any = None, **arguments: Any
) -> tuple[PoetryDatagramProtocol, PretendedPort]:
    """
    Have a protocol listen.

    @param source: what has the poem, or the poem.
    """
    if isinstance(source, bytes):
        source = StaticSource(source)
    protocol = PoetryDatagramProtocol(source, reactor=clock or Clock(), **arguments)
    port = PretendedPort()
    protocol.makeConnection(port)  # type: ignore[arg-type]
    return protocol, port


class HeadTests(SynchronousTestCase):
    """
    Tests of L{headOf}.
    """

    def test_head(self) -> None:
        """
        A poem is whole if there is room, and else ends with a line.
        """
        for room, head in [
            (14, POEM),
            (13, b"one\ntwo\n"),
            (8, b"one\ntwo\n"),
            (7, b"one\n"),
            (3, b""),
            (0, b""),
        ]:
            self.assertEqual(headOf(POEM, room), head, room)

    def test_noLineEnd(self) -> None:
        """
        Of a line that does not fit nothing is sent.
        """
        self.assertEqual(headOf(b"x" * 600, 512), b"")


class AnswerTests(SynchronousTestCase):
    """
    Tests of who is answered, and with what.
    """

    def setUp(self) -> None:
        """
        Make a clock.
        """
        self.clock = Clock()

    def ask(
        self, poem: Any, question: bytes, address: Any, **arguments: Any
    ) -> tuple[list[tuple[bytes, Any]], dict[str, int]]:
        """
        Ask once.

        @return: what was sent, and the counts.
        """
        protocol, port = start(poem, self.clock, **arguments)
        protocol.datagramReceived(question, address)
        return port.sent, protocol.counts

    def test_trusted(self) -> None:
        """
        Who is on this machine gets the poem for an empty question.
        """
        sent, counts = self.ask(POEM, b"", HOME)
        self.assertEqual(sent, [(POEM, HOME)])
        self.assertEqual(counts, {"answered": 1})
        sent, _ = self.ask(POEM, b"", ("::1", 40000, 0, 0))
        self.assertEqual(sent, [(POEM, ("::1", 40000, 0, 0))])

    def test_long(self) -> None:
        """
        Of a poem of more than 512 bytes the lines are sent that fit.
        """
        ((answer, _),), _ = self.ask(LONG, b"", HOME)
        self.assertEqual(answer, LONG[:500])

    def test_ratio(self) -> None:
        """
        Others get at most three times as much as they have sent.
        """
        for length, answer in [(2, b"one\n"), (3, b"one\ntwo\n"), (5, POEM)]:
            sent, _ = self.ask(POEM, b"x" * length, WORLD)
            self.assertEqual(sent, [(answer, WORLD)], length)

    def test_ratioOfLong(self) -> None:
        """
        However long a question, the answer has 512 bytes at the most.
        """
        ((answer, _),), _ = self.ask(LONG, b"x" * 1000, WORLD)
        self.assertEqual(answer, LONG[:500])

    def test_noRoom(self) -> None:
        """
        Where there is no room for a line, nothing is sent; nor is an empty poem.
        """
        for poem, question, address in [
            (POEM, b"", WORLD),
            (POEM, b"x", WORLD),
            (b"x" * 600, b"", HOME),
            (b"", b"x", HOME),
        ]:
            self.assertEqual(
                self.ask(poem, question, address), ([], {"no room": 1}), address
            )

    def test_access(self) -> None:
        """
        Who may not read is not answered, also if trusted.
        """
        access = Access(deny=["192.0.2.0/24", "127.0.0.0/8"], reactor=self.clock)
        for address, count in [(HOME, 0), (WORLD, 0), (("192.0.3.1", 40000), 1)]:
            limits = Limits(access=access)
            sent, counts = self.ask(POEM, b"x" * 100, address, limits=limits)
            self.assertEqual(len(sent), count)
            self.assertEqual(counts, {"answered" if count else "denied": 1})

    def test_trust(self) -> None:
        """
        Whom to trust is an argument, in place of this machine.
        """
        trusted = ["192.0.2.0/24"]
        sent, _ = self.ask(POEM, b"", WORLD, limits=Limits(trusted))
        self.assertEqual(sent, [(POEM, WORLD)])
        sent, _ = self.ask(POEM, b"", HOME, limits=Limits(trusted))
        self.assertEqual(sent, [])

    def test_lowPort(self) -> None:
        """
        Nobody is answered on the port of a server.
        """
        for port, count in [(0, 0), (7, 0), (17, 0), (1023, 0), (1024, 1)]:
            sent, _ = self.ask(POEM, b"x" * 100, ("127.0.0.1", port))
            self.assertEqual(len(sent), count, port)
        _, counts = self.ask(POEM, b"x", ("127.0.0.1", 17))
        self.assertEqual(counts, {"low port": 1})

    def test_notSent(self) -> None:
        """
        An answer that cannot be sent is dropped, and counted.
        """
        for error in (
            *[OSError(number, "no") for number in (errno.EAGAIN, errno.ENOBUFS)],
            *[OSError(number, "no") for number in (errno.EPERM, errno.ENETUNREACH)],
            MessageLengthError("too long"),
        ):
            protocol, port = start(POEM, self.clock)
            port.error = error
            protocol.datagramReceived(b"", HOME)
            self.assertEqual(protocol.counts, {"not sent": 1})
            port.error = None
            protocol.datagramReceived(b"", HOME)
            self.assertEqual(port.sent, [(POEM, HOME)])


class LimitTests(SynchronousTestCase):
    """
    Tests of how many are answered.
    """

    def setUp(self) -> None:
        """
        Make a protocol.
        """
        self.clock = Clock()
        self.protocol, self.port = start(POEM, self.clock)

    def ask(self, *addresses: Any, question: bytes = b"x" * 100) -> int:
        """
        Ask from these addresses.

        @return: how many were answered.
        """
        before = len(self.port.sent)
        for address in addresses:
            self.protocol.datagramReceived(question, address)
        return len(self.port.sent) - before

    def test_noPause(self) -> None:
        """
        Who asks ten times without five seconds of silence is ignored until there
        have been five; another port of the same host is somebody else.
        """
        for _ in range(10):
            self.assertEqual(self.ask(HOME), 1)
            self.clock.advance(4.9)
        for _ in range(10):
            self.assertEqual(self.ask(HOME), 0)
            self.clock.advance(4.9)
        self.assertEqual(self.protocol.counts["no pause"], 10)
        self.assertEqual(self.ask(("127.0.0.1", 40001)), 1)
        self.clock.advance(0.1)
        self.assertEqual(self.ask(HOME), 1)

    def test_noPauseUnanswered(self) -> None:
        """
        Questions count that were not answered, too.
        """
        self.ask(*[WORLD] * 10, question=b"")
        self.assertEqual(self.ask(WORLD), 0)

    def test_net(self) -> None:
        """
        A net has fifty answers at once, and then ten a second; others have theirs.
        """
        one = [(f"192.0.2.{n % 250}", 2000 + n) for n in range(300)]
        self.assertEqual(self.ask(*one[:100]), 50)
        self.assertEqual(self.protocol.counts["network limit"], 50)
        self.assertEqual(self.ask(("192.0.3.1", 40000)), 1)
        self.clock.advance(1)
        self.assertEqual(self.ask(*one[100:200]), 10)

    def test_netOfIPv6(self) -> None:
        """
        A net of IPv6 is a /56.
        """
        one = [(f"2001:db8::{n:x}:0:0:1", 40000) for n in range(100)]
        self.assertEqual(self.ask(*one), 50)
        self.assertEqual(self.ask(("2001:db8:0:100::1", 40000)), 1)

    def test_all(self) -> None:
        """
        All together have five hundred at once, and then a hundred a second.
        """
        addresses = [(f"10.{n >> 8}.{n & 255}.1", 40000) for n in range(3000)]
        self.assertEqual(self.ask(*addresses[:1000]), 500)
        self.assertEqual(self.protocol.counts, {"answered": 500, "limit": 500})
        self.clock.advance(1)
        self.assertEqual(self.ask(*addresses[1000:2000]), 100)

    def test_emptyCostNothing(self) -> None:
        """
        Questions that cannot be answered take nothing from the others.
        """
        addresses = [(f"10.{n >> 8}.{n & 255}.1", 40000) for n in range(1000)]
        self.ask(*addresses, question=b"")
        self.assertEqual(self.ask(*addresses), 500)

    def test_memory(self) -> None:
        """
        However many ask, no more than this many are remembered.
        """
        self.patch(nets, "MAX_REMEMBERED", 100)
        self.ask(*[(f"10.{n >> 8}.{n & 255}.1", 40000) for n in range(2000)])
        self.assertEqual(len(self.protocol.limits._questions), 100)
        self.assertEqual(len(self.protocol.limits._networks._buckets), 100)

    def test_memoryAndLoop(self) -> None:
        """
        Who goes on asking is not forgotten for others who come once.
        """
        self.patch(nets, "MAX_REMEMBERED", 100)
        self.ask(*[HOME] * 10)
        for n in range(1000):
            self.ask((f"10.{n >> 8}.{n & 255}.1", 40000), question=b"")
            self.assertEqual(self.ask(HOME), 0)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    ["192.0.2.1", "198.51.100.7", "2001:db8::1", "10.1.1.1"]
                ),
                st.integers(0, 65535),
                st.binary(max_size=600),
                st.floats(0, 10),
            )
        ),
        st.binary(max_size=2000),
    )
    def test_property(
        self, questions: list[tuple[str, int, bytes, float]], poem: bytes
    ) -> None:
        """
        Nobody gets more than three times what was sent in its name, or in one piece
        more than 512 bytes, or anything but the beginning of the poem.
        """
        clock = Clock()
        protocol, port = start(poem, clock)
        asked: Counter[str] = Counter()
        got: Counter[str] = Counter()
        for host, number, question, pause in questions:
            asked[host] += len(question)
            protocol.datagramReceived(question, (host, number))
            clock.advance(pause)
            for answer, address in port.sent:
                self.assertEqual(address, (host, number))
                self.assertLessEqual(len(answer), min(512, 3 * len(question)))
                self.assertTrue(poem.startswith(answer))
                self.assertTrue(answer == poem or answer.endswith(b"\n"))
                got[host] += len(answer)
            self.assertLessEqual(got[host], 3 * asked[host])
            port.sent.clear()
        self.assertEqual(sum(protocol.counts.values()), len(questions))


class LoopTests(SynchronousTestCase):
    """
    Tests of two servers of which each takes the other's answers for questions.
    """

    def assertEnds(self, first: Any, second: Any) -> None:
        """
        Assert that one datagram, sent to the first in the name of the second, is
        followed by a few.
        """
        clock = Clock()
        servers = {first: start(LONG, clock), second: start(LONG, clock)}
        total = 0

        def send(here: Any, data: bytes, there: Any) -> None:
            nonlocal total
            total += 1
            protocol, _ = servers[there]
            clock.callLater(0.2, protocol.datagramReceived, data, here)

        for here, (_, port) in servers.items():
            port.deliver = partial(send, here)
        send(second, b"x" * 171, first)
        clock.pump([0.1] * 600)
        self.assertGreater(total, 5)
        self.assertLessEqual(total, 21)

    def test_trusted(self) -> None:
        """
        On one machine the loop ends.
        """
        self.assertEnds(("127.0.0.1", 1700), ("127.0.0.1", 1701))

    def test_world(self) -> None:
        """
        It ends between two that do not trust each other.
        """
        self.assertEnds(("192.0.2.1", 1700), ("198.51.100.1", 1700))

    def test_itself(self) -> None:
        """
        It ends where the sender is the server itself.
        """
        self.assertEnds(("127.0.0.1", 1700), ("127.0.0.1", 1700))
