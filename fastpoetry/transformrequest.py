"""
The first half of a transform service: a request is collected, within its time
and within the memory that there is for all requests.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from fastpoetry.capacity import Share
from fastpoetry.connection.delivery import DeliveryProtocol
from fastpoetry.deadline import Deadline
from fastpoetry.netstring import OneNetstring
from fastpoetry.text import peerName

# A request counts for this many times its length.  Its answer may be that long, since
# some letters have three times as many bytes in upper case; and what has come of it is
# copied once or twice.
EXPANSION = 3

# A request of this many bytes or fewer takes less memory than its connection, and less
# time than a thread costs: it is not counted, does not wait, and is answered at once.
SHORT = 4096

# How many bytes are read at a time of a longer request.
READ_SIZE = 2**16


class RequestProtocol(OneNetstring, DeliveryProtocol, ABC):
    """
    Collects one netstring, for a subclass that answers it.

    @ivar share: what it has of the memory for all requests.
    """

    factory: Any  # it has what a TransformFactory has

    _hasBegun = False  # something of the request has come
    _hasEnded = False  # all of it has come, or it is refused
    _isPaused = False  # it waits for memory

    def connectionMade(self) -> None:
        """
        Wait for the request.
        """
        super().connectionMade()
        factory = self.factory
        self.MAX_LENGTH = factory.maxLength
        self.transport.bufferSize = SHORT
        self.share = Share(factory.memory)
        self._total = Deadline(factory.reactor, self._handleTimeout)
        self._silence = Deadline(factory.reactor, self._handleTimeout)
        self._total.start(factory.requestTimeout)
        self._silence.start(factory.timeout)

    def _handleTimeout(self) -> None:
        # Give up on a client, for the deadline that is over.
        factory = self.factory
        self._log.warn(
            "gave up on {peer}, which sent nothing for {timeout} seconds"
            if self._total.left
            else "gave up on {peer}, "
            "whose request took longer than {requestTimeout} seconds",
            peer=peerName(self.transport.getPeer()),
            timeout=factory.timeout,
            requestTimeout=factory.requestTimeout,
        )
        self._stopDeadlines()
        self.transport.abortConnection()

    def _stopDeadlines(self) -> None:
        self._silence.stop()
        self._total.stop()

    def dataReceived(self, data: bytes) -> None:
        """
        Collect the request, and throw away what comes after it.
        """
        if self._hasEnded:
            DeliveryProtocol.dataReceived(self, data)
            return
        self._hasBegun = True
        if not self._isPaused:
            self._silence.start(self.factory.timeout)
        super().dataReceived(data)

    def mayCollect(self, length: int) -> bool:
        """
        Collect a long request only when there is memory for it and its answer, and
        read nothing more before that.

        @see: L{OneNetstring.mayCollect}
        """
        if length > SHORT and not self.share.hasAsked:
            self.share.ask(EXPANSION * length, self._handleMemory)
            if not self.share.size:
                self._pause()
        return length <= SHORT or self.share.size > 0

    def _pause(self) -> None:
        # The time in which the client waits for us does not count.
        self._isPaused = True
        self._left = self._total.left
        self._stopDeadlines()
        self.transport.pauseProducing()

    def _handleMemory(self) -> None:
        self.transport.bufferSize = READ_SIZE
        if self._isPaused:
            self._resume()

    def _resume(self) -> None:
        self._isPaused = False
        self._total.start(self._left)
        if not self._peerEnded:
            self.transport.resumeProducing()
        self.dataReceived(b"")  # go on with what has come
        if self._peerEnded and not self._hasEnded:
            self.refuse("it ends too early")

    def readConnectionLost(self) -> None:
        """
        The client has half-closed: it sends no more, but still takes the answer.
        """
        super().readConnectionLost()
        if not self._hasBegun:
            self.transport.loseConnection()  # a port probe
        elif not self._hasEnded and not self._isPaused:  # TLS tells it in a pause, too
            self.refuse("it ends too early")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is gone, and whatever waited for it.
        """
        self._stopDeadlines()
        self.share.release()
        super().connectionLost(reason)

    def endRequest(self) -> None:
        """
        Collect nothing more: the request is whole, or is refused.
        """
        self._hasEnded = True
        self._stopDeadlines()
        self.transport.bufferSize = READ_SIZE

    @abstractmethod
    def refuse(self, reason: str) -> None:
        """
        Close without an answer, because what has come is not a request.

        @param reason: why not, in a few words.
        """
