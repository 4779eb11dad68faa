"""
Ordinary commands that say something, and what they say when a poem is cut.
"""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import TypeVar

from benchmarks.faults import Scale, compare, isMissing
from benchmarks.faults.row import Row
from sandbox import findCommand, quoted
from sandbox.network import LOOPBACK, TLS, UNIX, Loopback
from sandbox.subject import BIG, Subject, running

# What is run by network, with "hi" and a newline piped into it; what its status has to
# be.
COMMANDS = {
    LOOPBACK: {
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
    },
    UNIX: {
        "nc.openbsd -U {path}": 0,
        "nc.openbsd -N -U {path}": 0,
        "ncat -U {path}": 0,
        "socat -t 20 - UNIX-CONNECT:{path}": 0,
        "curl -sS --http0.9 --unix-socket {path} http://localhost/": 0,
    },
    TLS: {
        "ncat --ssl {host} {port}": 0,
        "ncat --ssl --recv-only {host} {port}": 0,
        "socat -t 20 - OPENSSL:{host}:{port},verify=0": 0,
        "openssl s_client -quiet -connect {host}:{port}": 0,
        "curl -sS -k --http0.9 https://{host}:{port}/": 0,
        "curl -sS -k --http0.9 --no-alpn https://{host}:{port}/": 0,
        "get-poetry tls:localhost:{port}:trustRoots={path}": 0,
    },
}

# What is run while its poem is cut, and whether it has to find out.
CUT = {
    LOOPBACK: {
        "get-poetry {host}:{port}": True,
        "ncat {host} {port}": True,
        "curl -sS telnet://{host}:{port}": True,
        "nc.openbsd {host} {port}": False,
        "socat -t 20 - TCP:{host}:{port}": False,
    },
    UNIX: {
        "get-poetry unix:{path}": True,
        "ncat -U {path}": False,
        "curl -sS --http0.9 --unix-socket {path} http://localhost/": False,
        "nc.openbsd -U {path}": False,
        "socat -t 20 - UNIX-CONNECT:{path}": False,
    },
    TLS: {
        "get-poetry tls:localhost:{port}:trustRoots={path}": True,
        "curl -sS -k --http0.9 --no-alpn https://{host}:{port}/": True,
        "ncat --ssl {host} {port}": True,
        "socat -t 20 - OPENSSL:{host}:{port},verify=0": False,
        "openssl s_client -quiet -connect {host}:{port}": True,
    },
}
SHOWN = {"host": "HOST", "port": "PORT", "path": "PATH"}

T = TypeVar("T")


def rows(scale: Scale) -> Iterator[Row]:
    """
    A poem of 5 MB, ten times each.
    """
    tries = scale.count(10)
    for network, command, status in _flat(COMMANDS):
        shown = f"`echo hi \\| {command.format_map(SHOWN)}`"
        if isMissing(command.split()[0]):
            yield Row(shown, "not installed", {})
            continue
        measure = partial(_try, tries, network, command, status)
        yield Row(shown, f"{tries}", *compare(measure))
    for network, command, findsOut in _flat(CUT):
        if isMissing(command.split()[0]):
            continue
        fault = f"SIGKILL in the middle of `{command.format_map(SHOWN)}`"
        yield Row(fault, "1", *compare(partial(_cut, network, command, findsOut)))


def _flat(commands: dict[Loopback, dict[str, T]]) -> Iterator[tuple[Loopback, str, T]]:
    for network, some in commands.items():
        for command, wanted in some.items():
            yield network, command, wanted


def _words(subject: Subject, command: str) -> str:
    name, _, rest = command.partition(" ")
    address = subject.address
    if isinstance(address, str):
        rest = rest.format(path=address)
    else:
        host, port = address
        rest = rest.format(host=host, port=port, path=subject.sandbox.path)
    return f"{quoted(findCommand(name))} {rest}"


def _cut(
    network: Loopback, command: str, findsOut: bool, kind: str
) -> tuple[str, bool]:
    """
    Let a command fetch more than can be fetched until the server has gone.
    """
    poem = 40 * BIG
    with running(kind, poem, network=network) as subject:
        words = shlex.split(_words(subject, command))
        with subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as child:
            assert child.stdin is not None and child.stdout is not None
            subject.waitForNamed(1)
            size = 0
            if not command.startswith("get-poetry"):  # which prints it in the end
                size = len(child.stdout.read(1))
            subject.server.signal(signal.SIGKILL)
            subject.server.waitForEnd()
            child.stdin.close()
            size += len(child.stdout.read())
            status = child.wait()
    what = "whole" if size == len(poem) else "a part" if size else "nothing"
    kept = size < len(poem) and not (findsOut and status == 0)
    return f"{what}, status {status}", kept


def _try(
    tries: int, network: Loopback, command: str, status: int, kind: str
) -> tuple[str, bool]:
    with running(kind, BIG, network=network) as subject:
        found = Counter(_run(subject, command) for _ in range(tries))
    wanted = "whole, status 0" if status == 0 else f"nothing, status {status}"
    said = (f"{count} {outcome}" for outcome, count in found.most_common())
    return "; ".join(said), found[wanted] == tries


def _run(subject: Subject, command: str) -> str:
    words = f"exec {_words(subject, command)} 2>/dev/null"  # without complaints
    try:
        status, output = subject.sandbox.run(f"sh -c {quoted(words)}", says=b"hi\n")
    except AssertionError:
        return "without an end"
    what = "whole" if output == subject.poem else "cut" if output else "nothing"
    return f"{what}, status {status}"
