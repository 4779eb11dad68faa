"""
SIGHUP while readers read.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.faults import Scale, compare, never, together, tries
from benchmarks.faults.row import Row, say
from sandbox.manners import Manners
from sandbox.network import NETWORKS, Loopback
from sandbox.subject import BIG, OURS, PLAIN, Subject, running

OLD = BIG[:300_000]
NEW = OLD[::-1]
DEAD = "SIGHUP ends it"


def rows(scale: Scale) -> Iterator[Row]:
    """
    Two poems of 300 KB that have no part in common.
    """
    times = scale.count(1000)
    tried = f"{tries(times, NETWORKS)}; while 64 readers fetch without pause"
    fault = "two poems in turn, by `mv`"
    measure = partial(together, partial(_alternate, times), NETWORKS)
    yield Row(fault, tried, *compare(measure))
    ours, kept = together(_halfWay, NETWORKS, OURS)
    cells = {PLAIN: DEAD, OURS: ours}
    tried = tries(50, NETWORKS)
    yield Row("readers half way through 5 MB", tried, cells, kept)
    for fault, spoil, served in [
        ("the poem is replaced by `mv`", _replace, NEW),
        ("the poem is rewritten in place", _rewrite, NEW),
        ("the poem is deleted", os.unlink, OLD),
        ("the poem becomes unreadable (`--uid nobody`)", _protect, OLD),
        ("the poem becomes a directory", _makeDirectory, OLD),
    ]:
        yield _once(fault, spoil, served)


def _replace(path: Path) -> None:
    new = path.with_name("new.txt")
    new.write_bytes(NEW)
    new.replace(path)


def _rewrite(path: Path) -> None:
    path.write_bytes(NEW)


def _protect(path: Path) -> None:
    path.chmod(0)


def _makeDirectory(path: Path) -> None:
    path.unlink()
    path.mkdir()


class _Loads:
    """
    Counts how often a server has loaded a poem, by what is new in its log.
    """

    def __init__(self, subject: Subject) -> None:
        self._file = subject.server.logPath.open("rb")
        self._rest = b""
        self.count = 0
        self.read()

    def read(self) -> int:
        """
        @return: how often, up to now.
        """
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        self.count += sum(b"loaded a poem from" in line for line in lines)
        return self.count


def _alternate(times: int, network: Loopback, kind: str) -> tuple[str, bool]:
    """
    Replace the poem by the other one again and again, while readers fetch it.
    """
    server = running(kind, OLD, network=network)
    with server as subject, subject.readers(NEW) as crowd:
        path = subject.sandbox.path / "poem.txt"
        spare = subject.sandbox.write("spare.txt", NEW)
        third = path.with_name("third.txt")
        loads, done = _Loads(subject), 0

        def turn() -> bool:
            """
            Have the poem replaced when the last one is loaded.

            @return: whether that is over.
            """
            nonlocal done
            crowd.add(64 - len(crowd))
            if loads.read() <= done:
                return subject.server.hasEnded()
            if done == times:
                return True
            done += 1
            path.replace(third)
            spare.replace(path)
            third.replace(spare)
            subject.server.signal(signal.SIGHUP)
            return False

        crowd.run(300, until=turn)
        if subject.server.hasEnded():
            return ", ".join([DEAD, *subject.flaws()]), False
        crowd.run(30)
        outcomes = crowd.outcomes()
        whole = outcomes["whole"] == len(crowd.readers)
    return f"{done:,} reloads, {say(outcomes)}", done == times and whole


def _halfWay(network: Loopback, kind: str) -> tuple[str, bool]:
    """
    Readers in the middle of the old poem, which is large enough not to be with
    the kernel yet.
    """
    old, new = BIG, BIG[::-1]
    server = running(kind, old, network=network)
    with server as subject, subject.readers() as crowd:
        crowd.add(50, Manners(readsPerSecond=1_000_000))
        crowd.run(1, until=never)
        subject.sandbox.write("new.txt", new).replace(subject.sandbox.path / "poem.txt")
        subject.server.signal(signal.SIGHUP)
        subject.server.waitForLog("loaded a poem", 2)
        crowd.run(60)
        outcomes = crowd.outcomes()
        with subject.readers(new) as others:
            others.poems.remove(old)
            others.add(1)
            others.run(60)
            fresh = others.outcomes()["whole"] == 1
    said = f"{say(outcomes)} (the old one); the next gets "
    said += "the new" if fresh else "something else"
    return said, outcomes["whole"] == 50 and fresh


def _once(fault: str, spoil: Callable[[Path], None], served: bytes) -> Row:
    """
    Spoil the file of the poem, and have it reloaded.

    @param served: the poem that has to be served then.
    """
    isNobody = os.geteuid() == 0
    prefix = "--uid nobody --gid nogroup" if isNobody else ""
    with running(OURS, OLD, prefix=prefix) as subject:
        spoil(subject.sandbox.path / "poem.txt")
        subject.server.signal(signal.SIGHUP)
        log = subject.server
        log.waitUntil(
            lambda: log.log.count("loaded a poem") == 2 or "#error]" in log.log,
            "reload",
        )
        errors = log.log.count("#error]")
        with subject.readers(NEW) as readers:
            readers.poems = [served]
            readers.add(5)
            readers.run(30)
            outcomes = readers.outcomes()
        flaws = subject.flaws()
    kept = outcomes["whole"] == 5 and errors == (served == OLD) and not flaws
    which = "the new poem" if served == NEW else "the old poem, one line of error"
    cells = {PLAIN: DEAD, OURS: which if kept else f"{say(outcomes)}, {errors} errors"}
    return Row(fault, "SIGHUP, 5 fetches", cells, kept)
