"""
The second half of a transform service: the answer to a request.

On the wire there is one netstring each way, in UTF-8: C{NAME.POEM} in, the transformed
poem out, and the end.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.python.failure import Failure

from fastpoetry.capacity import Memory, OneThread
from fastpoetry.connection.factory import DeliveryFactory
from fastpoetry.connection.outcome import Outcome
from fastpoetry.connection.state import State
from fastpoetry.interfaces import ITransformService
from fastpoetry.renamed import warnOfNoEffect
from fastpoetry.text import peerName
from fastpoetry.transformrequest import EXPANSION, SHORT, RequestProtocol

# How many bytes a request may have, unless the operator says otherwise.
MAX_REQUEST = 2**20

# How many bytes of memory all requests of a process and their answers may take
# together, unless the operator says otherwise.
MAX_MEMORY = 2**28

# How many characters of an unknown name are logged.
NAME_SHOWN = 40


class UnknownTransform(Exception):
    """
    There is no transform of this name.
    """


class Refusal(Exception):
    """
    A request has no answer.  The text says why, in a few words.
    """


class Request:
    """
    A request that has come.  It knows no connection, and may be answered in any thread.

    @ivar name: the name of the transform, once there is an answer.

    @ivar size: how many bytes the transformed poem has, once there is an answer.
    """

    name = ""
    size = 0

    def __init__(self, payload: bytes, service: ITransformService) -> None:
        """
        @param payload: the content of the netstring.

        @param service: what transforms.
        """
        self._payload = payload
        self._service = service

    def answer(self) -> bytes:
        """
        @return: the answer, as a netstring.

        @raise Refusal: when there is none.

        @raise Exception: when the transform fails.
        """
        try:
            self.name, dot, poem = self._payload.decode("utf-8").partition(".")
        except UnicodeDecodeError:
            raise Refusal("it is not UTF-8") from None
        if not dot:
            raise Refusal("it has no dot after the name")
        try:
            answer = self._service.transform(self.name, poem).encode("utf-8")
        except UnknownTransform:
            shown = self.name[:NAME_SHOWN]
            raise Refusal(f"no transform is called {shown!r}") from None
        self.size = len(answer)
        return b"%d:%b," % (self.size, answer)


class TransformProtocol(RequestProtocol):
    """
    Gets one request, and sends one answer or none.
    """

    factory: TransformFactory

    def writeConnectionLost(self) -> None:
        """
        The kernel has the whole answer: it takes no memory of ours any more.
        """
        self.share.resize(0)
        super().writeConnectionLost()

    def received(self, string: bytes) -> None:
        """
        Answer the request.
        """
        self.endRequest()
        request = Request(string, self.factory.service)
        if len(string) <= SHORT:
            answer = maybeDeferred(request.answer)
        else:
            answer = self.factory.thread.call(request.answer)
        self.waitFor(answer)
        arguments = (request,)
        answer.addCallbacks(
            self._send,
            self._handleFailure,
            callbackArgs=arguments,
            errbackArgs=arguments,
        )

    def _send(self, answer: bytes, request: Request) -> None:
        self._log.info(
            "sending {size} bytes of poetry to {peer}, transformed by {name}",
            size=request.size,
            peer=peerName(self.transport.getPeer()),
            name=request.name,
        )
        self.share.resize(len(answer) if len(answer) > EXPANSION * SHORT else 0)
        self.deliver(answer)

    def _handleFailure(self, failure: Failure, request: Request) -> None:
        if self.state is State.CLOSED:
            return  # the client has left
        if failure.check(Refusal):
            self.refuse(failure.getErrorMessage())
            return
        self._log.failure("the transform {name} failed", failure, name=request.name)
        self._deliverNothing(Outcome.FAILED)

    def _deliverNothing(self, outcome: Outcome) -> None:
        if not self.isQuiet:
            # It is counted now: an end after nothing would count as a whole answer.
            self.factory.counts.add(outcome, 0)
            self.isQuiet = True
        self.share.resize(0)
        self.deliver(b"")

    def malformed(self) -> None:
        """
        Refuse what is not a request.
        """
        self.refuse(f"it is not a netstring of up to {self.MAX_LENGTH} bytes")

    def refuse(self, reason: str) -> None:
        """
        Close without an answer, and log why.

        @see: L{RequestProtocol.refuse}
        """
        self._log.warn(
            "refused a request of {peer}: {reason}",
            peer=peerName(self.transport.getPeer()),
            reason=reason,
        )
        self.endRequest()
        self.forget()
        self._deliverNothing(Outcome.REFUSED)


class TransformFactory(DeliveryFactory):
    """
    Has one service transform the poem of every client.

    @ivar service: what transforms.

    @ivar timeout: how many seconds a client may send nothing of its request, or
        take nothing of its answer.

    @ivar maxLength: how many bytes a request may have.

    @ivar requestTimeout: how many seconds the whole request may take, from the
        connection on.  Time in which it waits for memory does not count.

    @ivar memory: what all requests and their answers share.

    @ivar thread: where long poems are transformed, so that clients with a short one do
        not wait for them.
    """

    protocol = TransformProtocol  # type: ignore[assignment]

    def __init__(
        self,
        service: ITransformService,
        timeout: float = 60.0,
        maxLength: int = MAX_REQUEST,
        reactor: Any = None,
        requestTimeout: float = 60.0,
        memory: Memory | None = None,
        thread: OneThread | None = None,
        progress: object = None,
    ) -> None:
        """
        @param reactor: the clock; by default the global reactor.

        @param memory: factories may share it; by default it has L{MAX_MEMORY} bytes,
            or as many as the longest request needs.

        @param thread: factories may share it; by default one of its own, which
            the end of the process does not wait for.

        @param progress: an argument of 1.0, without effect.

        @raise ValueError: when there is too little memory for the longest request.
        """
        super().__init__(timeout, reactor)
        if progress is not None:
            warnOfNoEffect("progress")
        self.service = service
        self.maxLength = maxLength
        self.requestTimeout = requestTimeout
        self.memory = memory or Memory(max(MAX_MEMORY, EXPANSION * maxLength))
        self.thread = thread or OneThread(self.reactor)
        if self.memory.size < EXPANSION * maxLength:
            raise ValueError(f"less than {EXPANSION} times {maxLength} bytes of memory")
