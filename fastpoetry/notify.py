"""
What a supervisor is told of the process, as C{Type=notify} of systemd asks for:
sd_notify(3).  Nothing imports this where there is no such supervisor.
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

# While a stop waits for readers, the supervisor hears how many every so many seconds.
REPORT = 1.0


class Supervisor:
    """
    The supervisor that has set C{NOTIFY_SOCKET}.  Nobody waits for it, and where it
    does not listen that costs a line of the log.
    """

    _log = Logger()

    _hasFailed = False

    def __init__(self, reactor: Any) -> None:
        """
        Connect, which the process might not be able to later: after C{--chroot}, or
        when it has no descriptor left.

        @param reactor: what has to turn for the process to be well.
        """
        self.reactor = reactor
        # They are not meant for children.
        self._address = os.environ.pop("NOTIFY_SOCKET")
        self._watchdog = os.environ.pop("WATCHDOG_USEC", "")
        self._watched = os.environ.pop("WATCHDOG_PID", "")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._try(self._socket.connect, re.sub("^@", "\0", self._address))

    def start(self) -> None:
        """
        Say that the process serves.  From then on it says again and again that its
        reactor turns, if somebody watches.
        """
        self._tell("READY=1")
        isWatched = self._watched in ("", str(os.getpid()))
        microseconds = int(self._watchdog) if self._watchdog.isdecimal() else 0
        if isWatched and microseconds:
            self._beat(microseconds / 1e6 / 2)

    def reloading(self) -> None:
        """
        Say that the process reads anew what it serves.
        """
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def reloaded(self) -> None:
        """
        Say that it has.
        """
        self._tell("READY=1")

    def stopping(self, countReaders: Callable[[], int]) -> None:
        """
        Say that the process stops, and how many readers it waits for, until there is
        none.
        """
        self._report(countReaders, "STOPPING=1\n")

    def _beat(self, seconds: float) -> None:
        self._tell("WATCHDOG=1")
        self.reactor.callLater(seconds, self._beat, seconds)

    def _report(self, countReaders: Callable[[], int], change: str = "") -> None:
        count = countReaders()
        self._tell(
            f"{change}STATUS={count} reader{'' if count == 1 else 's'} in flight"
        )
        if count:
            self.reactor.callLater(REPORT, self._report, countReaders)

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
