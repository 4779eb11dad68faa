"""
Reloads of services, which may take a while, and be asked for again meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from fastpoetry.collection import call


class Reloads:
    """
    The reloads that are under way.  A service that is asked to reload again meanwhile
    reloads once more after that.  A service that takes long holds up no other.
    """

    def __init__(self, handleFinished: Callable[[], object]) -> None:
        """
        @param handleFinished: called when no reload is under way any more.
        """
        self._handleFinished = handleFinished
        self._underWay: set[Any] = set()
        self._again: set[Any] = set()

    def begin(self, services: Iterable[Any]) -> None:
        """
        Reload services, but for those that have stopped.

        @param services: each an L{IReloadable <fastpoetry.interfaces.IReloadable>}.
        """
        beginning = object()
        self._underWay.add(beginning)  # until all of them have begun
        for service in services:
            self._begin(service)
        self._end(None, beginning)

    def _begin(self, service: Any) -> None:
        if service in self._underWay:
            self._again.add(service)
        elif service.running:
            self._underWay.add(service)
            call(service, "reload").addCallback(self._end, service)

    def _end(self, _: object, service: Any) -> None:
        self._underWay.remove(service)
        if service in self._again:
            self._again.remove(service)
            self.begin([service])
        elif not self._underWay:
            self._handleFinished()
