"""
Tests of L{fastpoetry.commands.getpoetry} with poems that are to be transformed.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost

from fastpoetry.transformclient import TransformProxy
from tests.command import CommandTestCase


class TransformTests(CommandTestCase):
    """
    Tests of poems that are to be transformed.
    """

    def begin(self, *more: str, poem: bytes = b"po\xc3\xa9sie") -> Deferred[None]:
        """
        Fetch a poem that is to be transformed.

        @param more: arguments.
        """
        begun = len(self.reactor.ports)
        options = ["--transform", "loud", "--transform-server", "11000"]
        done = self.start("17", *options, "--timeout", "5", *more)
        self.assertEqual(self.reactor.ports[begun:], [17])
        self.reactor.accept().sendPoem(poem)
        self.assertEqual(self.reactor.ports[begun:], [17, 11000])
        return done

    def test_transformed(self) -> None:
        """
        A poem is transformed before it is printed.
        """
        done = self.begin()
        server = self.reactor.accept()
        self.assertEqual(server.transport.value(), b"12:loud.po\xc3\xa9sie,")
        server.sendPoem(b"8:PO\xc3\x89SIE!,")
        self.assertEnds(done, 0, b"PO\xc3\x89SIE!")

    def test_notTransformed(self) -> None:
        """
        A poem that cannot be transformed is printed as it is, with a warning.
        """
        done = self.begin()
        self.reactor.accept().end()
        self.assertEnds(
            done,
            0,
            b"po\xc3\xa9sie",
            "get-poetry: localhost:17: not transformed by localhost:11000: "
            "The server closed without an answer",
        )

    def test_moreThanAnAnswer(self) -> None:
        """
        An answer that is not one netstring and then the end cannot be relied on.
        """
        done = self.begin()
        self.reactor.accept().sendPoem(b"2:hi,trailing")
        self.assertEnds(
            done,
            0,
            b"po\xc3\xa9sie",
            "get-poetry: localhost:17: not transformed by localhost:11000: "
            "The server sent more than its answer",
        )

    def test_empty(self) -> None:
        """
        A poem of which nothing is left is warned of, and is a poem; one that was empty
        before is warned of once.
        """
        done = self.begin()
        self.reactor.accept().sendPoem(b"0:,")
        empty = (
            "get-poetry: localhost:17: transformed by localhost:11000, "
            "the poem is empty"
        )
        self.assertEnds(done, 0, b"", empty)
        done = self.begin(poem=b"")
        self.reactor.accept().sendPoem(b"0:,")
        self.assertEnds(
            done, 0, b"", empty, "get-poetry: localhost:17: the poem is empty"
        )

    def test_unreachable(self) -> None:
        """
        A server of transforms that cannot be reached in time is no different.
        """
        done = self.begin()
        self.reactor.pump([5.0, 0])
        self.assertIsNone(self.successResultOf(done))
        self.assertEqual(self.stdout.getvalue(), b"po\xc3\xa9sie")
        self.assertIn("not transformed by", self.stderr.getvalue())

    def test_stoodStill(self) -> None:
        """
        A process that stands still for longer than any timeout, while it connects
        to the server of transforms or waits for it, loses nothing.
        """
        done = self.begin()
        self.reactor.advance(10_000.0)
        server = self.reactor.accept()
        for piece in (b"8:PO", b"\xc3\x89SIE!,"):
            self.reactor.advance(1000.0)
            server.send(piece)
        server.end()
        self.assertEnds(done, 0, b"PO\xc3\x89SIE!")

    def test_totalTimeout(self) -> None:
        """
        A server of transforms that sends a byte now and then has as long as the
        poem had.
        """
        done = self.begin("--total-timeout", "10")
        server = self.reactor.accept()
        for byte in b"20:a poem":
            self.reactor.advance(1.0)
            server.send(bytes([byte]))
        self.reactor.advance(1.0)
        self.assertTrue(server.isAborted)
        server.end(ConnectionLost())
        self.assertEnds(
            done,
            0,
            b"po\xc3\xa9sie",
            "get-poetry: localhost:17: not transformed by localhost:11000: "
            "No whole answer in 10 seconds",
        )

    def test_noMemory(self) -> None:
        """
        A poem that there is no memory to transform is missing.
        """
        self.patch(TransformProxy, "xform", self.fail_)
        options = ["--transform", "loud", "--transform-server", "11000"]
        done = self.start("17", *options)
        self.reactor.accept().sendPoem(b"poem")
        reason = "no memory left to transform it"
        self.assertEnds(done, 1, b"", f"get-poetry: localhost:17: {reason}")

    def fail_(self, name: str, poem: bytes) -> Deferred[bytes]:
        """
        In place of a transform: there is no memory left.
        """
        raise MemoryError

    def test_noPoem(self) -> None:
        """
        Without a poem there is nothing to transform.
        """
        options = ["--transform", "loud", "--transform-server", "11000"]
        done = self.start("17", *options)
        self.reactor.accept().end(ConnectionLost())
        self.assertEqual(self.failureResultOf(done).value.code, 1)
        self.assertEqual(self.reactor.ports, [17])

    def test_cancel(self) -> None:
        """
        To cancel the command cancels the transform.
        """
        done = self.begin()
        server = self.reactor.accept()
        done.cancel()
        self.assertTrue(server.isAborted)
        self.failureResultOf(done, CancelledError)
        self.assertEqual(self.stdout.getvalue(), b"")
        server.end(ConnectionLost())
