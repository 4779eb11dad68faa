"""
The memory that the kernel has for the TCP sockets of all processes (Linux: tcp(7)).
"""

from __future__ import annotations

import os

from twisted.logger import Logger

# How many seconds there are at the least between two looks.
PAUSE = 1.0

# After a warning there is another when the memory in use has been below so much of what
# is warned of.
OVER = 0.75


class SocketMemory:
    """
    Warns before readers who take nothing fill the kernel's memory for TCP sockets.

    C{tcp_mem} has three numbers.  From the second one on the kernel is sparing, until
    less than the first one is used, and a poem of 10 MB takes half a second, where it
    took 10 ms.  The warning is at the first one, which is three quarters of the second.
    """

    _log = Logger()

    _lookAt = float("-inf")
    _isWarned = False

    def __init__(
        self,
        used: str = "/proc/net/sockstat",
        limits: str = "/proc/sys/net/ipv4/tcp_mem",
    ) -> None:
        """
        @param used: the file that says how much is used.

        @param limits: that with the three numbers.  Where there are no such files, as
            in many containers, nothing is warned of.
        """
        self._used = used
        self._limits = limits

    def look(self, now: float, readers: int) -> None:
        """
        Look how much is used, unless it is too soon after the last time.

        @param now: the time, in seconds.

        @param readers: how many readers this process has.
        """
        if now < self._lookAt:
            return
        self._lookAt = now + PAUSE
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
        elif used < OVER * low:
            self._isWarned = False

    def _read(self) -> tuple[int, list[int]]:
        with open(self._used) as file:
            lines = dict(line.split(": ", 1) for line in file)
        words = lines["TCP"].split()
        used = int(dict(zip(words[::2], words[1::2]))["mem"])
        with open(self._limits) as file:
            return used, [int(word) for word in file.read().split()]
