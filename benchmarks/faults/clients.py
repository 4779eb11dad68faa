"""
Ordinary commands that say something, and what they say when a poem is cut.
"""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import partial

from benchmarks.faults import BIG, Scale, compare
from benchmarks.network import LOOPBACK, UNIX, Loopback
from benchmarks.subject import Subject, running
from benchmarks.table import Row
from tests.processes import findCommand

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
    "nc.openbsd -U {path}": 0,
    "nc.openbsd -N -U {path}": 0,
    "ncat -U {path}": 0,
    "socat -t 20 - UNIX-CONNECT:{path}": 0,
    "curl -sS --http0.9 --unix-socket {path} http://localhost/": 0,
}

# What is run while its poem is cut, and whether it has to find out.
CUT = {
    "get-poetry {host}:{port}": True,
    "ncat {host} {port}": True,
    "curl -sS telnet://{host}:{port}": True,
    "nc.openbsd {host} {port}": False,
    "socat -t 20 - TCP:{host}:{port}": False,
    "get-poetry unix:{path}": True,
    "ncat -U {path}": False,
    "curl -sS --http0.9 --unix-socket {path} http://localhost/": False,
    "nc.openbsd -U {path}": False,
    "socat -t 20 - UNIX-CONNECT:{path}": False,
}
SHOWN = {"host": "HOST", "port": "PORT", "path": "PATH"}


def rows(scale: Scale) -> Iterator[Row]:
    """
    A poem of 5 MB, ten times each.
    """
    tries = scale.count(10)
    for command, status in COMMANDS.items():
        name = command.split()[0]
        if shutil.which(name) is None:
            yield Row(f"`echo hi \\| {name}`", "not installed", {})
            continue
        measure = partial(_try, tries, command, status)
        shown = f"`echo hi \\| {command.format_map(SHOWN)}`"
        yield Row(shown, f"{tries}", *compare(measure))
    for command, findsOut in CUT.items():
        if shutil.which(command.split()[0]) is None and "get-poetry" not in command:
            continue
        fault = f"SIGKILL in the middle of `{command.format_map(SHOWN)}`"
        yield Row(fault, "1", *compare(partial(_cut, command, findsOut)))


def _networkOf(command: str) -> Loopback:
    return UNIX if "{path}" in command else LOOPBACK


def _words(subject: Subject, command: str) -> str:
    address = subject.address
    if isinstance(address, str):
        return command.format(path=address)
    host, port = address
    return command.format(host=host, port=port)


def _cut(command: str, findsOut: bool, kind: str) -> tuple[str, bool]:
    """
    Let a command fetch more than can be fetched until the server has gone.
    """
    poem = 40 * BIG
    with running(kind, poem, network=_networkOf(command)) as subject:
        words = shlex.split(_words(subject, command))
        words[0] = findCommand(words[0])
        with subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as child:
            assert child.stdin is not None and child.stdout is not None
            subject.waitForNamed(1)
            subject.server.signal(signal.SIGKILL)
            subject.server.waitForEnd()
            child.stdin.close()
            size = len(child.stdout.read())
            status = child.wait()
    what = "whole" if size == len(poem) else "a part" if size else "nothing"
    kept = size < len(poem) and not (findsOut and status == 0)
    return f"{what}, status {status}", kept


def _try(tries: int, command: str, status: int, kind: str) -> tuple[str, bool]:
    with running(kind, BIG, network=_networkOf(command)) as subject:
        found = Counter(_run(subject, command) for _ in range(tries))
    wanted = "whole, status 0" if status == 0 else f"nothing, status {status}"
    said = (f"{count} {outcome}" for outcome, count in found.most_common())
    return "; ".join(said), found[wanted] == tries


def _run(subject: Subject, command: str) -> str:
    try:
        status, output = subject.ground.run(_words(subject, command), says=b"hi\n")
    except AssertionError:
        return "without an end"
    what = "whole" if output == subject.poem else "cut"
    if len(output) < 200:  # a complaint
        what = "nothing"
    return f"{what}, status {status}"
