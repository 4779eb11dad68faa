"""
Three instances behind HAProxy and nginx, as F{deploy} has them, while readers fetch
without pause.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

from benchmarks.faults import Scale, isMissing
from benchmarks.faults.machines import (
    HAPROXY,
    INSTANCES,
    NGINX,
    Machines,
)
from benchmarks.faults.row import Row, say
from sandbox.crowd import Crowd
from sandbox.manners import Manners
from sandbox.network import LOOPBACK, TLS, Loopback
from sandbox.subject import BIG, OURS, PLAIN

POEM = BIG[:300_000]
READERS = 32
MANNERS = [
    Manners(),
    Manners(says=b"x" * 2**16),
    Manners(readsPerSecond=2_000_000),
    Manners(saysPerSecond=10**5, readsPerSecond=2_000_000),
]
HALF_CLOSES = Manners(halfCloses=True)


def rowsOf(name: str, scale: Scale) -> Iterator[Row]:
    """
    A poem of 300 KB, and one of 10 MB for those who are in flight when all is killed.

    @param name: of the balancer, L{HAPROXY} or L{NGINX}.
    """
    if isMissing(name.lower()):
        yield Row(name, "not installed", {})
        return
    times, count = scale.count(3), scale.count(50)
    for network in (LOOPBACK, TLS):
        tried = f"{times} times {network.where}, {READERS} readers"
        drain = "drain, SIGTERM" if name == HAPROXY else "SIGTERM"
        for how, word in ((signal.SIGTERM, drain), (signal.SIGKILL, "SIGKILL")):
            fault = f"{name}: {word} and start, three instances in turn"
            yield _row(fault, tried, _rolling(name, network, times, how))
        tried = f"{count} {network.where}"
        fault = f"{name}: readers of 5 MB who talk, and read 700 KB/s"
        yield _row(fault, tried, _slow(name, network, count))
        fault = f"{name}: SIGKILL of all three in the middle of 10 MB"
        yield _row(fault, tried, _killed(name, network, count))


def _row(fault: str, tried: str, found: tuple[str, bool]) -> Row:
    said, kept = found
    return Row(fault, tried, {PLAIN: "not tried", OURS: said}, kept)


@contextmanager
def _machines(
    name: str, network: Loopback, poem: bytes
) -> Iterator[tuple[Machines, Crowd]]:
    with ExitStack() as stack:
        machines = Machines(stack, name, network, poem)
        crowd = Crowd(machines.address, [poem], network.reader)
        stack.callback(crowd.close)
        yield machines, crowd


def _rolling(
    name: str, network: Loopback, times: int, how: signal.Signals
) -> tuple[str, bool]:
    """
    Restart each instance in turn, under load.

    @param how: how it is ended.

    @return: what came of all fetches, and whether it is what is promised: with SIGTERM
        that none failed, at nginx at most those that are connecting at each stop; with
        SIGKILL that, over TLS, none that is cut looks whole.
    """
    # HAProxy ends who half-closes before it has connected.
    halfCloses = network is TLS or name == NGINX
    manners = [*MANNERS, HALF_CLOSES] if halfCloses else MANNERS
    with _machines(name, network, POEM) as (machines, crowd):

        def restartAll() -> None:
            for _ in range(times):
                for number in INSTANCES:
                    machines.restart(number, how)

        with ThreadPoolExecutor(1) as pool:
            done = pool.submit(restartAll)
            crowd.run(600, until=_keepFull(crowd, manners, done.done))
            done.result()
        crowd.run(60)
        outcomes = crowd.outcomes()
        if how == signal.SIGKILL:
            allowed = {"whole", "reset"}
            if network is LOOPBACK:  # where a balancer makes a clean end of a reset
                allowed |= {"cut", "empty"}
            return say(outcomes), set(outcomes) <= allowed and outcomes["whole"] > 0
        lost = sum(outcomes.values()) - outcomes["whole"]
        # nginx cannot be told before a stop: those that are connecting then are lost.
        most = times * len(INSTANCES) * READERS if name == NGINX else 0
        return say(outcomes), lost <= most and outcomes["cut"] == 0


def _keepFull(
    crowd: Crowd, manners: list[Manners], isOver: Callable[[], bool]
) -> Callable[[], bool]:
    def turn() -> bool:
        while len(crowd) < READERS and not isOver():
            crowd.add(1, manners[len(crowd.readers) % len(manners)])
        return isOver()

    return turn


def _killed(name: str, network: Loopback, count: int) -> tuple[str, bool]:
    """
    Kill all instances while everybody is in the middle of a poem.

    @return: what came of it, and whether it is what is promised: over TLS that
        everybody knows.
    """
    poem = BIG + BIG
    with _machines(name, network, poem) as (machines, crowd):
        crowd.add(count, Manners(readsPerSecond=500_000))
        crowd.run(60, until=lambda: all(one.got > 0 for one in crowd.readers))
        for instance in machines.instances.values():
            instance.signal(signal.SIGKILL)
        crowd.run(120)
        outcomes = crowd.outcomes()
        allowed = {"whole", "reset"}  # some may have had all of it
        if network is LOOPBACK:
            allowed.add("cut")
        return say(outcomes), set(outcomes) <= allowed


def _slow(name: str, network: Loopback, count: int) -> tuple[str, bool]:
    """
    Have readers talk who are far behind what the balancer has.

    @return: what came of it, and whether all are whole.
    """
    with _machines(name, network, BIG) as (_, crowd):
        crowd.add(count, Manners(saysPerSecond=10_000, readsPerSecond=700_000))
        crowd.run(120)
        outcomes = crowd.outcomes()
        return say(outcomes), set(outcomes) == {"whole"}
