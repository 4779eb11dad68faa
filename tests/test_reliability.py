"""
Faults, made for real: a few of each kind.
"""

from __future__ import annotations

import resource
import signal
from contextlib import ExitStack
from itertools import product
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sandbox import DEADLINE, POEM
from sandbox.crowd import Crowd
from sandbox.manners import (
    LEAVERS,
    LEAVERS_IN_HANDSHAKE,
    TALKERS,
    TALKERS_BELOW_TLS,
    Manners,
)
from sandbox.network import LOOPBACK, NETWORKS, TLS, Loopback
from sandbox.subject import BIG, OURS, Subject, running

BACKWARDS = BIG[::-1]
SLOW = Manners(readsPerSecond=4_000_000)
STALLED = Manners(readsPerSecond=0)

# Where a cut is a reset.
RESETTING = [LOOPBACK, TLS]


def burst() -> int:
    """
    @return: how many readers can come at once: no more than the queue of a listener
        holds, and than there are descriptors for in this process.
    """
    backlog = int(Path("/proc/sys/net/core/somaxconn").read_text())
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(2000, backlog * 4 // 5, descriptors * 4 // 5)


class FaultTests(SynchronousTestCase):
    """
    A real server, and readers with bad manners or bad luck.
    """

    def start(
        self,
        options: str = "",
        poem: bytes = BIG,
        descriptors: int | None = None,
        network: Loopback = LOOPBACK,
    ) -> Subject:
        """
        Start a server.
        """
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        return self.stack.enter_context(
            running(OURS, poem, options, network, descriptors=descriptors)
        )

    def crowd(self, subject: Subject, *others: bytes) -> Crowd:
        """
        Get readers, who are sent away in the end.
        """
        return self.stack.enter_context(subject.readers(*others))

    def assertOutcomes(self, crowd: Crowd, **counts: int) -> None:
        """
        Assert that readers end in these ways.
        """
        crowd.run(DEADLINE)
        self.assertEqual(dict(crowd.outcomes()), counts)

    def connect(
        self, crowd: Crowd, count: int, manners: Manners, inQueue: bool = False
    ) -> None:
        """
        Have readers connect, and wait until they are.

        @param inQueue: whether nobody lets them in, and over TLS greets them.
        """
        readers = crowd.add(count, manners)

        def areConnected() -> bool:
            return all(
                one.isConnected if inQueue else one.hasGreeted for one in readers
            )

        crowd.run(DEADLINE, until=areConnected)
        self.assertTrue(areConnected())

    def assertStops(self, subject: Subject) -> None:
        """
        Assert that a server that was told to stop does, and leaves nothing.
        """
        subject.server.waitForEnd()
        self.assertEqual(subject.flaws(), [])

    def assertLetsGo(self, subject: Subject, idle: int) -> None:
        """
        Assert that a server lets everybody go.

        @param idle: how many descriptors it has then.
        """
        subject.waitFor(lambda: subject.server.descriptors() <= idle, DEADLINE)
        self.assertEqual(subject.server.descriptors(), idle)

    def test_talkers(self) -> None:
        """
        A reader who says something, whenever, gets the whole poem; on a UNIX socket
        with the proof that it is whole.
        """
        for network in NETWORKS:
            crowd = self.crowd(self.start(network=network))
            ways = {**TALKERS, **(TALKERS_BELOW_TLS if network is TLS else {})}
            for manners in ways.values():
                crowd.add(3, manners)
            self.assertOutcomes(crowd, whole=3 * len(ways))

    def test_stalled(self) -> None:
        """
        A reader who takes nothing costs less than 4 KiB, or 64 over TLS, and nobody a
        poem.
        """
        for network, most in ((LOOPBACK, 4), (TLS, 64)):
            subject = self.start(network=network)
            self.assertEqual(self.fetch(subject, 1), {"whole": 1})
            before, count = subject.server.memory(), 500
            stalled = self.crowd(subject)
            for _ in range(count // 50):  # many handshakes at once need more
                self.connect(stalled, 50, STALLED)
            subject.waitForNamed(count + 1)
            self.assertLess(subject.server.memory() - before, most * count)
            self.assertEqual(self.fetch(subject, 10), {"whole": 10})
            self.assertEqual(dict(stalled.outcomes()), {"never served": count})
            self.stack.close()  # this process has no descriptors for both crowds

    def fetch(self, subject: Subject, count: int) -> dict[str, int]:
        """
        Get the poem, for several readers at once.

        @return: how many ended in which way.
        """
        with subject.readers() as crowd:
            crowd.add(count)
            crowd.run(DEADLINE)
            return dict(crowd.outcomes())

    def test_timeout(self) -> None:
        """
        A reader who takes nothing for the timeout is reset, and named in the
        log; one who takes little all the time has its poem.
        """
        for network in RESETTING:
            subject = self.start("--timeout 4", network=network)
            stalled, slow = self.crowd(subject), self.crowd(subject)
            self.connect(stalled, 20, STALLED)
            (reader,) = slow.add(1, Manners(readsPerSecond=20_000, receiveBuffer=4096))
            # After 6 seconds.
            slow.run(DEADLINE, until=lambda r=reader: r.got > 120_000)  # type: ignore[misc]
            reader.manners.readsPerSecond = None
            self.assertOutcomes(slow, whole=1)
            self.assertOutcomes(stalled, reset=20)
            # Who is reset may see that before the line is written.
            subject.waitFor(lambda s=subject: s.named("took nothing") >= 20, DEADLINE)  # type: ignore[misc]
            self.assertEqual(subject.named("took nothing"), 20)

    def test_silentInHandshake(self) -> None:
        """
        A reader who falls silent before the end of its handshake is let go, too.
        """
        crowd = self.crowd(self.start("--timeout 1", network=TLS))
        for greetings in (0, 1):
            crowd.add(5, Manners(greetings=greetings))
        self.assertOutcomes(crowd, reset=10)

    def test_leavers(self) -> None:
        """
        Readers who leave, at any point and in any way, leave nothing behind but
        two lines each in the log.
        """
        for network in RESETTING:
            subject = self.start(network=network)
            idle, crowd = subject.idleDescriptors(), self.crowd(subject)
            ways = {**LEAVERS, **(LEAVERS_IN_HANDSHAKE if network is TLS else {})}
            for manners in ways.values():
                crowd.add(20, manners)
            self.assertOutcomes(crowd, left=20 * len(ways))
            self.assertEqual(self.fetch(subject, 1), {"whole": 1})
            self.assertLetsGo(subject, idle)
            lines = subject.server.log.count(" 127.0.0.1:")
            self.assertLessEqual(lines, 2 * (20 * len(ways) + 2))
            self.assertEqual(subject.flaws(), [])

    def test_neverCloses(self) -> None:
        """
        A reader who has the poem and never closes is let go, whatever the timeout.
        """
        for network in RESETTING:
            subject = self.start("--timeout 999", network=network)
            idle, crowd = subject.idleDescriptors(), self.crowd(subject)
            (reader,) = crowd.add(1, Manners(staysFor=2 * DEADLINE))
            crowd.run(DEADLINE, until=lambda r=reader: r.isServed)  # type: ignore[misc]
            self.assertTrue(reader.isServed)
            self.assertLetsGo(subject, idle)

    def test_descriptors(self) -> None:
        """
        With more readers than descriptors, each gets the whole poem in its turn.
        """
        for network in NETWORKS:
            crowd = self.crowd(self.start(descriptors=128, network=network))
            crowd.add(300, Manners(readsPerSecond=20_000_000))
            self.assertOutcomes(crowd, whole=300)

    def test_maxConnections(self) -> None:
        """
        The same holds for readers beyond C{--max-connections}.
        """
        for network in NETWORKS:
            crowd = self.crowd(self.start("--max-connections 7", network=network))
            crowd.add(100)
            self.assertOutcomes(crowd, whole=100)

    def test_burst(self) -> None:
        """
        Of 2,000 readers who come while the server does something else, each is
        served; of fewer, where so many cannot come at once, and over TLS.
        """
        for network, count in ((LOOPBACK, burst()), (TLS, burst() // 4)):
            subject = self.start(poem=POEM, network=network)
            crowd = self.crowd(subject)
            subject.server.signal(signal.SIGSTOP)
            self.connect(crowd, count, Manners(), inQueue=True)
            subject.server.signal(signal.SIGCONT)
            self.assertOutcomes(crowd, whole=count)

    def test_stop(self) -> None:
        """
        SIGTERM and SIGINT cost no reader its poem, not even one who was not yet
        let in.
        """
        for number, network in product((signal.SIGTERM, signal.SIGINT), NETWORKS):
            subject = self.start("--grace 999", network=network)
            crowd = self.crowd(subject)
            self.connect(crowd, 20, SLOW)
            subject.waitForNamed(20)
            subject.server.signal(signal.SIGSTOP)
            self.connect(crowd, 20, SLOW, inQueue=True)
            subject.server.signal(number)
            subject.server.signal(signal.SIGCONT)
            self.assertOutcomes(crowd, whole=40)
            self.assertStops(subject)

    def test_grace(self) -> None:
        """
        Who needs longer than the grace is reset, and on a UNIX socket has no proof:
        nobody takes what it has for the whole poem.
        """
        for network in NETWORKS:
            subject = self.start("--grace 0.5", network=network)
            crowd = self.crowd(subject)
            self.connect(crowd, 20, Manners(readsPerSecond=1))
            subject.waitForNamed(20)
            subject.server.signal(signal.SIGTERM)
            self.assertStops(subject)
            for reader in crowd.readers:
                reader.manners.readsPerSecond = None
            self.assertOutcomes(crowd, **{network.cut: 20})

    def test_reload(self) -> None:
        """
        While the poem is replaced again and again, each reader has one or the
        other, never parts of both.
        """
        for network in RESETTING:
            subject = self.start(network=network)
            crowd = self.crowd(subject, BACKWARDS)
            for number in range(20):
                crowd.add(8, Manners(readsPerSecond=20_000_000))
                poem = BIG if number % 2 else BACKWARDS
                new = subject.sandbox.write("new.txt", poem)
                new.replace(subject.sandbox.path / "poem.txt")
                subject.server.signal(signal.SIGHUP)
                self.runUntilLoaded(crowd, subject, number + 2)
            self.assertOutcomes(crowd, whole=160)
            self.assertEqual(subject.flaws(), [])

    def runUntilLoaded(self, crowd: Crowd, subject: Subject, times: int) -> None:
        """
        Let readers read until a server has loaded its poem this many times.
        """
        crowd.run(
            DEADLINE,
            until=lambda: subject.server.log.count("loaded a poem") == times,
        )
