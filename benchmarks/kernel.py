"""
What the kernel counts.
"""

from __future__ import annotations

import contextlib
import os


def counters(*names: str) -> dict[str, int]:
    """
    Look at counters of the kernel, of the namespace that this thread is in.

    @param names: as C{nstat} calls them: C{TcpRetransSegs}.
    """
    found: dict[str, int] = {}
    for path in ("/proc/thread-self/net/snmp", "/proc/thread-self/net/netstat"):
        with open(path) as file:
            for titles, values in zip(file, file):
                prefix = titles.partition(":")[0]
                for title, value in zip(titles.split()[1:], values.split()[1:]):
                    with contextlib.suppress(ValueError):
                        found[prefix + title] = int(value)
    return {name: found.get(name, 0) for name in names}


def memoryPressure() -> float:
    """
    @return: from how many MB on the kernel is sparing with memory for TCP sockets.
    """
    with open("/proc/sys/net/ipv4/tcp_mem") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def socketMemory() -> float:
    """
    @return: how many MB the kernel holds for all TCP sockets.
    """
    with open("/proc/thread-self/net/sockstat") as file:
        (line,) = (line for line in file if line.startswith("TCP:"))
    words = line.split()
    return int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGESIZE") / 1e6
