"""
Servers that run, and what a load does to them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.cost.contenders import Contender, fill, text
from sandbox import ROOT, Process, connect
from sandbox.certificate import NAME
from sandbox.connections import Address
from sandbox.network import Loopback

# So many seconds are enough for a server to start, and to let go of its readers.
PATIENCE = 20.0


def cores() -> tuple[int, int]:
    """
    @return: the core of the servers and that of the load: the last two that this
        process may use, which are one where there is only one.
    """
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[-2:][0], allowed[-1]


@dataclass
class Sample:
    """
    What one load did to one server.

    @ivar processor: microseconds of processor time for each poem.

    @ivar waited: the share of the time in which the server could have run and did
        not, since something else had its core.

    @ivar rate: poems per second.

    @ivar p50, p99, p999, slowest: quantiles of the time from C{connect} to the end
        of the poem, in milliseconds.

    @ivar logged: how many bytes the log has grown.

    @ivar poems: how many poems were asked for.

    @ivar wrong: how many of them were not whole, or had no clean end.

    @ivar tickets: how many tickets for another TLS session came with a poem.
    """

    processor: float
    waited: float
    rate: float
    p50: float
    p99: float
    p999: float
    slowest: float
    logged: int
    poems: int
    wrong: int
    tickets: float


@dataclass(frozen=True)
class Setting:
    """
    What is the same for all servers of a comparison.

    @ivar network: what is between them and their readers.

    @ivar built: where what is compiled is, see L{build}.

    @ivar pem: a file with a key and its certificate, if they talk TLS.
    """

    network: Loopback
    built: Path
    pem: Path | None = None


class Running:
    """
    A contender that runs.

    @ivar contender: which one.

    @ivar address: where it listens.

    @ivar process: what it runs as.

    @ivar log: the file with its log, if it has one.
    """

    def __init__(
        self,
        setting: Setting,
        contender: Contender,
        address: Address,
        poem: Path,
        directory: Path,
        prefix: Sequence[str],
    ) -> None:
        """
        Start it.

        @param address: where it is to listen.

        @param poem: the file with the poem.

        @param directory: a directory of its own.

        @param prefix: a command that runs it.
        """
        self.contender = contender
        self.address = address
        self.log = directory / "log"
        self._poem = poem
        self._setting = setting
        command = fill(contender, address, poem, directory, setting.built, setting.pem)
        self._started = time.monotonic()
        terminal = directory / "terminal"
        with setting.network.atServer(), terminal.open("wb") as output:
            self._child = subprocess.Popen(
                [*prefix, *command],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.process = Process(self._child.pid)

    @property
    def port(self) -> int:
        """
        The TCP port where it listens.
        """
        return int(self.address[1])

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        """
        Be a reader, for as long as the context lasts.
        """
        with self._setting.network.atReaders():
            reader = connect(self.address)
        if self._setting.pem is not None:
            context = ssl.create_default_context(cafile=self._setting.pem)
            reader = context.wrap_socket(reader, server_hostname=NAME)
        with reader:
            yield reader

    def waitUntilServing(self) -> float:
        """
        Wait until somebody gets a poem.

        @return: how many seconds after the start that was.

        @raise RuntimeError: when that does not happen.
        """
        size = self._poem.stat().st_size
        while time.monotonic() - self._started < PATIENCE:
            try:
                with self.connection() as reader:
                    if sum(map(len, iter(lambda: reader.recv(2**16), b""))) == size:
                        return time.monotonic() - self._started
            except OSError:
                if self._child.poll() is not None:
                    break
            time.sleep(0.002)
        terminal = self.log.with_name("terminal").read_text()
        raise RuntimeError(f"{self.contender.name} does not serve: {terminal}")

    def shareOfUser(self) -> float:
        """
        @return: what part of its processor time was not the kernel's.
        """
        fields = Path(f"/proc/{self.process.pid}/stat").read_text()
        user, system = map(int, fields.rpartition(")")[2].split()[11:13])
        return user / max(1, user + system)

    def logs(self) -> list[Path]:
        """
        @return: the files of its log, with the old ones.
        """
        return list(self.log.parent.glob("log*"))

    def settle(self, descriptors: int) -> None:
        """
        Wait until it has let go of its readers.

        @param descriptors: how many it had open before they came.
        """
        deadline = time.monotonic() + PATIENCE
        while self.process.descriptors() > descriptors and time.monotonic() < deadline:
            time.sleep(0.005)

    def load(self, poems: int, readers: int = 64) -> Sample:
        """
        Have it send poems.

        @param readers: to how many readers at once.
        """
        logged = self._logged()
        descriptors = self.process.descriptors()
        before = self.process.processorTime()
        with self._setting.network.atReaders():
            result = self._read(poems, readers)
        self.settle(descriptors)
        after = self.process.processorTime()
        used, waited = after.used - before.used, after.waited - before.waited
        return Sample(
            processor=used * 1e6 / poems,
            waited=waited / max(1e-9, used + waited),
            rate=result["whole"] / result["seconds"],
            p50=result["p50"] / 1000,
            p99=result["p99"] / 1000,
            p999=result["p999"] / 1000,
            slowest=result["max"] / 1000,
            logged=self._logged() - logged,
            poems=poems,
            wrong=poems - int(result["whole"]),
            tickets=result["tickets"] / poems,
        )

    def _read(self, poems: int, readers: int) -> dict[str, float]:
        """
        @return: what F{load.c} says, on the core of the load.
        """
        load = self._setting.built / "load"
        words = [load, text(self.address), self._poem, poems, readers]
        output = subprocess.run(
            ["taskset", "-c", str(cores()[1]), *map(str, words)],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        result: dict[str, float] = json.loads(output)
        return result

    def _logged(self) -> int:
        return sum(path.stat().st_size for path in self.logs())

    def stop(self) -> None:
        """
        End it, and what it runs under.
        """
        # Only SIGKILL is quick with all of them, and strace waits for its child.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()
