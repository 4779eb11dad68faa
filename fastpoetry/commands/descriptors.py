"""
The descriptors that fetches at once need.
"""

from __future__ import annotations

import resource

# How many a fetch takes: its connection, and another while a second address of the
# host is tried.
PER_JOB = 2

# How many the process takes besides: outputs, the reactor, what it has inherited, and
# names that are looked up.
RESERVE = 64


def affordableJobs(jobs: int) -> int:
    """
    Raise the limit of descriptors of this process as far as needed and allowed.

    @param jobs: how many fetches are wanted at once.

    @return: how many there are descriptors for, at least 1.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = RESERVE + PER_JOB * jobs
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return jobs
    limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    except (OSError, ValueError):  # some systems have another limit below it
        limit = soft
    return max(1, min(jobs, (limit - RESERVE) // PER_JOB))
