"""
An interface says what an object can do.  A class says which ones its objects provide.
"""

from __future__ import annotations

from twisted.logger import ILogObserver, LogEvent
from zope.interface import Interface, implementer, provider
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyObject


class IPoet(Interface):
    """
    Can recite.
    """

    def recite(line: int) -> str:
        """
        @return: this line of a poem.  (The methods of an interface have no C{self}.)
        """


@implementer(IPoet)
class Donne:
    """
    Every object of this class is a poet.
    """

    def recite(self, line: int) -> str:
        """
        @see: L{IPoet.recite}
        """
        return ["Where, like a pillow on a bed", "A pregnant bank swell'd up"][line]


@implementer(IPoet)
class Mute:
    """
    Says that its objects are poets, but they cannot recite.
    """


@provider(ILogObserver)
def observe(event: LogEvent) -> None:
    """
    Take an event of the log.  This one object, a function, is an observer.
    """


def main() -> None:
    """
    Ask who provides what.
    """
    print("a Donne is a poet:", IPoet.providedBy(Donne()))
    print("the class itself is a poet:", IPoet.providedBy(Donne))
    print("the objects of the class are poets:", IPoet.implementedBy(Donne))
    print("the function is an observer:", ILogObserver.providedBy(observe))
    print("a Mute says that it is a poet:", IPoet.providedBy(Mute()))
    for poet in (Donne(), Mute()):
        try:
            print("verified:", verifyObject(IPoet, poet))
        except Invalid as error:
            print("verified:", type(error).__name__)


if __name__ == "__main__":
    main()
