"""
A server under test: the plain composition, or ours.
"""

from __future__ import annotations

import base64
import random
import re
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sandbox.commands import findCommand, quoted
from sandbox.connections import Address, connect
from sandbox.crowd import Crowd
from sandbox.directory import STARTED, Sandbox
from sandbox.manners import Manners
from sandbox.network import LOOPBACK, UNIX, Loopback, TLSConnections
from sandbox.processes import Server

# A poem of up to about 1 MB fits the kernel's buffers, which hides most faults.
# It is text, since bytes above 127 have a meaning in curl's telnet.
BIG = base64.encodebytes(random.Random(17).randbytes(3_750_000))[:5_000_000]

PLAIN = "plain"
OURS = "ours"
KINDS = (PLAIN, OURS)

# The UNIX socket of a server, in its directory.
SOCKET = "poem.sock"

PLAIN_TAC = Path(__file__).with_name("plain.tac")

# What the plain composition logs: the port it is about to listen on, and that it does.
PLAIN_PORT = r"starting on (\d+)"
PLAIN_STARTED = ("loaded a poem from: ",)


class Subject:
    """
    A server that runs, with C{twistd}, in a directory of its own.

    @ivar kind: one of L{KINDS}.

    @ivar server: its process.

    @ivar sandbox: its directory, with the poem in F{poem.txt}.

    @ivar network: what is between it and its readers.

    @ivar address: where it listens: host and port, or the path of a UNIX socket.
    """

    def __init__(
        self,
        kind: str,
        sandbox: Sandbox,
        server: Server,
        network: Loopback,
        poem: bytes,
    ) -> None:
        self.kind = kind
        self.sandbox = sandbox
        self.server = server
        self.poem = poem
        self.network = network
        self.address: Address
        if network is UNIX:
            self.address = str(sandbox.path / SOCKET)
        else:
            ports = server.ports
            if kind == PLAIN:
                ports = [int(port) for port in re.findall(PLAIN_PORT, server.log)]
            self.address = (network.host, ports[0])

    @contextmanager
    def readers(self, *others: bytes) -> Iterator[Crowd]:
        """
        Have readers for as long as the context lasts.

        @param others: what may come in place of the poem.

        @return: a crowd, empty to begin with.
        """
        network, poems = self.network, [self.poem, *others]
        crowd = Crowd(self.address, poems, network.reader, network.atReaders)
        try:
            yield crowd
        finally:
            crowd.close()

    def connect(self) -> socket.socket:
        """
        @return: a new connection, which blocks.
        """
        with self.network.atReaders():
            return connect(self.address)

    def named(self, text: str = "sending ") -> int:
        """
        @param text: what is in the lines of the log that are meant.

        @return: how many readers these lines name.
        """
        lines = [line for line in self.server.log.splitlines() if text in line]
        if self.kind == PLAIN:  # a line for each
            return len(lines)
        name = "a reader of this machine" if self.network is UNIX else " 127.0.0.1:"
        return sum(line.count(name) for line in lines)

    def waitForNamed(self, count: int) -> None:
        """
        Wait until the log names this many readers to whom a poem is sent.
        """
        what = f"{count} readers in the log"
        self.server.waitUntil(lambda: self.named() >= count, what)

    def idleDescriptors(self) -> int:
        """
        @return: how many descriptors it has open without readers.  There must be none
            when this is called.
        """
        with self.readers() as crowd:
            (reader,) = crowd.add(1, Manners(readsPerSecond=1000))
            crowd.run(30, until=lambda: reader.got > 0)
            return self.server.descriptors() - 1

    def waitFor(self, happened: Callable[[], bool], seconds: float = 30.0) -> float:
        """
        Wait until something has happened.

        @param seconds: for how long at most.

        @return: the seconds that it took; C{seconds} if it did not happen.
        """
        start = time.monotonic()
        while not happened() and time.monotonic() - start < seconds:
            time.sleep(0.01)
        return min(seconds, time.monotonic() - start)

    def flaws(self) -> list[str]:
        """
        @return: what is wrong: a traceback in the log, a pid file that it left when it
            ended.
        """
        flaws = []
        if "Traceback" in self.server.log:
            flaws.append("traceback")
        if self.server.hasEnded() and (self.sandbox.path / "twistd.pid").exists():
            flaws.append("pid file left")
        return flaws


def plainCommand(poem: Path, endpoint: str) -> tuple[dict[str, str], str]:
    """
    @return: the environment of C{twistd} for the plain composition with a line for each
        reader, and its arguments.
    """
    environment = {"FILE": str(poem), "ENDPOINT": endpoint, "LOG": "1"}
    return environment, f"-y {quoted(PLAIN_TAC)}"


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
        sandbox = Sandbox(stack.callback)
        path = sandbox.write("poem.txt", poem)
        sandbox.path.chmod(0o777)  # for whom --uid names, too
        twistd = f"{quoted(findCommand('twistd'))} -n {prefix}"
        if network is UNIX:
            endpoint = f"unix:{sandbox.path / SOCKET}"
        elif isinstance(network, TLSConnections):
            endpoint = f"{sandbox.makeCertificate(port)}:interface={network.host}"
        else:
            endpoint = f"tcp:{port}:interface={network.host}"
        if kind == OURS:
            texts: Sequence[str] = STARTED
            command = (
                f"{twistd} fastpoetry --poem {path} --endpoint {endpoint} {options}"
            )
        else:
            texts = PLAIN_STARTED
            settings, arguments = plainCommand(path, endpoint)
            words = " ".join(f"{name}={value}" for name, value in settings.items())
            command = f"env {words} {twistd} {arguments}"
        if descriptors is not None:
            command = f"prlimit --nofile={descriptors}:{descriptors} {command}"
        with network.atServer():
            server = sandbox.foreground(command, texts)
        yield Subject(kind, sandbox, server, network, poem)
