"""
What the tests of real C{twistd} processes share: their arguments, and poems of which
the kernel takes all at once, or not.
"""

from __future__ import annotations

import os
from unittest import skipIf

PLUGIN = "fastpoetry --port 0 --poem poem.txt"
TAC = "-y fastpoetry.tac"

# More than the kernels of both sides hold for a reader that reads nothing.
LONG = b"".join(b"verse %d\n" % number for number in range(500_000))

# A poem of so many bytes the kernel takes at once, for whatever reader.
SMALL = 16 * 1024

NOBODY = 65534
AS_NOBODY = "--uid nobody --gid nogroup"
needsRoot = skipIf(os.geteuid() != 0, "only root can start it as somebody else")
