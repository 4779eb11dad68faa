"""
The commands that are C{twistd} with a plugin named, as real processes.
"""

from __future__ import annotations

import os
import re
import signal

from twisted.trial.unittest import SynchronousTestCase

from sandbox import POEM, Sandbox, fetch, findCommand, quoted
from tests.refusals import RefusalTestCase


class CommandTests(SynchronousTestCase):
    """
    Servers that are not started with C{twistd}.
    """

    def test_serve(self) -> None:
        """
        C{fastpoetry} and C{python -m fastpoetry} serve a poem in the foreground, and
        leave no file.
        """
        for command in ("fastpoetry", "python -m fastpoetry"):
            sandbox = Sandbox(self.addCleanup)
            server = sandbox.foreground(f"{command} --port 0 --poem poem.txt")
            (port,) = server.ports
            self.assertEqual(fetch(port), POEM)
            self.assertEqual(set(os.listdir(sandbox.path)), {"poem.txt", "stdout"})
            self.assertEqual(server.stop(), -signal.SIGTERM)

    def test_network(self) -> None:
        """
        So do C{poetry-proxy} and C{poetry-transform}.
        """
        origin = Sandbox(self.addCleanup)
        (port,) = origin.foreground("fastpoetry -p 0 --poem poem.txt").ports
        proxy = Sandbox(self.addCleanup).foreground(
            f"poetry-proxy --port 0 --upstream {port}", ["listening on "]
        )
        self.assertEqual(fetch(proxy.ports[0]), POEM)
        transform = Sandbox(self.addCleanup).foreground(
            "poetry-transform --port 0", ["listening on "]
        )
        command = f"get-poetry --transform cummingsify {port} --transform-server"
        status, poem = origin.run(f"{command} {transform.ports[0]}")
        self.assertEqual((status, poem), (0, POEM.lower()))

    def test_fullOutput(self) -> None:
        """
        Help that cannot be written is told in a sentence, also by C{twistd}, and help
        that nobody reads is not.
        """
        sandbox = Sandbox(self.addCleanup)
        noSpace = "cannot write to standard output: No space left on device"
        for words in (
            ["fastpoetry"],
            ["poetry-proxy"],
            ["poetry-transform"],
            ["twistd", "fastpoetry"],
        ):
            command = " ".join([quoted(findCommand(words[0])), *words[1:]])
            for script, status, said in [
                (f"{command} --help >/dev/full", 1, f"{words[-1]}: {noSpace}\n"),
                (f"{command} -h >&-", 1, f"{words[-1]}: standard output is closed\n"),
                (f"{command} --version | sleep 0", 0, ""),
            ]:
                ended = sandbox.run(f"sh -c {quoted(script)}")
                self.assertEqual(ended, (status, said.encode()))


class RefusalTests(RefusalTestCase):
    """
    Commands that must not start.
    """

    def test_refused(self) -> None:
        """
        A mistake is one line and status 1, and what fails at the start a sentence in
        the log.
        """
        sandbox = Sandbox(self.addCleanup)
        for command in ("fastpoetry", "python -m fastpoetry"):
            status, output = sandbox.run(f"{command} --poem nosuch")
            sentence = "cannot read the poem: No such file or directory: nosuch"
            self.assertEqual(
                (status, output.decode()), (1, f"fastpoetry: {sentence}\n")
            )
        status, output = sandbox.run(f"fastpoetry --port {self.taken} --poem poem.txt")
        self.assertEqual(status, 1)
        said = re.findall("cannot start: .*", output.decode())
        description = f"tcp:{self.taken}:interface=localhost"
        self.assertEqual(said, [f"cannot start: Address already in use: {description}"])
        self.assertNotIn("Traceback", output.decode())
        self.assertEqual(os.listdir(sandbox.path), ["poem.txt"])
