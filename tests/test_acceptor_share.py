"""
Tests of L{fastpoetry.listening.acceptor}: how acceptors share the descriptors of the
process.
"""

from __future__ import annotations

import errno
import os
import resource

from fastpoetry import descriptors
from fastpoetry.descriptors import RESERVE, freeDescriptors
from fastpoetry.listening.acceptor import ACCEPTORS, PAUSE, Acceptor
from tests.acceptors import AcceptorTestCase
from tests.support import openDescriptors


def taken() -> int:
    """
    @return: how many descriptors this process has open, with that which they are
        listed with.
    """
    return len(openDescriptors()) + 1


class ShareTests(AcceptorTestCase):
    """
    Tests of how acceptors share the descriptors of the process.
    """

    def limitDescriptors(self, limit: int) -> None:
        """
        Let this process open this many descriptors, whatever is open already.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))

    def pretendFree(self, free: int) -> None:
        """
        Let this process have this many free descriptors, beside those kept back and
        those that readers have.
        """

        def pretended() -> int:
            readers = sum(len(one.connections) for one in self.acceptors)
            return RESERVE + free - readers

        self.patch(descriptors, "freeDescriptors", pretended)

    def test_share(self) -> None:
        """
        Without a limit of their own, all ports of a process share evenly what
        descriptors it may open yet, but for some that are kept back.
        """
        # A port takes two, one to listen and one to wait.
        self.limitDescriptors(taken() + RESERVE + 2 + 100)
        one = self.listen(None)
        self.assertEqual(one.share, 100)
        two = self.listen(None)
        self.assertEqual((one.share, two.share), (49, 49))
        two.stop()
        self.assertEqual(one.share, 100)

    def test_inUse(self) -> None:
        """
        What this process has opened for other purposes is not shared.
        """
        self.limitDescriptors(taken() + RESERVE + 2 + 100)
        for _ in range(40):
            file = open(os.devnull)  # noqa: SIM115
            self.addCleanup(file.close)
        self.assertEqual(self.listen(None).share, 60)

    def test_readers(self) -> None:
        """
        What the readers have already is part of what is shared.
        """
        self.limitDescriptors(taken() + RESERVE + 2 + 100)
        one = self.listen(None)
        self.connect(10)  # which takes as many on this side
        one.doRead()
        two = self.listen(None)
        self.assertEqual((one.share, two.share), (44, 44))

    def test_isTheLimit(self) -> None:
        """
        A port without a limit of its own lets as many in as its share.
        """
        self.pretendFree(4)
        acceptor = self.listen(None)
        self.connect(5)
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 4)

    def test_isTheMost(self) -> None:
        """
        A limit of its own gives a port no descriptors that the process has not.
        """
        self.pretendFree(3)
        acceptor = self.listen(50)
        self.connect(5)
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 3)
        self.assertFalse(self.isReading(acceptor))

    def test_shrinks(self) -> None:
        """
        A port that has more readers than its share, because another port was
        opened, lets nobody in until it has fewer.
        """
        self.pretendFree(6)
        acceptor = self.listen(None)
        self.connect(7)
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 6)
        self.listen(None)
        self.leave(acceptor, 3)
        self.assertFalse(self.isReading(acceptor))
        self.leave(acceptor, 1)
        self.assertTrue(self.isReading(acceptor))
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 3)

    def test_shrinksWhileReading(self) -> None:
        """
        That is so, too, for a port that had room still, and whose reactor waits for
        readers.
        """
        self.pretendFree(6)
        acceptor = self.listen(None)
        self.connect(4)
        acceptor.doRead()
        self.listen(None)
        self.connect(1, acceptor)
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 4)
        self.assertFalse(self.isReading(acceptor))
        self.leave(acceptor, 2)
        acceptor.doRead()
        self.assertEqual(len(acceptor.connections), 3)

    def test_shrinksInPause(self) -> None:
        """
        That is so, too, for a port that had room when it failed to let a reader in,
        and has none when it would try again.
        """
        self.pretendFree(2)
        acceptor = self.listen(None)
        _, two = self.connect(2)
        self.acceptFails(acceptor, [0, errno.EMFILE])
        acceptor.doRead()
        self.listen(None)
        self.reactor.advance(PAUSE)
        self.assertFalse(self.isReading(acceptor))
        self.leave(acceptor)
        self.assertTrue(self.isReading(acceptor))
        acceptor.doRead()
        self.assertServed(two)

    def test_grows(self) -> None:
        """
        A port that is full lets readers in again when another port stops.
        """
        self.pretendFree(4)
        one, two = self.listen(None), self.listen(None)
        self.connect(3, one)
        one.doRead()
        self.assertEqual(len(one.connections), 2)
        self.assertFalse(self.isReading(one))
        two.stop()
        self.assertTrue(self.isReading(one))
        one.doRead()
        self.assertEqual(len(one.connections), 3)

    def test_atLeastOne(self) -> None:
        """
        However few descriptors there are, a reader is served.
        """
        self.pretendFree(-RESERVE // 2)
        acceptor = self.listen(None)
        (reader,) = self.connect(1)
        acceptor.doRead()
        self.assertServed(reader)

    def test_ofAProcess(self) -> None:
        """
        By default all ports of a process share.
        """
        one, two = (
            self.start(Acceptor(self.makePort(), None, self.reactor)) for _ in range(2)
        )
        self.assertTrue({one, two} <= ACCEPTORS)
        self.assertEqual(one.share, two.share)
        two.stop()
        self.assertNotIn(two, ACCEPTORS)
        self.assertGreater(one.share, two.share)

    def test_apart(self) -> None:
        """
        Ports that were given another set to be in share nothing with the rest.
        """
        self.pretendFree(8)
        one = self.listen(None)
        two = self.start(Acceptor(self.makePort(), None, self.reactor, set()))
        self.assertEqual((one.share, two.share), (8, 8))
        self.assertEqual(self.acceptors, {one})

    def test_unlimited(self) -> None:
        """
        Where the number of descriptors has no limit, there is one all the same.
        """
        infinity = resource.RLIM_INFINITY
        self.patch(resource, "getrlimit", lambda _: (infinity, infinity))
        self.assertEqual(freeDescriptors(), 2**20 - taken())

    def test_noProc(self) -> None:
        """
        Where F{/proc} is not there to tell what is open, none is taken to be.
        """

        def noDirectory(path: str) -> None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory")

        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.patch(os, "listdir", noDirectory)
        self.assertEqual(freeDescriptors(), soft)
