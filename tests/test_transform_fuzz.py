"""
Tests of both sides of a transform with what nobody would say.
"""

from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.transform import TRANSFORMS, TransformFactory, TransformService
from fastpoetry.transformclient import TransformError
from tests.support import Reactor
from tests.transforms import PlayedServer, netstring
from tests.wire import Wire


def judge(said: bytes, limit: int) -> bytes | None:
    """
    Say, in another way than the server does, what a client is to get.

    @return: the answer, or C{None} for none.
    """
    header = re.match(rb"(0|[1-9][0-9]*):", said)
    if header is None or int(header[1]) > limit:
        return None
    payload = said[header.end() :][: int(header[1])]
    if said[header.end() + int(header[1]) :][:1] != b",":
        return None
    names = "|".join(TRANSFORMS).encode()
    found = re.match(rb"(%b)\." % names, payload)
    if found is None:
        return None
    try:
        poem = payload[found.end() :].decode()
    except UnicodeDecodeError:
        return None
    return netstring(TRANSFORMS[found[1].decode()](poem).encode())


NAMES = st.sampled_from([*map(str.encode, TRANSFORMS), b"", b"shorten"])
POEMS = st.one_of(st.text(max_size=30).map(str.encode), st.binary(max_size=30))
REQUESTS = st.builds(lambda name, poem: netstring(name + b"." + poem), NAMES, POEMS)
PIECES = st.one_of(
    REQUESTS,
    st.binary(max_size=40).map(netstring),
    st.binary(max_size=40),
    st.from_regex(rb"[0-9]{0,12}[:,.\n]{0,2}", fullmatch=True),
)
SAID = st.one_of(
    st.builds(bytes.__add__, REQUESTS, PIECES),
    st.lists(PIECES, max_size=3).map(b"".join),
    # A request with something in place of a part of it.
    st.builds(
        lambda request, start, other, size: (
            request[:start] + other + request[start + size :]
        ),
        REQUESTS,
        st.integers(0, 50),
        st.binary(max_size=3),
        st.integers(0, 3),
    ),
)
CUTS = st.lists(st.integers(0, 80), max_size=6).map(sorted)


def cut(said: bytes, cuts: list[int]) -> list[bytes]:
    """
    @return: the pieces between some places, none of them empty.
    """
    places = zip([0, *cuts], [*cuts, len(said)])
    return [said[start:stop] for start, stop in places if said[start:stop]]


class FuzzTests(SynchronousTestCase):
    """
    Tests of both sides with what nobody would say.
    """

    @settings(max_examples=500, derandomize=True, deadline=None)
    @given(SAID, CUTS, st.booleans())
    def test_server(self, said: bytes, cuts: list[int], closes: bool) -> None:
        """
        Whatever a client says, and in whatever pieces, it has the one right
        answer, or none and there is one warning; and the connection has an end.
        """
        reactor = Reactor()
        factory = TransformFactory(TransformService(), 40.0, 64, reactor=reactor)
        with capturedLogs() as events:
            wire = Wire(factory)
            for piece in cut(said, cuts):
                wire.say(piece)
            if closes:
                wire.halfClose()
            wire.take()
            reactor.pump([10.0] * 5)
        answer = judge(said, 64)
        self.assertTrue(wire.gone)
        self.assertEqual(bytes(wire.socket.taken), answer or b"")
        warnings = [e for e in events if e["log_level"] == LogLevel.warn]
        isFine = answer is not None or (closes and not said)
        self.assertEqual(len(warnings), 0 if isFine else 1)
        self.assertEqual(len(events), 1 if answer is not None else len(warnings))
        self.assertEqual(reactor.getDelayedCalls(), [])
        self.assertEqual(reactor.getReaders(), [])

    @settings(max_examples=200, derandomize=True, deadline=None)
    @given(SAID, CUTS)
    def test_client(self, said: bytes, cuts: list[int]) -> None:
        """
        Whatever a server says before it closes, the client has the one right answer, or
        one error.
        """
        server = PlayedServer(maxLength=64)
        server.transport.holds = True
        for piece in cut(said, cuts):
            server.say(piece)
        if server.transport.end != "reset":
            server.transport.lose(ConnectionDone())
        header = re.match(rb"(0|[1-9][0-9]?):", said)
        size = int(header[1]) if header else 65
        rest = said[header.end() :] if header else b""
        if size <= 64 and rest[size:] == b",":
            self.assertEqual(self.successResultOf(server.poem), rest[:size])
        else:
            self.failureResultOf(server.poem, TransformError)
        self.assertEqual(server.reactor.getDelayedCalls(), [])
