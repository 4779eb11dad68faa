"""
What a poem costs by other ways: a UNIX socket, one reader at a time, a link with a
delay, and beside a reader that floods the server.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.contenders import FLOOR_SAME, GO_SAME, OURS, PLAIN_SAME
from benchmarks.contest import (
    SMALL,
    Ring,
    Running,
    Samples,
    compete,
    cores,
    cost,
    ratios,
    spread,
    table,
    wrong,
)
from benchmarks.sizes import poemsOf
from sandbox.link import openLink

NAMES = (FLOOR_SAME, GO_SAME, PLAIN_SAME, OURS)

# What the flood is made of.
NOISE = bytes(2**18)


def unix(rounds: int = 9) -> str:
    """
    Send poems over UNIX sockets.

    @return: what they cost, in Markdown.
    """
    sizes = (SMALL, 65_536)
    found = []
    for size in sizes:
        with Ring(isUnix=True) as ring:
            servers = ring.serve(NAMES, ring.poem(size))
            found.append(compete(servers, rounds, poemsOf(size)))
    head = [""]
    for size in sizes:
        head += [f"µs per poem, {size:,} bytes", f"÷ {FLOOR_SAME}", f"÷ {GO_SAME}"]
    rows = [[*head, "wrong"]]
    for name in found[0]:
        row = [name]
        for samples in found:
            row.append(cost(samples[name]))
            row += _against(samples, name)
        rows.append([*row, wrong(one for samples in found for one in samples[name])])
    return table(rows)


def _against(samples: Samples, name: str, what: str = "processor") -> list[str]:
    """
    @return: the ratios to the same work in C and in Go.
    """
    return [
        spread(ratios(samples[name], samples[other], what)) if other in samples else ""
        for other in (FLOOR_SAME, GO_SAME)
    ]


def single(rounds: int = 9, poems: int = 2000) -> str:
    """
    Send poems to one reader at a time.

    @return: what they cost, and how long they take, in Markdown.
    """
    with Ring() as ring:
        samples = compete(ring.serve(NAMES), rounds, poems, readers=1)
    against = [f"÷ {FLOOR_SAME}", f"÷ {GO_SAME}"]
    rows = [["", "µs per poem", *against, "p50, µs", *against, "wrong"]]
    for name, own in samples.items():
        row = [name, cost(own), *_against(samples, name)]
        row.append(spread((one.p50 for one in own), ".0f"))
        rows.append([*row, *_against(samples, name, "p50"), wrong(own)])
    return table(rows)


def link(rounds: int = 20) -> str:
    """
    Send poems over the link with a delay, to one reader at a time.

    @param rounds: how many poems of each size.

    @return: how long they take, in Markdown.
    """
    head = ["", "bytes", "ms from connect to the end"]
    rows = [[*head, f"÷ {FLOOR_SAME}", f"÷ {GO_SAME}", "wrong"]]
    with openLink() as network:
        if network is None:
            return "Missing: the link, which needs root and TUN devices.\n"
        for size in (262_144, 1_000_000):
            with Ring(network) as ring:
                servers = ring.serve([FLOOR_SAME, GO_SAME, OURS], ring.poem(size))
                samples = compete(servers, rounds, poems=1, readers=1)
            for name, own in samples.items():
                times = spread((one.p50 / 1000 for one in own), ".0f")
                row = [name, f"{size:,}", times]
                rows.append([*row, *_against(samples, name, "p50"), wrong(own)])
    return table(rows)


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


def flood(rounds: int = 9, poems: int = 6000, readers: int = 1000) -> str:
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
            name = server.contender.name
            server.load(readers, readers)  # to warm it up
            alone[name], beside[name], speeds[name] = [], [], []
        for server in servers * rounds:
            name = server.contender.name
            alone[name].append(server.load(poems, readers))
            with _flooding(server) as sent:
                before, start = sent[0], time.monotonic()
                beside[name].append(server.load(poems, readers))
                seconds = time.monotonic() - start
                speeds[name].append((sent[0] - before) / seconds / 1e6)
    head = [f"{readers:,} readers at once"]
    for quantile in ("p50, ms", "p99.9, ms"):
        head += [quantile, "beside the flood", "÷"]
    rows = [[*head, "flood, MB/s", "wrong"]]
    for name in alone:
        row = [name]
        for what in ("p50", "p999"):
            for samples in (alone[name], beside[name]):
                row.append(
                    spread((getattr(one, what) / 1000 for one in samples), ".1f")
                )
            row.append(spread(ratios(beside[name], alone[name], what)))
        row.append(spread(speeds[name], ",.0f"))
        rows.append([*row, wrong(alone[name] + beside[name])])
    return table(rows)
