"""
A receiver of one netstring.
"""

from __future__ import annotations

import re
from io import BytesIO

from twisted.protocols.basic import IncompleteNetstring, NetstringReceiver


class OneNetstring(NetstringReceiver):
    """
    Receives one netstring.  Twisted's own receiver goes on with the next, closes the
    connection when one is malformed, and collects whatever comes.

    It overrides private methods of that receiver.  Two tests fail without them:
    test_transform.RefusalTests.test_refused and
    test_transform_memory.TransformMemoryTests.test_refused.

    @ivar hasMore: whether something followed the netstring in the piece that ended it.
    """

    hasMore = False

    # Twisted's pattern also matches "5\n".
    _LENGTH_PREFIX = re.compile(rb"(0|[1-9]\d*)\Z")

    def stringReceived(self, string: bytes) -> None:
        """
        Take the netstring, and drop what follows it.
        """
        self.hasMore = bool(self._remainingData)
        # Twisted would parse it: 64 KiB of empty netstrings take 0.06 seconds.
        self.forget()
        self.received(string)

    def _handleParseError(self) -> None:
        # Twisted would close at once, and unread input would make that a reset.
        self.forget()
        self.malformed()

    def _consumePayload(self) -> None:
        if not self.mayCollect(self._expectedPayloadSize - 1):
            raise IncompleteNetstring()
        super()._consumePayload()

    def forget(self) -> None:
        """
        Drop everything that has come.
        """
        self._remainingData, self._payload = b"", BytesIO()

    def mayCollect(self, length: int) -> bool:
        """
        Override this to decide whether a payload is collected.  It is called before the
        first piece and with each other one.  While the answer is no, what has come
        waits for the next call of C{dataReceived}, which may be with no bytes.

        @param length: how many bytes the payload will have.

        @return: whether to collect it now.
        """
        return True

    def received(self, string: bytes) -> None:
        """
        Override this to take the netstring.
        """

    def malformed(self) -> None:
        """
        Override this to handle what is no netstring, or one that is too long.
        """
