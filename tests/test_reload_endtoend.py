"""
Tests of poems that cannot be read for reasons of the machine, with real processes.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

from sandbox import POEM, Sandbox, Server, fetch, findCommand, quoted
from tests.refusals import RefusalTestCase

# The memory of a daemon, in KiB, and the length of a poem that does not fit into it.
LITTLE, HUGE = 1_000_000, 2 * 2**30

# A disk that is gone when the poem is read for the second time.
HANGING = """
import threading
from fastpoetry import files as module

openRegular, opened = module.openRegular, []

def hang(path):
    opened.append(path)
    if len(opened) > 1:
        threading.Event().wait()
    return openRegular(path)

module.openRegular = hang
"""


def makeHuge(path: Path) -> None:
    """
    Make a poem that fits into no little memory, and takes no disk.
    """
    path.touch()
    os.truncate(path, HUGE)


def withLittle(command: str) -> str:
    """
    @return: a command of twistd's, with little memory.
    """
    name, arguments = command.split(" ", 1)
    found = quoted(findCommand(name))
    return f"bash -c 'ulimit -v {LITTLE}; exec \"$@\"' - {found} {arguments}"


class MemoryTests(RefusalTestCase):
    """
    Tests of poems that are too large for the memory.
    """

    def test_start(self) -> None:
        """
        One at the start is refused in a sentence.
        """
        sandbox = Sandbox(self.addCleanup)
        makeHuge(sandbox.path / "huge.txt")
        for twistd in ("twistd -n", "twistd"):
            self.assertRefuses(
                sandbox,
                withLittle(f"{twistd} fastpoetry --port 0 --poem huge.txt"),
                f"Too large for the memory: {sandbox.path}/huge.txt",
            )

    def test_reload(self) -> None:
        """
        One that has become so leaves the old one in service, and costs the other
        poems of the process nothing.
        """
        sandbox = Sandbox(self.addCleanup)
        first, second = sandbox.path / "poem.txt", sandbox.write("other.txt", b"old\n")
        poems = "--poem poem.txt --port 0 --poem other.txt --port 0"
        command = f"twistd -n --pidfile= fastpoetry {poems}"
        server = sandbox.foreground(withLittle(command))
        server.waitForLog("loaded a poem from: ", 2)
        makeHuge(first)
        second.write_bytes(b"new\n")
        server.signal(signal.SIGHUP)
        server.waitForLog(f"kept the old poem: Too large for the memory: {first}")
        server.waitForLog(f"loaded a poem from: {second}", 2)
        self.assertEqual([fetch(port) for port in server.ports], [POEM, b"new\n"])
        server.stop()


class HangingTests(RefusalTestCase):
    """
    Tests of a disk that hangs.
    """

    def hang(self) -> Server:
        """
        Start a daemon, and have it read a poem for ever.
        """
        sandbox = Sandbox(self.addCleanup)
        sandbox.writeTac()
        path = sandbox.path / "fastpoetry.tac"
        path.write_text(HANGING + path.read_text())
        server = sandbox.daemon("-y fastpoetry.tac")
        server.signal(signal.SIGHUP)
        server.waitForLog("received SIGHUP, reloading")
        return server

    def test_serves(self) -> None:
        """
        It keeps nobody from the old poem, and holds up no stop.
        """
        server = self.hang()
        (port,) = server.ports
        self.assertEqual(fetch(port), POEM)
        server.stop()
