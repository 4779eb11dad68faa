"""
Real processes for the end-to-end tests.  Nothing here waits for a fixed time:
what is waited for ends the wait, and L{DEADLINE} is there for what never comes.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import IO, Any
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
POEM = (ROOT / "poetry" / "ecstasy.txt").read_bytes()

# So many seconds are enough on the busiest machine.
DEADLINE = 60.0

# What a server says when it listens and has a poem.
STARTED = ("listening on ", "loaded a poem from: ")

# The variable by which the processes of a test are found again: a daemon is
# nobody's child, and one that went wrong may have no pid file.
MARK = "FASTPOETRY_TEST_DIRECTORY"


def findCommand(name: str) -> str:
    """
    Find a command: beside the interpreter first, where C{twistd} is.

    @raise SkipTest: when it is not installed; in CI, where all must be, that is an
        L{AssertionError}.
    """
    beside = os.path.join(os.path.dirname(sys.executable), name)
    found = shutil.which(beside) or shutil.which(name)
    if found is None:
        missing = AssertionError if os.environ.get("CI") else SkipTest
        raise missing(f"{name} is not installed")
    return found


def quoted(path: object) -> str:
    """
    @return: a path, as a word of a command: a checkout may be anywhere.
    """
    return shlex.quote(str(path))


def holdPort(addCleanup: Callable[..., Any], option: int) -> int:
    """
    Hold a port, on which only servers of the test can listen meanwhile, and from
    which nobody connects.

    @param addCleanup: of the test.

    @param option: C{SO_REUSEADDR}, when they do so one after the other, or
        C{SO_REUSEPORT}, when they share it.
    """
    holder = socket.socket()
    addCleanup(holder.close)
    holder.setsockopt(socket.SOL_SOCKET, option, 1)
    # Not 127.0.0.1: a server on all addresses could not have a port that somebody
    # uses on another one.
    holder.bind(("0.0.0.0", 0))
    port: int = holder.getsockname()[1]
    return port


def connect(address: int | Path, buffer: int | None = None) -> socket.socket:
    """
    Connect to a port of this machine, or to a UNIX socket.

    @param buffer: how much the kernel may hold that nobody has read.
    """
    isPort = isinstance(address, int)
    reader = socket.socket(socket.AF_INET if isPort else socket.AF_UNIX)
    reader.settimeout(DEADLINE)
    if buffer is not None:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    try:
        reader.connect(("127.0.0.1", address) if isPort else str(address))
    except OSError:
        reader.close()
        raise
    return reader


def readAll(reader: socket.socket) -> bytes:
    """
    Read until a clean end, and close.
    """
    with reader:
        return b"".join(iter(lambda: reader.recv(2**16), b""))


def fetch(address: int | Path) -> bytes:
    """
    Get a poem.
    """
    return readAll(connect(address))


class Process:
    """
    A process, be it a child of this one or not.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            os.close(self._fd)

    def signal(self, number: signal.Signals) -> None:
        """
        Send it a signal.
        """
        signal.pidfd_send_signal(self._fd, number)

    def hasEnded(self, seconds: float = 0.0) -> bool:
        """
        @param seconds: how long to wait for its end.
        """
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def waitForEnd(self) -> None:
        """
        @raise AssertionError: when it does not end.
        """
        if not self.hasEnded(DEADLINE):
            raise AssertionError(f"process {self.pid} does not end")


class Server(Process):
    """
    A running C{twistd} or C{twist}.

    @ivar logPath: the file with its log.
    """

    def __init__(
        self, pid: int, logPath: Path, child: subprocess.Popen[bytes] | None = None
    ) -> None:
        super().__init__(pid)
        self.logPath = logPath
        self._child = child

    @property
    def log(self) -> str:
        """
        All that is in its log.
        """
        return self.logPath.read_text("utf-8", "replace")

    @property
    def ports(self) -> list[int]:
        """
        Where it listens, in the order in which it began to.
        """
        return [int(port) for port in re.findall(r"listening on \S+:(\d+)", self.log)]

    @property
    def readers(self) -> int:
        """
        How many readers its log names.  Those who come together share a line.
        """
        lines = re.findall(r"sending \d+ bytes of poetry to .*", self.log)
        return sum(line.count("127.0.0.1:") for line in lines)

    def waitUntil(self, happened: Callable[[], bool], what: str) -> None:
        """
        Look for something that the process does, until it has done it.

        @raise AssertionError: when the process ends, or the time does, without.
        """
        deadline = time.monotonic() + DEADLINE
        while not happened():
            isOver = self.hasEnded(0.01) or time.monotonic() > deadline
            if isOver and not happened():
                raise AssertionError(f"no {what}; the log is:\n{self.log}")

    def waitForLog(self, text: str, times: int = 1) -> None:
        """
        Wait for something to be in its log.
        """
        self.waitUntil(lambda: self.log.count(text) >= times, f"{text!r} in the log")

    def rotate(self) -> Path:
        """
        Have it rotate its log.

        @return: the file with the old log.
        """
        new, old = self.logPath, self.logPath.with_name(self.logPath.name + ".1")
        self.signal(signal.SIGUSR1)
        self.waitUntil(lambda: old.exists() and new.exists(), "rotation of the log")
        return old

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int | None:
        """
        Stop it, and see that there is no traceback in its log.

        @return: its exit status, if it is a child of this process.
        """
        self.signal(number)
        self.waitForEnd()
        if "Traceback" in self.log:
            raise AssertionError(self.log)
        return None if self._child is None else self._child.wait()


class Ground:
    """
    A new directory, with a poem in F{poem.txt}, in which a test runs commands.
    None of their processes outlives the test.
    """

    def __init__(self, addCleanup: Callable[..., Any], poem: bytes = POEM) -> None:
        """
        @param addCleanup: of the test.
        """
        self.path = Path(tempfile.mkdtemp(prefix="fastpoetry-")).resolve()
        self.path.chmod(0o755)  # for those who are not root, too
        self.write("poem.txt", poem)
        self._environment = {**os.environ, MARK: str(self.path)}
        others = self._environment.get("PYTHONPATH")
        self._environment["PYTHONPATH"] = f"{ROOT}:{others}" if others else str(ROOT)
        self._children: list[subprocess.Popen[bytes]] = []
        addCleanup(shutil.rmtree, self.path)
        addCleanup(self._end)

    def write(self, name: str, content: bytes) -> Path:
        """
        Write a file.

        @return: its absolute path.
        """
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    def writeTac(self, tac: str = "fastpoetry.tac", /, **edits: object) -> None:
        """
        Write a copy of a .tac file that listens on a port that the system chooses,
        or what else its settings are edited to.  F{fastpoetry.tac} serves
        F{poem.txt}.

        @param tac: its path in the checkout.
        """
        path = ROOT / tac
        text = path.read_text()
        if tac == "fastpoetry.tac":
            edits = {"poetry_file": "poem.txt", **edits}
        for name, value in {"port": 0, **edits}.items():
            old = re.findall(f"(?m)^{name} = .*$", text)
            if len(old) != 1:
                raise AssertionError(f"{tac} sets {name} so: {old}")
            text = text.replace(old[0], f"{name} = {value!r}")
        self.write(path.name, text.encode())

    def run(
        self,
        command: str,
        says: bytes = b"",
        cwd: str = ".",
        environment: Mapping[str, str] = {},
    ) -> tuple[int, bytes]:
        """
        Run a command to its end.

        @param says: what is piped into it.

        @return: its exit status, and all that it printed.
        """
        # A pipe would be held open by a daemon that keeps its standard output.
        with tempfile.TemporaryFile() as output:
            child = self._start(command, output, cwd, environment)
            assert child.stdin is not None
            with suppress(BrokenPipeError), child.stdin:  # it may have ended by now
                child.stdin.write(says)
            Process(child.pid).waitForEnd()
            output.seek(0)
            return child.wait(), output.read()

    def makeCertificate(self, port: int = 0) -> str:
        """
        Make a key on the curve P-256, and a certificate for C{localhost} that nobody
        has signed.

        @param port: for the endpoint; by default one that the system chooses.

        @return: the description of an endpoint with them; the certificate is in
            F{cert.pem}, and no other file has a name like that: clients can be told
            to trust what is in the directory.
        """
        command = (
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
            "-subj /CN=localhost -addext subjectAltName=DNS:localhost"
        )
        status, output = self.run(f"{command} -keyout key -out cert.pem")
        if status != 0:
            raise AssertionError(f"openssl ended with {status}: {output!r}")
        return f"ssl:{port}:privateKey=key:certKey=cert.pem"

    def daemon(
        self,
        arguments: str,
        log: str = "twistd.log",
        pidfile: str = "twistd.pid",
        environment: Mapping[str, str] = {},
    ) -> Server:
        """
        Start a daemon with C{twistd}.

        @param log: where its log will be.

        @param pidfile: where its pid file will be.
        """
        status, terminal = self.run(f"twistd {arguments}", environment=environment)
        if status != 0:
            raise AssertionError(f"twistd ended with {status}: {terminal!r}")
        return Server(int((self.path / pidfile).read_text()), self.path / log)

    def foreground(self, command: str, texts: Sequence[str] = STARTED) -> Server:
        """
        Start a command that stays.  Its log is its standard output.

        @param texts: what to wait for in that; by default, that it listens and has a
            poem.
        """
        log = self.path / "stdout"
        with log.open("wb") as output:
            child = self._start(command, output, ".", {})
        assert child.stdin is not None
        child.stdin.close()
        server = Server(child.pid, log, child)
        for text in texts:
            server.waitForLog(text)
        return server

    def processes(self) -> list[Process]:
        """
        Find all processes that were started here, and theirs.
        """
        mark = os.fsencode(f"{MARK}={self.path}")
        found = []
        for directory in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (directory / "environ").read_bytes().split(b"\0"):
                    found.append(Process(int(directory.name)))
            except OSError:  # it has ended meanwhile, or is somebody else's
                continue
        return found

    def _start(
        self, command: str, output: IO[bytes], cwd: str, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        name, *arguments = shlex.split(command)
        child = subprocess.Popen(
            [findCommand(name), *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=self.path / cwd,
            env={**self._environment, **environment},
        )
        self._children.append(child)
        return child

    def _end(self) -> None:
        while processes := self.processes():  # they may be starting others
            for process in processes:
                process.signal(signal.SIGKILL)
                process.waitForEnd()
        for child in self._children:
            child.communicate()  # which closes its input


class RefusalTestCase(SynchronousTestCase):
    """
    Makes starts that must not succeed, and sees that none does.
    """

    def setUp(self) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.taken = listener.getsockname()[1]
        self.starts: dict[str, tuple[Ground, str, str]] = {}

    def addStart(
        self, name: str, arguments: str, sentence: str, **edits: object
    ) -> Ground:
        """
        Add a start that must not succeed.

        @param arguments: those of C{twistd}.

        @param sentence: what answers them.

        @param edits: those in the .tac file.
        """
        ground = Ground(self.addCleanup)
        os.mkfifo(ground.path / "fifo")
        names = {"dir": ground.path, "taken": self.taken}
        for setting, value in edits.items():
            edits[setting] = value.format(**names) if isinstance(value, str) else value
        ground.writeTac(**edits)
        self.starts[name] = (
            ground,
            arguments.format(**names),
            sentence.format(**names),
        )
        return ground

    def assertRefuses(self, ground: Ground, command: str, sentence: str) -> None:
        """
        Run a command that must end in an error: a sentence, and nothing else.
        """
        before = set(os.listdir(ground.path))
        status, output = ground.run(command)
        for process in ground.processes():  # a daemon reports before it ends
            process.waitForEnd()
        self.assertGreater(status, 0)
        parts, terminal = sentence.split("..."), output.decode()
        path = ground.path / "twistd.log"
        if path.exists():
            for part in parts:
                self.assertIn(part, path.read_text())
            self.assertNotIn("Traceback", path.read_text())
            # twistd prints the first 100 bytes of what went wrong in a daemon.
            parts = [parts[0][:60]]
        for part in parts:
            self.assertIn(part, terminal)
        self.assertNotIn("Traceback", terminal)
        left = set(os.listdir(ground.path)) - before - {"twistd.log"}
        self.assertEqual(set(), left, "left behind")

    def tryStart(self, name: str) -> str:
        """
        Try one start, in the foreground and as a daemon.

        @return: what is wrong with how it ends.
        """
        ground, arguments, sentence = self.starts[name]
        for twistd in ("twistd -n", "twistd"):
            try:
                self.assertRefuses(ground, f"{twistd} {arguments}", sentence)
            except AssertionError as error:
                return f"{twistd}, {name}: {error}"
        return ""

    def assertNoneStarts(self) -> None:
        """
        Try all starts.
        """
        with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
            wrong = "\n\n".join(filter(None, pool.map(self.tryStart, self.starts)))
        self.assertEqual("", wrong, wrong)
