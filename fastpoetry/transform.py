"""
Poems transformed: the table of transforms, the service and its protocol, and the
client that asks for one.

On the wire there is one netstring each way, of UTF-8: C{NAME.POEM} in, the
transformed poem out, and the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.capacity import Memory, OneThread
from fastpoetry.connection.delivery import DeliveryProtocol
from fastpoetry.connection.factory import DeliveryFactory
from fastpoetry.connection.state import State
from fastpoetry.deadline import Deadline
from fastpoetry.interfaces import ITransformService
from fastpoetry.netstring import OneNetstring
from fastpoetry.renamed import movedNames, warnOfNoEffect
from fastpoetry.text import peerName

# How many bytes a request has at most, unless the operator says otherwise.
MAX_REQUEST = 2**20

# How many bytes of memory all requests of a process and their answers have together,
# unless the operator says otherwise.
MAX_MEMORY = 2**28

# A request counts for so many times its length: the answer may be as long, since in
# upper case some letters are three, and what has come of it is copied once or twice.
EXPANSION = 3

# A request of up to so many bytes takes less than its connection does, and less than a
# thread costs: it is not counted, waits for nobody, and is answered at once.
SHORT = 4096

# How much is read at a time of a request that is known to be longer, and how much of it
# is transformed at a time where that can be done.
PIECE = 2**16

# How much of a name that is not in the table goes into the log.
NAME_SHOWN = 40

# Until 1.0 these were here.
__getattr__ = movedNames(
    __name__,
    {
        "TransformError": "fastpoetry.transformclient",
        "TransformProxy": "fastpoetry.transformclient",
    },
)


def backwards(poem: str) -> str:
    """
    @return: the poem with its last line first.
    """
    end = "\n" if poem.endswith("\n") else ""
    return "\n".join(reversed(poem.removesuffix("\n").split("\n"))) + end


def proclaim(poem: str) -> str:
    """
    @return: the poem in upper case.
    """
    # In pieces, since nobody has a turn during one: no letter depends on others.
    starts = range(0, len(poem), PIECE)
    return "".join(poem[start : start + PIECE].upper() for start in starts)


# Add a transform here.  A name has no dot in it.
TRANSFORMS: Mapping[str, Callable[[str], str]] = {
    "cummingsify": str.lower,
    "proclaim": proclaim,
    "backwards": backwards,
}


class UnknownTransform(Exception):
    """
    There is no transform of this name.
    """


@implementer(ITransformService)
class TransformService(Service):
    """
    Transforms poems by the functions of one table.  It knows of no socket.
    """

    def __init__(
        self, transforms: Mapping[str, Callable[[str], str]] = TRANSFORMS
    ) -> None:
        """
        @param transforms: each name with its function, which gets a poem and
            gives another.
        """
        self.transforms = transforms

    def transform(self, name: str, poem: str) -> str:
        """
        @see: L{ITransformService.transform}
        """
        try:
            function = self.transforms[name]
        except KeyError:
            raise UnknownTransform(name) from None
        return function(poem)


class Refusal(Exception):
    """
    A request has no answer.  The text says why, in a few words.
    """


class Request:
    """
    A request that has come.  It knows of no connection, and can be answered in any
    thread.

    @ivar name: that of the transform, once there is an answer.

    @ivar size: how many bytes the transformed poem has, once there is an answer.
    """

    name = ""
    size = 0

    def __init__(self, payload: bytes, service: ITransformService) -> None:
        """
        @param payload: what the netstring had in it.

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


class TransformProtocol(OneNetstring, DeliveryProtocol):
    """
    Gets one request, and sends one answer or none.
    """

    _log = Logger()

    factory: TransformFactory

    _isAsking = True
    _hasAsked = False
    _memory = 0  # how many bytes it has of the factory's
    _claim: Deferred[int] | None = None
    _pausedAt: float | None = None  # since when it has waited for memory

    def connectionMade(self) -> None:
        """
        Wait for the request.
        """
        super().connectionMade()
        self.MAX_LENGTH = self.factory.maxLength
        self.transport.bufferSize = SHORT
        reactor = self.factory.reactor
        self._endsAt = reactor.seconds() + self.factory.requestTimeout
        self._deadline = Deadline(reactor, self._giveUp)
        self._wait()

    def _wait(self) -> None:
        self._endsAt += self._deadline.lost
        left = max(0.0, self._endsAt - self.factory.reactor.seconds())
        self._deadline.start(min(left, self.factory.timeout))

    def _giveUp(self) -> None:
        isLate = self.factory.reactor.seconds() >= self._endsAt
        self._log.warn(
            "gave up on {peer}, whose request took longer than {requestTimeout} seconds"
            if isLate
            else "gave up on {peer}, which sent nothing for {timeout} seconds",
            peer=peerName(self.transport.getPeer()),
            timeout=self.factory.timeout,
            requestTimeout=self.factory.requestTimeout,
        )
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        Collect the request, and throw away what comes after it.
        """
        if self._isAsking:
            self._hasAsked = True
            if self._pausedAt is None:
                self._wait()
            super().dataReceived(data)
        else:
            DeliveryProtocol.dataReceived(self, data)

    def mayCollect(self, length: int) -> bool:
        """
        Collect a long request only when there is memory for it and its answer, and
        read nothing more before.

        @see: L{OneNetstring.mayCollect}
        """
        if length <= SHORT or self._memory:
            return True
        if self._claim is None:
            self._claim = self.factory.memory.acquire(EXPANSION * length)
            self._claim.addCallbacks(self._hasMemory, lambda failure: None)
            if not self._memory:
                self._pause()
        return self._memory > 0

    def _pause(self) -> None:
        self._pausedAt = self.factory.reactor.seconds()
        self._deadline.stop()
        self.transport.pauseProducing()

    def _hasMemory(self, size: int) -> None:
        self._memory = size
        self.transport.bufferSize = PIECE
        if self._pausedAt is not None:
            self._goOn(self.factory.reactor.seconds() - self._pausedAt)

    def _goOn(self, waited: float) -> None:
        # It was we who kept the client waiting: its time stood still.
        self._endsAt += waited
        self._pausedAt = None
        if not self._peerEnded:
            self.transport.resumeProducing()
        self.dataReceived(b"")
        if self._isAsking and self._peerEnded:
            self._refuse("it ends too early")

    def _have(self, size: int) -> None:
        # It counts for so many bytes from now on.
        old, self._memory = self._memory, size
        if size != old:
            self.factory.memory.exchange(old, size)

    def readConnectionLost(self) -> None:
        """
        The client has half-closed: it says no more, but takes the answer still.
        """
        super().readConnectionLost()
        if not self._hasAsked:
            self.transport.loseConnection()  # it only looked whether we are here
        elif self._isAsking and self._pausedAt is None:  # TLS goes on in a pause
            self._refuse("it ends too early")

    def writeConnectionLost(self) -> None:
        """
        The kernel has the whole answer, and we have none of it any more.
        """
        self._have(0)
        super().writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is gone, and whatever waited for it.
        """
        self._deadline.stop()
        if self._claim is not None:
            self._claim.cancel()
        self._have(0)
        super().connectionLost(reason)

    def received(self, string: bytes) -> None:
        """
        Answer the request.
        """
        self._asked()
        request = Request(string, self.factory.service)
        if len(string) <= SHORT:
            answer = maybeDeferred(request.answer)
        else:
            answer = self.factory.thread.call(request.answer)
        self.waitFor(answer)
        arguments = (request,)
        answer.addCallbacks(
            self._send, self._fail, callbackArgs=arguments, errbackArgs=arguments
        )

    def _asked(self) -> None:
        self._isAsking = False
        self._deadline.stop()
        self.transport.bufferSize = PIECE

    def _send(self, answer: bytes, request: Request) -> None:
        self._log.info(
            "sending {size} bytes of poetry to {peer}, transformed by {name}",
            size=request.size,
            peer=peerName(self.transport.getPeer()),
            name=request.name,
        )
        self._have(len(answer) if len(answer) > EXPANSION * SHORT else 0)
        self.deliver(answer)

    def _fail(self, failure: Failure, request: Request) -> None:
        if self.state is State.CLOSED:
            return  # the client has left
        if failure.check(Refusal):
            self._refuse(failure.getErrorMessage())
            return
        self._log.failure("the transform {name} failed", failure, name=request.name)
        self._have(0)
        self.deliver(b"")

    def malformed(self) -> None:
        """
        Refuse what is not a request.
        """
        self._refuse(f"it is not a netstring of up to {self.MAX_LENGTH} bytes")

    def _refuse(self, reason: str) -> None:
        self._log.warn(
            "refused a request of {peer}: {reason}",
            peer=peerName(self.transport.getPeer()),
            reason=reason,
        )
        self._asked()
        self.forget()
        self._have(0)
        self.deliver(b"")


class TransformFactory(DeliveryFactory):
    """
    Has one service transform the poem of every client.

    @ivar service: what transforms.

    @ivar timeout: how many seconds a client may send nothing of its request, or
        take nothing of its answer.

    @ivar maxLength: how many bytes a request may have.

    @ivar requestTimeout: how many seconds a request may take to come, from the
        connection on, whatever comes meanwhile.  The time in which it waits for memory
        does not count.

    @ivar memory: what bounds the memory of all requests and their answers.

    @ivar thread: where long poems are transformed, so that nobody waits who has a
        short one.
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

        @param memory: what several factories may have in common; by default
            L{MAX_MEMORY}, or as much as the longest request needs.

        @param thread: what several factories may have in common; by default one of the
            reactor's.

        @param progress: of 1.0, and of no effect.

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
