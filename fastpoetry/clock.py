"""
The reactor, with a clock that never goes back.

By default C{reactor.seconds} is the wall clock.  When somebody sets that clock, every
deadline comes late by as much, or at once.  So each class of this package that has
deadlines gets the global reactor from L{maybeGlobalReactor}, which changes its clock.
That is early enough: services are made before anything is served.
"""

from __future__ import annotations

import time
from typing import Any

# The clock begins at the time of day.  So calls that are scheduled already keep their
# time; and the access log of twisted.web, which takes it for a date, is wrong only by
# as much as the wall clock has been set since.
_OFFSET = time.time() - time.monotonic()


def steadySeconds() -> float:
    """
    @return: seconds since 1970, as if nobody had set the wall clock since this module
        was loaded.
    """
    return _OFFSET + time.monotonic()


def maybeGlobalReactor(reactor: Any) -> Any:
    """
    Use the global reactor where there is none.

    @param reactor: a reactor, or C{None}.

    @return: the reactor; for C{None} the global one, whose clock is L{steadySeconds}
        from then on.
    """
    if reactor is None:
        from twisted.internet import reactor

        reactor.seconds = steadySeconds  # type: ignore[attr-defined]
    return reactor
