"""
Many readers at once.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from benchmarks.faults import Scale, compare, tries
from benchmarks.faults.row import Row, say
from benchmarks.kernel import counters
from sandbox import POEM
from sandbox.manners import Manners
from sandbox.network import NETWORKS, TLS, UNIX, Loopback
from sandbox.subject import Subject, running

OVERFLOWS, RETRANSMITTED = "TcpExtListenOverflows", "TcpRetransSegs"

# Fetches without pause, eight at a time, until it is killed.
BUSY = """
import sys
from sandbox.crowd import Crowd
from sandbox.network import NETWORKS
name, host, port = sys.argv[1:]
(kind,) = (network.reader for network in NETWORKS if network.name == name)
crowd = Crowd((host, int(port)) if host else port, [], kind)
while True:
    crowd.readers.clear()
    crowd.add(8 - len(crowd))
    crowd.run(1, until=lambda: len(crowd) < 8)
"""


def rows(scale: Scale) -> Iterator[Row]:
    """
    Three bursts each, of a poem of the length of Ecstasy; fewer over TLS, where each
    costs a handshake.
    """
    for busy, network in itertools.product((False, True), NETWORKS):
        count = scale.count(1000 if network is TLS else 5000)
        fault = f"a burst at {'a busy' if busy else 'an idle'} server"
        tried = f"3 times {tries(count, [network])}, at once"
        measure = partial(_try, busy, count, network)
        yield Row(fault, tried, *compare(measure), isTimed=True)


def _try(busy: bool, count: int, network: Loopback, kind: str) -> tuple[str, bool]:
    with running(kind, POEM, network=network) as subject, ExitStack() as stack:
        if busy:
            address = subject.address
            words = ["", address] if isinstance(address, str) else map(str, address)
            command = [sys.executable, "-c", BUSY, network.name, *words]
            load = subprocess.Popen(command)
            stack.callback(load.wait)
            stack.callback(load.kill)
            subject.waitForNamed(100)
        return _burst(subject, count)


def _burst(subject: Subject, count: int) -> tuple[str, bool]:
    """
    Have three bursts of readers come.
    """
    outcomes: Counter[str] = Counter()
    waits: list[float] = []
    before = counters(OVERFLOWS, RETRANSMITTED)
    for _ in range(3):
        with subject.readers() as crowd:
            crowd.add(count, Manners())
            crowd.run(60, patience=15)
            outcomes += crowd.outcomes()
            waits += [r.lasted for r in crowd.readers if r.lasted is not None]
    after = counters(OVERFLOWS, RETRANSMITTED)
    waits.sort()
    cell = (
        f"{say(outcomes)}; median {waits[len(waits) // 2]:.2f} s, longest "
        f"{waits[-1]:.2f} s, {sum(wait > 0.9 for wait in waits):,} over 0.9 s"
    )
    if subject.network is not UNIX:
        cell += (
            f"; {after[OVERFLOWS] - before[OVERFLOWS]:,} overflows of the queue, "
            f"{after[RETRANSMITTED] - before[RETRANSMITTED]:,} segments sent again"
        )
    return cell, outcomes["whole"] == 3 * count
