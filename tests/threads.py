"""
Threads that are played by the test.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


class PlayedThreads:
    """
    Takes the place of L{fastpoetry.threads.callInThread}.

    @ivar waiting: what is to be called, each with who waits for it.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []

    def callInThread(
        self, reactor: Any, function: Callable[..., Any], *arguments: Any
    ) -> Deferred[Any]:
        """
        @see: L{fastpoetry.threads.callInThread}
        """
        waiting: Deferred[Any] = Deferred()
        self.waiting.append((partial(function, *arguments), waiting))
        return waiting

    def finish(self) -> None:
        """
        Call the first of those that wait, and tell the result.
        """
        function, waiting = self.waiting.pop(0)
        try:
            result = function()
        except BaseException:
            result = Failure()
        waiting.callback(result)


def noThread(*arguments: object) -> Any:
    """
    Fail as C{threading.Thread.start} and L{fastpoetry.threads.callInThread} do where
    the system has no room for another thread.
    """
    raise RuntimeError("can't start new thread")
