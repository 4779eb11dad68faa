"""
Commands of this machine, and where the project is.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path
from unittest import SkipTest

ROOT = Path(__file__).resolve().parent.parent

# Where Debian has what may be built in elsewhere.
NGINX_STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")


def findCommand(name: str) -> str:
    """
    Find a command: beside the interpreter first, where C{twistd} is.

    @raise SkipTest: when it is not installed; in CI, where all must be, that is an
        L{AssertionError}.
    """
    beside = os.path.join(os.path.dirname(sys.executable), name)
    found = shutil.which(beside) or shutil.which(name)
    if found is None:
        missing = AssertionError if os.environ.get("CI") else SkipTest
        raise missing(f"{name} is not installed")
    return found


def quoted(path: object) -> str:
    """
    @return: a path, as a word of a command: a checkout may be anywhere.
    """
    return shlex.quote(str(path))
