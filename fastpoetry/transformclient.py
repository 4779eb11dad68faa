"""
The client that has poems transformed by a server.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import connectProtocol
from twisted.internet.error import ConnectingCancelledError, ConnectionDone
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from fastpoetry.clock import maybeGlobalReactor
from fastpoetry.deadline import Deadline, addDeadline
from fastpoetry.netstring import OneNetstring
from fastpoetry.text import explain

# How many bytes an answer has at most, unless the caller says otherwise.  It may
# be longer than the request: in upper case, some letters are three.
MAX_ANSWER = 16 * 2**20

# A server that has given its answer and holds the connection is let go after so
# many seconds.
LINGER = 2.0


class TransformError(Exception):
    """
    A poem could not be had transformed.  The text says why, in one sentence.
    """


class _Request(OneNetstring):
    """
    Sends one request, and gets its answer.

    @ivar answer: a L{Deferred} that fires when the connection is gone.
    """

    transport: Any

    def __init__(
        self, request: bytes, timeout: float, maxLength: int, reactor: IReactorTime
    ) -> None:
        self.MAX_LENGTH = maxLength
        self.answer: Deferred[bytes] = Deferred(self._cancel)
        self._request = request
        self._timeout = timeout
        self._deadline = Deadline(reactor, self._giveUp)
        self._waiting: Deferred[bytes] | None = self.answer
        self._outcome: bytes | TransformError | None = None
        self._hasBegun = False

    def connectionMade(self) -> None:
        """
        Ask.
        """
        self._deadline.start(self._timeout)
        self.sendString(self._request)

    def dataReceived(self, data: bytes) -> None:
        """
        Collect the answer.
        """
        if self._outcome is None:
            self._hasBegun = True
            self._deadline.start(self._timeout)
            super().dataReceived(data)

    def received(self, string: bytes) -> None:
        """
        Close, in case the server does not, and for some seconds gently.
        """
        self._outcome = string
        self._deadline.start(LINGER)
        self.transport.loseConnection()

    def malformed(self) -> None:
        """
        Give up on a server that talks something else.
        """
        self._fail(f"The answer is not a netstring of up to {self.MAX_LENGTH} bytes")

    def _giveUp(self) -> None:
        self._fail(f"The server sent nothing for {self._timeout} seconds")

    def _fail(self, sentence: str) -> None:
        if self._outcome is None:
            self._outcome = TransformError(sentence)
        self.transport.abortConnection()

    def _cancel(self, answer: Deferred[bytes]) -> None:
        self._waiting = None
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Hand over what there is.
        """
        self._deadline.stop()
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        if isinstance(self._outcome, bytes):
            waiting.callback(self._outcome)
        else:
            waiting.errback(self._outcome or self._explain(reason))

    def _explain(self, reason: Failure) -> TransformError:
        if not reason.check(ConnectionDone):
            return TransformError(f"The connection was lost: {explain(reason.value)}")
        if self._hasBegun:
            return TransformError("The server closed in the middle of its answer")
        return TransformError("The server closed without an answer")


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
        maxLength: int = MAX_ANSWER,
        reactor: Any = None,
    ) -> None:
        """
        @param endpoint: where the server is.

        @param timeout: how many seconds the server may send nothing.

        @param connectTimeout: how many seconds connecting to it may take.

        @param maxLength: how many bytes an answer may have.

        @param reactor: the clock; by default the global reactor.
        """
        self._endpoint = endpoint
        self._timeout = timeout
        self._connectTimeout = connectTimeout
        self._maxLength = maxLength
        self._reactor: Any = maybeGlobalReactor(reactor)

    def xform(self, name: str, poem: bytes) -> Deferred[bytes]:
        """
        Have a poem transformed.

        @param name: the name of a transform of the server's.

        @param poem: the poem, in UTF-8.

        @return: a L{Deferred} that fires with the transformed poem once the
            connection is closed.  It can be cancelled, and fails with a
            L{TransformError} when there is no whole answer.
        """
        return Deferred.fromCoroutine(self._xform(name, poem))

    async def _xform(self, name: str, poem: bytes) -> bytes:
        try:
            encoded = name.encode("utf-8")
        except UnicodeEncodeError:
            encoded = b"."
        if b"." in encoded:
            raise TransformError(f"Not the name of a transform: {name!r}")
        request = _Request(
            encoded + b"." + poem, self._timeout, self._maxLength, self._reactor
        )
        await self._connect(request)
        return await request.answer

    async def _connect(self, request: _Request) -> None:
        connecting = connectProtocol(self._endpoint, request)
        try:
            await addDeadline(connecting, self._connectTimeout, self._reactor)
        except TimeoutError:
            sentence = f"Cannot connect within {self._connectTimeout} seconds"
            raise TransformError(sentence) from None
        except CancelledError:
            raise
        except ConnectingCancelledError:
            raise CancelledError() from None
        except Exception as error:
            raise TransformError(f"Cannot connect: {explain(error)}") from error
