"""
The memory that the kernel has for the TCP sockets of all processes (Linux: tcp(7)).
"""

from __future__ import annotations

import os

from twisted.logger import Logger

# Seconds between two checks, at the least.
CHECK_INTERVAL = 1.0

# The warning is repeated only after the memory in use has been below this share of the
# first limit.
WARN_AGAIN = 0.75


class SocketMemory:
    """
    Warns before readers who take nothing fill the kernel's memory for TCP sockets.

    C{tcp_mem} has three numbers of pages.  When more than the second is in use, the
    kernel saves memory until less than the first is in use; a poem of 10 MB then takes
    half a second in place of 10 ms.  The warning comes at the first number, which is
    three quarters of the second.
    """

    _log = Logger()

    _checkAt = float("-inf")
    _isWarned = False

    def __init__(
        self,
        used: str = "/proc/net/sockstat",
        limits: str = "/proc/sys/net/ipv4/tcp_mem",
    ) -> None:
        """
        @param used: the file that says how much is in use.

        @param limits: the file with the three numbers.  Without these files, as in many
            containers, there are no warnings.
        """
        self._used = used
        self._limits = limits

    def check(self, now: float, readers: int) -> None:
        """
        Check how much is in use, unless it is too soon after the last check.

        @param now: the time, in seconds.

        @param readers: how many readers this process has.
        """
        if now < self._checkAt:
            return
        self._checkAt = now + CHECK_INTERVAL
        try:
            used, (low, pressure, _) = self._read()
        except (OSError, ValueError, KeyError):
            return
        if used >= low and not self._isWarned:
            self._isWarned = True
            megabyte = 10**6 / os.sysconf("SC_PAGESIZE")
            self._log.warn(
                "the kernel has {used:.0f} MB in use for TCP sockets, and from "
                "{pressure:.0f} MB on everybody is served slowly; there are {readers} "
                "readers here: see --max-connections, --timeout and net.ipv4.tcp_mem",
                used=used / megabyte,
                pressure=pressure / megabyte,
                readers=readers,
            )
        elif used < WARN_AGAIN * low:
            self._isWarned = False

    def _read(self) -> tuple[int, list[int]]:
        with open(self._used) as file:
            lines = dict(line.split(": ", 1) for line in file)
        words = lines["TCP"].split()
        used = int(dict(zip(words[::2], words[1::2]))["mem"])
        with open(self._limits) as file:
            return used, [int(word) for word in file.read().split()]
