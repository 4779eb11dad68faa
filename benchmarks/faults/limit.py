"""
More readers than there is room for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.faults import Scale, compare, never, together, tries
from benchmarks.faults.row import Row, say
from sandbox import POEM
from sandbox.manners import Manners
from sandbox.network import LOOPBACK, NETWORKS, Loopback
from sandbox.subject import BIG, OURS, PLAIN, running

NONE = "no such option"


def rows(scale: Scale) -> Iterator[Row]:
    """
    Descriptors, C{--max-connections}, and the queue behind it.
    """
    count = scale.count(500)
    tried = f"{tries(count, NETWORKS)}; at once, 5 MB each, read at 8 MB/s"
    measure = partial(together, partial(_serve, count, "", 128), NETWORKS)
    yield Row("`ulimit -n 128`", tried, *compare(measure))
    limited = partial(_serve, count, "--max-connections 50", None)
    ours, kept = together(limited, NETWORKS, OURS)
    yield Row("`--max-connections 50`", tried, {PLAIN: NONE, OURS: ours}, kept)
    fault = "`ulimit -n 128`, all places taken by stalled readers"
    measure = partial(together, _idle, NETWORKS)
    tried = f"{tries(300, NETWORKS)}; for 5 s"
    yield Row(fault, tried, *compare(measure), isTimed=True)
    yield _queue(6000)


def _serve(
    count: int, options: str, descriptors: int | None, network: Loopback, kind: str
) -> tuple[str, bool]:
    """
    Serve more readers at once than there is room for.
    """
    server = running(kind, BIG, options, network, descriptors=descriptors)
    with server as subject:
        if descriptors is not None:
            limits = Path(f"/proc/{subject.server.pid}/limits").read_text()
            assert re.search(f"open files +{descriptors} +{descriptors} ", limits)
        with subject.readers() as crowd:
            crowd.add(count, Manners(readsPerSecond=8_000_000))
            crowd.run(300, patience=20)
            outcomes = crowd.outcomes()
    return say(outcomes), outcomes["whole"] == count


def _idle(network: Loopback, kind: str) -> tuple[str, bool]:
    server = running(kind, BIG, network=network, descriptors=128)
    with server as subject, subject.readers() as crowd:
        crowd.add(300, Manners(readsPerSecond=0))
        crowd.run(2, until=never)
        start = subject.server.processorTime().used
        crowd.run(5, until=never)
        used = subject.server.processorTime().used - start
        ended = sum(reader.outcome is not None for reader in crowd.readers)
    return f"{used:.2f} s of processor time", used < 0.1 and not ended


def _queue(count: int) -> Row:
    """
    The waiting room at the limit is the backlog: what is past it?
    """
    options = "--max-connections 10"
    with running(OURS, POEM, options) as subject, subject.readers() as crowd:
        # They take the places: each holds its connection after the poem.
        crowd.add(10, Manners(staysFor=6))
        crowd.run(1, until=never)
        rest = crowd.add(count)
        crowd.run(0.5, until=never)
        waiting = sum(reader.isConnected for reader in rest)
        crowd.run(120, patience=30)
        outcomes = crowd.outcomes(rest)
        longest = max(reader.lasted or 120.0 for reader in rest)
    ours = (
        f"{waiting:,} connected and waited in the queue, {count - waiting:,} tried "
        f"again by TCP's own clock; {say(outcomes)}, the last after {longest:.0f} s"
    )
    tried = f"{tries(count, [LOOPBACK])}; at once, all 10 places taken for 2 to 4 s"
    fault = "`--max-connections 10`, and more than the queue holds"
    cells = {PLAIN: NONE, OURS: ours}
    return Row(fault, tried, cells, outcomes["whole"] == count, isTimed=True)
