"""
Poems for browsers: pages, and the bytes themselves.
"""

from __future__ import annotations

import codecs
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from pathlib import Path
from string import Template
from typing import Any, NamedTuple
from urllib.parse import quote

from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.web.http import OK, SEE_OTHER, SERVICE_UNAVAILABLE
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from fastpoetry.doors.site import PIECE, POLICY, TEXT, send
from fastpoetry.interfaces import IPoetrySource
from fastpoetry.shown import shown
from fastpoetry.text import peerName, printable

# Bytes.  A longer poem has no page.
MAX_PAGE = 2**20

# Bytes.  The page of a longer poem is made in a thread, since that takes a while.
MAX_AT_ONCE = 2**16

# Seconds, after which a client may ask again for a poem that is not there.
RETRY_AFTER = 5

PAGE = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
_STYLE = PAGE.partition("<style>")[2].partition("</style>")[0]
_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
PAGE_POLICY = f"{POLICY}; style-src 'sha256-{_HASH}'"


def _makePage(title: str, main: str, footer: str = "", attributes: str = "") -> bytes:
    page = Template(PAGE).substitute(
        title=escape(title), main=main, footer=footer, attributes=attributes
    )
    return page.encode()


def _sendPage(request: Any, page: bytes, tag: str = "") -> int:
    request.setHeader("Content-Security-Policy", PAGE_POLICY)
    return send(request, page, "text/html; charset=utf-8", tag=tag)


class Edition(NamedTuple):
    """
    What is made of the bytes of a poem.

    @ivar data: the bytes.

    @ivar kind: the C{Content-Type}.

    @ivar tag: the C{ETag}.

    @ivar page: the page, or C{b""} for a poem that is too long for one.
    """

    data: bytes
    kind: str
    tag: str
    page: bytes


class Poem:
    """
    A poem, and its name in URLs.
    """

    _edition: Edition | None = None

    def __init__(self, name: str, source: IPoetrySource) -> None:
        self.name = name
        self._source: Any = source
        self._lock = DeferredLock()

    async def load(self) -> Edition:
        """
        Ask the source for the poem, and make an edition of it if it is a new one.

        @raise Exception: of the source, when there is no poem.
        """
        data: bytes = await maybeDeferred(self._source.getPoem)
        isKnown = self._edition is not None and self._edition.data is data
        if isKnown or len(data) <= MAX_AT_ONCE:
            return self._edit(data)
        return await self._lock.run(deferToThread, self._edit, data)

    def _edit(self, data: bytes) -> Edition:
        # Make an edition, unless it has been made meanwhile.
        if self._edition is not None and self._edition.data is data:
            return self._edition
        kind = TEXT
        pieces = (data[at : at + PIECE] for at in range(0, len(data), PIECE))
        try:
            for _ in codecs.iterdecode(pieces, "utf-8"):
                pass
        except UnicodeDecodeError:
            kind = "text/plain"  # the browser may guess
        page = self._makePage(data) if len(data) <= MAX_PAGE else b""
        tag = f'"{sha256(data).hexdigest()}"'
        self._edition = edition = Edition(data, kind, tag, page)
        return edition

    def _makePage(self, data: bytes) -> bytes:
        text = b"".join(shown(data, "utf-8")).decode().replace("\r\n", "\n")
        lines = text.strip("\n").split("\n")
        first, *others = (f'<span class="line">{escape(one)}\n</span>' for one in lines)
        isTitle = lines[1:] and not lines[1].strip()
        return _makePage(
            lines[0].strip()[:100] or self.name,
            f"<h1{' class=title' if isTitle else ''}>{first}</h1>{''.join(others)}",
            f'<a href="/{quote(self.name)}.txt">plain text</a>',
            ' lang="" dir="auto"',
        )


class PoemPage(Resource):
    """
    The page of a poem.  Of one that is too long, it leads to the L{PoemText}.
    """

    _log = Logger()

    def __init__(self, poem: Poem, title: str) -> None:
        """
        @param poem: the poem.

        @param title: is added to the line of the log, where there are several poems.
        """
        super().__init__()
        self.poem = poem
        self._title = title

    def render_GET(self, request: Any) -> int:
        """
        Answer when there is a poem.
        """
        answer = Deferred.fromCoroutine(self._answer(request))
        request.notifyFinish().addErrback(lambda _: answer.cancel())
        # processingFailed() answers and returns the failure.
        answer.addErrback(request.processingFailed).addErrback(lambda _: None)
        return NOT_DONE_YET

    async def _answer(self, request: Any) -> None:
        # Send the poem, as a page or as text.
        peer, isQuiet = peerName(request.client), request.channel.isQuiet
        try:
            edition = await self.poem.load()
        except Exception as error:
            if request.channel is not None:  # else the client has left
                reason = printable(str(error))
                self._log.error(
                    "no poem for {peer}: {reason}", peer=peer, reason=reason
                )
            request.setHeader("Retry-After", str(RETRY_AFTER))
            send(request, b"There is no poem now.\n", code=SERVICE_UNAVAILABLE)
            return
        self._send(request, edition)
        isSent = request.method == b"GET" and request.code == OK
        if isSent and not isQuiet:
            self._log.info(
                "sending {size} bytes of poetry to {peer}{title}",
                size=len(edition.data),
                peer=peer,
                title=self._title,
            )

    def _send(self, request: Any, edition: Edition) -> None:
        if edition.page:
            _sendPage(request, edition.page, edition.tag[:-1] + '-page"')
        else:
            request.setHeader("Location", f"/{quote(self.poem.name)}.txt")
            send(request, b"", code=SEE_OTHER)


class PoemText(PoemPage):
    """
    The bytes of a poem.
    """

    def _send(self, request: Any, edition: Edition) -> None:
        send(request, edition.data, edition.kind, tag=edition.tag)


class List(Resource):
    """
    A page with the names of all poems.
    """

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        titles = {name: re.sub("[_-]+", " ", name) for name in names}
        links = (
            f'<li><a href="/{quote(name)}">{escape(title)}</a></li>'
            for name, title in titles.items()
        )
        heading = '<h1 class="title">Poems</h1>'
        self._page = _makePage("Poems", f"{heading}<ul>{''.join(links)}</ul>")

    def render_GET(self, request: Any) -> int:
        """
        Send the page.
        """
        return _sendPage(request, self._page)


def addPoems(root: Resource, sources: Mapping[str, IPoetrySource]) -> None:
    """
    Add a page and a text for each poem, and, where there are several, a list of them.

    @param root: what is at C{/}.

    @param sources: the poems, by their names in URLs.
    """
    for name, source in sources.items():
        poem = Poem(name, source)
        title = f" from {name}" if len(sources) > 1 else ""
        page = PoemPage(poem, title)
        root.putChild(name.encode(), page)
        root.putChild(f"{name}.txt".encode(), PoemText(poem, title))
    root.putChild(b"", List(list(sources)) if len(sources) > 1 else page)
