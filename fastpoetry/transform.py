"""
Poems transformed: the table of transforms, the service and its protocol, and the
client that asks for one.

On the wire there is one netstring each way, of UTF-8: C{NAME.POEM} in, the
transformed poem out, and the end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import (
    IDelayedCall,
)
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import NetstringReceiver
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure
from zope.interface import implementer

from fastpoetry.connection.delivery import DeliveryFactory, DeliveryProtocol
from fastpoetry.interfaces import ITransformService
from fastpoetry.text import peerName

# How many bytes a request has at most, unless the operator says otherwise.
MAX_REQUEST = 2**20

# How much of a name that is not in the table goes into the log.
NAME_SHOWN = 40


def backwards(poem: str) -> str:
    """
    @return: the poem with its last line first.
    """
    end = "\n" if poem.endswith("\n") else ""
    return "\n".join(reversed(poem.removesuffix("\n").split("\n"))) + end


# Add a transform here.  A name has no dot in it.
TRANSFORMS: Mapping[str, Callable[[str], str]] = {
    "cummingsify": str.lower,
    "proclaim": str.upper,
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


class OneNetstring(NetstringReceiver):
    """
    Receives one netstring.  Twisted's receiver goes on to the next, and leaves no
    choice of how to answer one that is malformed.
    """

    # The original takes "5\n" for the beginning of a netstring.
    _LENGTH_PREFIX = re.compile(rb"(0|[1-9]\d*)\Z")

    def stringReceived(self, string: bytes) -> None:
        """
        The netstring is there, and what follows it is dropped.
        """
        # Parsing on through 64 KiB of empty netstrings takes 0.06 seconds.
        self._remainingData = b""
        self.received(string)

    def _handleParseError(self) -> None:
        # The original closes at once, and what is unread makes that a reset.
        self.malformed()

    def received(self, string: bytes) -> None:
        """
        Override this for the netstring.
        """

    def malformed(self) -> None:
        """
        Override this for what is no netstring, or too long.
        """


class TransformProtocol(OneNetstring, DeliveryProtocol, TimeoutMixin):
    """
    Gets one request, and sends one answer or none.
    """

    _log = Logger()

    factory: TransformFactory

    _isAsking = True
    _hasAsked = False

    def connectionMade(self) -> None:
        """
        Wait for the request.
        """
        super().connectionMade()
        self.MAX_LENGTH = self.factory.maxLength
        self.setTimeout(self.factory.timeout)

    def callLater(self, period: float, func: Callable[[], None]) -> IDelayedCall:
        """
        @see: L{TimeoutMixin.callLater}
        """
        return self.factory.reactor.callLater(period, func)

    def dataReceived(self, data: bytes) -> None:
        """
        Collect the request, and throw away what comes after it.
        """
        if self._isAsking:
            self._hasAsked = True
            self.resetTimeout()
            super().dataReceived(data)
        else:
            DeliveryProtocol.dataReceived(self, data)

    def timeoutConnection(self) -> None:
        """
        Give up on a client that says nothing.
        """
        self._log.warn(
            "gave up on {peer}, which sent nothing for {timeout} seconds",
            peer=peerName(self.transport.getPeer()),
            timeout=self.factory.timeout,
        )
        self.transport.abortConnection()

    def deliver(self, data: bytes) -> None:
        """
        @see: L{DeliveryProtocol.deliver}
        """
        self._isAsking = False
        self.setTimeout(None)
        super().deliver(data)

    def readConnectionLost(self) -> None:
        """
        The client has half-closed: it says no more, but takes the answer still.
        """
        super().readConnectionLost()
        if not self._hasAsked:
            self.transport.loseConnection()  # it only looked whether we are here
        elif self._isAsking:
            self._refuse("it ends too early")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is gone, and whatever waited for it.
        """
        self.setTimeout(None)
        super().connectionLost(reason)

    def received(self, string: bytes) -> None:
        """
        Answer the request.
        """
        try:
            name, dot, poem = string.decode("utf-8").partition(".")
        except UnicodeDecodeError:
            self._refuse("it is not UTF-8")
            return
        if not dot:
            self._refuse("it has no dot after the name")
            return
        try:
            answer = self.factory.service.transform(name, poem).encode("utf-8")
        except UnknownTransform:
            self._refuse(f"no transform is called {name[:NAME_SHOWN]!r}")
            return
        except Exception:
            self._log.failure("the transform {name} failed", name=name)
            self.deliver(b"")
            return
        self._log.info(
            "sending {size} bytes of poetry to {peer}, transformed by {name}",
            size=len(answer),
            peer=peerName(self.transport.getPeer()),
            name=name,
        )
        self.deliver(b"%d:%b," % (len(answer), answer))

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
        self.deliver(b"")


class TransformFactory(DeliveryFactory):
    """
    Has one service transform the poem of every client.

    @ivar service: what transforms.

    @ivar timeout: how many seconds a client may send nothing of its request, or
        take nothing of its answer.

    @ivar maxLength: how many bytes a request may have, which is what bounds the
        memory that a client can take.
    """

    protocol = TransformProtocol  # type: ignore[assignment]

    def __init__(
        self,
        service: ITransformService,
        timeout: float = 60.0,
        maxLength: int = MAX_REQUEST,
        reactor: Any = None,
    ) -> None:
        """
        @param reactor: the clock; by default the global reactor.
        """
        super().__init__(timeout, reactor)
        self.service = service
        self.maxLength = maxLength
