"""
What a poem costs, and how long it takes, when there are many readers.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median

from benchmarks.cost.contenders import (
    BY_NAME,
    FLOOR_SAME,
    GO_SAME,
    NGINX,
    OURS,
    Contender,
)
from benchmarks.cost.contest import (
    Samples,
    compete,
    cost,
    ratios,
    spread,
    values,
    wrong,
)
from benchmarks.cost.ring import Ring
from benchmarks.cost.running import Running, cores
from benchmarks.report import table
from fastpoetry.descriptors import raiseDescriptorLimit
from sandbox import connect, freePort

# What a stalled reader is sent: more than its own kernel takes for it.
STALLED = 10_000
STALLED_POEM = 32 * 1024
STALLED_BUFFER = 1024

# So many at once.
READERS = 1000

# What the flood is made of.
NOISE = bytes(2**18)


def many(rounds: int) -> str:
    """
    Send poems beside many stalled readers, and to many readers at once.

    @return: cost and latency, in Markdown.
    """
    others = [freePort(), freePort()]
    with Ring() as ring:
        poem = ring.file("stalled", os.urandom(STALLED_POEM))
        servers = []
        for name, other in zip(("nobody else", f"{STALLED:,} stalled readers"), others):
            command = BY_NAME[OURS].command + f" --poem {poem} --port {other}"
            contender = Contender(name, f"{command} --timeout 600")
            servers.append(ring.start(contender))
        for server in servers:
            server.waitUntilServing()
        with _stalled(others[1]):
            samples = compete(servers, rounds, poems=4000)
            idle = [_idle(server) for server in servers]
        before, after = (server.process.memory(isPeak=True) for server in servers)
    alone = samples[servers[0].contender.name]
    rows = []
    for (name, own), rest in zip(samples.items(), idle):
        row = [name, cost(own), spread(ratios(own, alone))]
        row += [f"{median(values(own, 'p999')):.1f}", f"{rest:.1f}", wrong(own)]
        rows.append(row)
    head = ["beside", "µs per poem", "÷ nobody else", "p99.9, ms"]
    return (
        f"{table([*head, 'idle, ms per second', 'wrong'], rows)}\n"
        f"A stalled reader takes {(after - before) / STALLED:.1f} KiB of the daemon's "
        "memory. *Idle* is the processor time of the daemon while nobody new comes.\n"
        f"\n{_atOnce(rounds)}"
    )


@contextmanager
def _stalled(port: int) -> Iterator[None]:
    """
    Readers that read nothing, for as long as the context lasts.
    """
    raiseDescriptorLimit()
    with ExitStack() as stack:
        for number in range(STALLED):
            stack.enter_context(connect(port, STALLED_BUFFER))
            if number % 500 == 0:  # or the queue of the listener runs over
                time.sleep(0.05)
        yield


def _idle(server: Running, seconds: float = 5.0) -> float:
    """
    @return: milliseconds of processor time in a second without new readers.
    """
    before = server.process.processorTime().used
    time.sleep(seconds)
    return (server.process.processorTime().used - before) / seconds * 1000


def _atOnce(rounds: int) -> str:
    """
    Send poems to many readers at once.

    @return: how long they take.
    """
    with Ring() as ring:
        servers = ring.serve([NGINX, FLOOR_SAME, OURS, GO_SAME])
        samples = compete(servers, rounds, poems=12_000, readers=READERS)
    first = servers[0].contender.name
    rows = []
    for name, own in samples.items():
        row = [name, spread(values(own, "p50"), ".1f")]
        row.append(spread(values(own, "p999"), ".1f"))
        row.append(spread(ratios(own, samples[first], "p999")))
        rows.append([*row, wrong(own)])
    head = [f"{READERS:,} readers at once", "p50, ms", "p99.9, ms"]
    return table([*head, f"p99.9 ÷ {first}", "wrong"], rows)


@contextmanager
def _flooding(server: Running) -> Iterator[list[int]]:
    """
    A reader that reads nothing and sends all that it can, for as long as the context
    lasts.  It is on the core of the load, or on one of its own where there are more.

    @return: how many bytes it has sent, in a list of one.
    """
    sent, isOver = [0], threading.Event()
    places = sorted(os.sched_getaffinity(0) - set(cores())) or [cores()[1]]

    def send() -> None:
        os.sched_setaffinity(0, places)  # of this thread
        while not isOver.is_set():
            with contextlib.suppress(OSError), server.connection() as reader:
                while not isOver.is_set():
                    sent[0] += reader.send(NOISE)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        while not sent[0]:
            time.sleep(0.01)
        yield sent
    finally:
        isOver.set()
        thread.join()


def flood(rounds: int) -> str:
    """
    Send poems to many readers at once, with and without one beside them that sends
    what it can.

    @return: how long they take, in Markdown.
    """
    alone: Samples = {}
    beside: Samples = {}
    speeds: dict[str, list[float]] = {}
    with Ring() as ring:
        servers = ring.serve([FLOOR_SAME, GO_SAME, OURS])
        for server in servers:
            server.load(READERS, READERS)  # to warm it up
        for server in servers * rounds:
            name = server.contender.name
            alone.setdefault(name, []).append(server.load(6000, READERS))
            with _flooding(server) as sent:
                before, start = sent[0], time.monotonic()
                beside.setdefault(name, []).append(server.load(6000, READERS))
                speed = (sent[0] - before) / (time.monotonic() - start) / 1e6
                speeds.setdefault(name, []).append(speed)
    head = [f"{READERS:,} readers at once"]
    for quantile in ("p50, ms", "p99.9, ms"):
        head += [quantile, "beside the flood", "÷"]
    rows = []
    for name in alone:
        row = [name]
        for what in ("p50", "p999"):
            for samples in (alone, beside):
                row.append(spread(values(samples[name], what), ".1f"))
            row.append(spread(ratios(beside[name], alone[name], what)))
        row.append(spread(speeds[name], ",.0f"))
        rows.append([*row, wrong(alone[name], beside[name])])
    return table([*head, "flood, MB/s", "wrong"], rows)
