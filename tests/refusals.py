"""
Starts that must not succeed.
"""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor

from twisted.trial.unittest import SynchronousTestCase

from sandbox import Sandbox


class RefusalTestCase(SynchronousTestCase):
    """
    Makes starts that must not succeed, and sees that none does.
    """

    def setUp(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.taken = listener.getsockname()[1]
        self.starts: dict[str, tuple[Sandbox, str, str]] = {}

    def addStart(
        self, name: str, arguments: str, sentence: str, **edits: object
    ) -> Sandbox:
        """
        Add a start that must not succeed.

        @param arguments: those of C{twistd}.

        @param sentence: what answers them.

        @param edits: those in the .tac file.
        """
        sandbox = Sandbox(self.addCleanup)
        os.mkfifo(sandbox.path / "fifo")
        names = {"dir": sandbox.path, "taken": self.taken}
        for setting, value in edits.items():
            edits[setting] = value.format(**names) if isinstance(value, str) else value
        sandbox.writeTac(**edits)
        self.starts[name] = (
            sandbox,
            arguments.format(**names),
            sentence.format(**names),
        )
        return sandbox

    def assertRefuses(self, sandbox: Sandbox, command: str, sentence: str) -> None:
        """
        Run a command that must end in an error: a sentence, and nothing else.
        """
        before = set(os.listdir(sandbox.path))
        status, output = sandbox.run(command)
        for process in sandbox.processes():  # a daemon reports before it ends
            process.waitForEnd()
        self.assertGreater(status, 0)
        parts, terminal = sentence.split("..."), output.decode()
        path = sandbox.path / "twistd.log"
        if path.exists():
            for part in parts:
                self.assertIn(part, path.read_text())
            self.assertNotIn("Traceback", path.read_text())
            # twistd prints the first 100 bytes of what went wrong in a daemon.
            parts = [parts[0][:60]]
        for part in parts:
            self.assertIn(part, terminal)
        self.assertNotIn("Traceback", terminal)
        left = set(os.listdir(sandbox.path)) - before - {"twistd.log"}
        self.assertEqual(left, set(), "left behind")

    def tryStart(self, name: str) -> str:
        """
        Try one start, in the foreground and as a daemon.

        @return: what is wrong with how it ends.
        """
        sandbox, arguments, sentence = self.starts[name]
        for twistd in ("twistd -n", "twistd"):
            try:
                self.assertRefuses(sandbox, f"{twistd} {arguments}", sentence)
            except AssertionError as error:
                return f"{twistd}, {name}: {error}"
        return ""

    def assertNoneStarts(self) -> None:
        """
        Try all starts.
        """
        with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
            wrong = "\n\n".join(filter(None, pool.map(self.tryStart, self.starts)))
        self.assertEqual(wrong, "", wrong)
