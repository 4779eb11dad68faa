"""
A server under test: the plain composition, or ours.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.crowd import Address, Crowd, Manners
from benchmarks.network import LOOPBACK, UNIX, Loopback, TLSConnections
from tests.processes import Ground, Server, findCommand, quoted

PLAIN = "plain"
OURS = "ours"
KINDS = (PLAIN, OURS)

PLAIN_TAC = Path(__file__).with_name("plain.tac")


class Subject:
    """
    A server that runs, with C{twistd}, in a directory of its own.

    @ivar kind: one of L{KINDS}.

    @ivar server: its process.

    @ivar ground: its directory, with the poem in F{poem.txt}.

    @ivar network: what is between it and its readers.

    @ivar address: where it listens: host and port, or the path of a UNIX socket.
    """

    def __init__(
        self, kind: str, ground: Ground, server: Server, network: Loopback, poem: bytes
    ) -> None:
        self.kind = kind
        self.ground = ground
        self.server = server
        self.poem = poem
        self.network = network
        self.address: Address
        if network is UNIX:
            self.address = str(socketPath(ground))
        else:
            (port, *_) = server.ports
            self.address = (network.host, port)

    def crowd(self, *others: bytes) -> Crowd:
        """
        @param others: what may come in place of the poem.

        @return: a crowd of readers, none yet.
        """
        network, poems = self.network, [self.poem, *others]
        return Crowd(self.address, poems, network.reader, network.atReaders)

    @contextmanager
    def readers(self, *others: bytes) -> Iterator[Crowd]:
        """
        A crowd that is sent away in the end.
        """
        crowd = self.crowd(*others)
        try:
            yield crowd
        finally:
            crowd.close()

    def connect(self) -> socket.socket:
        """
        @return: a connection that waits.
        """
        with self.network.atReaders():
            return connect(self.address)

    def named(self, text: str = "sending ") -> int:
        """
        @param text: what is in the lines of the log that are meant.

        @return: how many readers these lines name.
        """
        lines = (line for line in self.server.log.splitlines() if text in line)
        name = "a reader of this machine" if self.network is UNIX else " 127.0.0.1:"
        if self.kind == PLAIN:
            name = "Address("
        return sum(line.count(name) for line in lines)

    def waitForNamed(self, count: int) -> None:
        """
        Wait until the log names so many readers who are sent a poem.  Those who come
        together share a line.
        """
        what = f"{count} readers in the log"
        self.server.waitUntil(lambda: self.named() >= count, what)

    def processorTime(self) -> float:
        """
        @return: the seconds of processor time that it has used.
        """
        fields = self._read("stat").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """
        @return: its resident memory, in KiB.
        """
        (size,) = re.findall(r"VmRSS:\s+(\d+) kB", self._read("status"))
        return int(size)

    def descriptors(self) -> int:
        """
        @return: how many descriptors it has open.
        """
        return len(os.listdir(f"/proc/{self.server.pid}/fd"))

    def idleDescriptors(self) -> int:
        """
        @return: how many descriptors it has open when nobody is connected; to be
            asked when nobody is.
        """
        with self.readers() as crowd:
            (reader,) = crowd.add(1, Manners(readsPerSecond=1000))
            crowd.run(30, until=lambda: reader.got > 0)
            return self.descriptors() - 1

    def waitFor(self, happened: Callable[[], bool], seconds: float = 30.0) -> float:
        """
        Wait until something is so.

        @return: the seconds that it took; C{seconds} when it did not happen.
        """
        start = time.monotonic()
        while not happened() and time.monotonic() - start < seconds:
            time.sleep(0.01)
        return min(seconds, time.monotonic() - start)

    def flaws(self) -> list[str]:
        """
        @return: what is wrong with how it ended, if it has: a traceback in the
            log, a pid file that was left.
        """
        flaws = []
        if "Traceback" in self.server.log:
            flaws.append("traceback")
        if self.server.hasEnded() and (self.ground.path / "twistd.pid").exists():
            flaws.append("pid file left")
        return flaws

    def _read(self, name: str) -> str:
        return Path(f"/proc/{self.server.pid}/{name}").read_text()


def connect(address: Address) -> socket.socket:
    """
    @param address: host and port, or the path of a UNIX socket.

    @return: a connection that waits.
    """
    if not isinstance(address, str):
        return socket.create_connection(address)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def socketPath(ground: Ground) -> Path:
    """
    @return: where a server of this directory has its UNIX socket.
    """
    return ground.path / "poem.sock"


def plainSettings(poem: Path, host: str, port: int) -> dict[str, str]:
    """
    @return: the environment that has the settings of the plain composition.
    """
    return {"PLAIN_POEM": str(poem), "PLAIN_PORT": str(port), "PLAIN_IFACE": host}


@contextmanager
def running(
    kind: str,
    poem: bytes,
    options: str = "",
    network: Loopback = LOOPBACK,
    port: int = 0,
    descriptors: int | None = None,
    prefix: str = "",
) -> Iterator[Subject]:
    """
    Run a server for as long as the context lasts.

    @param kind: one of L{KINDS}.

    @param poem: what it serves.

    @param options: more options of ours; the plain composition has none.

    @param network: where.

    @param port: its port, or 0 for one that the system chooses.

    @param descriptors: how many it may have, if not as many as this process.

    @param prefix: options of C{twistd} itself.
    """
    with ExitStack() as stack:
        ground = Ground(stack.callback)
        path = ground.write("poem.txt", poem)
        ground.path.chmod(0o777)  # for whom --uid names, too
        command = f"{quoted(findCommand('twistd'))} -n {prefix}"
        endpoint = None
        if network is UNIX:
            endpoint = f"unix:{socketPath(ground)}"
        elif isinstance(network, TLSConnections):
            endpoint = f"{ground.makeCertificate(port)}:interface={network.host}"
        if kind == OURS:
            where = f"--port {port} --iface {network.host}"
            if endpoint is not None:
                where = f"--endpoint {endpoint}"
            command += f" fastpoetry --poem {path} {where} {options}"
        else:
            settings = plainSettings(path, network.host, port)
            if endpoint is not None:
                settings["PLAIN_ENDPOINT"] = endpoint
            words = " ".join(f"{name}={value}" for name, value in settings.items())
            command = f"env {words} {command} -y {quoted(PLAIN_TAC)}"
        if descriptors is not None:
            command = f"prlimit --nofile={descriptors}:{descriptors} {command}"
        with network.atServer():
            server = ground.foreground(command)
        yield Subject(kind, ground, server, network, poem)
