"""
Waiting for several Deferreds at once, and several who wait for one result.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredList, FirstError
from twisted.python.failure import Failure


class FirstErrorByKey(FirstError):
    """
    The first error in a L{DeferredDict} with C{fireOnOneErrback}.

    @ivar subFailure: the failure.

    @ivar key: the key of the Deferred that failed.

    @ivar index: its position in the order of the keys, from 0.
    """

    def __init__(self, failure: Failure, index: int, key: Hashable) -> None:
        super().__init__(failure, index)
        self.key = key

    def __repr__(self) -> str:
        return f"FirstErrorByKey[{self.key!r}, {self.subFailure.value!r}]"

    def __str__(self) -> str:
        return f"FirstErrorByKey[{self.key!r}, {self.subFailure}]"


class DeferredDict(Deferred[Any]):
    """
    A L{DeferredList} for a C{dict}: keys take the place of positions.

    It fires once every Deferred has fired, with a C{dict} of C{(success, result)} by
    key: C{(True, value)} or C{(False, failure)}.  The keys have the order in which they
    were given, whichever fires first.  Without any Deferred it fires when it is made,
    with an empty C{dict}.

    With C{fireOnOneCallback}, it fires as soon as one succeeds, with the tuple
    C{(value, key)}; if none does, with the C{dict}.  Without any Deferred it never
    fires.

    With C{fireOnOneErrback}, it fails as soon as one fails, with a L{FirstErrorByKey}.

    In both cases the other Deferreds go on, but their results change nothing here.

    Each Deferred keeps its result for callbacks that are added to it later.  With
    C{consumeErrors}, one that failed goes on with C{None} instead, so that its failure
    is not logged as unhandled.

    To cancel it cancels every Deferred that has not fired, and it fires with their
    results.  To cancel it after it has fired does nothing.
    """

    def __init__(
        self,
        deferreds: Mapping[Any, Deferred[Any]],
        fireOnOneCallback: bool = False,
        fireOnOneErrback: bool = False,
        consumeErrors: bool = False,
    ) -> None:
        """
        @param deferreds: the Deferreds by key.  Keys that are added or removed later
            make no difference.  The other arguments are those of L{DeferredList
            <twisted.internet.defer.DeferredList>}.
        """
        super().__init__()
        self._keys = tuple(deferreds)
        self._list: Deferred[Any] = DeferredList(
            list(deferreds.values()),
            fireOnOneCallback=fireOnOneCallback,  # type: ignore[call-overload]
            fireOnOneErrback=fireOnOneErrback,
            consumeErrors=consumeErrors,
        )
        self._list.addCallbacks(self._fire, self._failFirst)

    def _fire(self, result: Any) -> None:
        if isinstance(result, list):
            self.callback(dict(zip(self._keys, result)))
        else:
            value, index = result
            self.callback((value, self._keys[index]))

    def _failFirst(self, failure: Failure) -> None:
        first: Any = failure.value
        key = self._keys[first.index]
        self.errback(FirstErrorByKey(first.subFailure, first.index, key))

    def cancel(self) -> None:
        """
        Cancel every Deferred that has not fired, unless this has.
        """
        if self.called:
            super().cancel()
        else:
            self._list.cancel()


class Waiters:
    """
    Several who wait for the same result, each with a L{Deferred} of their own, which
    can be cancelled.
    """

    def __init__(self, handleEmpty: Callable[[], object]) -> None:
        """
        @param handleEmpty: called when the last one has cancelled.
        """
        self._handleEmpty = handleEmpty
        self._waiting: dict[Deferred[Any], None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def wait(self) -> Deferred[Any]:
        """
        @return: a L{Deferred} of the result.
        """
        waiter: Deferred[Any] = Deferred(self._handleCancel)
        self._waiting[waiter] = None
        return waiter

    def _handleCancel(self, waiter: Deferred[Any]) -> None:
        self._waiting.pop(waiter, None)
        if not self._waiting:
            self._handleEmpty()

    def fire(self, result: Any) -> None:
        """
        Give everybody who waits a result.

        @param result: the result, or a L{Failure}.
        """
        waiting, self._waiting = self._waiting, {}
        for waiter in waiting:
            if not waiter.called:  # one before has cancelled it
                waiter.callback(result)
