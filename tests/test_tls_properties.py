"""
Properties of poems over TLS that hold whatever happens, in whatever order: Hypothesis
chooses what happens.  See F{tests/test_protocol_properties.py} for how to try more of
it.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from fastpoetry.connection.connections import Connections
from fastpoetry.connection.delivery import FIN_TIMEOUT
from fastpoetry.endpoints.tlswriter import RECORD
from fastpoetry.protocol import PoetryFactory
from fastpoetry.server import PoetryServer
from tests.play import PretendedAcceptor, tries
from tests.support import Reactor, StaticSource
from tests.tlspeer import VERSIONS, Client, TLSTestCase, TLSWire
from tests.wire import PretendedEpoll

POETRY = random.Random(8446).randbytes(2**18)
TIMEOUT = 7.0

# More than a record has besides what it holds.
EXTRA = 300


class Plan(NamedTuple):
    """
    What is settled of a reader before it connects.

    @ivar size: how long its poem is.

    @ivar isLate: whether it comes only when the operation C{answer} says so.

    @ivar version: the version of TLS.

    @ivar room: how many bytes the kernel holds for it at first.

    @ivar isQuick: whether it has its handshake at once, when there is room.

    @ivar isKeen: whether it goes on to take what there is, in the end.
    """

    size: int
    isLate: bool
    version: int
    room: int
    isQuick: bool
    isKeen: bool


class Play:
    """
    A server, one reader, and the clock.
    """

    def __init__(self, test: TLSTestCase, plan: Plan) -> None:
        self.test = test
        self.plan = plan
        self.poem = POETRY[: plan.size]
        self.reactor = Reactor()
        self.coming: Deferred[bytes] = Deferred(lambda _: None)
        poem: Any = self.coming if plan.isLate else self.poem
        self.factory = PoetryFactory(StaticSource(poem), TIMEOUT, self.reactor)
        self.server = PoetryServer(
            "tcp:0:interface=127.0.0.1", self.factory, reactor=self.reactor
        )
        self.server.startService()
        self.connections = Connections(self.reactor, PretendedEpoll())
        acceptor: Any = PretendedAcceptor(self.connections)
        self.server._acceptor = acceptor
        self.isStopping = self.hasLeft = self.hasNotified = False
        room = 2**20 if plan.isQuick else plan.room
        self.wire = TLSWire(self.factory, room, self.connections)
        self.client = Client(self.wire, plan.version)
        if plan.isQuick:
            self.client.begin(plan.room)

    def run(self, operations: list[tuple[Any, ...]]) -> None:
        """
        Do all operations, and then see the reader to its end.
        """
        for name, *arguments in operations:
            getattr(self, name)(*arguments)
            self.settle()
        if self.plan.isKeen:
            self.answer()
            self.room(2**20)
            for _ in range(5):
                self.take(2**20)
                self.speak(2**20)
        self.wait(TIMEOUT + 1)
        self.answer()
        self.wait(2 * TIMEOUT)
        self.wait(2 * FIN_TIMEOUT)
        self.stop()
        self.settle()
        self.test.checkNothingLeft(self.wire)
        socket = self.wire.socket
        self.test.assertTrue(socket.seen or socket.held)
        self.test.assertEqual(self.test.flushLoggedErrors(), [])

    def take(self, size: int) -> None:
        """
        The reader takes this many bytes.
        """
        self.client.listen(size)

    def speak(self, size: int) -> None:
        """
        It says so much of what TLS has to say.
        """
        data = self.client.flush()
        self.say(data[:size])
        self.say(data[size:])

    def say(self, data: bytes) -> None:
        """
        It says something, if it can.
        """
        if data and not (self.hasLeft or self.wire.socket.broken):
            self.wire.say(data)

    def chat(self, size: int) -> None:
        """
        It says something to the poem.
        """
        if self.client.hasHandshake and not self.hasNotified:
            self.client.tls.send(bytes(size))
            self.speak(2**20)

    def notify(self) -> None:
        """
        It says C{close_notify}.
        """
        if self.client.hasHandshake and not self.hasNotified:
            self.hasNotified = True
            self.say(self.client.notify())

    def halfClose(self) -> None:
        """
        It half-closes.
        """
        if not (self.hasLeft or self.wire.socket.broken):
            self.hasLeft = True
            self.wire.halfClose()

    def reset(self) -> None:
        """
        It goes.
        """
        self.wire.reset()

    def room(self, size: int) -> None:
        """
        From now on the kernel holds this many bytes for it.
        """
        self.wire.socket.capacity = size

    def answer(self) -> None:
        """
        A poem that comes late comes.
        """
        if not self.coming.called:
            self.coming.callback(self.poem)

    def wait(self, seconds: float) -> None:
        """
        Time passes.
        """
        until = self.reactor.seconds() + seconds
        while self.reactor.seconds() < until:
            due = [call.getTime() for call in self.reactor.getDelayedCalls()]
            self.reactor.rightNow = min([until, *due])
            self.settle()

    def stop(self) -> None:
        """
        The server stops.
        """
        if not self.isStopping:
            self.isStopping = True
            self.server.stopService()

    def abort(self) -> None:
        """
        The server, which stops, is told again.
        """
        self.stop()
        self.server.abort()

    def settle(self) -> None:
        """
        Give everybody a turn, then check everything.
        """
        self.reactor.advance(0)
        self.wire.turn()
        socket, client = self.wire.socket, self.client
        self.test.assertLessEqual(self.wire.waiting, RECORD + EXTRA)
        if not socket.broken:
            client.decrypt(bytes(socket.taken))
        heard, isWhole = bytes(client.heard), len(client.heard) == len(self.poem)
        self.test.assertEqual(heard, self.poem[: len(heard)])
        self.test.assertIs(client.error, None)
        if client.hasEnd:
            self.test.assertTrue(isWhole, "close_notify before the end")
        if client.hasHandshake and socket.seen == "clean" and not socket.broken:
            # An end of TCP never comes without that of TLS.
            self.test.assertTrue(client.hasEnd and isWhole, "an end without one")
        if client.hasHandshake and not self.wire.gone and not client.hasEnd:
            # It follows the poem at once, if it has not come with it.
            isMissing = bool(self.poem) and isWhole
            self.test.assertTrue(not isMissing or socket.held or self.wire.waiting)


SIZES = st.one_of(
    st.integers(0, 3000),
    st.sampled_from([RECORD, RECORD + 1, 2 * RECORD, 3 * RECORD + 7, 2**18]),
)
PLANS = st.builds(
    Plan,
    SIZES,
    st.booleans(),
    st.sampled_from(list(VERSIONS.values())),
    st.one_of(SIZES, st.just(2**20)),
    st.sampled_from([True, True, True, False]),
    st.booleans(),
)
_ARGUMENTS: dict[str, list[st.SearchStrategy[Any]]] = {
    "take": [SIZES],
    "speak": [SIZES],
    "chat": [st.integers(1, RECORD)],
    "room": [SIZES],
    "wait": [st.sampled_from([0.0, 0.1, 1.0, FIN_TIMEOUT, TIMEOUT / 2, TIMEOUT])],
}
_NAMES = [
    *["take"] * 12,
    *["speak", "take"] * 6,
    *["room", "chat", "answer", "wait"] * 3,
    *["notify", "halfClose"] * 2,
    *["reset", "stop", "abort"],
]
OPERATIONS = st.sampled_from(_NAMES).flatmap(
    lambda name: st.tuples(st.just(name), *_ARGUMENTS.get(name, []))
)


class TLSProperties(TLSTestCase):
    """
    Properties of poems over TLS.
    """

    @tries(400)
    @given(PLANS, st.one_of(st.lists(OPERATIONS), st.lists(OPERATIONS, min_size=15)))
    def test_reader(self, plan: Plan, operations: list[tuple[Any, ...]]) -> None:
        """
        Whatever a reader, its kernel, the source of the poem and the operator do: the
        reader has the beginning of the poem; it sees C{close_notify}, and the end of
        TCP after it, with all of it, and never without; and nothing is left.
        """
        Play(self, plan).run(operations)
