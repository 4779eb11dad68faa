"""
What readers send is thrown away, and costs little.
"""

from __future__ import annotations

from math import inf
from typing import Any

# After so many bytes, reading pauses for so many seconds: a flood then costs no
# processor time.  Each piece counts for so many bytes more, since it costs as much.
READ_QUOTA = 256 * 1024
READ_PAUSE = 0.1
READ_COST = 1024


class ReadQuota:
    """
    What one reader may send until there is a pause.

    @ivar renewAt: when a reader that is paused may send again, in seconds.
    """

    renewAt = inf
    _read = 0

    def throwAway(self, data: bytes, transport: Any, now: float) -> None:
        """
        @param transport: where the data came from.

        @param now: the time, in seconds.
        """
        self._read += len(data) + READ_COST
        # TLS may give more of what it has already, though it is told to pause.
        if self._read >= READ_QUOTA and self.renewAt == inf:
            self.renewAt = now + READ_PAUSE
            transport.pauseProducing()
