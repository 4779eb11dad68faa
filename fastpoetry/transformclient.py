"""
The client that has poems transformed by a server.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.fetch import Fetch
from fastpoetry.netstring import OneNetstring
from fastpoetry.text import explain

# How many bytes an answer has at most, unless the caller says otherwise.  It may
# be longer than the request: in upper case, some letters are three.
MAX_ANSWER = 16 * 2**20

# How many seconds a server that has given its answer may take to close.
ANSWER_CLOSE_TIMEOUT = 2.0


class TransformError(Exception):
    """
    A poem could not be transformed.  The text says why, in one sentence.
    """


class _TransformFetch(OneNetstring, Fetch):
    """
    Sends one request, and fetches its answer over the same connection.
    """

    _answer: bytes | None = None
    _hasBegun = False

    def __init__(
        self,
        clock: IReactorTime,
        timeouts: tuple[float, float, float | None],
        request: bytes,
        maxLength: int,
    ) -> None:
        super().__init__(clock, *timeouts)
        self.MAX_LENGTH = maxLength
        self._request = request

    def connectionMade(self) -> None:
        """
        Send the request.
        """
        super().connectionMade()
        if not self.isOver:
            self.sendString(self._request)

    def dataReceived(self, data: bytes) -> None:
        """
        Collect the answer.  With something after it, as long as there is a connection,
        it is none.
        """
        if self.isOver:
            return
        if self._answer is not None:
            self._failMore()
            return
        self._hasBegun = True
        self.keepWaiting()
        super().dataReceived(data)

    def received(self, string: bytes) -> None:
        """
        Keep the answer, and close the connection, gently at first.
        """
        if self.hasMore:
            self._failMore()
            return
        self._answer = string
        self._total.stop()  # all of it has come
        self._silence.start(ANSWER_CLOSE_TIMEOUT)
        self.transport.loseConnection()

    def malformed(self) -> None:
        """
        Give up on a server that sends something else.
        """
        sentence = f"The answer is not a netstring of up to {self.MAX_LENGTH} bytes"
        self.fail(TransformError(sentence))

    def _failMore(self) -> None:
        self.fail(TransformError("The server sent more than its answer"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Give the answer, or the reason why there is none.
        """
        if self.isOver:
            return
        if self._answer is not None:
            self.succeed(self._answer)
        elif not reason.check(ConnectionDone):
            self.fail(
                TransformError(f"The connection was lost: {explain(reason.value)}")
            )
        elif self._hasBegun:
            self.fail(TransformError("The server closed in the middle of its answer"))
        else:
            self.fail(TransformError("The server closed without an answer"))

    def _handleSilence(self) -> None:
        if self._answer is None:
            super()._handleSilence()
        else:
            self.transport.abortConnection()

    def _connectError(self, error: BaseException | None) -> Exception:
        return TransformError(f"Cannot connect: {explain(error)}")

    def _silenceError(self, seconds: float) -> Exception:
        if self.transport is None:
            return TransformError(f"Cannot connect within {seconds} seconds")
        return TransformError(f"The server sent nothing for {seconds} seconds")

    def _totalTimeoutError(self, seconds: float) -> Exception:
        return TransformError(f"No whole answer in {seconds:g} seconds")

    def _cancelError(self) -> Exception:
        return CancelledError()


class TransformProxy:
    """
    Has poems transformed by a server.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        *,
        timeout: float = 60.0,
        connectTimeout: float = 30.0,
        totalTimeout: float | None = None,
        maxLength: int = MAX_ANSWER,
        reactor: Any = None,
    ) -> None:
        """
        @param endpoint: where the server is.

        @param timeout: how many seconds may pass without a byte of the answer.

        @param connectTimeout: how many seconds connecting may take.

        @param totalTimeout: how many seconds everything may take, connecting included;
            by default any number.

        @param maxLength: how many bytes an answer may have.

        @param reactor: the clock; by default the global reactor.
        """
        self._endpoint = endpoint
        self._timeouts = timeout, connectTimeout, totalTimeout
        self._maxLength = maxLength
        self._reactor: Any = maybeGlobalReactor(reactor)

    def xform(self, name: str, poem: bytes) -> Deferred[bytes]:
        """
        Have a poem transformed.

        @param name: the name of one of the server's transforms.

        @param poem: the poem, in UTF-8.

        @return: a L{Deferred} of the transformed poem.  It fires once the connection is
            closed.  It can be cancelled, and fails with a L{TransformError} when there
            is no whole answer.
        """
        try:
            encoded = name.encode("utf-8")
        except UnicodeEncodeError:
            encoded = b"."
        if b"." in encoded:
            return fail(TransformError(f"Not the name of a transform: {name!r}"))
        request = encoded + b"." + poem
        fetch = _TransformFetch(self._reactor, self._timeouts, request, self._maxLength)
        return fetch.fetch(self._endpoint)
