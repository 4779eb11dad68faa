"""
Tests of L{fastpoetry.doors.site}.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface.verify import verifyObject

from fastpoetry.clock import steadySeconds
from fastpoetry.doors import site
from fastpoetry.doors.channel import LAST_TIMEOUT, MAX_BODY
from fastpoetry.doors.site import Site, send
from fastpoetry.interfaces import IHasFigures
from tests.support import BIG
from tests.webclient import WebTestCase, parse
from tests.wire import Wire

GET = b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Body(Resource):
    """
    Answers with the same bytes.
    """

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body

    def render_GET(self, request: Any) -> int:
        """
        Answer.
        """
        return send(request, self._body, tag='"tag"')

    def render_POST(self, request: Any) -> int:
        """
        Answer with what was asked.
        """
        return send(request, request.content.read())


class Later(Resource):
    """
    Answers when the test says so.

    @ivar requests: those that wait.
    """

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Any] = []

    def render_GET(self, request: Any) -> int:
        """
        Keep it.
        """
        request.notifyFinish().addErrback(lambda failure: None)
        self.requests.append(request)
        return NOT_DONE_YET


class SiteTestCase(WebTestCase):
    """
    Has three resources.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        super().setUp()
        self.later = Later()
        self.root.putChild(b"short", Body(b"short"))
        self.root.putChild(b"long", Body(BIG))
        self.root.putChild(b"later", self.later)

    def begin(self, said: bytes) -> Wire:
        """
        @return: a connection where this was said.
        """
        wire = self.connect()
        if said:  # or it would be its end
            wire.say(said)
        return wire

    def assertCodes(self, data: bytes, *codes: int) -> None:
        """
        Assert that these are the answers that have come.
        """
        found = []
        while data:
            response, data = parse(data)
            found.append(response.status)
        self.assertEqual(found, list(codes))


class ChannelTests(SiteTestCase):
    """
    Tests of L{fastpoetry.doors.channel.Channel}.
    """

    def test_keptAlive(self) -> None:
        """
        A connection has one request after the other, and each its answer.
        """
        wire = self.connect()
        for _ in range(3):
            wire.say(GET % b"short")
            self.assertCodes(self.hear(wire), 200)
        self.assertFalse(wire.gone)

    def test_pipelined(self) -> None:
        """
        Requests that come at once are answered in their order, also when the first has
        to wait, and when the client says no more after them.
        """
        for ends in (False, True):
            wire = self.connect()
            wire.say(GET % b"later" + GET % b"short" + GET % b"none")
            if ends:
                wire.halfClose()
            self.assertEqual(self.hear(wire), b"")
            send(self.later.requests.pop(), b"", code=202)
            wire.turn()
            self.assertCodes(self.hear(wire), 202, 200, 404)
            self.assertEqual(wire.socket.seen, "clean" if ends else None)

    def test_halfClosed(self) -> None:
        """
        A client that says no more gets its answer, be it a long one.
        """
        for name, body in ((b"short", b"short"), (b"long", BIG)):
            wire = self.connect(10_000)
            wire.say(GET % name)
            wire.halfClose()
            response, rest = parse(self.hear(wire))
            self.assertEqual((response.body, rest), (body, b""))  # type: ignore[attr-defined]
            self.assertEqual(wire.socket.seen, "clean")

    def test_halfClosedAtOnce(self) -> None:
        """
        One that has not asked, or only half, is let go.
        """
        for said in (b"", b"GET /sho"):
            wire = self.begin(said)
            wire.halfClose()
            self.assertTrue(wire.gone)

    def test_idle(self) -> None:
        """
        A connection that waits for a request for the timeout is ended, before the first
        and after.
        """
        for said in (b"", GET % b"short"):
            wire = self.begin(said)
            self.hear(wire)
            self.reactor.advance(self.timeout - 1)
            self.assertIs(wire.socket.seen, None)
            self.reactor.advance(1)
            wire.turn()
            self.assertEqual(wire.socket.seen, "clean")

    def test_trickled(self) -> None:
        """
        A request that comes a byte at a time has the timeout in all, and so has its
        body; the next has its own.
        """
        for start in (
            GET % b"short" + b"GET /short HTTP/1.1\r\n",
            b"POST /short HTTP/1.1\r\nContent-Length: 100\r\n\r\n",
        ):
            wire = self.connect()
            self.reactor.advance(self.timeout / 2)
            wire.say(start)
            for _ in range(int(self.timeout)):
                self.hear(wire)
                if wire.gone:
                    break
                self.reactor.advance(1)
                wire.say(b"a")
            self.assertTrue(wire.gone)
            self.assertEqual(self.site.channels, set())

    def test_notTaken(self) -> None:
        """
        An answer of which the client takes nothing for the timeout is cut, and does not
        end as if it were whole.
        """
        wire = self.connect(1000)
        wire.say(GET % b"long")
        for _ in range(3):
            self.reactor.advance(self.timeout - 1)
            wire.take(500)
            self.assertFalse(wire.gone)
            for _ in range(100):  # the next piece is asked for
                wire.take(1000)
        self.reactor.advance(self.timeout)
        self.assertEqual(wire.socket.seen, "reset")

    def test_shortNotTaken(self) -> None:
        """
        So is a short one, a little later: it may be on its way.
        """
        wire = self.connect(10)
        wire.say(GET % b"short")
        self.reactor.advance(self.timeout)
        self.assertFalse(wire.gone)
        self.reactor.advance(LAST_TIMEOUT)
        self.assertEqual(wire.socket.seen, "reset")

    def test_takenAtLast(self) -> None:
        """
        What is taken by then is whole.
        """
        wire = self.connect(10)
        wire.say(GET % b"short")
        self.reactor.advance(self.timeout)
        self.assertCodes(self.hear(wire), 200)
        self.assertEqual(wire.socket.seen, "clean")

    def test_headers(self) -> None:
        """
        Headers that are many or long are refused.
        """
        most = b"".join(b"a%d: b\r\n" % number for number in range(100))
        for headers, code in (
            (most, 200),
            (most + b"one: more\r\n", 400),
            (b"long: %s\r\n" % (b"b" * 8000), 200),
            (b"long: %s\r\n" % (b"b" * 8200), 400),
        ):
            wire = self.connect()
            wire.say(b"GET /short HTTP/1.1\r\n" + headers + b"\r\n")
            answer = self.hear(wire)
            self.assertIn(b"HTTP/1.1 %d" % code, answer)
            self.assertEqual(wire.gone, code == 400)

    def test_bodies(self) -> None:
        """
        A body is read up to its limit; a longer one is refused before any of it is
        read, and so is one that does not say how long it is.
        """
        for length in (0, 1, MAX_BODY):
            answer = self.ask("/short", "POST", body=b"b" * length)
            self.assertEqual(answer.body, b"b" * length)
        chunks = b"1\r\nb\r\n0\r\n\r\n"
        for header, body in (
            (b"Content-Length: %d" % (MAX_BODY + 1), b"b" * (MAX_BODY + 1)),
            (b"Content-Length: 9999999999999999999", b"b"),
            (b"Content-Length: " + b"9" * 5000, b"b"),
            (b"Content-Length: " + b"9" * 5000 + b"\r\nmore: headers", b"b"),
            (b"Transfer-Encoding: chunked", chunks),
            (b"Transfer-Encoding: chunked\r\nExpect: 100-continue", chunks),
        ):
            wire = self.connect()
            wire.say(b"POST /short HTTP/1.1\r\n" + header + b"\r\n\r\n" + body)
            self.assertCodes(self.hear(wire), 413)
            self.assertTrue(wire.gone)

    def test_more(self) -> None:
        """
        What comes after the end was asked for is not heard: TLS may have more already.
        """
        for said in (
            b"GET / HTTP/2\r\n",
            b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked",
        ):
            wire = self.connect(0)
            wire.say(said + b"\r\n\r\n")
            wire.protocol.dataReceived(b"1\r\nb\r\n0\r\n\r\n" + GET % b"later")
            self.assertEqual(self.later.requests, [])
            wire.reset()

    def test_forms(self) -> None:
        """
        A form is but a body: it costs no error that it is none.
        """
        for kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
            answer = self.ask("/short", "POST", {"Content-Type": kind}, b"=&;%")
            self.assertEqual(answer.body, b"=&;%")

    def test_leaves(self) -> None:
        """
        A client that leaves is forgotten, and its answer is none.
        """
        wire = self.connect()
        wire.say(GET % b"later")
        wire.reset()
        (request,) = self.later.requests
        send(request, b"")
        self.assertEqual(self.site.channels, set())

    def test_left(self) -> None:
        """
        So is one that leaves in the middle of a long answer.
        """
        wire = self.connect(1000)
        wire.say(GET % b"long")
        wire.take(100)
        wire.reset()
        self.reactor.advance(0)
        self.assertEqual(self.site.channels, set())

    @settings(max_examples=200, deadline=None)
    @given(
        some.lists(
            some.one_of(
                some.binary(max_size=60),
                some.sampled_from(
                    [
                        *(b"GET /short HTTP/1.1\r\n", b"GET /", b"POST * ", b"\r\n"),
                        *(b" HTTP/1.0\r\n", b" HTTP/1.1\r\n", b"\r\n\r\n", b": ", b"%"),
                        *(b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"),
                        *(b"Content-Type: multipart/form-data; boundary=a\r\n", b"--a"),
                        *(b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"?"),
                        *(b"If-None-Match: ", b"Cookie: a=b;\r\n", b"1\r\n", b"0\r\n"),
                    ]
                ),
            )
        ),
        some.booleans(),
    )
    def test_anything(self, pieces: list[bytes], ends: bool) -> None:
        """
        Whatever a client says, it costs no error, and the connection has its end.
        """
        wire = self.connect()
        for piece in pieces:
            if not wire.gone:
                wire.say(piece)
        if ends and not wire.gone:
            wire.halfClose()
        self.hear(wire)
        self.reactor.advance(self.timeout)
        self.hear(wire)
        self.reactor.advance(LAST_TIMEOUT)
        self.assertTrue(wire.gone)
        self.assertEqual(self.flushLoggedErrors(), [])


class StopTests(SiteTestCase):
    """
    Tests of what a stop does to connections.
    """

    def test_answered(self) -> None:
        """
        A connection that has been answered is closed at once.
        """
        wire = self.begin(GET % b"short")
        self.assertCodes(self.hear(wire), 200)
        self.site.doStop()
        wire.turn()
        self.assertEqual(wire.socket.seen, "clean")

    def test_inFlight(self) -> None:
        """
        What was asked is answered to the end, and the connection is closed then.
        """
        wires = [self.begin(GET % b"later"), self.begin(GET % b"later" + GET % b"long")]
        self.site.doStop()
        for wire in wires:
            self.reactor.advance(10 * self.timeout)
            self.assertIs(wire.socket.seen, None)
            send(self.later.requests.pop(0), b"", code=202)
            wire.turn()
        self.assertCodes(self.hear(wires[0]), 202)
        answers = self.hear(wires[1])
        self.assertCodes(answers, 202, 200)
        self.assertIn(b"Connection: close\r\n", answers)
        for wire in wires:
            self.assertEqual(wire.socket.seen, "clean")

    def test_aboutToAsk(self) -> None:
        """
        Who has not asked yet, or is asking, may do so for a while, and is answered.
        """
        for said in (
            *(b"", b"GET /sho", b"GET /short HTTP/1.1\r\n"),
            *(GET % b"none" + b"GET /sho", GET % b"none" + b"GET /short HTTP/1.1\r\n"),
        ):
            for asks in (True, False):
                wire = self.begin(said)
                self.hear(wire)
                self.site.doStop()
                if asks:
                    wire.say((GET % b"short")[len(said.rpartition(b"\r\n\r\n")[2]) :])
                    answer = self.hear(wire)
                    self.assertCodes(answer, 200)
                    self.assertIn(b"\r\nConnection: close\r\n", answer)
                else:
                    self.assertFalse(wire.gone)
                    self.reactor.advance(LAST_TIMEOUT)
                    wire.turn()
                self.assertEqual(wire.socket.seen, "clean")
                self.site.doStart()

    def test_tooLate(self) -> None:
        """
        So may who is let in after the stop, such as after a handshake.
        """
        self.site.doStop()
        self.assertCodes(self.hear(self.begin(GET % b"short")), 200)
        wire = self.begin(b"")
        self.reactor.advance(LAST_TIMEOUT)
        wire.turn()
        self.assertTrue(wire.gone)


class SiteTests(SiteTestCase):
    """
    Tests of L{Site} and L{send}.
    """

    def test_figures(self) -> None:
        """
        Answers are counted by their code.
        """
        verifyObject(IHasFigures, self.site)
        for path in ("/short", "/short", "/none"):
            self.ask(path)
        self.assertEqual(
            list(self.site.figures()),
            [
                ("fastpoetry_http_responses_total", {"code": "200"}, 2),
                ("fastpoetry_http_responses_total", {"code": "404"}, 1),
            ],
        )

    def test_clock(self) -> None:
        """
        Its clock is the one that never goes back.
        """
        self.assertIs(Site(self.root).reactor.seconds, steadySeconds)

    def test_policy(self) -> None:
        """
        Every answer, also one that refuses, keeps a browser from doing anything.
        """
        for path, method in (("/short", "GET"), ("/none", "GET"), ("/short", "PUT")):
            answer = self.ask(path, method)
            for name, value in site.HEADERS.items():
                self.assertEqual(answer.getheader(name), value)

    def test_methods(self) -> None:
        """
        What is not there is not found, and what cannot be done is told.
        """
        self.assertEqual(self.ask("/none").status, 404)
        self.assertEqual(self.ask("/short/none").status, 404)
        self.assertEqual(self.ask("/short", "DELETE").status, 501)
        answer = self.ask("/later", "POST")
        self.assertEqual(answer.status, 405)
        self.assertEqual(set(answer.getheader("Allow").split(", ")), {"GET", "HEAD"})

    def test_head(self) -> None:
        """
        HEAD has all of the answer but the body, be it long or short.
        """
        for path in ("/short", "/long"):
            answer, other = self.ask(path), self.ask(path, "HEAD")
            self.assertEqual(other.body, b"")
            self.assertEqual(other.getheaders(), answer.getheaders())
        self.patch(site, "Sending", None)
        self.assertEqual(self.ask("/long", "HEAD").status, 200)

    def test_tag(self) -> None:
        """
        Who has the body already is told so.
        """
        for text in ('"tag"', 'W/"tag"', '"other","tag"', 'W/"other", "tag"', "*"):
            for method in ("GET", "HEAD"):
                answer = self.ask("/short", method, {"If-None-Match": text})
                self.assertEqual((answer.status, answer.body), (304, b""))
                self.assertEqual(answer.getheader("ETag"), '"tag"')
                self.assertIs(answer.getheader("Content-Type"), None)
        for text in ("", '"other"', "tag", '"ta', ",,"):
            answer = self.ask("/short", "GET", {"If-None-Match": text})
            self.assertEqual((answer.status, answer.body), (200, b"short"))

    def test_aborted(self) -> None:
        """
        A connection that is aborted in the middle of an answer ends in a reset.
        """
        wire = self.connect(1000)
        wire.say(GET % b"long")
        wire.connections.abort()
        self.reactor.advance(0)
        self.assertEqual(wire.socket.seen, "reset")
