"""
Tests of L{fastpoetry.doors.web}.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

from hypothesis import given
from hypothesis import strategies as some
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.doors import web
from fastpoetry.doors.site import POLICY
from fastpoetry.doors.web import MAX_AT_ONCE, MAX_PAGE, Poem, addPoems
from fastpoetry.shown import shown
from sandbox import POEM
from tests.support import StaticSource
from tests.webclient import WebTestCase

# What the style sheet, the links and the policy have in common: nothing from elsewhere.
ELSEWHERE = re.compile(r"url\(|@import|//|\bsrc=|\bon[a-z]+=|<script", re.I)


class Page(HTMLParser):
    """
    A page, taken apart.

    @ivar texts: what stands in the elements of each name.

    @ivar elements: all elements with their attributes.
    """

    # Those that have no end.
    EMPTY = ("meta", "!doctype")

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(body.decode())
        self.close()
        assert not self._open, self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """
        An element begins.
        """
        self.elements.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """
        It ends.
        """
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        """
        There is text in it.
        """
        for tag in set(self._open):
            self.texts[tag] = self.texts.get(tag, "") + data


class PagesTestCase(WebTestCase):
    """
    Serves poems, with pretended threads.
    """

    def setUp(self) -> None:
        super().setUp()
        self.patch(web, "deferToThread", maybeDeferred)

    def serve(self, **poems: Any) -> None:
        """
        Serve these by their names.
        """
        addPoems(self.root, {name: StaticSource(poem) for name, poem in poems.items()})

    def page(self, path: str) -> Page:
        """
        Ask for a page.
        """
        answer = self.ask(path)
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.getheader("Content-Type"), "text/html; charset=utf-8")
        return Page(answer.body)


class PageTests(PagesTestCase):
    """
    Tests of pages.
    """

    def test_one(self) -> None:
        """
        Of one poem there is a page with all its lines as they are, a title, and a link
        to its bytes.
        """
        self.serve(ecstasy=POEM)
        for path in ("/", "/ecstasy"):
            page = self.page(path)
            self.assertEqual(page.texts["main"], POEM.decode())
            self.assertEqual(page.texts["title"], "The Ecstasy")
            self.assertEqual(page.texts["h1"], "The Ecstasy\n")
            self.assertIn(("h1", {"class": "title"}), page.elements)
            links = [attributes for tag, attributes in page.elements if tag == "a"]
            self.assertEqual(links, [{"href": "/ecstasy.txt"}])
            self.assertIn(("html", {"lang": "en"}), page.elements)

    def test_several(self) -> None:
        """
        Of several there is a list, in their order, and a page for each.
        """
        self.serve(**{"zu_spät": b"one", "a-b": b"two"})
        page = self.page("/")
        links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
        self.assertEqual(links, ["/zu_sp%C3%A4t", "/a-b"])
        self.assertEqual(page.texts["ul"], "zu spät" + "a b")
        for link, text in zip(links, ("one\n", "two\n")):
            assert link is not None
            self.assertEqual(self.page(link).texts["main"], text)
            self.assertEqual(self.ask(f"{link}.txt").body, text[:-1].encode())

    def test_names(self) -> None:
        """
        A name, too, is text.
        """
        self.serve(**{"a<b&amp;": b"", "c?d": b""})
        page = self.page("/")
        links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
        self.assertEqual(links, ["/a%3Cb%26amp%3B", "/c%3Fd"])
        self.assertEqual(page.texts["ul"], "a<b&amp;c?d")
        for link in links:
            self.page(str(link))

    def test_untitled(self) -> None:
        """
        A first line that no empty one follows is a line as the others, though the
        heading of the page; one that is long gives but its beginning to the title.
        """
        self.serve(quote=b"\n\n  first" + b"t" * 200 + b"\nsecond")
        page = self.page("/")
        self.assertIn(("h1", {}), page.elements)
        self.assertEqual(page.texts["h1"], "  first" + "t" * 200 + "\n")
        self.assertEqual(page.texts["title"], "first" + "t" * 95)

    def test_empty(self) -> None:
        """
        A poem of nothing has its name for a title.
        """
        self.serve(nothing=b"")
        page = self.page("/")
        self.assertEqual(page.texts["title"], "nothing")
        self.assertEqual(page.texts["main"].strip(), "")
        answer = self.ask("/nothing.txt")
        self.assertEqual((answer.body, answer.getheader("Content-Length")), (b"", "0"))

    @given(
        some.one_of(
            some.binary(),
            some.text(alphabet="<>&\"'/=!-]a \n").map(str.encode),
            some.sampled_from(
                [b"$title $", b"</title></style><script>alert(1)</script>"]
            ),
        )
    )
    def test_anything(self, poem: bytes) -> None:
        """
        Whatever a poem contains is text.
        """
        page = Page(Poem("poem", StaticSource(poem))._edit(poem).page)
        text = b"".join(shown(poem, "utf-8")).decode().replace("\r\n", "\n").strip("\n")
        self.assertEqual(page.texts["main"], f"{text}\n")
        self.assertEqual(
            {tag for tag, _ in page.elements},
            {
                *("html", "head", "meta", "title", "style", "body", "main", "h1"),
                *("span", "footer", "a"),
            },
        )

    def test_shown(self) -> None:
        """
        What would be obeyed, or is no UTF-8, is shown.
        """
        self.serve(poem="é\x1b[31m\0\u202e\x85\t".encode() + b"\xe9\r\n\nb")
        self.assertEqual(
            self.page("/").texts["main"], "é^[[31m^@\\u202e\\u0085\t\\xe9\n\nb\n"
        )

    def test_policy(self) -> None:
        """
        Nothing but the style of the page itself is allowed, nothing else is there, and
        nothing comes from elsewhere.
        """
        self.serve(one=POEM, two=POEM)
        for path in ("/", "/one"):
            answer = self.ask(path)
            page = Page(answer.body)
            digest = sha256(page.texts["style"].encode()).digest()
            self.assertEqual(
                answer.getheader("Content-Security-Policy"),
                f"{POLICY}; style-src 'sha256-{b64encode(digest).decode()}'",
            )
            self.assertIn("default-src 'none'", POLICY)
            self.assertEqual(ELSEWHERE.findall(answer.body.decode()), [])
            for tag, attributes in page.elements:
                self.assertNotIn(tag, ("script", "link", "img", "iframe", "form"))
                self.assertNotIn("style", attributes)
        text = self.ask("/one.txt")
        self.assertEqual(text.getheader("Content-Security-Policy"), POLICY)

    def test_style(self) -> None:
        """
        There is a dark page, a measure, and a width for a phone.
        """
        self.serve(one=POEM)
        page = self.page("/")
        for part in ("prefers-color-scheme: dark", "38rem", "pre-wrap", "text-wrap"):
            self.assertIn(part, page.texts["style"])
        content = "width=device-width, initial-scale=1"
        self.assertIn(("meta", {"name": "viewport", "content": content}), page.elements)


class TextTests(PagesTestCase):
    """
    Tests of the bytes, and of what is told of them.
    """

    def test_bytes(self) -> None:
        """
        The bytes are as they are; that they are UTF-8 is told when they are.
        """
        for poem, kind in (
            (POEM, "text/plain; charset=utf-8"),
            ("é\r\n\0".encode(), "text/plain; charset=utf-8"),
            (b"\xe9", "text/plain"),
            (b"a" * 65535 + "é".encode(), "text/plain; charset=utf-8"),
            ("é".encode()[:1], "text/plain"),
            (bytes(range(256)) * 1024, "text/plain"),
        ):
            self.serve(poem=poem)
            answer = self.ask("/poem.txt")
            self.assertEqual(answer.body, poem)
            self.assertEqual(answer.getheader("Content-Type"), kind)
            self.assertEqual(answer.getheader("Content-Length"), str(len(poem)))
            self.assertEqual(answer.getheader("ETag"), f'"{sha256(poem).hexdigest()}"')

    def test_tags(self) -> None:
        """
        Who has a page or the bytes gets neither again, until the poem is another.
        """
        source = StaticSource(POEM)
        addPoems(self.root, {"poem": source})
        tags = [self.ask(path).getheader("ETag") for path in ("/", "/poem.txt")]
        self.assertNotEqual(*tags)
        for poem, code in ((POEM, 304), (POEM + b"more", 200)):
            source.poem = poem
            for path, tag in zip(("/", "/poem.txt"), tags):
                answer = self.ask(path, "GET", {"If-None-Match": tag})
                self.assertEqual(answer.status, code)

    def test_log(self) -> None:
        """
        The log says who is sent a poem, but not of those that only ask about it.
        """
        for others, title in (({}, ""), ({"other": b""}, " from poem")):
            self.serve(poem=POEM, **others)
            for path in ("/poem", "/poem.txt"):
                with capturedLogs() as events:
                    tag = self.ask(path).getheader("ETag")
                    self.ask(path, "HEAD")
                    self.ask(path, "GET", {"If-None-Match": tag})
                self.assertEqual(
                    [event["log_format"].format(**event) for event in events],
                    [f"sending {len(POEM)} bytes of poetry to 192.0.2.1:4321{title}"],
                )

    def test_quiet(self) -> None:
        """
        Nor of the health checks of proxies.
        """
        self.serve(poem=POEM)
        wire = self.connect()
        wire.protocol.isQuiet = True
        with capturedLogs() as events:
            wire.say(b"GET / HTTP/1.1\r\n\r\n")
        self.assertIn(b" 200 OK\r\n", self.hear(wire))
        self.assertEqual(events, [])


class SourceTests(PagesTestCase):
    """
    Tests with sources that take their time, or have nothing.
    """

    def test_later(self) -> None:
        """
        A poem that is fetched is waited for, without a deadline of ours.
        """
        poem: Deferred[bytes] = Deferred()
        self.serve(poem=poem)
        wire = self.connect()
        wire.say(b"GET /poem.txt HTTP/1.0\r\n\r\n")
        self.reactor.advance(10 * self.timeout)
        self.assertEqual(self.hear(wire), b"")
        poem.callback(POEM)
        self.assertTrue(self.hear(wire).endswith(b"\r\n\r\n" + POEM))

    def test_none(self) -> None:
        """
        Where there is no poem, one is told when to come again, and no more; the log has
        the reason.
        """
        for fails in (lambda error: error, fail):
            for path in ("/", "/poem.txt"):
                self.serve(poem=fails(ValueError("nobody knows")))
                with capturedLogs() as events:
                    answer = self.ask(path)
                self.assertEqual(answer.status, 503)
                self.assertEqual(answer.body, b"There is no poem now.\n")
                self.assertEqual(answer.getheader("Retry-After"), "5")
                self.assertIs(answer.getheader("ETag"), None)
                (event,) = events
                self.assertEqual(event["log_level"], LogLevel.error)
                self.assertEqual(
                    event["log_format"].format(**event),
                    "no poem for 192.0.2.1:4321: nobody knows",
                )

    def test_leaves(self) -> None:
        """
        For a client that has left, nothing is fetched any more, and nothing told.
        """
        gone: list[Any] = []
        for cancel in (gone.append, lambda poem: poem.errback(ValueError())):
            self.serve(poem=Deferred(cancel))
            wire = self.connect()
            wire.say(b"GET / HTTP/1.1\r\n\r\n")
            with capturedLogs() as events:
                wire.reset()
            self.assertEqual(events, [])
        self.assertEqual(len(gone), 1)

    def test_bug(self) -> None:
        """
        An error of ours is answered, too, and logged.
        """
        self.serve(poem=POEM)
        self.patch(Poem, "_edit", lambda *arguments: 1)
        answer = self.ask("/poem")
        self.assertEqual(answer.status, 500)
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)


class LongTests(SynchronousTestCase):
    """
    Tests of long poems, with pretended threads.
    """

    def test_thread(self) -> None:
        """
        What is to be known of a long poem is found out once, in a thread, however many
        ask, and it has no page.
        """
        calls: list[Callable[[], None]] = []

        def call(function: Any, *arguments: Any) -> Deferred[Any]:
            result: Deferred[Any] = Deferred()
            calls.append(lambda: result.callback(function(*arguments)))
            return result

        self.patch(web, "deferToThread", call)
        long = b"a" * MAX_PAGE + "é".encode()
        poem = Poem("long", StaticSource(long))
        first, second = (Deferred.fromCoroutine(poem.load()) for _ in range(2))
        for waits in (first, second):
            self.assertNoResult(waits)
            self.assertEqual(len(calls), 1)
            calls.pop()()
        edition = self.successResultOf(first)
        self.assertIs(self.successResultOf(second), edition)
        self.assertIs(edition.data, long)
        self.assertEqual((edition.page, edition.kind[-5:]), (b"", "utf-8"))
        self.assertEqual(edition.tag, f'"{sha256(long).hexdigest()}"')

    def test_notSoLong(self) -> None:
        """
        A short one needs none, and one that is longer has a page all the same.
        """
        threads: list[bytes] = []

        def call(function: Any, data: bytes) -> Deferred[Any]:
            threads.append(data)
            return succeed(function(data))

        self.patch(web, "deferToThread", call)
        for size, isShort in ((MAX_AT_ONCE, True), (MAX_AT_ONCE + 1, False)):
            poem = Poem("poem", StaticSource(b"a" * size))
            loaded = self.successResultOf(Deferred.fromCoroutine(poem.load()))
            self.assertNotEqual(loaded.page, b"")
            self.assertEqual(threads, [] if isShort else [loaded.data])
        self.successResultOf(Deferred.fromCoroutine(poem.load()))
        self.assertEqual(len(threads), 1)  # now it is known


class LongPageTests(PagesTestCase):
    """
    Tests of their addresses.
    """

    def test_redirected(self) -> None:
        """
        Where its page would be, a long poem leads to its bytes.
        """
        self.patch(Poem, "load", self.load)
        with capturedLogs() as events:
            self.serve(long=b"")
            answer = self.ask("/")
        self.assertEqual((answer.status, answer.body), (303, b""))
        self.assertEqual(answer.getheader("Location"), "/long.txt")
        self.assertEqual(events, [])

    @staticmethod
    async def load(poem: Poem) -> Any:
        """
        Give an edition without a page.
        """
        return poem._edit(b"")._replace(page=b"")
