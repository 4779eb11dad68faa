"""
The reactor, with a clock that never goes back.

C{reactor.seconds} is the wall clock.  When somebody sets that, every deadline comes
late by as much, or at once.  So whatever of ours uses the global reactor gets it here,
and sets its clock when it is made: while a C{.tac} is executed or the services of a
plugin are made, before anything is served.
"""

from __future__ import annotations

import time
from typing import Any

# The clock begins at the time of day: calls that are pending already keep their time,
# and what takes it for a date (the access log of twisted.web) is not wrong by more
# than what the wall clock has been set by since.
_OFFSET = time.time() - time.monotonic()


def steadySeconds() -> float:
    """
    @return: seconds since the epoch if the wall clock were never set.
    """
    return _OFFSET + time.monotonic()


def maybeGlobalReactor(reactor: Any) -> Any:
    """
    @param reactor: a reactor, or L{None}.

    @return: the reactor; in place of L{None} the global one, whose clock is
        L{steadySeconds} from then on.
    """
    if reactor is None:
        from twisted.internet import reactor

        reactor.seconds = steadySeconds  # type: ignore[attr-defined]
    return reactor
