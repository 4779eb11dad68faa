"""
A systemd of its own for a test: process 1 in namespaces where all files are read-only,
F{/opt} has the project as if it were installed there, and nothing else runs.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import sys
import sysconfig
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import SkipTest

from sandbox import DEADLINE, POEM, ROOT, Process, Sandbox, findCommand, quoted

DEPLOY = ROOT / "deploy"
HOST_UNITS = Path("/lib/systemd/system")

CLONE_NEWNET = 0x40000000

# A program that tries what a unit forbids.
PROBE = "/opt/fastpoetry/bin/python /opt/source/tests/unitprobe.py"

# What the units of the project come after, without what belongs to it on a machine.
TARGETS = ("basic", "multi-user", "network", "shutdown", "sockets", "sysinit")
JOURNAL = ("systemd-journald.service", "systemd-journald.socket")

# A unit may not look into homes, where the interpreter of a test may be.
PYTHON = """#!/bin/sh
export LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/source:/opt/pure:/opt/plat
exec /opt/python/bin/{python} {script} "$@"
"""

BOOT = """set -e
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount --bind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -t tmpfs tmpfs /run
mkdir -p /run/dev/shm /run/dev/pts /run/sandbox /run/opt
mount -t devpts -o ptmxmode=666 devpts /run/dev/pts
ln -s pts/ptmx /run/dev/ptmx
for device in null zero full random urandom tty; do
    touch /run/dev/$device
    mount --bind /dev/$device /run/dev/$device
done
touch /run/dev/secret
mount --rbind /run/dev /dev
mount --bind {sandbox} /run/sandbox
cd /run/opt
mkdir python source pure plat fastpoetry
mount --bind {prefix} python
mount --bind {root} source
mount --bind {pure} pure
mount --bind {plat} plat
mount --bind /run/sandbox/installed fastpoetry
cd /
mount --rbind /run/opt /opt
mount -t tmpfs tmpfs /tmp
touch /tmp/secret
mount -t tmpfs tmpfs /var/tmp
mount -o remount,bind,ro /
ip link set lo up
exec env container=test SYSTEMD_UNIT_PATH=/run/sandbox/units \\
    /lib/systemd/systemd --unit=multi-user.target
"""


def _cgroups() -> Path:
    # Where those of this process are made.
    own = re.search("(?m)^0::/(.*)$", Path("/proc/self/cgroup").read_text())
    mounted = re.search(r"(?m)^\S+ (\S+) cgroup2 ", Path("/proc/mounts").read_text())
    if own is None or mounted is None:
        raise SkipTest("no control groups of version 2 here")
    return Path(mounted[1]) / own[1]


class Machine:
    """
    A systemd that has started, and knows the units of F{deploy/}.
    """

    def __init__(self, sandbox: Sandbox, addCleanup: Callable[..., Any]) -> None:
        """
        @param sandbox: where it finds what is installed.

        @param addCleanup: of the test.

        @raise SkipTest: where it is not possible.
        """
        if os.geteuid() != 0:
            raise SkipTest("only root can start a systemd")
        findCommand("/lib/systemd/systemd")
        self.sandbox = sandbox
        unshare = "unshare --pid --fork --kill-child --mount --cgroup --uts --ipc --net"
        status, output = sandbox.run(f"{unshare} mount -t tmpfs tmpfs /run")
        if status != 0:
            raise SkipTest(f"not allowed here: {output.decode().strip()}")
        self._group = _cgroups() / sandbox.path.name
        try:
            self._group.mkdir()
        except OSError as error:
            raise SkipTest(f"not allowed here: {error}") from error
        addCleanup(self._end)
        self._install()
        enter = f"echo 0 >{quoted(self._group)}/cgroup.procs"
        boot = sandbox.write("boot.sh", self._boot().encode())
        command = f"{enter}; exec {unshare} --mount-proc sh {quoted(boot)}"
        self._unshare = sandbox.foreground(f"sh -c {quoted(command)}", [])
        first = self._group / "init.scope" / "cgroup.procs"
        self._unshare.waitUntil(
            lambda: first.exists() and bool(first.read_text()), "systemd"
        )
        self.pid = int(first.read_text().split()[0])
        self._unshare.waitUntil(
            lambda: self.run("systemctl is-system-running") == (0, b"running\n"),
            "systemd that runs",
        )
        self.systemctl("start systemd-journald")

    def _install(self) -> None:
        for name in ("fastpoetry.service", "fastpoetry@.service", "fastpoetry.socket"):
            self.sandbox.write(f"units/{name}", (DEPLOY / name).read_bytes())
        for name in TARGETS:
            text = b"[Unit]\nDefaultDependencies=no\n"
            self.sandbox.write(f"units/{name}.target", text)
        for name in JOURNAL:
            self.sandbox.write(f"units/{name}", (HOST_UNITS / name).read_bytes())
        self.write("poem.txt", POEM)
        self.write("twistd", Path(findCommand("twistd")).read_bytes())
        python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        (self.sandbox.path / "installed" / "bin").mkdir()
        for name, script in [("twistd", "/opt/fastpoetry/twistd"), ("python", "")]:
            text = PYTHON.format(python=python, script=script).encode()
            self.sandbox.write(f"installed/bin/{name}", text).chmod(0o755)

    def _boot(self) -> str:
        return BOOT.format(
            prefix=quoted(sys.base_prefix),
            root=quoted(ROOT),
            pure=quoted(sysconfig.get_path("purelib")),
            plat=quoted(sysconfig.get_path("platlib")),
            sandbox=quoted(self.sandbox.path),
        )

    def _end(self) -> None:
        for process in self.sandbox.processes():
            process.signal(signal.SIGKILL)
            process.waitForEnd()
        # The kernel may be a moment behind.
        deadline = time.monotonic() + DEADLINE
        groups = sorted(self._group.rglob("*/"), reverse=True)
        for group in [*groups, self._group]:
            while group.is_dir():
                try:
                    group.rmdir()
                except OSError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.01)

    def run(self, command: str) -> tuple[int, bytes]:
        """
        Run a command there.

        @return: its exit status, and all that it printed.
        """
        return self.sandbox.run(
            f"nsenter --target {self.pid} --mount --pid --net --uts --ipc --cgroup "
            f"{command}"
        )

    def systemctl(self, arguments: str) -> str:
        """
        Run C{systemctl}, which must succeed.

        @return: what it prints.
        """
        status, output = self.run(f"systemctl {arguments}")
        text = output.decode()
        if status != 0:
            _, journal = self.run("journalctl --no-pager -o cat")
            raise AssertionError(f"{arguments}: {text}\n{journal.decode()}")
        return text

    def journal(self, options: str, unit: str = "fastpoetry") -> str:
        """
        @param options: those of C{journalctl}.

        @return: what the journal has of a unit.
        """
        self.run("journalctl --sync")
        _, output = self.run(f"journalctl --no-pager -o cat -u {unit} {options}")
        return output.decode()

    def write(self, name: str, content: bytes) -> None:
        """
        Write a file where the project is installed.
        """
        self.sandbox.write(f"installed/{name}", content)

    def remove(self, name: str) -> None:
        """
        Remove one.
        """
        (self.sandbox.path / "installed" / name).unlink()

    def mainProcess(self, unit: str) -> Process:
        """
        @return: the main process of a unit.
        """
        control = self.show(unit, "ControlGroup").strip("/")
        (number,) = (self._group / control / "cgroup.procs").read_text().split()
        return Process(int(number))

    def drop(self, name: str, text: str) -> None:
        """
        Change a unit, as by C{systemctl edit}.
        """
        (self.sandbox.path / "units" / f"{name}.d").mkdir(exist_ok=True)
        self.sandbox.write(f"units/{name}.d/test.conf", text.encode())
        self.systemctl("daemon-reload")

    def show(self, unit: str, name: str) -> str:
        """
        @return: a property of a unit.
        """
        return self.systemctl(f"show --value -p {name} {unit}").strip()

    def waitFor(self, unit: str, name: str, value: str) -> None:
        """
        Wait for a property of a unit to be something.
        """
        self._unshare.waitUntil(
            lambda: self.show(unit, name) == value, f"{name}={value} of {unit}"
        )

    def waitForJournal(self, text: str, times: int = 1) -> None:
        """
        Wait for something to be in the journal of the daemon.
        """
        self._unshare.waitUntil(
            lambda: self.journal("").count(text) >= times, f"{text!r} in the journal"
        )

    def connect(self, host: str, port: int) -> socket.socket:
        """
        Connect to a port there.
        """

        def there() -> socket.socket:
            # The network is that of a thread, which ends here.
            with open(f"/proc/{self.pid}/ns/net") as network:
                if ctypes.CDLL(None).setns(network.fileno(), CLONE_NEWNET) != 0:
                    raise AssertionError("cannot enter the network")
            return socket.create_connection((host, port), DEADLINE)

        with ThreadPoolExecutor(1) as pool:
            return pool.submit(there).result()
