"""
Tests of L{fastpoetry.listening.acceptor}: how it stops.
"""

from __future__ import annotations

import errno
import socket
import struct

from twisted.internet.protocol import Protocol

from fastpoetry.connection.factory import SLOW_TICK, TICK
from fastpoetry.listening import acceptor as acceptorModule
from fastpoetry.protocol import PoetryFactory
from tests.acceptors import AcceptorTestCase, Reciter
from tests.support import StaticSource, openDescriptors


class StopTests(AcceptorTestCase):
    """
    Tests of how L{Acceptor} stops.
    """

    def test_stop(self) -> None:
        """
        Who waits already when the port is about to close is let in first, as
        far as there is room; after that nobody is.
        """
        self.patch(acceptorModule, "MAX_ACCEPTS", 2)
        acceptor = self.listen(7)
        readers = self.connect(9)
        acceptor.stop()
        self.assertEqual(len(acceptor.connections), 7)
        self.assertFalse(self.isReading(acceptor))
        self.leave(acceptor, 3)
        self.assertFalse(self.isReading(acceptor))
        self.assertServed(*readers[:7])

    def test_withRoom(self) -> None:
        """
        When nobody waits any more, stopping is at its end.
        """
        acceptor = self.listen(7)
        readers = self.connect(2)
        acceptor.stop()
        self.assertFalse(self.isReading(acceptor))
        self.assertServed(*readers)

    def test_afterGone(self) -> None:
        """
        Who waits is let in also when those before have gone by now.
        """
        self.patch(acceptorModule, "MAX_ACCEPTS", 2)
        acceptor = self.listen(10)
        reset = struct.pack("ii", 1, 0)
        for reader in self.connect(4):
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
            reader.close()
        (reader,) = self.connect(1)
        acceptor.stop()
        self.assertServed(reader)

    def test_makesRoom(self) -> None:
        """
        A reader that has ended, though nobody has seen it yet, gives its place to one
        who waits: one whose poem was just sent, as one that was read already.
        """
        for isRead in (False, True):
            factory = PoetryFactory(StaticSource(b"poem"), reactor=self.reactor)
            factory.noisy = False
            acceptor = self.listen(1, factory=factory)
            one, two = self.connect(2)
            acceptor.doRead()
            if isRead:
                self.reactor.pump([TICK] * 3)
            one.recv(5)
            one.close()
            factory.checkAll()
            acceptor.stop()
            self.assertEqual(two.recv(5), b"poem")
            two.close()
            self.reactor.pump([SLOW_TICK] * 4)

    def test_whileOthersCome(self) -> None:
        """
        Who comes while others are let in is let in, too.
        """
        late: list[socket.socket] = []

        def another() -> Protocol:
            late.extend(self.connect(1))
            return Reciter()

        self.patch(acceptorModule, "MAX_ACCEPTS", 1)
        acceptor = self.listen(50, [another] * 3)
        self.connect(1)
        acceptor.stop()
        self.assertEqual(len(late), 3)
        self.assertServed(*late)

    def test_inRush(self) -> None:
        """
        Others who come all the while do not keep a stop from its end.
        """

        def another() -> Protocol:
            self.connect(1)
            return Reciter()

        self.patch(acceptorModule, "BACKLOG", 4)
        self.patch(acceptorModule, "MAX_ACCEPTS", 2)
        acceptor = self.listen(50, [another] * 50)
        self.connect(1)
        acceptor.stop()
        self.assertEqual(len(acceptor.connections), 6)
        self.assertFalse(self.isReading(acceptor))

    def test_whenFull(self) -> None:
        """
        A port that is full waits for nobody to leave, and lets nobody in any more.
        """
        acceptor = self.listen(1)
        self.connect(2)
        acceptor.doRead()
        acceptor.stop()
        self.leave(acceptor)
        self.assertFalse(self.isReading(acceptor))
        self.assertEqual(len(acceptor.connections), 0)

    def test_inPause(self) -> None:
        """
        A stop while nobody is let in ends that, and tries once more to let those in
        who wait.
        """
        acceptor = self.listen(10)
        (reader,) = self.connect(1)
        self.acceptFails(acceptor, [errno.ENFILE])
        acceptor.doRead()
        acceptor.stop()
        self.assertServed(reader)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertFalse(self.isReading(acceptor))

    def test_cannotAccept(self) -> None:
        """
        When that fails, too, it is not tried again, and nothing is left on the clock.
        """
        acceptor = self.listen(10)
        self.connect(1)
        self.acceptFails(acceptor, [errno.ENFILE] * 2)
        acceptor.doRead()
        acceptor.stop()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertFalse(self.isReading(acceptor))
        self.assertEqual(len(acceptor.connections), 0)

    def test_descriptors(self) -> None:
        """
        When it has stopped, its last connection gone and its port closed, it has
        given back all descriptors that it had.
        """
        before = openDescriptors()
        acceptor = self.listen(1)
        for reader in self.connect(1):
            acceptor.stop()
            reader.close()
        self.leave(acceptor)
        self.assertEqual(openDescriptors(), before)
