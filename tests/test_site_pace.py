"""
Tests of L{fastpoetry.doors.site} with clients that ask for more than they take.
"""

from __future__ import annotations

from fastpoetry.doors.channel import LAST_TIMEOUT
from fastpoetry.doors.site import PIECE
from tests.support import BIG
from tests.test_site import GET, Body, SiteTestCase
from tests.wire import Wire

MANY = 50


def kept(wire: Wire) -> int:
    """
    @return: how many bytes there are in the process for a client.
    """
    transport, channel = wire.transport, wire.protocol
    said = len(channel._buffer) + sum(map(len, channel._dataBuffer))
    return len(transport.dataBuffer) + int(transport._tempDataLen) + said


class PaceTests(SiteTestCase):
    """
    Tests of L{fastpoetry.doors.channel.Channel}.
    """

    def setUp(self) -> None:
        """
        Make another resource.
        """
        super().setUp()
        self.root.putChild(b"piece", Body(BIG[:PIECE]))

    def test_many(self) -> None:
        """
        Of many requests that come at once, no more are answered than are taken; in the
        end all are, also when the client says no more.
        """
        for ends in (False, True):
            wire = self.connect(PIECE)
            wire.say(GET % b"piece" * MANY)
            self.assertLess(kept(wire), 4 * PIECE)
            if ends:
                wire.halfClose()
            self.assertCodes(self.hear(wire), *[200] * MANY)
            self.assertEqual(wire.socket.seen, "clean" if ends else None)

    def test_floods(self) -> None:
        """
        Who says more while it takes nothing of an answer is not read, be the answer
        under way or not.
        """
        for name in (b"long", b"piece"):
            wire = self.connect(1000)
            wire.say(GET % name * 3)
            self.assertFalse(wire.isReading)
            self.assertLess(kept(wire), 4 * PIECE)
            self.assertCodes(self.hear(wire), *[200] * 3)
            self.assertTrue(wire.isReading)

    def test_saysItsEnd(self) -> None:
        """
        An end that is heard while answers are not taken yet, as over TLS, costs none.
        """
        wire = self.connect(PIECE)
        wire.say(GET % b"piece" * 5)
        wire.protocol.readConnectionLost()
        self.assertCodes(self.hear(wire), *[200] * 5)
        self.assertEqual(wire.socket.seen, "clean")

    def test_stop(self) -> None:
        """
        Nor does a stop.
        """
        wire = self.connect(PIECE)
        wire.say(GET % b"piece" * 5)
        self.site.doStop()
        self.reactor.advance(self.timeout / 2)
        self.assertCodes(self.hear(wire), *[200] * 5)
        self.assertEqual(wire.socket.seen, "clean")

    def test_lastNotTaken(self) -> None:
        """
        An answer that is to be the last of its connection is cut when nothing of it is
        taken for the timeout.
        """
        for asked in (
            *(b"GET /short HTTP/1.0\r\n\r\n", b"HEAD /long HTTP/1.0\r\n\r\n"),
            b"GET /none HTTP/1.1\r\nConnection: close\r\n\r\n",
        ):
            wire = self.connect(10)
            wire.say(asked)
            self.reactor.advance(self.timeout - 1)
            self.assertFalse(wire.gone)
            self.reactor.advance(1 + LAST_TIMEOUT)
            self.assertEqual(wire.socket.seen, "reset")
