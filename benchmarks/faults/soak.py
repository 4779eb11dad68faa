"""
Our server among readers of all kinds, for a long time.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from dataclasses import replace

from benchmarks.faults import never
from benchmarks.faults.row import say
from benchmarks.report import line, table
from sandbox.crowd import Crowd
from sandbox.manners import Manners
from sandbox.subject import BIG, OURS, Subject, running

POEMS = BIG[:2_000_000], BIG[:1:-2][:2_000_000]

# This many of each come every second.
EVERY_SECOND = [
    (5, Manners()),
    (2, Manners(readsPerSecond=1_000_000)),
    (1, Manners(readsPerSecond=0)),
    (2, Manners(says=b"x" * 2**16, readsPerSecond=2_000_000)),
    (1, Manners(saysPerSecond=10**6, readsPerSecond=1_000_000)),
    (2, Manners(halfCloses=True)),
    (2, Manners(leavesAt=0)),
    (2, Manners(leavesAt=500_000, resets=True)),
    (1, Manners(staysFor=6)),
]
ENDS = {"whole", "left"}
TIMEOUT = 5  # seconds, for those who stall
RELOADS = 3  # seconds between two
LINES = 12  # of the table, besides the first


HEAD = ["after", "readers", "descriptors", "memory", "log", "processor time"]


def soak(seconds: float) -> bool:
    """
    Every second a few readers come who read, stall, talk, leave and reset; every few
    seconds the poem is replaced.  In the end descriptors and memory have to be back
    where they began, with no reader cut and no traceback.  What is seen meanwhile is
    printed.

    @return: whether it is so.
    """
    print(table(HEAD), end="")
    with running(OURS, POEMS[0], f"--timeout {TIMEOUT}") as subject:
        with subject.readers(POEMS[1]) as crowd:
            crowd.add(20)  # so that what is needed once is there
            crowd.run(30)
            idle = subject.server.descriptors()
            memory = _load(subject, crowd, seconds)
            crowd.run(60)
        subject.waitFor(lambda: subject.server.descriptors() <= idle)
        wrong = [*_wrongEnds(crowd), *subject.flaws()]
        if subject.server.descriptors() > idle:
            wrong.append("descriptors are left")
        if subject.server.memory() > 1.25 * memory:
            wrong.append("memory has grown")
        if subject.named() > len(crowd.readers):
            wrong.append("more names in the log than readers")
        subject.server.stop()
    print(", ".join(wrong) or "all came back to where it began")
    return not wrong


def _load(subject: Subject, crowd: Crowd, seconds: float) -> int:
    """
    Have readers come, and the poem replaced.

    @return: the memory, in KiB, when all kinds of readers had come.
    """
    path = subject.sandbox.path / "poem.txt"
    start = time.monotonic()
    _tell(subject, crowd, start)
    rounds, memory = 0, 0
    while time.monotonic() - start < seconds:
        for count, manners in EVERY_SECOND:
            crowd.add(count, replace(manners))
        crowd.run(1, until=never)
        rounds += 1
        if rounds % RELOADS == 0:
            poem = POEMS[rounds // RELOADS % 2]
            subject.sandbox.write("new.txt", poem).replace(path)
            subject.server.signal(signal.SIGHUP)
        if rounds == max(1, int(seconds / 5)):
            memory = subject.server.memory()
        if rounds % max(1, int(seconds / LINES)) == 0:
            _tell(subject, crowd, start)
    return memory


def _tell(subject: Subject, crowd: Crowd, start: float) -> None:
    """
    Print how it goes.
    """
    server = subject.server
    row = [
        f"{time.monotonic() - start:.0f} s",
        f"{len(crowd.readers):,}",
        f"{server.descriptors()}",
        f"{server.memory() / 1024:.1f} MiB",
        f"{len(server.log):,} bytes",
        f"{server.processorTime().used:.1f} s",
    ]
    print(line(row), end="", flush=True)


def _wrongEnds(crowd: Crowd) -> list[str]:
    """
    Print how readers have ended.

    @return: a sentence if some did not as they should.
    """
    stalled: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for reader in crowd.readers:
        kind = stalled if reader.manners.readsPerSecond == 0 else others
        kind.update(crowd.outcomes([reader]))
    print(f"\nstalled: {say(stalled)}; the others: {say(others)}")
    isFine = set(stalled) == {"reset"} and set(others) <= ENDS
    return [] if isFine else ["readers were not served"]
