"""
Signals that stop a server with readers in flight.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from functools import partial

from benchmarks.faults import HUGE, Scale, compare, together, tries
from benchmarks.faults.row import Row, say
from sandbox.crowd import Crowd
from sandbox.manners import Manners
from sandbox.network import NETWORKS, Loopback
from sandbox.subject import OURS, PLAIN, Subject, running


def rows(scale: Scale) -> Iterator[Row]:
    """
    A poem of 10 MB.
    """
    count = scale.count(200)
    what = f"in flight at 3 MB/s, {count // 4} more in the queue"
    for number in (signal.SIGTERM, signal.SIGINT):
        measure = partial(together, partial(_drain, number, count), NETWORKS)
        tried = f"{tries(count, NETWORKS)}; {what}"
        yield Row(number.name, tried, *compare(measure), isTimed=True)
    tried = f"{tries(count, NETWORKS)}; at 50 KB/s"
    fault = "SIGTERM, `--grace 3`, and readers who need longer"
    measure = partial(together, partial(_grace, count), NETWORKS)
    yield Row(fault, tried, *compare(measure))
    ours, kept = together(partial(_secondSignal, count), NETWORKS, OURS)
    cells = {PLAIN: "ended by the first", OURS: ours}
    yield Row("a second SIGTERM", tried, cells, kept)


def _refuses(subject: Subject) -> bool:
    try:
        subject.connect().close()
    except OSError:
        return True
    return False


def _inFlight(subject: Subject, crowd: Crowd, count: int, manners: Manners) -> None:
    idle = subject.idleDescriptors()

    def areIn() -> bool:
        return subject.server.descriptors() >= idle + len(crowd.readers)

    while len(crowd.readers) < count:  # a few at a time, so that it is no burst
        crowd.add(min(20, count - len(crowd.readers)), manners)
        crowd.run(10, until=areIn)


def _end(subject: Subject, crowd: Crowd, start: float) -> str:
    """
    Let everybody come to an end.

    @return: what there is to say about it.
    """
    crowd.run(90, until=subject.server.hasEnded)
    took = time.monotonic() - start
    crowd.run(90)
    return ", ".join(
        [say(crowd.outcomes()), f"ended after {took:.1f} s", *subject.flaws()]
    )


def _drain(
    number: signal.Signals, count: int, network: Loopback, kind: str
) -> tuple[str, bool]:
    """
    Stop a server with readers in flight, and others in its queue.
    """
    server = running(kind, HUGE, "--grace 80", network)
    with server as subject, subject.readers() as crowd:
        manners = Manners(readsPerSecond=3_000_000)
        _inFlight(subject, crowd, count, manners)
        # These are in the queue when the signal comes.
        subject.server.signal(signal.SIGSTOP)
        waiting = crowd.add(count // 4, manners)
        crowd.run(10, until=lambda: all(reader.isConnected for reader in waiting))
        start = time.monotonic()
        subject.server.signal(number)
        subject.server.signal(signal.SIGCONT)
        crowd.run(30, until=partial(_refuses, subject))
        isDraining = not subject.server.hasEnded() and len(crowd) > 0
        said = _end(subject, crowd, start)
        whole = crowd.outcomes()["whole"] == len(crowd.readers)
        if isDraining and kind == OURS:
            said += "; who came meanwhile was refused"
        return said, isDraining and whole and not subject.flaws()


def _grace(count: int, network: Loopback, kind: str) -> tuple[str, bool]:
    server = running(kind, HUGE, "--grace 3", network)
    with server as subject, subject.readers() as crowd:
        _inFlight(subject, crowd, count, Manners(readsPerSecond=50_000))
        start = time.monotonic()
        subject.server.signal(signal.SIGTERM)
        return _allCut(subject, crowd, start)


def _secondSignal(count: int, network: Loopback, kind: str) -> tuple[str, bool]:
    server = running(kind, HUGE, "--grace 80", network)
    with server as subject, subject.readers() as crowd:
        _inFlight(subject, crowd, count, Manners(readsPerSecond=50_000))
        subject.server.signal(signal.SIGTERM)
        crowd.run(30, until=lambda: "in flight" in subject.server.log)
        start = time.monotonic()
        subject.server.signal(signal.SIGTERM)
        return _allCut(subject, crowd, start)


def _allCut(subject: Subject, crowd: Crowd, start: float) -> tuple[str, bool]:
    said = _end(subject, crowd, start)
    isCut = crowd.outcomes()[subject.network.cut] == len(crowd.readers)
    return said, isCut and not subject.flaws()
