"""
How the cost of a poem changes with what there is more of: bytes, readers, daemons.
"""

from __future__ import annotations

import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median

from benchmarks.contenders import (
    BY_NAME,
    FLOOR,
    FLOOR_SAME,
    GO_SAME,
    HERE,
    NGINX,
    OURS,
    PLAIN_SAME,
    TRIVIAL,
    TWISTD,
    Contender,
)
from benchmarks.contest import (
    Ring,
    Running,
    compete,
    cores,
    cost,
    ratios,
    spread,
    table,
    wrong,
)
from sandbox import freePort

BIG = 64 * 2**20
STALLED = 10_000

# What a stalled reader is sent: more than its own kernel takes for it.
STALLED_POEM = 32 * 1024
STALLED_BUFFER = 1024


def big(rounds: int = 15, poems: int = 16, readers: int = 8) -> str:
    """
    Send a big poem to few readers.

    @return: throughput and cost, in Markdown.
    """
    with Ring() as ring:
        poem = ring.file("big", os.urandom(2**20) * (BIG // 2**20))
        names = (FLOOR, FLOOR_SAME, OURS, GO_SAME, PLAIN_SAME)
        servers = ring.serve(names, poem)
        samples = compete(servers, rounds, poems, readers)
        floor = samples[FLOOR]
        rows = [
            [
                f"64 MiB to {readers} readers",
                "MB/s",
                f"÷ {FLOOR}",
                "processor time, µs per MB",
                f"÷ {FLOOR}",
                "MiB of memory",
                "wrong",
            ]
        ]
        for server in servers:
            own = samples[server.contender.name]
            rows.append(
                [
                    server.contender.name,
                    spread((one.rate * BIG / 1e6 for one in own), ",.0f"),
                    spread(ratios(own, floor, "rate")),
                    spread((one.processor / BIG * 1e3 for one in own), ".0f"),
                    spread(ratios(own, floor)),
                    f"{server.memory() / 2**20:.0f}",
                    wrong(own),
                ]
            )
        return table(rows)


@contextmanager
def _stalled(port: int, count: int) -> Iterator[None]:
    """
    Readers that read nothing, for as long as the context lasts.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    readers = []
    try:
        for number in range(count):
            reader = socket.socket()
            readers.append(reader)
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, STALLED_BUFFER)
            reader.connect(("127.0.0.1", port))
            if number % 500 == 0:  # or the queue of the listener runs over
                time.sleep(0.05)
        yield
    finally:
        for reader in readers:
            reader.close()


def _idle(server: Running, seconds: float = 5.0) -> float:
    """
    @return: milliseconds of processor time in a second without new readers.
    """
    before, _ = server.processorTime()
    time.sleep(seconds)
    after, _ = server.processorTime()
    return (after - before) / seconds / 1e6


def many(rounds: int = 7, poems: int = 4000, stalled: int = STALLED) -> str:
    """
    Send poems beside many stalled readers, and to many readers at once.

    @return: cost and latency, in Markdown.
    """
    others = [freePort(), freePort()]
    with Ring() as ring:
        poem = ring.file("stalled", os.urandom(STALLED_POEM))
        servers = []
        for name, other in zip(("nobody else", f"{stalled:,} stalled readers"), others):
            command = BY_NAME[OURS].command + f" --poem {poem} --port {other}"
            contender = Contender(name, f"{command} --timeout 600")
            servers.append(ring.start(contender))
        for server in servers:
            server.waitUntilServing()
        with _stalled(others[1], stalled):
            samples = compete(servers, rounds, poems)
            idle = [_idle(server) for server in servers]
        alone, beside = (samples[server.contender.name] for server in servers)
        memory = (servers[1].memory() - servers[0].memory()) / stalled / 1024
    head = ["beside", "µs per poem", "÷ nobody else", "p99.9, ms"]
    rows = [[*head, "idle, ms per second", "wrong"]]
    for server, own, rest in zip(servers, (alone, beside), idle):
        rows.append(
            [
                server.contender.name,
                cost(own),
                spread(ratios(own, alone)),
                f"{median(one.p999 for one in own) / 1000:.1f}",
                f"{rest:.1f}",
                wrong(own),
            ]
        )
    return (
        f"{table(rows)}\nA stalled reader has {memory:.1f} KiB of the daemon's memory, "
        "and *idle* is the processor time of the daemon while nobody new comes.\n\n"
        f"{_atOnce(rounds, 3 * poems)}"
    )


def _atOnce(rounds: int, poems: int, readers: int = 1000) -> str:
    with Ring() as ring:
        servers = ring.serve([NGINX, FLOOR_SAME, OURS, GO_SAME])
        samples = compete(servers, rounds, poems, readers)
    first = servers[0].contender.name
    head = [f"{readers:,} readers at once", "p50, ms", "p99.9, ms"]
    rows = [[*head, f"p99.9 ÷ {first}", "wrong"]]
    for server in servers:
        own = samples[server.contender.name]
        rows.append(
            [
                server.contender.name,
                spread((one.p50 / 1000 for one in own), ".1f"),
                spread((one.p999 / 1000 for one in own), ".1f"),
                spread(ratios(own, samples[first], "p999")),
                wrong(own),
            ]
        )
    return table(rows)


def start(rounds: int = 9) -> str:
    """
    Start, again and again.

    @return: the time until the first poem, in Markdown.
    """
    times: dict[str, list[float]] = {TRIVIAL: [], OURS: []}
    for _ in range(rounds):
        for name, own in times.items():
            with Ring() as ring:
                own.append(ring.start(BY_NAME[name]).waitUntilServing())
    rows = [["", "ms from exec to the first poem", f"÷ {TRIVIAL}"]]
    for name, own in times.items():
        ratio = [a / b for a, b in zip(own, times[TRIVIAL])]
        seconds = [1000 * one for one in own]
        rows.append([name, spread(seconds, ".0f"), spread(ratio)])
    return table(rows)


def proxied(rounds: int = 9, poems: int = 5000) -> str:
    """
    Serve a poem that a proxy has fetched.

    @return: what it costs, in Markdown.
    """
    with Ring() as ring:
        (server,) = ring.serve([OURS])
        command = f"{TWISTD} poetry-proxy --upstream {server.port} --port {{port}}"
        proxy = ring.start(Contender("its proxy", command))
        proxy.waitUntilServing()
        samples = compete([server, proxy], rounds, poems)
    rows = [["", "µs per poem", f"÷ {OURS}", "wrong"]]
    for name, own in samples.items():
        rows.append(
            [
                name,
                cost(own),
                spread(ratios(own, samples[OURS])),
                wrong(own),
            ]
        )
    return table(rows)


def balanced(rounds: int = 7, poems: int = 4000) -> str:
    """
    Serve through a balancer.

    @return: what it costs, and the server behind it, in Markdown.
    """
    balancer = Contender("HAProxy", "haproxy -f {directory}/../haproxy.cfg", "haproxy")
    if balancer.missing:
        return f"Missing: {balancer.needs}.\n"
    port = freePort()
    with Ring() as ring:
        (server,) = ring.serve([OURS])
        config = (HERE / "haproxy.cfg").read_text()
        text = config.format(port=port, upstream=server.port)
        ring.file("haproxy.cfg", text.encode())
        between = ring.start(balancer, port=port)
        between.waitUntilServing()
        alone, through, behind = [], [], []
        for number in range(rounds + 1):
            direct = server.load(poems)
            before, _ = server.processorTime()
            sample = between.load(poems)
            after, _ = server.processorTime()
            if direct.wrong or sample.wrong:
                raise RuntimeError(f"poems were wrong: {direct.wrong}, {sample.wrong}")
            if number > 0:  # the first warms up
                alone.append(direct)
                through.append(sample)
                behind.append((after - before) / poems)
    costs = [one.processor for one in alone]
    rows = [["", "µs per poem", "÷ fastpoetry alone", "p50, ms"]]
    for name, own, samples in (
        ("fastpoetry alone", costs, alone),
        ("fastpoetry behind HAProxy", behind, through),
        ("HAProxy", [one.processor for one in through], through),
    ):
        rows.append(
            [
                name,
                spread((one / 1000 for one in own), ".1f"),
                spread(a / b for a, b in zip(own, costs)),
                f"{median(one.p50 for one in samples) / 1000:.1f}",
            ]
        )
    return table(rows)


def shared(rounds: int = 11, poems: int = 20000, readers: int = 256) -> str:
    """
    Share a port among daemons.

    @param poems: how many all of them send in a round.

    @param readers: to how many readers at once.

    @return: cost and spread of the load, in Markdown.
    """
    served = {}
    allowed = sorted(os.sched_getaffinity(0))
    places = [core for core in allowed if core != cores()[1]] or allowed
    with Ring() as ring:
        contender = BY_NAME[OURS]
        sharing = replace(contender, command=contender.command + " --reuse-port")
        for count in (1, 2, 4):
            port = freePort()
            served[count] = [
                ring.start(sharing, port=port, core=places[n % len(places)])
                for n in range(count)
            ]
            for daemon in served[count]:
                daemon.waitUntilServing()
        costs: dict[int, list[float]] = {count: [] for count in served}
        for number in range(rounds + 1):
            for count, daemons in served.items():
                descriptors = [daemon.descriptors() for daemon in daemons]
                before = sum(daemon.processorTime()[0] for daemon in daemons)
                sample = daemons[0].load(poems, readers)
                for daemon, own in zip(daemons, descriptors):
                    daemon.settle(own)
                after = sum(daemon.processorTime()[0] for daemon in daemons)
                if sample.wrong:
                    raise RuntimeError(f"{sample.wrong} poems were wrong")
                if number > 0:  # the first warms up
                    costs[count].append((after - before) / poems / 1000)
        rows = [["daemons", "µs per poem", "÷ one daemon", "share of the readers"]]
        for count, daemons in served.items():
            names = [daemon.namedInLog() for daemon in daemons]
            ratio = [a / b for a, b in zip(costs[count], costs[1])]
            shares = sorted(name / sum(names) for name in names)
            rows.append(
                [
                    str(count),
                    spread(costs[count], ".1f"),
                    spread(ratio),
                    f"{shares[0]:.0%} to {shares[-1]:.0%}",
                ]
            )
    return table(rows) + f"\nThe daemons had {len(places)} of the cores.\n"
