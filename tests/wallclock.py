"""
A wall clock for real processes, which a test sets.
"""

from __future__ import annotations

import shutil
import subprocess

from sandbox import ROOT, Sandbox, findCommand

# A preload library that moves the wall clock of one process by as many seconds as a
# file says.
SHIM = ROOT / "tests" / "wallclock.c"


class WallClock:
    """
    The wall clock of the processes that are started with its environment.

    @ivar environment: the variables that they need.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        """
        Compile the shim.
        """
        self._sandbox = sandbox
        library = sandbox.path / "wallclock.so"
        command = [findCommand("cc"), "-shared", "-fPIC", "-o", str(library), str(SHIM)]
        subprocess.run([*command, "-ldl"], check=True)
        self.set(0.0)
        self.environment = {
            "LD_PRELOAD": str(library),
            "WALLCLOCK_FILE": str(sandbox.path / "offset"),
        }

    def set(self, seconds: float) -> None:
        """
        Set it by so much from the true one.
        """
        new = self._sandbox.write("offset.new", b"%d" % seconds)
        shutil.move(new, self._sandbox.path / "offset")
