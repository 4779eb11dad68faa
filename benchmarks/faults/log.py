"""
The log, and a disk that is full of it.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.faults import Scale, compare
from benchmarks.faults.row import Row, say
from sandbox import POEM, Sandbox, freePort
from sandbox.crowd import Crowd
from sandbox.subject import PLAIN, plainCommand, running


def rows(scale: Scale) -> Iterator[Row]:
    """
    A poem of 2,817 bytes.
    """
    count = scale.count(2000)
    for atOnce in (1, 50):
        measure = partial(_size, count, atOnce)
        tried = f"{count:,} poems, {atOnce} at a time"
        yield Row("the size of the log", tried, *compare(measure))
    tried = f"{count:,} poems, then SIGTERM"
    measure = partial(_full, count, False)
    yield Row("the log goes to `/dev/full`", tried, *compare(measure))
    if os.geteuid() == 0:
        measure = partial(_full, count, True)
        yield Row("the log's disk (16 KB) runs full", tried, *compare(measure))


def _fetch(crowd: Crowd, count: int, atOnce: int = 50) -> Counter[str]:
    for _ in range(count // atOnce):
        crowd.add(atOnce)
        crowd.run(60, patience=10)
    return crowd.outcomes()


def _size(count: int, atOnce: int, kind: str) -> tuple[str, bool]:
    with running(kind, POEM) as subject, subject.readers() as crowd:
        before = len(subject.server.log)
        outcomes = _fetch(crowd, count, atOnce)
        subject.waitFor(lambda: subject.server.log.count("127.0.0.1") >= count, 5)
        each = (len(subject.server.log) - before) / count
    said = f"{each:.0f} bytes a poem, {each:.0f} MB a million"
    return said, outcomes["whole"] == count


def _full(count: int, isDisk: bool, kind: str) -> tuple[str, bool]:
    """
    Serve while nothing can be written to the log.

    @param isDisk: whether the log is on a full disk, and not F{/dev/full}.
    """
    with ExitStack() as stack:
        sandbox = Sandbox(stack.callback)
        path = sandbox.write("poem.txt", POEM)
        log = Path("/dev/full")
        if isDisk:
            log = sandbox.write("log/twistd.log", b"")
            options = ["-t", "tmpfs", "-o", "size=16k", "none"]
            subprocess.run(["mount", *options, log.parent], check=True)
            stack.callback(subprocess.check_call, ["umount", "-l", log.parent])
        address = ("127.0.0.1", freePort())
        endpoint = f"tcp:{address[1]}:interface={address[0]}"
        environment: dict[str, str] = {}
        command = f"fastpoetry --poem {path} --endpoint {endpoint}"
        if kind == PLAIN:
            environment, command = plainCommand(path, endpoint)
        try:
            server = sandbox.daemon(
                f"--logfile {log} {command}", str(log), environment=environment
            )
        except AssertionError:
            return "does not start", False
        crowd = Crowd(address, [POEM])
        outcomes = _fetch(crowd, count)
        server.signal(signal.SIGTERM)
        ended = server.hasEnded(10)
    said = say(outcomes) + ("" if ended else ", and does not stop")
    return said, ended and outcomes["whole"] == count
