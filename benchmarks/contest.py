"""
Servers that run side by side on one core, and are loaded in turn from another.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.contenders import BY_NAME, Contender, build, fill
from sandbox import POEM, ROOT, freePort
from sandbox.certificate import NAME, certify
from sandbox.network import LOOPBACK, Loopback

POEM_FILE = ROOT / "poetry" / "ecstasy.txt"
SMALL = len(POEM)

# So many seconds are enough for a server to start, and to let go of its readers.
PATIENCE = 20.0


def cores() -> tuple[int, int]:
    """
    @return: the core of the servers and that of the load: the last two that this
        process may use, which are one where there is only one.
    """
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[-2:][0], allowed[-1]


def runLoad(
    built: Path, address: str, poem: Path, poems: int, readers: int
) -> dict[str, float]:
    """
    Read poems from a server, on the core of the load.

    @param built: where L{build} has put things.

    @param address: where it listens, as F{address.h} has it.

    @return: what F{load.c} says.
    """
    command = [built / "load", address, poem, poems, readers]
    output = subprocess.run(
        ["taskset", "-c", str(cores()[1]), *map(str, command)],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    result: dict[str, float] = json.loads(output)
    return result


@dataclass
class Sample:
    """
    What one load did to one server.

    @ivar processor: nanoseconds of processor time for each poem.

    @ivar waited: the share of the time in which the server could have run and did
        not, since something else had its core.

    @ivar rate: poems per second.

    @ivar p50, p99, p999, slowest: quantiles of the time from C{connect} to the end
        of the poem, in microseconds.

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


class Running:
    """
    A contender that runs.

    @ivar contender: which one.

    @ivar address: where it listens, as F{address.h} has it.

    @ivar log: the file with its log, if it has one.
    """

    def __init__(
        self,
        contender: Contender,
        address: str,
        poem: Path,
        directory: Path,
        built: Path,
        prefix: Sequence[str] = (),
        core: int | None = None,
        network: Loopback = LOOPBACK,
        pem: Path | None = None,
    ) -> None:
        """
        Start it.

        @param address: where it is to listen, as F{address.h} has it.

        @param poem: the file with the poem.

        @param directory: a directory of its own.

        @param built: where L{build} has put things.

        @param prefix: a command that runs it.

        @param core: where it runs; by default on the first of L{cores}.

        @param network: what is between it and its readers.

        @param pem: a file with a key and its certificate, when it is to talk TLS.
        """
        self.contender = contender
        self.address = address
        self.log = directory / "log"
        self._poem = poem
        self._built = built
        self._network = network
        self._context = None if pem is None else ssl.create_default_context(cafile=pem)
        core = cores()[0] if core is None else core
        command = fill(contender, address, poem, directory, built, pem)
        self.started = time.monotonic()
        with network.atServer(), (directory / "terminal").open("wb") as terminal:
            self._child = subprocess.Popen(
                ["taskset", "-c", str(core), *prefix, *command],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=terminal,
                start_new_session=True,
            )
        self.pid = self._child.pid

    @property
    def port(self) -> int:
        """
        The TCP port where it listens.
        """
        return int(self.address.rpartition(":")[2])

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        """
        Be a reader, for as long as the context lasts.
        """
        isUnix = "/" in self.address
        with self._network.atReaders():
            reader = socket.socket(socket.AF_UNIX if isUnix else socket.AF_INET)
        with reader:
            reader.settimeout(PATIENCE)
            host = self._network.host
            reader.connect(self.address if isUnix else (host, self.port))
            if self._context is None:
                yield reader
                return
            with self._context.wrap_socket(reader, server_hostname=NAME) as talking:
                yield talking

    def waitUntilServing(self) -> float:
        """
        Wait until somebody gets a poem.

        @return: how many seconds after the start that was.

        @raise RuntimeError: when that does not happen.
        """
        size = self._poem.stat().st_size
        while time.monotonic() - self.started < PATIENCE:
            try:
                with self.connection() as reader:
                    if sum(map(len, iter(lambda: reader.recv(2**16), b""))) == size:
                        return time.monotonic() - self.started
            except OSError:
                if self._child.poll() is not None:
                    break
            time.sleep(0.002)
        terminal = self.log.with_name("terminal").read_text()
        raise RuntimeError(f"{self.contender.name} does not serve: {terminal}")

    def processorTime(self) -> tuple[int, int]:
        """
        @return: nanoseconds in which it had a processor, and in which it waited for
            one.
        """
        sums = [0, 0]
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            ran, waited, _ = map(int, (task / "schedstat").read_text().split())
            sums[0] += ran
            sums[1] += waited
        return sums[0], sums[1]

    def shareOfUser(self) -> float:
        """
        @return: what part of its processor time was not the kernel's.
        """
        text = Path(f"/proc/{self.pid}/stat").read_text()
        user, system = map(int, text.rpartition(")")[2].split()[11:13])
        return user / max(1, user + system)

    def memory(self) -> int:
        """
        @return: the most memory that it had at once, in bytes.
        """
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(text.partition("VmHWM:")[2].split()[0]) * 1024

    def logged(self) -> int:
        """
        @return: how many bytes of log it has written, old files of it included.
        """
        return sum(path.stat().st_size for path in self._logs())

    def namedInLog(self) -> int:
        """
        @return: how many readers its log names.
        """
        return sum(path.read_bytes().count(b"127.0.0.1:") for path in self._logs())

    def _logs(self) -> list[Path]:
        return list(self.log.parent.glob("log*"))

    def descriptors(self) -> int:
        """
        @return: how many descriptors it has open.
        """
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def settle(self, descriptors: int) -> None:
        """
        Wait until it has let go of its readers.

        @param descriptors: how many it had open before they came.
        """
        deadline = time.monotonic() + PATIENCE
        while self.descriptors() > descriptors and time.monotonic() < deadline:
            time.sleep(0.005)

    def load(self, poems: int, readers: int = 64) -> Sample:
        """
        Have it send poems.

        @param readers: to how many readers at once.
        """
        logged = self.logged()
        descriptors, before = self.descriptors(), self.processorTime()
        with self._network.atReaders():
            result = runLoad(self._built, self.address, self._poem, poems, readers)
        self.settle(descriptors)
        after = self.processorTime()
        ran, waited = (b - a for a, b in zip(before, after))
        return Sample(
            processor=ran / poems,
            waited=waited / max(1, ran + waited),
            rate=result["whole"] / result["seconds"],
            p50=result["p50"],
            p99=result["p99"],
            p999=result["p999"],
            slowest=result["max"],
            logged=self.logged() - logged,
            poems=poems,
            wrong=poems - int(result["whole"]),
            tickets=result["tickets"] / poems,
        )

    def stop(self) -> None:
        """
        End it, and what it runs under.
        """
        # Only SIGKILL is quick with all of them, and strace waits for its child.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._child.wait()


class Ring:
    """
    The contenders of one comparison, in a directory of their own, as a context.
    They run at once, and are idle but for the one that is loaded.
    """

    def __init__(
        self, network: Loopback = LOOPBACK, isUnix: bool = False, key: str | None = None
    ) -> None:
        """
        @param network: what is between the contenders and their readers.

        @param isUnix: whether they listen on UNIX sockets, in place of TCP ports.

        @param key: what their certificate is made for when they are to talk TLS: one of
            L{KEYS <sandbox.certificate.KEYS>}.
        """
        self._stack = ExitStack()
        self._network = network
        self._isUnix = isUnix
        self._key = key
        self._pem: Path | None = None

    def __enter__(self) -> Ring:
        directory = tempfile.TemporaryDirectory(prefix="fastpoetry-")
        self.directory = Path(self._stack.enter_context(directory))
        build(self.directory, isTLS=self._key is not None)
        if self._key is not None:
            self._pem = self.directory / "pem"
            certify(self._key, self._pem, self._pem)
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    def file(self, name: str, content: bytes) -> Path:
        """
        Write a file.
        """
        path = self.directory / name
        path.write_bytes(content)
        return path

    def poem(self, size: int) -> Path:
        """
        Write a poem: L{POEM} again and again, up to a size.
        """
        return self.file(f"{size}.txt", (POEM * (size // SMALL + 1))[:size])

    def start(
        self,
        contender: Contender,
        poem: Path = POEM_FILE,
        prefix: Sequence[str] = (),
        port: int | None = None,
        core: int | None = None,
    ) -> Running:
        """
        Start a contender, see L{Running}; it ends with the context.

        @param port: where it listens; by default on a free one.
        """
        own = Path(tempfile.mkdtemp(dir=self.directory))
        address = f"{self._network.host}:{port or freePort()}"
        if self._isUnix:
            address = str(own / "socket")
        running = Running(
            contender,
            address,
            poem,
            own,
            self.directory,
            prefix,
            core,
            self._network,
            self._pem,
        )
        self._stack.callback(running.stop)
        return running

    def serve(self, names: Iterable[str], poem: Path = POEM_FILE) -> list[Running]:
        """
        Start contenders, and wait until they serve.

        @return: those whose needs are there.
        """
        found = [BY_NAME[name] for name in names if not BY_NAME[name].missing]
        servers = [self.start(contender, poem) for contender in found]
        for server in servers:
            server.waitUntilServing()
        return servers


# By the name of the contender, one for each round.
Samples = dict[str, list[Sample]]


def compete(
    servers: Sequence[Running],
    rounds: int,
    poems: int,
    readers: int = 64,
    tell: Callable[[str], None] = lambda text: None,
) -> Samples:
    """
    Load servers in turn, in an order that changes.

    @param poems: how many each sends in a round.

    @param readers: to how many readers at once.

    @param tell: is told how far it is.

    @return: the samples of each.
    """
    samples: Samples = {server.contender.name: [] for server in servers}
    for server in servers:
        server.load(max(poems // 4, readers), readers)  # to warm it up
    for number in range(rounds):
        first = number % len(servers)
        for server in (*servers[first:], *servers[:first]):
            samples[server.contender.name].append(server.load(poems, readers))
        tell(f"round {number + 1} of {rounds}")
    return samples


def ratios(
    samples: list[Sample], others: list[Sample], what: str = "processor"
) -> list[float]:
    """
    Compare two servers, pair by pair.

    @param what: the attribute of L{Sample} that is compared.

    @return: a ratio for each round.
    """
    return [getattr(a, what) / getattr(b, what) for a, b in zip(samples, others)]


def spread(values: Iterable[float], form: str = ".2f") -> str:
    """
    @return: the median, and in brackets the lowest and the highest.
    """
    values = list(values)
    low, high = min(values), max(values)
    return f"{median(values):{form}} ({low:{form}} to {high:{form}})"


def cost(samples: Iterable[Sample]) -> str:
    """
    @return: microseconds of processor time for a poem, as L{spread} has them.
    """
    return spread((sample.processor / 1000 for sample in samples), ".1f")


def wrong(samples: Iterable[Sample]) -> str:
    """
    @return: how many poems were wrong.
    """
    return str(sum(sample.wrong for sample in samples))


def table(rows: Sequence[Sequence[str]]) -> str:
    """
    @param rows: the first of which is the head.

    @return: a table in Markdown; words stand left in it, and numbers right.
    """
    rule = ["---"] + [
        "---" if set(column) <= {"", "yes"} else "---:"
        for column in list(zip(*rows[1:]))[1:]
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in (rows[0], rule, *rows[1:]))
