"""
What it costs to start a daemon, and to have more of them: a proxy, a balancer before
it, others on its port.
"""

from __future__ import annotations

import os
from dataclasses import replace
from statistics import median

from benchmarks.cost.contenders import BY_NAME, HERE, OURS, TRIVIAL, TWISTD, Contender
from benchmarks.cost.contest import compete, cost, ratios, spread, values, wrong
from benchmarks.cost.ring import Ring
from benchmarks.cost.running import Running, Sample, cores
from benchmarks.report import table
from sandbox import freePort

# How many daemons share a port.
COUNTS = (1, 2, 4)


def start(rounds: int) -> str:
    """
    Start, again and again.

    @return: the time until the first poem, in Markdown.
    """
    times: dict[str, list[float]] = {TRIVIAL: [], OURS: []}
    for _ in range(rounds):
        for name, own in times.items():
            with Ring() as ring:
                own.append(1000 * ring.start(BY_NAME[name]).waitUntilServing())
    rows = []
    for name, own in times.items():
        ratio = [a / b for a, b in zip(own, times[TRIVIAL])]
        rows.append([name, spread(own, ".0f"), spread(ratio)])
    return table(["", "ms from exec to the first poem", f"÷ {TRIVIAL}"], rows)


def proxy(rounds: int) -> str:
    """
    Serve a poem that a proxy has fetched.

    @return: what it costs, in Markdown.
    """
    with Ring() as ring:
        (server,) = ring.serve([OURS])
        command = f"{TWISTD} poetry-proxy --upstream {server.port} --port {{port}}"
        between = ring.start(Contender("its proxy", command))
        between.waitUntilServing()
        samples = compete([server, between], rounds, poems=5000)
    rows = [
        [name, cost(own), spread(ratios(own, samples[OURS])), wrong(own)]
        for name, own in samples.items()
    ]
    return table(["", "µs per poem", f"÷ {OURS}", "wrong"], rows)


def _load(
    server: Running, daemons: list[Running], poems: int, readers: int = 64
) -> tuple[Sample, float]:
    """
    Load a server.

    @param daemons: who send the poems.

    @return: the sample of the server, and microseconds of processor time of all daemons
        for each poem.

    @raise RuntimeError: when poems were wrong.
    """
    descriptors = [daemon.process.descriptors() for daemon in daemons]
    before = sum(daemon.process.processorTime().used for daemon in daemons)
    sample = server.load(poems, readers)
    for daemon, own in zip(daemons, descriptors):
        daemon.settle(own)
    after = sum(daemon.process.processorTime().used for daemon in daemons)
    if sample.wrong:
        raise RuntimeError(f"{sample.wrong} poems were wrong")
    return sample, (after - before) * 1e6 / poems


def balanced(rounds: int) -> str:
    """
    Serve through a balancer.

    @return: what it costs, and the server behind it, in Markdown.
    """
    balancer = Contender("HAProxy", "haproxy -f {directory}/../haproxy.cfg", "haproxy")
    if balancer.isMissing:
        return f"Missing: {balancer.needs}.\n"
    alone, through, behind = [], [], []
    with Ring() as ring:
        (server,) = ring.serve([OURS])
        port = freePort()
        config = (HERE / "haproxy.cfg").read_text()
        text = config.format(port=port, upstream=server.port)
        ring.file("haproxy.cfg", text.encode())
        between = ring.start(balancer, port=port)
        between.waitUntilServing()
        for number in range(rounds + 1):
            direct, _ = _load(server, [server], 4000)
            sample, used = _load(between, [server], 4000)
            if number > 0:  # the first warms up
                alone.append(direct)
                through.append(sample)
                behind.append(used)
    costs = values(alone, "processor")
    rows = []
    for name, own, samples in (
        ("fastpoetry alone", costs, alone),
        ("fastpoetry behind HAProxy", behind, through),
        ("HAProxy", values(through, "processor"), through),
    ):
        ratio = [a / b for a, b in zip(own, costs)]
        p50 = f"{median(values(samples, 'p50')):.1f}"
        rows.append([name, spread(own, ".1f"), spread(ratio), p50])
    return table(["", "µs per poem", "÷ fastpoetry alone", "p50, ms"], rows)


def shared(rounds: int) -> str:
    """
    Share a port among daemons.

    @return: cost and spread of the load, in Markdown.
    """
    allowed = sorted(os.sched_getaffinity(0))
    places = [core for core in allowed if core != cores()[1]] or allowed
    with Ring() as ring:
        served = {count: _sharing(ring, count, places) for count in COUNTS}
        costs: dict[int, list[float]] = {count: [] for count in COUNTS}
        for number in range(rounds + 1):
            for count, daemons in served.items():
                _, used = _load(daemons[0], daemons, 20_000, 256)
                if number > 0:  # the first warms up
                    costs[count].append(used)
        rows = []
        for count, daemons in served.items():
            names = [_named(daemon) for daemon in daemons]
            ratio = [a / b for a, b in zip(costs[count], costs[1])]
            share = f"{min(names) / sum(names):.0%} to {max(names) / sum(names):.0%}"
            rows.append([str(count), spread(costs[count], ".1f"), spread(ratio), share])
    head = ["daemons", "µs per poem", "÷ one daemon", "share of the readers"]
    return f"{table(head, rows)}\nThe daemons had {len(places)} of the cores.\n"


def _sharing(ring: Ring, count: int, places: list[int]) -> list[Running]:
    """
    @param places: the cores that they have.

    @return: this many daemons on one port.
    """
    contender, port = BY_NAME[OURS], freePort()
    sharing = replace(contender, command=contender.command + " --reuse-port")
    daemons = [
        ring.start(sharing, port=port, core=places[number % len(places)])
        for number in range(count)
    ]
    for daemon in daemons:
        daemon.waitUntilServing()
    return daemons


def _named(server: Running) -> int:
    """
    @return: how many readers its log names.
    """
    return sum(path.read_bytes().count(b"127.0.0.1:") for path in server.logs())
