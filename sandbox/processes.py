"""
Processes that serve.  Nothing here waits for a fixed time: what is waited for ends the
wait, and L{DEADLINE} is there for what never comes.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from sandbox.connections import DEADLINE


class ProcessorTime(NamedTuple):
    """
    What a process has had of the processors.

    @ivar used: seconds in which its threads ran.

    @ivar waited: seconds in which they could have run, and something else did.
    """

    used: float
    waited: float


class Process:
    """
    A process, be it a child of this one or not.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd = os.pidfd_open(pid)

    def __del__(self) -> None:
        if hasattr(self, "_fd"):
            os.close(self._fd)

    def signal(self, number: signal.Signals) -> None:
        """
        Send it a signal.
        """
        signal.pidfd_send_signal(self._fd, number)

    def hasEnded(self, seconds: float = 0.0) -> bool:
        """
        @param seconds: how long to wait for its end.
        """
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def waitForEnd(self) -> None:
        """
        @raise AssertionError: when it does not end.
        """
        if not self.hasEnded(DEADLINE):
            raise AssertionError(f"process {self.pid} does not end")

    def processorTime(self) -> ProcessorTime:
        """
        @return: that of its threads, but for those that have ended (C{schedstat}, see
            Linux's F{Documentation/scheduler/sched-stats.rst}).
        """
        used = waited = 0
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            # A thread may end between the listing, the opening and the reading.
            with suppress(FileNotFoundError, ProcessLookupError):
                ran, queued, _ = map(int, (task / "schedstat").read_text().split())
                used += ran
                waited += queued
        return ProcessorTime(used / 1e9, waited / 1e9)

    def memory(self, isPeak: bool = False) -> int:
        """
        @param isPeak: whether to tell the most that it ever had.

        @return: its resident memory, in KiB.
        """
        text = Path(f"/proc/{self.pid}/status").read_text()
        name = "VmHWM:" if isPeak else "VmRSS:"
        return int(text.partition(name)[2].split()[0])

    def descriptors(self) -> int:
        """
        @return: how many descriptors it has open.
        """
        return len(os.listdir(f"/proc/{self.pid}/fd"))


class Server(Process):
    """
    A running C{twistd} or C{twist}.

    @ivar logPath: the file with its log.
    """

    def __init__(
        self, pid: int, logPath: Path, child: subprocess.Popen[bytes] | None = None
    ) -> None:
        super().__init__(pid)
        self.logPath = logPath
        self._child = child

    @property
    def log(self) -> str:
        """
        All that is in its log.
        """
        return self.logPath.read_text("utf-8", "replace")

    @property
    def ports(self) -> list[int]:
        """
        Where it listens, in the order in which it began to.
        """
        return [int(port) for port in re.findall(r"listening on \S+:(\d+)", self.log)]

    @property
    def readers(self) -> int:
        """
        How many readers its log names.  Those who come together share a line.
        """
        lines = re.findall(r"sending \d+ bytes of poetry to .*", self.log)
        return sum(line.count("127.0.0.1:") for line in lines)

    def waitUntil(self, happened: Callable[[], bool], what: str) -> None:
        """
        Look for something that the process does, until it has done it.

        @raise AssertionError: when the process ends, or the time does, without.
        """
        deadline = time.monotonic() + DEADLINE
        while not happened():
            isOver = self.hasEnded(0.01) or time.monotonic() > deadline
            if isOver and not happened():
                raise AssertionError(f"no {what}; the log is:\n{self.log}")

    def waitForLog(self, text: str, times: int = 1) -> None:
        """
        Wait for something to be in its log.
        """
        self.waitUntil(lambda: self.log.count(text) >= times, f"{text!r} in the log")

    def rotate(self) -> Path:
        """
        Have it rotate its log.

        @return: the file with the old log.
        """
        new, old = self.logPath, self.logPath.with_name(self.logPath.name + ".1")
        self.signal(signal.SIGUSR1)
        self.waitUntil(lambda: old.exists() and new.exists(), "rotation of the log")
        return old

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int | None:
        """
        Stop it, and see that there is no traceback in its log.

        @return: its exit status, if it is a child of this process.
        """
        self.signal(number)
        self.waitForEnd()
        if "Traceback" in self.log:
            raise AssertionError(self.log)
        return None if self._child is None else self._child.wait()
