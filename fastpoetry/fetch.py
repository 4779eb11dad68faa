"""
What the clients have in common: one connection, its deadlines, and one result.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IProtocol, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from fastpoetry.deadline import Deadline


class Fetch(Protocol, ABC):
    """
    Fetches something over one connection.

    A subclass collects what comes, and calls L{succeed} or L{fail} at the end.  It also
    makes the errors, in the abstract methods.
    """

    transport: Any = None  # TCP, TLS or UNIX: no interface of Twisted's has all of it

    _connecting: Deferred[IProtocol]

    def __init__(
        self,
        clock: IReactorTime,
        timeout: float,
        connectTimeout: float,
        totalTimeout: float | None,
    ) -> None:
        """
        @param clock: the clock.

        @param timeout: how many seconds may pass without a byte.

        @param connectTimeout: how many seconds connecting may take.

        @param totalTimeout: how many seconds everything may take; C{None} for any
            number.
        """
        self._timeout = timeout
        self._connectTimeout = connectTimeout
        self._totalTimeout = totalTimeout
        self._silence = Deadline(clock, self._handleSilence)
        self._total = Deadline(clock, self._handleTotalTimeout)
        # None as soon as it is fired.
        self._result: Deferred[bytes] | None = Deferred(self._handleCancel)

    @property
    def isOver(self) -> bool:
        """
        Whether the result is there, or the error.
        """
        return self._result is None

    def fetch(self, endpoint: IStreamClientEndpoint) -> Deferred[bytes]:
        """
        Connect, and take what comes.

        @param endpoint: where to connect.

        @return: a L{Deferred} of what the subclass makes of it.  To cancel it closes
            the connection.
        """
        result = self._result
        assert result is not None
        if self._totalTimeout is not None:
            self._total.start(self._totalTimeout)
        self._silence.start(self._connectTimeout)
        factory = Factory.forProtocol(lambda: self)
        factory.noisy = False
        self._connecting = maybeDeferred(endpoint.connect, factory)
        self._connecting.addErrback(self._handleConnectFailure)
        return result

    def connectionMade(self) -> None:
        """
        Wait for the first byte.
        """
        if self.isOver:  # an endpoint need not mind being cancelled
            self.transport.abortConnection()
        else:
            self.keepWaiting()

    def keepWaiting(self) -> None:
        """
        Allow as much time without a byte again.
        """
        self._silence.start(self._timeout)

    def succeed(self, result: bytes) -> None:
        """
        Fire with what was fetched.
        """
        deferred = self._end()
        assert deferred is not None
        deferred.callback(result)

    def fail(self, error: Exception) -> None:
        """
        Close the connection, and fail with the error, unless it is over.
        """
        deferred = self._end()
        if deferred is None:
            return
        if self.transport is None:
            self._connecting.cancel()
        else:
            self.transport.abortConnection()
        deferred.errback(error)

    def _end(self) -> Deferred[bytes] | None:
        self._silence.stop()
        self._total.stop()
        result, self._result = self._result, None
        return result

    def _handleConnectFailure(self, failure: Failure) -> None:
        self.fail(self._connectError(failure.value))

    def _handleSilence(self) -> None:
        seconds = self._connectTimeout if self.transport is None else self._timeout
        self.fail(self._silenceError(seconds))

    def _handleTotalTimeout(self) -> None:
        assert self._totalTimeout is not None
        self.fail(self._totalTimeoutError(self._totalTimeout))

    def _handleCancel(self, result: Deferred[bytes]) -> None:
        self.fail(self._cancelError())

    @abstractmethod
    def _connectError(self, error: BaseException | None) -> Exception:
        """
        @return: the error when there is no connection.
        """

    @abstractmethod
    def _silenceError(self, seconds: float) -> Exception:
        """
        @return: the error when nothing came for too many seconds, or there was no
            connection yet.
        """

    @abstractmethod
    def _totalTimeoutError(self, seconds: float) -> Exception:
        """
        @return: the error when not all of it came in the total time.
        """

    @abstractmethod
    def _cancelError(self) -> Exception:
        """
        @return: the error when it was cancelled.
        """
