"""
Tests of L{fastpoetry.commands.getpoetry}.
"""

from __future__ import annotations

import errno
import math

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost

from fastpoetry.commands import getpoetry
from fastpoetry.commands.getpoetry import BROKEN_PIPE
from tests.command import CommandTestCase
from tests.test_terminal import Errors


class ArgumentsTests(CommandTestCase):
    """
    Tests of what becomes of the command line.
    """

    def test_refused(self) -> None:
        """
        A mistake gives the usage and one sentence, and status 2; nothing is
        fetched.
        """
        done = self.start("17", "18x", "19")
        self.assertEnds(
            done,
            2,
            b"",
            "usage: get-poetry [options] [HOST:]PORT ...",
            "get-poetry: error: not a port number from 1 to 65535: 18x",
        )
        self.assertEqual(self.reactor.tcpClients, [])

    def test_help(self) -> None:
        """
        Help comes on standard output, and nothing is fetched.
        """
        done = self.start("--help", "17")
        self.assertEqual(self.failureResultOf(done, SystemExit).value.code, 0)
        self.assertTrue(self.stdout.flushed.startswith(b"usage: get-poetry "))
        self.assertEqual(self.stderr.getvalue(), "")
        self.assertEqual(self.reactor.tcpClients, [])

    def test_helpUnread(self) -> None:
        """
        When nobody reads the help, that is no reason for a traceback.
        """
        self.stdout.error = BrokenPipeError()
        done = self.start("--help")
        self.assertEqual(self.failureResultOf(done).value.code, BROKEN_PIPE)

    def test_anyOrder(self) -> None:
        """
        Options and addresses may stand in any order.
        """
        done = self.start("17", "--quiet", "18", "--timeout", "5", "--jobs", "3", "19")
        self.assertEqual(self.reactor.ports, [17, 18, 19])
        for number in range(3):
            self.reactor.accept(number).sendPoem(b"%d" % number)
        self.assertEnds(done, 0, b"012")


class FetchTests(CommandTestCase):
    """
    Tests of fetching and printing.
    """

    def test_poem(self) -> None:
        """
        A poem is printed byte by byte as it is, in one write.
        """
        poem = bytes(range(256))
        done = self.start("17")
        server = self.reactor.accept()
        server.send(poem[:100])
        self.assertEqual(self.stdout.writes, [])
        server.sendPoem(poem[100:])
        self.assertEnds(done, 0, poem)
        self.assertEqual(self.stdout.writes, [poem])

    def test_partialWrites(self) -> None:
        """
        Where the output takes less than is written to it, the rest follows.
        """
        self.stdout.most = 3
        done = self.start("17")
        self.reactor.accept().sendPoem(b"poem")
        self.assertEnds(done, 0, b"poem")
        self.assertEqual(self.stdout.writes, [b"poe", b"m"])

    def test_asTheyCome(self) -> None:
        """
        Poems are printed as they come, each whole.
        """
        done = self.start("17", "18")
        first, second = self.reactor.accept(0), self.reactor.accept(1)
        first.send(b"one\n")
        second.sendPoem(b"two\n")
        self.assertEqual(self.stdout.getvalue(), b"two\n")
        first.end()
        self.assertEnds(done, 0, b"two\none\n")

    def test_inOrder(self) -> None:
        """
        If wanted, poems are printed in the order asked, when all are there; one
        that is not is missing, and an empty one, too.
        """
        done = self.start("17", "18", "19", "20", "--in-order")
        for number, poem in [(2, b"three\n"), (3, b""), (0, b"one\n")]:
            self.reactor.accept(number).sendPoem(poem)
        self.assertEqual(self.stdout.getvalue(), b"")
        self.reactor.accept(1).end(ConnectionLost())
        self.assertEnds(
            done,
            1,
            b"one\nthree\n",
            "get-poetry: localhost:20: the poem is empty",
            "get-poetry: localhost:18: Connection lost before the end, "
            "0 bytes received",
        )

    def test_sameAddress(self) -> None:
        """
        An address that is given twice is asked twice.
        """
        done = self.start("17", "17")
        self.reactor.accept(0).sendPoem(b"one\n")
        self.reactor.accept(1).sendPoem(b"two\n")
        self.assertEnds(done, 0, b"one\ntwo\n")

    def test_failures(self) -> None:
        """
        Every failure is a line, at once; the other poems are printed.
        """
        done = self.start("17", "localhost:18", "nowhere:19", "20", "--timeout", "2.5")
        lines = ["get-poetry: nowhere:19: DNS lookup failed: no results for hostname "]
        lines[0] += "lookup: nowhere, 0 bytes received"
        self.assertEqual(self.stderr.getvalue().splitlines(), lines)
        server = self.reactor.accept(0)
        server.send(b"half")
        server.end(ConnectionLost())
        lines.append(
            "get-poetry: localhost:17: Connection lost before the end, 4 bytes received"
        )
        self.assertEqual(self.stderr.getvalue().splitlines(), lines)
        self.reactor.accept(2).sendPoem(b"poem\n")
        self.reactor.pump([2.5, 0])
        lines.append(
            "get-poetry: localhost:18: no connection for 2.5 seconds, 0 bytes received"
        )
        self.assertEnds(done, 1, b"poem\n", *lines)

    def test_timeout(self) -> None:
        """
        The timeout is also that of a server that sends nothing.
        """
        done = self.start("17", "--timeout", "2.5")
        server = self.reactor.accept()
        server.send(b"half")
        self.reactor.pump([2.5, 0])
        self.assertEnds(
            done,
            1,
            b"",
            "get-poetry: localhost:17: nothing came for 2.5 seconds, 4 bytes received",
        )

    def test_totalTimeout(self) -> None:
        """
        A server that sends a byte now and then has as long as it may take in all.
        """
        done = self.start("17", "--total-timeout", "10")
        server = self.reactor.accept()
        for _ in range(9):
            self.reactor.advance(1.0)
            server.send(b"x")
        self.reactor.advance(1.0)
        self.assertTrue(server.isAborted)
        reason = "not all of it came in 10 seconds, 9 bytes received"
        self.assertEnds(done, 1, b"", f"get-poetry: localhost:17: {reason}")

    def test_stoodStill(self) -> None:
        """
        A process that stands still for longer than any timeout, while it connects
        or reads, loses nothing.
        """
        done = self.start("17", "--timeout", "5", "--total-timeout", "7")
        self.reactor.advance(1000.0)
        server = self.reactor.accept()
        self.reactor.advance(1000.0)
        server.send(b"poem\n")
        self.reactor.advance(1000.0)
        server.end()
        self.assertEnds(done, 0, b"poem\n")

    def test_connectTimeout(self) -> None:
        """
        Endpoints have no deadline of their own, which would not mind when the
        process stood still.
        """
        done = self.start("17", "--timeout", "5")
        self.assertEqual(self.reactor.tcpClients[0][3], math.inf)
        self.reactor.accept().sendPoem(b"poem\n")
        self.assertEnds(done, 0, b"poem\n")

    def test_maxLength(self) -> None:
        """
        A poem that is longer than it may be is given up, and costs no other.
        """
        done = self.start("17", "18", "--max-length", "4")
        server = self.reactor.accept(0)
        server.send(b"poems")
        self.assertTrue(server.isAborted)
        self.reactor.accept(1).sendPoem(b"poem")
        reason = "longer than 4 bytes, 5 bytes received"
        self.assertEnds(done, 1, b"poem", f"get-poetry: localhost:17: {reason}")

    def test_noMemory(self) -> None:
        """
        A poem that there is no memory for is told in a line, and costs no other.
        """
        done = self.start("17", "18")
        self.reactor.accept(0).end(MemoryError())
        self.reactor.accept(1).sendPoem(b"poem")
        reason = "no memory left for more, 0 bytes received"
        self.assertEnds(done, 1, b"poem", f"get-poetry: localhost:17: {reason}")

    def test_empty(self) -> None:
        """
        A poem of no bytes, as also a server that has none may send, is warned of,
        and is a poem.
        """
        done = self.start("17", "18")
        self.reactor.accept(0).sendPoem(b"poem\n")
        self.reactor.accept(1).sendPoem(b"")
        empty = "get-poetry: localhost:18: the poem is empty"
        self.assertEnds(done, 0, b"poem\n", empty)

    def test_fewDescriptors(self) -> None:
        """
        When there are no descriptors for as many fetches at once as are wanted,
        that is said, and there are fewer, which costs no poem.
        """
        wanted: list[int] = []

        def affordableJobs(jobs: int) -> int:
            wanted.append(jobs)
            return 1

        self.patch(getpoetry, "affordableJobs", affordableJobs)
        done = self.start("17", "18", "--jobs", "1000")
        for port in (17, 18):
            self.assertEqual(self.reactor.ports[-1], port)
            self.reactor.accept().sendPoem(b"poem\n")
        self.assertEnds(
            done,
            0,
            b"poem\n" * 2,
            "get-poetry: 1 poems at once instead of 2: no descriptors for more "
            "(ulimit -Hn)",
        )
        self.assertEqual(wanted, [2])

    def test_jobs(self) -> None:
        """
        No more poems are fetched at once than wanted, and the next is begun when
        one is printed, or will not come.
        """
        done = self.start("17", "18", "19", "20", "--jobs", "2")
        self.assertEqual(self.reactor.ports, [17, 18])
        self.reactor.refuse(1)
        self.assertEqual(self.reactor.ports, [17, 18, 19])
        self.reactor.isBusy = True
        self.reactor.accept(0).sendPoem(b"one\n")
        self.assertEqual(self.reactor.ports, [17, 18, 19])
        self.reactor.isBusy = False
        self.reactor.work.pop()()
        self.reactor.advance(0)
        self.assertEqual(self.reactor.ports, [17, 18, 19, 20])
        for number in (2, 3):
            self.reactor.accept(number).sendPoem(b"poem\n")
        self.failureResultOf(done, SystemExit)
        self.assertEqual(self.stdout.getvalue(), b"one\npoem\npoem\n")

    def test_slowOutput(self) -> None:
        """
        While a poem cannot be written, others come, and are written after it.
        """
        done = self.start("17", "18", "--timeout", "5")
        self.reactor.isBusy = True
        self.reactor.accept(0).sendPoem(b"one\n")
        self.reactor.advance(4.0)
        self.reactor.accept(1).sendPoem(b"two\n")
        self.reactor.advance(1000.0)
        self.assertEqual(len(self.reactor.work), 1)
        self.reactor.isBusy = False
        self.reactor.work.pop()()
        self.reactor.advance(0)
        self.assertEnds(done, 0, b"one\ntwo\n")

    def test_brokenPipe(self) -> None:
        """
        When nobody reads the poems, everything ends at once, and quietly.
        """
        done = self.start("17", "18", "19", "--jobs", "2")
        server = self.reactor.accept(1)
        self.stdout.error = BrokenPipeError()
        self.reactor.accept(0).sendPoem(b"poem")
        self.assertTrue(server.isAborted)
        for connector in self.reactor.connectors[2:]:
            self.assertTrue(connector.stoppedConnecting)
        server.end(ConnectionLost())
        self.assertEnds(done, BROKEN_PIPE, b"")

    def test_cannotWrite(self) -> None:
        """
        When the poems cannot be written, everything ends with the reason.
        """
        for option in ("--quiet", "--in-order"):
            self.stderr = Errors()
            done = self.start("17", option)
            self.stdout.error = OSError(errno.ENOSPC, "No space left on device")
            self.reactor.accept().sendPoem(b"poem")
            self.assertEnds(
                done,
                1,
                b"",
                "get-poetry: cannot write to standard output: No space left on device",
            )
            self.stdout.error = None

    def test_cancel(self) -> None:
        """
        To cancel the command closes all connections, leaves none to come, and
        says nothing.
        """
        done = self.start("17", "18", "19", "--jobs", "2")
        server = self.reactor.accept(0)
        done.cancel()
        self.assertTrue(server.isAborted)
        for connector in self.reactor.connectors[1:]:
            self.assertTrue(connector.stoppedConnecting)
        self.failureResultOf(done, CancelledError)
        self.assertEqual(self.stderr.getvalue(), "")
