"""
Tests of L{fastpoetry.listening.acceptor}: what it does when nobody can be let in, and
about connections that are lost as they begin.
"""

from __future__ import annotations

import errno
import os
import resource
import socket

from twisted.logger import capturedLogs, formatEvent

from fastpoetry.connection.kernel import PENDING_ERRORS
from fastpoetry.listening import acceptor as acceptorModule
from fastpoetry.listening.acceptor import PAUSE, Acceptor
from tests.acceptors import AcceptorTestCase, FailingReciter
from tests.support import linesOf, noSpace, openDescriptors


class PauseTests(AcceptorTestCase):
    """
    Tests of what L{Acceptor} does when it can let nobody in.
    """

    def checkPause(self, acceptor: Acceptor, reader: socket.socket) -> None:
        """
        Check that nobody is let in for a second, and then a reader who waits is.
        """
        self.assertFalse(self.isReading(acceptor))
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.reactor.advance(PAUSE - 0.01)
        self.assertFalse(self.isReading(acceptor))
        self.reactor.advance(0.01)
        self.assertTrue(self.isReading(acceptor))
        acceptor.doRead()
        self.assertServed(reader)

    def test_outOfDescriptors(self) -> None:
        """
        When this process can open no more descriptors, nobody is let in for a
        second, nor sent away; the log has the reason, and then it is tried again.
        """
        acceptor = self.listen(10)
        (reader,) = self.connect(1)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with capturedLogs() as events:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
                acceptor.doRead()
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(
            [formatEvent(event) for event in events],
            ["cannot accept: Too many open files"],
        )
        self.checkPause(acceptor, reader)

    def test_outOfAnything(self) -> None:
        """
        It is the same when the system has no room for another connection.
        """
        for error in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
            acceptor = self.listen(10)
            (reader,) = self.connect(1)
            self.acceptFails(acceptor, [error])
            lines = linesOf(acceptor.doRead)
            self.assertEqual(lines, [f"cannot accept: {os.strerror(error)}"])
            self.checkPause(acceptor, reader)

    def test_again(self) -> None:
        """
        When there is no room after a second either, it is tried again in another.
        """
        acceptor = self.listen(10)
        (reader,) = self.connect(1)
        self.acceptFails(acceptor, [errno.EMFILE] * 2)
        acceptor.doRead()
        self.reactor.advance(PAUSE)
        acceptor.doRead()
        self.checkPause(acceptor, reader)

    def test_inTheMiddle(self) -> None:
        """
        Who was let in before there was no room any more is served, and who comes
        after that waits.
        """
        acceptor = self.listen(10)
        one, two = self.connect(2)
        self.acceptFails(acceptor, [0, errno.EMFILE])
        acceptor.doRead()
        self.assertServed(one)
        self.checkPause(acceptor, two)

    def test_lasts(self) -> None:
        """
        That second is not cut short by a reader who leaves.
        """
        acceptor = self.listen(2)
        one, two, three = self.connect(3)
        acceptor.doRead()
        self.assertServed(one, two)
        self.leave(acceptor)
        self.acceptFails(acceptor, [errno.EMFILE])
        acceptor.doRead()
        self.leave(acceptor)
        self.assertEqual(len(acceptor.connections), 0)
        self.checkPause(acceptor, three)

    def test_lastsForOthers(self) -> None:
        """
        Nor is it cut short by another port that opens or stops.
        """
        acceptor = self.listen(2)
        (reader,) = self.connect(1)
        self.acceptFails(acceptor, [errno.EMFILE])
        acceptor.doRead()
        self.listen(2).stop()
        self.checkPause(acceptor, reader)

    def test_cannotRegister(self) -> None:
        """
        When the reactor cannot register the port as room is made, it is tried again
        in a second, and as long as it cannot.
        """
        acceptor = self.listen(1)
        one, two = self.connect(2)
        acceptor.doRead()
        self.assertServed(one)
        patch = self.patch(self.reactor, "addReader", noSpace)
        line = "cannot accept: No space left on device"
        self.assertEqual(linesOf(lambda: self.leave(acceptor)), [line])
        self.assertEqual(linesOf(lambda: self.reactor.advance(PAUSE)), [line])
        patch.restore()
        self.checkPause(acceptor, two)

    def test_cannotRegisterAtStart(self) -> None:
        """
        The same holds when a port begins to listen.
        """
        acceptor = Acceptor(self.makePort(), 5, self.reactor, self.acceptors)
        patch = self.patch(self.reactor, "addReader", noSpace)
        lines = linesOf(lambda: self.start(acceptor))
        patch.restore()
        self.assertEqual(lines, ["cannot accept: No space left on device"])
        (reader,) = self.connect(1)
        self.checkPause(acceptor, reader)

    def test_noSocket(self) -> None:
        """
        When an accepted descriptor cannot be made a socket, it is given back, and
        nobody is let in for a second.
        """
        acceptor = self.listen(10)
        one, two = self.connect(2)
        patch = self.patch(acceptorModule, "SocketType", noSpace)
        before = openDescriptors()
        lines = linesOf(acceptor.doRead)
        self.assertEqual(openDescriptors(), before)
        patch.restore()
        self.assertEqual(lines, ["cannot accept: No space left on device"])
        self.assertReset(one)
        self.checkPause(acceptor, two)


class LostTests(AcceptorTestCase):
    """
    Tests of what L{Acceptor} does about connections that are lost as they begin.
    """

    def test_passedOver(self) -> None:
        """
        An error that is about one connection costs the others nothing, not even a
        line in the log.
        """
        acceptor = self.listen(50)
        readers = self.connect(2)
        self.acceptFails(acceptor, sorted(PENDING_ERRORS))
        self.assertEqual(linesOf(acceptor.doRead), [])
        self.assertTrue(self.isReading(acceptor))
        self.assertServed(*readers)

    def test_permanent(self) -> None:
        """
        When there is nothing but such errors, as a policy of the system may have it
        (C{EPERM}), the reactor does not spin: nobody is let in for a second, and
        the log has one line.
        """
        self.patch(acceptorModule, "MAX_ACCEPTS", 5)
        acceptor = self.listen(50)
        (reader,) = self.connect(1)
        self.acceptFails(acceptor, [errno.EPERM] * 10)
        line = "cannot accept: Operation not permitted"
        for _ in range(2):
            self.assertEqual(linesOf(acceptor.doRead), [line])
            self.assertFalse(self.isReading(acceptor))
            self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
            self.reactor.advance(PAUSE)
        self.assertEqual(linesOf(acceptor.doRead), [])
        self.assertServed(reader)

    def test_butOne(self) -> None:
        """
        When a turn full of such errors has let somebody in, there is no pause.
        """
        self.patch(acceptorModule, "MAX_ACCEPTS", 3)
        acceptor = self.listen(50)
        one, two = self.connect(2)
        self.acceptFails(acceptor, [errno.ECONNABORTED] * 2)
        self.assertEqual(linesOf(acceptor.doRead), [])
        self.assertTrue(self.isReading(acceptor))
        self.assertServed(one)
        acceptor.doRead()
        self.assertServed(two)

    def test_stop(self) -> None:
        """
        A stop has an end, too, when there is nothing but such errors.
        """
        acceptor = self.listen(50)
        self.connect(1)
        self.acceptFails(acceptor, [errno.EPERM] * 10**6)
        lines = linesOf(acceptor.stop)
        self.assertEqual(lines[0], "cannot accept: Operation not permitted")
        self.assertEqual(len(lines), 2)  # the port is closed
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_error(self) -> None:
        """
        A factory that fails for a reader costs that reader its connection, which is
        reset; the error is logged, and nobody else is affected.
        """
        acceptor = self.listen(10, [ZeroDivisionError()])
        one, two = self.connect(2)
        acceptor.doRead()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertReset(one)
        self.assertServed(two)
        self.assertEqual(len(acceptor.connections), 1)
        self.assertTrue(self.isReading(acceptor))

    def test_OSError(self) -> None:
        """
        It makes no difference when that error looks like one of C{accept}.
        """
        acceptor = self.listen(10, [OSError(errno.EMFILE, "Too many open files")])
        one, two = self.connect(2)
        acceptor.doRead()
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertReset(one)
        self.assertServed(two)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_noProtocol(self) -> None:
        """
        A reader whom the factory wants not is reset; that is no error.
        """
        acceptor = self.listen(10, [None])
        one, two = self.connect(2)
        self.assertEqual(linesOf(acceptor.doRead), [])
        self.assertReset(one)
        self.assertServed(two)
        self.assertEqual(len(acceptor.connections), 1)

    def test_protocolFails(self) -> None:
        """
        A protocol that fails as it begins costs its reader the connection, which is
        reset; the error is logged, and the next is served.
        """
        acceptor = self.listen(10, [FailingReciter])
        one, two = self.connect(2)
        acceptor.doRead()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertReset(one)
        self.assertServed(two)
        self.assertEqual(len(acceptor.connections), 1)

    def test_descriptors(self) -> None:
        """
        Whatever costs a reader the connection, its descriptor is given back.
        """
        acceptor = self.listen(10, [ZeroDivisionError(), None, FailingReciter])
        self.connect(3)
        before = openDescriptors()
        acceptor.doRead()
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual(openDescriptors(), before)
