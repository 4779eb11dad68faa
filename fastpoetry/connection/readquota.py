"""
What readers send is thrown away, and costs little.
"""

from __future__ import annotations

from math import inf
from typing import Any

# After READ_QUOTA bytes, reading pauses for READ_PAUSE seconds: a flood then costs
# little processor time.  READ_COST bytes are added for each piece, since handling a
# piece costs as much as reading that many bytes.
READ_QUOTA = 256 * 1024
READ_PAUSE = 0.1
READ_COST = 1024


class ReadQuota:
    """
    What one reader may send until there is a pause.

    @ivar renewAt: when a reader that is paused may send again, in seconds; as long as
        it is not paused, infinite.
    """

    renewAt = inf
    _read = 0

    def throwAway(self, data: bytes, transport: Any, now: float) -> None:
        """
        Count the data, and pause the transport if that was too much.

        @param data: what the reader has sent.

        @param transport: where it came from.

        @param now: the time, in seconds.
        """
        self._read += len(data) + READ_COST
        # TLS may give more of what it has already, though it is told to pause.
        if self._read >= READ_QUOTA and self.renewAt == inf:
            self.renewAt = now + READ_PAUSE
            transport.pauseProducing()
