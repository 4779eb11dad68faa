"""
Sending over TLS: records, no more of them at a time than the kernel takes, and
C{close_notify} after all of them or not at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from OpenSSL.SSL import Error, WantReadError
from twisted.internet.interfaces import IPullProducer
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

# Bytes in one record, which may be up to 16 KiB (RFC 8446, 5.1).  Of a long write one
# record is encrypted at a time, and up to this many in one turn, as long as the kernel
# takes all of each.
RECORD = 8 * 1024
RECORDS = 16


@implementer(IPullProducer)
class _LongWrite:
    """
    Encrypts more records when the kernel has taken those before.
    """

    def __init__(self, writeMore: Callable[[], None]) -> None:
        self.resumeProducing = writeMore

    def stopProducing(self) -> None:
        pass


class TLSWriter(TLSMemoryBIOProtocol):
    """
    A TLS connection as far as it writes, over a TCP transport.

    @ivar overhead: how many bytes were sent besides those that were written.
    """

    transport: Any  # of TCP: no interface of Twisted's has all of it
    _tlsConnection: Any
    overhead = 0
    _isHalfClosing = _hasEnded = False
    _rest = memoryview(b"")  # of what was written
    _hasBegun = False  # a long write
    _isAtOnce = False  # whether the transport has nothing to send before it

    def _flushSendBIO(self) -> int:
        # Instead of the base's, which does not count.
        try:
            data = self._tlsConnection.bio_read(4 * RECORD)
        except WantReadError:  # there is nothing
            return 0
        self.overhead += len(data)
        taken = self.transport.writeSomeData(data) if self._isAtOnce else 0
        if taken != len(data):
            self._isAtOnce = False
            # Not write(), which keeps what it gets first apart from what follows.  An
            # error shows when this is sent again.
            rest = data[taken:] if isinstance(taken, int) else data
            self.transport.writeSequence([rest])
        return len(data)

    def _send(self, step: Callable[..., int], *arguments: Any) -> Any:
        try:
            result = step(*arguments)
        except Error:  # nothing may look like an end
            self.abortConnection()
            return None
        self._flushSendBIO()
        return result

    def _producing(self) -> Any:
        # The producer that the protocol has registered, if any.
        producer = self.transport.producer
        return None if isinstance(producer, _LongWrite) else producer

    def _isOver(self) -> Any:
        # A producer that is registered when the end is asked for may go on.
        isAsked = self._isHalfClosing or self.disconnecting
        return not self.connected or (isAsked and self._producing() is None)

    def write(self, data: bytes) -> None:
        """@see: L{twisted.internet.interfaces.ITransport.write}"""
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        if not data or self._isOver():
            return
        self._writeRest()
        self._rest = memoryview(data)
        if len(data) > RECORD and self.transport.producer is None:
            self._hasBegun = False
            self.transport.registerProducer(_LongWrite(self._writeMore), False)
        else:
            self._writeRest()

    def _writeRecord(self) -> None:
        # Some clients ask for shorter records (RFC 6066, 4).
        sent = self._send(self._tlsConnection.send, self._rest[:RECORD])
        if sent is None:
            return
        self._rest = self._rest[sent:]
        self.overhead -= sent
        if not self._rest and isinstance(self.transport.producer, _LongWrite):
            self.transport.unregisterProducer()
            self._end()

    def _writeMore(self) -> None:
        # The first time the transport may still have other data to send.  The last
        # record is left to the transport, which then asks for more, or sends it with
        # the end.
        isFirst, self._hasBegun = not self._hasBegun, True
        self._isAtOnce, left = not isFirst, RECORDS
        while self._isAtOnce and left > 1 and len(self._rest) > RECORD:
            self._writeRecord()
            self._isAtOnce = bool(self._isAtOnce and self.connected)
            left -= 1
        hasRoom, self._isAtOnce = isFirst or self._isAtOnce, False
        if hasRoom:
            self._writeRecord()

    def _writeRest(self) -> None:
        while self._rest and self.connected:
            self._writeRecord()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """@see: L{twisted.internet.interfaces.IConsumer.registerProducer}"""
        if self._isOver():
            producer.stopProducing()
        else:
            self._writeRest()
            self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """@see: L{twisted.internet.interfaces.IConsumer.unregisterProducer}"""
        if self._producing() is not None:
            self.transport.unregisterProducer()
            self._end()

    def loseWriteConnection(self) -> None:
        """@see: L{twisted.internet.interfaces.ITCPTransport.loseWriteConnection}"""
        self._isHalfClosing = True
        self._end()

    def loseConnection(self) -> None:
        """@see: L{twisted.internet.interfaces.ITransport.loseConnection}"""
        self.disconnecting = True
        self._end()

    stopProducing = loseConnection

    def abortConnection(self) -> None:
        """@see: L{twisted.internet.interfaces.ITCPTransport.abortConnection}"""
        self.connected = 0  # nothing is read or written any more
        self.transport.abortConnection()

    def _end(self) -> None:
        isAsked = self._isHalfClosing or self.disconnecting
        if not (isAsked and self.connected) or self.transport.producer is not None:
            return
        if not self._hasEnded:
            self._hasEnded = True
            if self._send(self._tlsConnection.shutdown) is None:
                return
            self.transport.loseWriteConnection()
        if self.disconnecting:
            self.transport.loseConnection()
