"""
Readers who take nothing, or who never end.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from benchmarks.faults import HUGE, Scale, compare, never, together, tries
from benchmarks.faults.row import Row, say
from benchmarks.kernel import memoryPressure, socketMemory
from sandbox.link import Link
from sandbox.manners import Manners
from sandbox.network import NETWORKS, TLS, UNIX, Loopback, TLSConnections
from sandbox.reader import Reader
from sandbox.subject import BIG, KINDS, OURS, PLAIN, Subject, running

STALLED = Manners(readsPerSecond=0)
NOISE = 0.005  # seconds; a busy machine makes a fetch longer by as much
AT_ONCE = 100  # what handshakes need, they need no longer when the next come


def rows(scale: Scale) -> Iterator[Row]:
    """
    Poems of 5 and 10 MB.
    """
    for network in NETWORKS:
        for count in (1000, 10_000) if scale.isFull else (scale.count(1000),):
            # Over TLS, the plain composition has a copy of 10 MB for each.
            plain = min(50, count // 20) if network is TLS else count
            yield from _many({PLAIN: plain, OURS: count}, network)
    count = scale.count(50)
    fault = "stalled readers under `--timeout 5`"
    measure = partial(together, partial(_timeout, count, None), NETWORKS)
    yield Row(fault, tries(count, NETWORKS), *compare(measure))
    for greetings, when in enumerate(("before", "in")):
        fault = f"readers who fall silent {when} their handshake, `--timeout 5`"
        measure = partial(_timeout, count, greetings, TLS)
        yield Row(fault, tries(count, [TLS]), *compare(measure))
    fault = "a reader takes all and never closes"
    measure = partial(together, partial(_neverCloses, count), NETWORKS)
    yield Row(fault, f"{tries(count, NETWORKS)}; 5 MB", *compare(measure), isTimed=True)
    if scale.link is not None:
        links = [scale.link, TLSConnections(scale.link)]
        fault = "the link dies in the middle, `--timeout 5`"
        measure = partial(together, partial(_deadLink, scale.link), links)
        yield Row(fault, f"{tries(10, links)}; 5 MB", *compare(measure))
    fault = "a reader sends as fast as it can, and reads 100 KB/s"
    measure = partial(together, _flood, NETWORKS)
    yield Row(fault, f"{tries(1, NETWORKS)}; for 5 s", *compare(measure), isTimed=True)


def _many(counts: dict[str, int], network: Loopback) -> Iterator[Row]:
    """
    Have very many readers stall.

    @param counts: how many, by kind.
    """
    found = {kind: _beside(kind, counts[kind], network) for kind in KINDS}
    tried = tries(counts[OURS], [network])
    if counts[PLAIN] < counts[OURS]:
        tried += f" ({counts[PLAIN]:,} at the plain composition)"
    tried += f", {AT_ONCE} at a time, who read nothing of 10 MB"
    memory = {kind: one.memory for kind, one in found.items()}
    yield Row("memory for stalled readers", tried, memory, found[OURS].isSmall)
    latency = {kind: one.latency for kind, one in found.items()}
    fault = "a fetch of 10 MB beside stalled readers"
    tried = f"{tried}; median of 30"
    yield Row(fault, tried, latency, found[OURS].isFast, isTimed=True)


class _Beside(NamedTuple):
    """
    What comes of it when readers stall.

    @ivar memory: what they cost in memory, in words.

    @ivar isSmall: whether that is what ours promises.

    @ivar latency: how long others wait, in words.

    @ivar isFast: whether that is what ours promises.
    """

    memory: str
    isSmall: bool
    latency: str
    isFast: bool


def _beside(kind: str, count: int, network: Loopback) -> _Beside:
    """
    Have readers stall, and fetch beside them.
    """
    server = running(kind, HUGE, network=network)
    with server as subject, subject.readers() as crowd:
        before, kernel = _latency(subject), socketMemory()
        own = subject.server.memory()
        for arrived in range(0, count, AT_ONCE):
            readers = crowd.add(min(AT_ONCE, count - arrived), STALLED)
            crowd.run(30, until=partial(_haveGreeted, readers))
        crowd.run(1, until=never)
        each = (subject.server.memory() - own) / count
        held = crowd.outcomes()
        used = socketMemory()
        kernel = used - kernel
        with subject.readers() as others:
            others.add(20)
            others.run(60, patience=20)
            beside = others.outcomes()
        after = _latency(subject)
        # While it is short, it takes back some of what it has given.
        isShort = max(used, socketMemory()) > 0.95 * memoryPressure()
    memory = f"{each:.1f} KiB each, {each * count / 1024:.1f} MiB in all"
    if network is not UNIX:  # of these it does not keep count
        memory += f" (the kernel: {kernel:,.0f} MB)"
    memory += f"; {say(held)}; beside them {say(beside)}"
    latency = f"{before * 1000:.1f} ms; with them {after * 1000:.1f} ms"
    if isShort:
        latency += " (the kernel is short of memory for sockets: `tcp_mem`)"
    most = 64 if network is TLS else 4
    isServed = beside["whole"] == 20 and held["never served"] == count
    return _Beside(
        memory.replace("never served", "held"),
        each < most and isServed,
        latency,
        isShort or after < 1.5 * before + NOISE,
    )


def _haveGreeted(readers: list[Reader]) -> bool:
    return all(reader.hasGreeted or reader.outcome for reader in readers)


def _latency(subject: Subject) -> float:
    """
    @return: how many seconds a fetch takes.
    """
    times = []
    for _ in range(30):
        with subject.readers() as crowd:
            (reader,) = crowd.add(1)
            crowd.run(30)
            times.append(reader.lasted or 30.0)
    return statistics.median(times)


def _timeout(
    count: int, greetings: int | None, network: Loopback, kind: str
) -> tuple[str, bool]:
    """
    Have readers stall.

    @param greetings: see L{Manners}.
    """
    server = running(kind, BIG, "--timeout 5", network)
    with server as subject, subject.readers() as crowd:
        manners = Manners(readsPerSecond=0, greetings=greetings)
        readers = crowd.add(count, manners)
        crowd.run(20, until=lambda: all(one.hungUp or one.outcome for one in readers))
        ends = [reader.hungUp or reader.lasted for reader in readers]
        lasted = [end for end in ends if end is not None]
        # Who is cut may see that before the line is written.
        subject.waitFor(lambda: subject.named("took nothing") >= count, 2)
        lines = subject.named("took nothing")
        if not lasted:
            return f"all {count} held after 20 s", False
        # On a UNIX socket, who does not read sees nothing.
        manners.readsPerSecond = None
        crowd.run(20)
        outcomes = crowd.outcomes()
    said = (
        f"{say(outcomes)} after {min(lasted):.1f} to {max(lasted):.1f} s, "
        f"{lines} lines in the log"
    )
    isNamed = lines == count or greetings is not None
    return said, outcomes[network.cut] == count and isNamed


def _neverCloses(count: int, network: Loopback, kind: str) -> tuple[str, bool]:
    with running(kind, BIG, network=network) as subject:
        idle = subject.idleDescriptors()
        with subject.readers() as crowd:
            readers = crowd.add(count, Manners(staysFor=60))
            crowd.run(30, until=lambda: all(r.isServed or r.outcome for r in readers))
            gone = subject.waitFor(lambda: subject.server.descriptors() <= idle, 20)
            whole = all(reader.isServed for reader in readers)
    said = f"let go {gone:.1f} s after the last had its poem"
    if gone == 20:
        said = "held 20 s after the last had its poem"
    return said, whole and gone < 5


def _deadLink(link: Link, network: Loopback, kind: str) -> tuple[str, bool]:
    with running(kind, BIG, "--timeout 5", network) as subject:
        idle = subject.idleDescriptors()
        with subject.readers() as crowd:
            crowd.add(10, Manners(readsPerSecond=500_000))
            crowd.run(2, until=never)
            with link.dead():
                gone = subject.waitFor(lambda: subject.server.descriptors() <= idle, 20)
    if gone == 20:
        return "held after 20 s", False
    return f"let go after {gone:.1f} s", 5 <= gone < 8


def _flood(network: Loopback, kind: str) -> tuple[str, bool]:
    server = running(kind, BIG, network=network)
    with server as subject, subject.readers() as crowd:
        (reader,) = crowd.add(1, Manners(saysPerSecond=10**9, readsPerSecond=100_000))
        crowd.run(1, until=never)
        start = subject.server.processorTime().used
        crowd.run(5, until=never)
        used = subject.server.processorTime().used - start
        served = reader.outcome is None and reader.got > 400_000
    said = f"{used:.2f} s of processor time; {'served' if served else 'not served'}"
    return said, served and used < 0.5
