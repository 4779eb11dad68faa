"""
How long others wait while a service transforms long poems.

A client asks for one short poem after another, each over a connection of its own, while
this many others do the same with poems of 1 MiB; all on loopback.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import quantiles

from benchmarks.report import table
from sandbox import Sandbox, connect, readAll

SIZE = 2**20

# A name for each kind of long poem, its transform, and what the poem is made of.  In
# upper case the last is three times as long.
KINDS = {
    "English": ("cummingsify", "Here is one of its lines.\n"),
    "nothing but newlines": ("backwards", "\n"),
    "nothing but \u0390": ("proclaim", "\u0390"),
}

# So many ask for them at once.
COUNTS = (1, 16)

SHORT = b"15:proclaim.hi you,"


def longRequest(kind: str) -> bytes:
    """
    @return: a request of up to L{SIZE} bytes.
    """
    name, line = KINDS[kind]
    room = SIZE - len(name) - 1
    payload = f"{name}.{line * (room // len(line.encode()))}".encode()
    return b"%d:%b," % (len(payload), payload)


class Clients:
    """
    Clients who ask for the same again and again.

    @ivar lasted: how many seconds each answer took, from the attempt to connect to the
        end.
    """

    def __init__(self, port: int, request: bytes) -> None:
        self.lasted: list[float] = []
        self._port, self._request = port, request
        self._isOver = False

    def ask(self) -> None:
        """
        Ask until it is over.
        """
        while not self._isOver:
            start = time.perf_counter()
            client = connect(self._port)
            client.sendall(self._request)
            if not readAll(client):
                raise AssertionError("there was no answer")
            self.lasted.append(time.perf_counter() - start)

    @contextmanager
    def asking(self, count: int) -> Iterator[None]:
        """
        Have this many of them ask, each in a thread.
        """
        threads = [threading.Thread(target=self.ask) for _ in range(count)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._isOver = True
            for thread in threads:
                thread.join()


def transforms(rounds: int) -> str:
    """
    Ask for one short transform after another, while others ask for long ones.

    @param rounds: for how many seconds with each kind of long poem.

    @return: how long the answers take, in Markdown.
    """
    with ExitStack() as stack:
        (port,) = Sandbox(stack.callback).daemon("poetry-transform --port 0").ports
        rows = [_row(port, "English", 0, rounds)]
        rows += [_row(port, kind, n, rounds) for kind in KINDS for n in COUNTS]
    head = ["clients", "their poems", "answers a second", "p50, ms", "p99", "slowest"]
    return table(head, rows)


def _row(port: int, kind: str, count: int, seconds: float) -> list[str]:
    """
    @return: how long the answers take beside this many clients with long poems.
    """
    short, long = Clients(port, SHORT), Clients(port, longRequest(kind))
    with long.asking(count), short.asking(1):
        time.sleep(seconds)
    cuts = [1000 * cut for cut in quantiles(short.lasted, n=100, method="inclusive")]
    return [
        str(count),
        kind if count else "",
        f"{len(long.lasted) / seconds:.0f}",
        f"{cuts[49]:.1f}",
        f"{cuts[98]:.1f}",
        f"{1000 * max(short.lasted):.0f}",
    ]
