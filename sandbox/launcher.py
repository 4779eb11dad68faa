"""
Starts one daemon after another on a listening socket that was passed, as C{systemd}
does for a socket unit.  (C{systemd-socket-activate} starts only one process: this.)

    systemd-socket-activate -l PORT --fdname poem python -m sandbox.launcher \
        TIMES overlap|turn COMMAND ...
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

# The first descriptor that is passed, see sd_listen_fds(3).
FIRST = 3


def start(number: int, command: list[str]) -> subprocess.Popen[bytes]:
    """
    Start a daemon, in a directory of its own, and wait until it serves.

    @param number: how many there were before.

    @param command: starts it.

    @return: its process.

    @raise SystemExit: if it ends before it serves.
    """
    directory = Path(f"daemon{number}")
    directory.mkdir()
    # LISTEN_PID has to be the number of the process that uses the socket.
    shell = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *command]
    with (directory / "stdout").open("wb") as log:
        daemon = subprocess.Popen(
            shell, pass_fds=[FIRST], cwd=directory, stdout=log, stderr=log
        )
    while b"loaded a poem" not in (directory / "stdout").read_bytes():
        try:
            daemon.wait(0.01)
        except subprocess.TimeoutExpired:
            continue
        raise SystemExit((directory / "stdout").read_text())
    return daemon


def main(times: int, overlap: bool, command: list[str]) -> None:
    """
    Start a daemon, and hand over to the next again and again.

    @param times: how often.

    @param overlap: whether the next starts before the last is told to stop.
    """
    daemon = start(0, command)
    print(Path("daemon0/stdout").read_text(), flush=True)
    for number in range(1, times + 1):
        following = start(number, command) if overlap else None
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()
        daemon = following or start(number, command)
    print("handed over", flush=True)
    daemon.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] == "overlap", sys.argv[3:])
