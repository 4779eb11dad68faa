"""
What the tests of real C{twistd} processes share: their arguments, a poem of
which the kernel takes all at once, and whom they can run as.
"""

from __future__ import annotations

import os
from unittest import skipIf

from sandbox import ROOT

PLUGIN = "fastpoetry --port 0 --poem poem.txt"
TAC = "-y fastpoetry.tac"

# A poem of this many bytes the kernel takes at once, for whatever reader.
SMALL = 16 * 1024

# What is another poem than that of the other servers.
OTHER = (ROOT / "poetry" / "science.txt").read_bytes()

NOBODY = 65534
AS_NOBODY = "--uid nobody --gid nogroup"
needsRoot = skipIf(os.geteuid() != 0, "only root can start it as somebody else")
