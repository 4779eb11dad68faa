"""
What a supervisor is told of the process: sd_notify(3), C{Type=notify} in a unit of
systemd.  This is imported only where there is such a supervisor.
"""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Callable
from typing import Any

from twisted.logger import Logger

from fastpoetry.text import explain, printable

# Seconds between two reports to the supervisor, during a stop, of how many readers are
# left.
REPORT_INTERVAL = 1.0


class Supervisor:
    """
    The supervisor that has set C{NOTIFY_SOCKET}.  Nothing here blocks or raises; if
    the supervisor does not listen, the log says so once.
    """

    _log = Logger()

    _hasFailed = False

    def __init__(self, reactor: Any) -> None:
        """
        Connect now.  Later the process might not be able to: after C{--chroot}, or when
        it has no descriptor left.

        @param reactor: the clock; while it turns, the process is alive.
        """
        self.reactor = reactor
        # Removed from the environment: they are not meant for child processes.
        self._address = os.environ.pop("NOTIFY_SOCKET")
        self._watchdog = os.environ.pop("WATCHDOG_USEC", "")
        self._watched = os.environ.pop("WATCHDOG_PID", "")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        # An abstract address is written with "@" in the place of its NUL byte.
        self._try(self._socket.connect, re.sub("^@", "\0", self._address))

    def start(self) -> None:
        """
        Say that the process serves.  From then on say at half the interval of the
        watchdog that its reactor turns, if the unit has C{WatchdogSec=}.
        """
        self._tell("READY=1")
        isWatched = self._watched in ("", str(os.getpid()))
        microseconds = int(self._watchdog) if self._watchdog.isdecimal() else 0
        if isWatched and microseconds:
            self._handleBeat(microseconds / 1e6 / 2)

    def reloading(self) -> None:
        """
        Say that a reload has begun.
        """
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """
        Say that the reload is over.
        """
        self._tell("READY=1")

    def stopping(self, countReaders: Callable[[], int]) -> None:
        """
        Say that the process stops, and how many readers are left, until there are none.

        @param countReaders: gives their number.
        """
        self._handleReport(countReaders, "STOPPING=1\n")

    def _handleBeat(self, seconds: float) -> None:
        self._tell("WATCHDOG=1")
        self.reactor.callLater(seconds, self._handleBeat, seconds)

    def _handleReport(self, countReaders: Callable[[], int], change: str = "") -> None:
        count = countReaders()
        self._tell(
            f"{change}STATUS={count} reader{'' if count == 1 else 's'} in flight"
        )
        if count:
            self.reactor.callLater(REPORT_INTERVAL, self._handleReport, countReaders)

    def _tell(self, text: str) -> None:
        self._try(self._socket.send, text.encode())

    def _try(self, call: Callable[[Any], object], argument: str | bytes) -> None:
        try:
            call(argument)
        except OSError as error:
            if not self._hasFailed:
                self._hasFailed = True
                self._log.warn(
                    "cannot tell the supervisor: {reason}: {address}",
                    reason=explain(error),
                    address=printable(self._address),
                )
