"""
The file descriptors of this process (Linux: getrlimit(2)).
"""

from __future__ import annotations

import os
import resource
from collections.abc import Collection
from typing import Any

# As many as a daemon has with one port, its log and one reader.
LEAST_DESCRIPTORS = 15

# Descriptors kept for what is not a reader: the log, a poem that is being read.
RESERVE = 32


def raiseDescriptorLimit() -> None:
    """
    Raise the soft limit of open files to the hard one.

    @raise SystemExit: with a sentence, when even that is less than
        L{LEAST_DESCRIPTORS}.  Of any other exception in a C{.tac} file C{twistd} would
        show the traceback.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < LEAST_DESCRIPTORS:
        raise SystemExit(
            f"cannot start: the limit of open files (ulimit -n) is {hard}, and at "
            f"least {LEAST_DESCRIPTORS} are needed"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def freeDescriptors() -> int:
    """
    @return: how many more descriptors this process may open.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 2**20 if soft == resource.RLIM_INFINITY else soft
    try:
        return limit - len(os.listdir("/proc/self/fd"))
    except OSError:  # there is no /proc in a chroot
        return limit


def divideDescriptors(acceptors: Collection[Any]) -> None:
    """
    Share evenly what this process may open for readers.

    @param acceptors: those L{fastpoetry.listening.acceptor.Acceptor}s that share it.
    """
    readers = sum(len(one.connections) for one in acceptors)
    available = freeDescriptors() + readers - RESERVE
    for one in acceptors:
        one.share = max(1, available // len(acceptors))
        one.resume()
