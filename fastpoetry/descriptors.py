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


def checkDescriptorLimit(least: int, start: str) -> None:
    """
    Check that this process may have enough descriptors.

    @param least: how many it needs.

    @param start: how the sentence begins.

    @raise SystemExit: with a sentence, when even the hard limit is less.  Of any other
        exception in a C{.tac} file C{twistd} would show the traceback.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < least:
        raise SystemExit(
            f"{start}: the limit of open files (ulimit -n) is {hard}, and at least "
            f"{least} are needed"
        )


def raiseDescriptorLimit() -> None:
    """
    Raise the soft limit of open files to the hard one.

    @raise SystemExit: as L{checkDescriptorLimit}, when that is less than
        L{LEAST_DESCRIPTORS}.
    """
    checkDescriptorLimit(LEAST_DESCRIPTORS, "cannot start")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
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
