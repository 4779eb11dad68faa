"""
The services of a process: all that are in a collection, and in collections within it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.application.service import IService, IServiceCollection
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.reflect import qual

_log = Logger()


def allServices(collection: Any) -> Iterator[IService]:
    """
    Walk a service collection, and all collections in it.

    @param collection: an L{IServiceCollection}.
    """
    for service in collection:
        yield service
        if IServiceCollection.providedBy(service):
            yield from allServices(service)


def allProviders(interface: Any, collection: Any) -> Iterator[Any]:
    """
    Walk those of L{allServices} that provide an interface.

    @param interface: an interface, or a class.

    @param collection: as in L{allServices}.
    """
    for service in allServices(collection):
        if interface.providedBy(service):
            yield service


def call(service: Any, name: str) -> Deferred[Any]:
    """
    Call a method of a service, and log its error: that of one service must not keep
    others from being called.

    @param service: the service.

    @param name: of its method, which takes no argument.

    @return: a L{Deferred} of what the method gives, or of C{None} after an error.
    """

    def handleFailure(failure: Failure) -> None:
        _log.failure(
            "an error in {name} of {service}",
            failure,
            name=name,
            service=qual(type(service)),
        )

    return maybeDeferred(getattr(service, name)).addErrback(handleFailure)


def callAll(interface: Any, name: str, collection: Any) -> None:
    """
    L{call} a method of L{allProviders}.

    @param name: of the method.
    """
    for service in allProviders(interface, collection):
        call(service, name)
