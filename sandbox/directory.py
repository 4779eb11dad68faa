"""
A directory in which commands are run.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from sandbox.certificate import P256, certify
from sandbox.commands import ROOT, findCommand
from sandbox.processes import Process, Server

POEM = (ROOT / "poetry" / "ecstasy.txt").read_bytes()

# What a server says when it listens and has a poem.
STARTED = ("listening on ", "loaded a poem from: ")

# The variable by which the processes of a sandbox are found again: a daemon is
# nobody's child, and one that went wrong may have no pid file.
SANDBOX_VARIABLE = "FASTPOETRY_SANDBOX"


class Sandbox:
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
        self._environment = {**os.environ, SANDBOX_VARIABLE: str(self.path)}
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
        certify(P256, self.path / "cert.pem", self.path / "key")
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
        mark = os.fsencode(f"{SANDBOX_VARIABLE}={self.path}")
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
                with suppress(ProcessLookupError):  # it has ended meanwhile
                    process.signal(signal.SIGKILL)
                process.waitForEnd()
        for child in self._children:
            child.communicate()  # which closes its input
