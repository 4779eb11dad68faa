"""
From one daemon to the next, while readers fetch without pause.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager

from benchmarks.faults import Scale, isMissing
from benchmarks.faults.row import Row, say
from sandbox import SANDBOX_VARIABLE, Sandbox, findCommand, freePort, quoted
from sandbox.connections import TCPAddress
from sandbox.crowd import Crowd
from sandbox.link import Link
from sandbox.network import LOOPBACK, Loopback
from sandbox.subject import BIG, OURS, PLAIN, Subject, running

POEM = BIG[:300_000]
READERS = 32
MIGRATE = "/proc/sys/net/ipv4/tcp_migrate_req"


class _Namespace(Loopback):
    """
    The loopback of a namespace of our own, whose settings may be changed.
    """

    def __init__(self, link: Link) -> None:
        self.atServer = self.atReaders = link.atServer  # type: ignore[method-assign]


def rows(scale: Scale) -> Iterator[Row]:
    """
    A poem of 300 KB.
    """
    times = scale.count(10)
    tried = f"{times} times, {READERS} readers"
    plain, _ = _inTurn(PLAIN, times, LOOPBACK)
    plain = f"stop, then start: {plain}"
    for value, network in _migrations(scale.link):
        ours, _ = _inTurn(OURS, times, network)
        fault = f"hand-over by `--reuse-port`, `tcp_migrate_req` {value}"
        yield Row(fault, tried, {PLAIN: plain, OURS: ours})
    if isMissing("systemd-socket-activate"):
        return
    for overlap in (True, False):
        ours, kept = _bySocket(times, overlap)
        order = (
            "the next starts, then the last stops" if overlap else "stop, then start"
        )
        fault = f"hand-over by a socket that outlives both, {order}"
        yield Row(fault, tried, {PLAIN: plain, OURS: ours}, kept)


def _migrations(link: Link | None) -> Iterator[tuple[str, Loopback]]:
    if link is None:
        with open(MIGRATE) as file:
            yield file.read().strip(), LOOPBACK
        return
    for value in "01":
        with link.atServer(), open(MIGRATE, "w") as file:
            file.write(value)
        yield value, _Namespace(link)


def _fetchUntil(crowd: Crowd, over: Callable[[], bool]) -> tuple[str, bool]:
    """
    Fetch without pause until something is over.

    @return: what came of it, and whether none failed.
    """

    def turn() -> bool:
        crowd.add(READERS - len(crowd))
        return over()

    crowd.run(300, until=turn)
    crowd.run(30)
    outcomes = crowd.outcomes()
    failed = sum(outcomes.values()) - outcomes["whole"]
    return say(outcomes), not failed


def _inTurn(kind: str, times: int, network: Loopback) -> tuple[str, bool]:
    """
    Let daemons share a port (the plain ones cannot: they have it in turn).
    """
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:

        def start() -> Subject:
            options = "--reuse-port --grace 60"
            return stack.enter_context(
                running(kind, POEM, options, network=network, port=port)
            )

        def handOver(subject: Subject) -> None:
            for _ in range(times):
                if kind == OURS:
                    last, subject = subject, start()
                    last.server.stop()
                else:
                    subject.server.stop()
                    subject = start()

        # A port that no reader gets while nobody listens.
        port = freePort()
        first = start()
        with first.readers() as crowd:
            done = pool.submit(handOver, first)
            said = _fetchUntil(crowd, done.done)
            done.result()
        return said


@contextmanager
def _activated(
    times: int, overlap: bool
) -> Iterator[tuple[TCPAddress, Callable[[], bool]]]:
    """
    Have daemons started on a socket, one after another.

    @return: the address of the socket, and whether all is over.
    """
    with ExitStack() as stack, ThreadPoolExecutor(1) as pool:
        sandbox = Sandbox(stack.callback)
        path = sandbox.write("poem.txt", POEM)
        address: TCPAddress = ("127.0.0.1", freePort())
        host, port = address
        order = "overlap" if overlap else "turn"
        started = pool.submit(
            sandbox.foreground,
            f"systemd-socket-activate -l {host}:{port} --fdname=poem -E PYTHONPATH "
            f"-E {SANDBOX_VARIABLE} {quoted(sys.executable)} -u -m sandbox.launcher "
            f"{times} {order} {quoted(findCommand('twistd'))} -n "
            f"fastpoetry --poem {path} -e systemd:domain=INET:index=0 --grace 60",
        )
        # It starts nothing before somebody connects.
        while not started.done():
            with contextlib.suppress(OSError):
                socket.create_connection(address, 0.1).close()
        server = started.result()
        yield address, lambda: "handed over" in server.log or server.hasEnded()


def _bySocket(times: int, overlap: bool) -> tuple[str, bool]:
    """
    Let daemons serve on a socket that outlives them, one after another.

    @param overlap: whether the next starts before the last is told to stop.

    @return: what came of all fetches, and whether none failed.
    """
    activated: AbstractContextManager[tuple[TCPAddress, Callable[[], bool]]]
    activated = _activated(times, overlap)
    with activated as (address, over):
        crowd = Crowd(address, [POEM])
        try:
            return _fetchUntil(crowd, over)
        finally:
            crowd.close()
