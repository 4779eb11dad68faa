"""
The servers of one comparison.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.cost.contenders import BY_NAME, Contender, build
from benchmarks.cost.running import Running, Setting, cores
from sandbox import POEM, ROOT, freePort
from sandbox.certificate import certify
from sandbox.connections import Address
from sandbox.network import LOOPBACK, Loopback

POEM_FILE = ROOT / "poetry" / "ecstasy.txt"
SMALL = len(POEM)


class Ring:
    """
    The contenders of one comparison, in a directory of their own, as a context.
    They run at once, and are idle but for the one that is loaded.

    @ivar directory: where the files are that all of them use.
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

    def __enter__(self) -> Ring:
        directory = tempfile.TemporaryDirectory(prefix="fastpoetry-")
        self.directory = Path(self._stack.enter_context(directory))
        build(self.directory, isTLS=self._key is not None)
        pem = None
        if self._key is not None:
            pem = self.directory / "pem"
            certify(self._key, pem, pem)
        self._setting = Setting(self._network, self.directory, pem)
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

        @param poem: the file with its poem.

        @param prefix: a command that runs it.

        @param port: where it listens; by default on a free one.

        @param core: where it runs; by default on the first of L{cores}.
        """
        own = Path(tempfile.mkdtemp(dir=self.directory))
        address: Address = (self._network.host, port or freePort())
        if self._isUnix:
            address = str(own / "socket")
        core = cores()[0] if core is None else core
        place = ["taskset", "-c", str(core), *prefix]
        running = Running(self._setting, contender, address, poem, own, place)
        self._stack.callback(running.stop)
        return running

    def serve(self, names: Iterable[str], poem: Path = POEM_FILE) -> list[Running]:
        """
        Start contenders, and wait until they serve.

        @return: those whose needs are there.
        """
        found = [BY_NAME[name] for name in names if not BY_NAME[name].isMissing]
        servers = [self.start(contender, poem) for contender in found]
        for server in servers:
            server.waitUntilServing()
        return servers
