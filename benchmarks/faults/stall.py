"""
Readers who take nothing, or who never end.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from functools import partial

from benchmarks.crowd import Manners, Reader
from benchmarks.faults import (
    BIG,
    DOORS,
    HUGE,
    Scale,
    compare,
    never,
    together,
    tries,
)
from benchmarks.network import (
    UNIX,
    Link,
    Loopback,
    memoryPressure,
    socketMemory,
)
from benchmarks.subject import KINDS, OURS, Subject, running
from benchmarks.table import Row, say

STALLED = Manners(readsPerSecond=0)


def rows(scale: Scale) -> Iterator[Row]:
    """
    Poems of 5 and 10 MB.
    """
    for network in DOORS:
        yield from _many(scale.count(1000), network)
        if scale.full:
            yield from _many(10_000, network)
    count = scale.count(50)
    fault = "stalled readers under `--timeout 5`"
    measure = partial(together, partial(_timeout, count), DOORS)
    yield Row(fault, tries(count, DOORS), *compare(measure))
    fault = "a reader takes all and never closes"
    measure = partial(together, partial(_neverCloses, count), DOORS)
    yield Row(fault, f"{tries(count, DOORS)}; 5 MB", *compare(measure), timed=True)
    if scale.link is not None:
        fault = "the link dies in the middle, `--timeout 5`"
        yield Row(fault, "10 of 5 MB", *compare(partial(_deadLink, scale.link)))
    fault = "a reader sends as fast as it can, and reads 100 KB/s"
    measure = partial(together, _flood, DOORS)
    yield Row(fault, f"{tries(1, DOORS)}; for 5 s", *compare(measure), timed=True)


def _many(count: int, network: Loopback) -> Iterator[Row]:
    memory, latency = {}, {}
    kept = fast = True
    for kind in KINDS:
        server = running(kind, HUGE, network=network)
        with server as subject, subject.readers() as crowd:
            before, own, kernel = _latency(subject), subject.memory(), socketMemory()
            readers = crowd.add(count, STALLED)
            crowd.run(30, until=partial(_connected, readers))
            crowd.run(1, until=never)
            each = (subject.memory() - own) / count
            held = crowd.outcomes()
            kernel = socketMemory() - kernel
            with subject.readers() as others:
                others.add(20)
                others.run(60, patience=20)
                beside = others.outcomes()
            after = _latency(subject)
            isShort = socketMemory() > 0.95 * memoryPressure()
        memory[kind] = f"{each:.1f} KiB each, {each * count / 1024:.1f} MiB in all"
        if network is not UNIX:  # of these it does not keep count
            memory[kind] += f" (the kernel: {kernel:,.0f} MB)"
        memory[kind] += f"; {say(held)}; beside them {say(beside)}"
        memory[kind] = memory[kind].replace("never served", "held")
        latency[kind] = f"{before * 1000:.1f} ms; with them {after * 1000:.1f} ms"
        if isShort:
            latency[kind] += " (the kernel is short of memory for sockets: `tcp_mem`)"
        if kind == OURS:
            kept = each < 4 and beside["whole"] == 20 and held["never served"] == count
            fast = isShort or after < 1.5 * before
    tried = f"{tries(count, [network])}, who read nothing of 10 MB"
    yield Row("memory for stalled readers", tried, memory, kept)
    fault = "a fetch of 10 MB beside stalled readers"
    yield Row(fault, f"{tried}; median of 30", latency, fast, timed=True)


def _connected(readers: list[Reader]) -> bool:
    return all(reader.connected or reader.outcome for reader in readers)


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


def _timeout(count: int, network: Loopback, kind: str) -> tuple[str, bool]:
    server = running(kind, BIG, "--timeout 5", network)
    with server as subject, subject.readers() as crowd:
        manners = Manners(readsPerSecond=0)
        readers = crowd.add(count, manners)
        crowd.run(20, until=lambda: all(one.hungUp is not None for one in readers))
        lasted = [reader.hungUp for reader in readers if reader.hungUp is not None]
        lines = subject.named("gave up on")
        if not lasted:
            return f"all {count} held after 20 s", False
        manners.readsPerSecond = (
            None  # on a UNIX socket, who does not read sees nothing
        )
        crowd.run(20)
        outcomes = crowd.outcomes()
    said = (
        f"{say(outcomes)} after {min(lasted):.1f} to {max(lasted):.1f} s, "
        f"{lines} lines in the log"
    )
    return said, outcomes[network.cut] == lines == count


def _neverCloses(count: int, network: Loopback, kind: str) -> tuple[str, bool]:
    with running(kind, BIG, network=network) as subject:
        idle = subject.idleDescriptors()
        with subject.readers() as crowd:
            readers = crowd.add(count, Manners(staysFor=60))
            everything = count * len(BIG)
            crowd.run(30, until=lambda: sum(r.got for r in readers) == everything)
            crowd.run(0.2, until=never)  # their ends
            gone = subject.waitFor(lambda: subject.descriptors() <= idle, 20)
            whole = sum(reader.got for reader in readers) == everything
            if network is UNIX:
                whole = whole and all(reader.isProven for reader in readers)
    said = f"let go {gone:.1f} s after the last had its poem"
    return said, whole and gone < 5


def _deadLink(link: Link, kind: str) -> tuple[str, bool]:
    with running(kind, BIG, "--timeout 5", link) as subject:
        idle = subject.idleDescriptors()
        with subject.readers() as crowd:
            crowd.add(10, Manners(readsPerSecond=500_000))
            crowd.run(2, until=never)
            with link.dead():
                gone = subject.waitFor(lambda: subject.descriptors() <= idle, 20)
    if gone == 20:
        return "held after 20 s", False
    return f"let go after {gone:.1f} s", 5 <= gone < 8


def _flood(network: Loopback, kind: str) -> tuple[str, bool]:
    server = running(kind, BIG, network=network)
    with server as subject, subject.readers() as crowd:
        (reader,) = crowd.add(1, Manners(saysPerSecond=10**9, readsPerSecond=100_000))
        crowd.run(1, until=never)
        start = subject.processorTime()
        crowd.run(5, until=never)
        used = subject.processorTime() - start
        served = reader.outcome is None and reader.got > 400_000
    said = f"{used:.2f} s of processor time; {'served' if served else 'not served'}"
    return said, served and used < 0.5
