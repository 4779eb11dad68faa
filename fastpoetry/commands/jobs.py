"""
How many fetches there are file descriptors for.
"""

from __future__ import annotations

import resource

from fastpoetry.descriptors import checkDescriptorLimit

# As many as one fetch takes, of a poem of any endpoint, in a process that has inherited
# nothing but its standard streams.
LEAST_DESCRIPTORS = 10

# Descriptors of a fetch: its connection, and another while a second address of the host
# is tried.
PER_JOB = 2

# Descriptors of the rest of the process: outputs, the reactor, lookups of names, and
# what it has inherited.
RESERVE = 64


def affordableJobs(jobs: int) -> int:
    """
    Raise the descriptor limit of this process as far as is needed and allowed.

    @param jobs: how many fetches are wanted at once.

    @return: how many of them there are descriptors for, at least 1.

    @raise SystemExit: with a sentence, when there are not enough for one.
    """
    checkDescriptorLimit(LEAST_DESCRIPTORS, "get-poetry")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = RESERVE + PER_JOB * jobs
    if soft == resource.RLIM_INFINITY or needed <= soft:
        return jobs
    limit = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    except (OSError, ValueError):  # some systems have a lower limit, too
        limit = soft
    return max(1, min(jobs, (limit - RESERVE) // PER_JOB))
