"""
Ordinary commands that say something.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from functools import partial

from benchmarks.faults import BIG, Scale, compare
from benchmarks.subject import Subject, running
from benchmarks.table import Row

# What is run, with "hi" and a newline piped into it; what its status has to be.
COMMANDS = {
    "nc.openbsd {host} {port}": 0,
    "nc.openbsd -N {host} {port}": 0,
    "nc.traditional {host} {port}": 0,
    "nc.traditional -q 20 {host} {port}": 0,
    "ncat {host} {port}": 0,
    # By itself, it waits half a second for the rest when its input has ended.
    "socat -t 20 - TCP:{host}:{port}": 0,
    "curl -sS telnet://{host}:{port}": 0,
    "curl -sS --http0.9 http://{host}:{port}/": 0,
    "curl -sS http://{host}:{port}/": 1,  # its own complaint: no HTTP
    "bash -c 'exec 3<>/dev/tcp/{host}/{port}; cat >&3; cat <&3'": 0,
}


def rows(scale: Scale) -> Iterator[Row]:
    """
    A poem of 5 MB on loopback, ten times each.
    """
    tries = scale.count(10)
    for command, status in COMMANDS.items():
        name = command.split()[0]
        if shutil.which(name) is None:
            yield Row(f"`echo hi \\| {name}`", "not installed", {})
            continue
        shown = command.format(host="HOST", port="PORT")
        measure = partial(_try, tries, command, status)
        yield Row(f"`echo hi \\| {shown}`", f"{tries}", *compare(measure))


def _try(tries: int, command: str, status: int, kind: str) -> tuple[str, bool]:
    with running(kind, BIG) as subject:
        found = Counter(_run(subject, command) for _ in range(tries))
    wanted = "whole, status 0" if status == 0 else f"nothing, status {status}"
    said = (f"{count} {outcome}" for outcome, count in found.most_common())
    return "; ".join(said), found[wanted] == tries


def _run(subject: Subject, command: str) -> str:
    host, port = subject.address
    try:
        status, output = subject.ground.run(
            command.format(host=host, port=port), says=b"hi\n"
        )
    except AssertionError:
        return "without an end"
    what = "whole" if output == subject.poem else "cut"
    if len(output) < 200:  # a complaint
        what = "nothing"
    return f"{what}, status {status}"
