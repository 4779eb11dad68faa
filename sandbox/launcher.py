"""
Holds a listening socket that outlives the daemons that serve on it.  What
C{systemd} does for a socket unit, C{systemd-socket-activate} does only once: so
it starts this, and this starts one daemon after another.

    systemd-socket-activate -l PORT --fdname poem python -m sandbox.launcher \
        TIMES OVERLAP COMMAND ...
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

    @param command: to whose end a place for the log is added.
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
    Start a daemon, and hand over to the next, so many times.

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
