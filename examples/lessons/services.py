"""
A service, a collection of services, and an application.
"""

from __future__ import annotations

from twisted.application.service import (
    Application,
    IProcess,
    IService,
    IServiceCollection,
    MultiService,
    Service,
)
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater


class Shelf(Service):
    """
    Loads when it starts, and takes two seconds to save when it stops.
    """

    def __init__(self, name: str, clock: Clock) -> None:
        self.setName(name)
        self.clock = clock

    def startService(self) -> None:
        """
        Load, and be running.
        """
        super().startService()
        print(f"{self.name}: loaded")

    def stopService(self) -> Deferred[None]:
        """
        @return: a L{Deferred} that fires when everything is saved.
        """
        super().stopService()
        return deferLater(self.clock, 2.0, print, f"{self.name}: saved")


def main() -> None:
    """
    Start and stop services, alone and together.
    """
    new = Service()
    print("a new service:", new.name, bool(new.running))
    print("is it a collection?", IServiceCollection.providedBy(new))
    clock = Clock()  # time goes on only when we say so
    shelves = MultiService()
    for name in ("sonnets", "haiku"):
        Shelf(name, clock).setServiceParent(shelves)
    print("iterated:", [service.name for service in shelves])
    print("found by name:", shelves.getServiceNamed("haiku").name)
    application = Application("library")
    print("is an application a service?", IService.providedBy(application))
    print("it has one:", type(IService(application)).__name__)
    print("its name:", IService(application).name)
    print("its user:", IProcess(application).uid)
    shelves.setServiceParent(application)
    IService(application).startService()
    print("running:", bool(shelves.running))
    Shelf("odes", clock).setServiceParent(shelves)  # starts, as the others run
    shelves.getServiceNamed("haiku").disownServiceParent()  # stops
    print("left:", [service.name for service in shelves])
    clock.advance(2.0)
    IService(application).stopService().addCallback(lambda _: print("all is quiet"))
    print("running:", bool(shelves.running))
    clock.advance(2.0)


if __name__ == "__main__":
    main()
