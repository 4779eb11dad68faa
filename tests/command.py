"""
C{get-poetry}, run in the process of a test, which plays the servers and the outputs.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from fastpoetry.commands.getpoetry import main
from tests.test_client import ClientReactor, ClientTestCase
from tests.test_terminal import Errors


class CommandReactor(ClientReactor):
    """
    A reactor whose threads are done when its next turn comes.

    @ivar isBusy: whether they take longer than that.
    """

    isBusy = False

    def __init__(self) -> None:
        super().__init__()
        self.work: list[Callable[[], None]] = []

    def getThreadPool(self) -> Any:
        """
        There are no others.
        """
        return self

    def callInThreadWithCallback(
        self, onResult: Any, call: Any, *arguments: Any
    ) -> None:
        """
        Call, and tell the result.
        """

        def work() -> None:
            try:
                result = call(*arguments)
            except Exception:
                onResult(False, Failure())
            else:
                onResult(True, result)

        if self.isBusy:
            self.work.append(work)
        else:
            work()
            self.advance(0)


class Output(io.BytesIO):
    """
    A standard output.

    @ivar writes: what was written, each time.

    @ivar flushed: what was there when it was last flushed.

    @ivar error: what comes of writing.

    @ivar most: how many bytes it takes at once; by default all.
    """

    error: OSError | None = None
    most: int | None = None

    def __init__(self, isTerminal: bool = False) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.flushed = b""
        self._isTerminal = isTerminal

    def isatty(self) -> bool:
        return self._isTerminal

    def flush(self) -> None:
        self.flushed = self.getvalue()

    def write(self, data: Any) -> int:
        if self.error is not None:
            raise self.error
        self.writes.append(bytes(data[: self.most]))
        return super().write(data[: self.most])


class CommandTestCase(ClientTestCase):
    """
    Runs the command.
    """

    def setUp(self) -> None:
        """
        Make a reactor and the outputs.
        """
        super().setUp()
        self.reactor: CommandReactor = CommandReactor()
        self.stdout = Output()
        self.stderr = Errors()

    def start(self, *arguments: str) -> Deferred[None]:
        """
        Run the command with these arguments.
        """
        return main(self.reactor, arguments, self.stdout, self.stderr)

    def assertEnds(
        self, done: Deferred[None], status: int, stdout: bytes, *stderr: str
    ) -> None:
        """
        Assert that the command is done, with an exit status, what was printed,
        and the lines of standard error.
        """
        if status == 0:
            self.assertIsNone(self.successResultOf(done))
        else:
            error = self.failureResultOf(done, SystemExit).value
            self.assertEqual(error.code, status)
        self.assertEqual(self.stdout.flushed, stdout)
        self.assertEqual(self.stderr.getvalue().splitlines(), list(stderr))
