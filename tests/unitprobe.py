"""
A program that tries what the units of F{deploy/} forbid, and prints for each directive
that it could, or what it met.  It imports nothing of the project.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path

CLONE_NEWUSER = 0x10000000
PER_LINUX32 = 8
SYSLOG_ACTION_SIZE_BUFFER = 10
PTRACE_ATTACH = 16
NO_PRIORITY = 1000
NO_PROCESS = 2**30

libc = ctypes.CDLL(None, use_errno=True)


class Forbidden(Exception):
    """
    The limits are in the way.
    """


def call(name: str, *arguments: object) -> None:
    """
    Call a function of the C library.  It may fail, but not for want of permission.
    """
    ctypes.set_errno(0)
    failed = getattr(libc, name)(*arguments) == -1
    if failed and ctypes.get_errno() in (errno.EPERM, errno.EACCES):
        raise Forbidden


def see(isTrue: object) -> None:
    """
    Something has to be so, or the limits are in the way.
    """
    if not isTrue:
        raise Forbidden


def status(name: str) -> str:
    """
    @return: a line of what the kernel says of this process.
    """
    lines = Path("/proc/self/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines)[name].strip()


def isWritable(path: str) -> bool:
    """
    @return: whether what is mounted there can be written to at all.
    """
    return not os.statvfs(path).f_flag & os.ST_RDONLY


def setUserId() -> None:
    """
    Make a program that runs as its owner.
    """
    path = f"/tmp/limits-{os.getpid()}"
    Path(path).touch()
    try:
        os.chmod(path, 0o4755)
    finally:
        os.unlink(path)


def umask() -> int:
    """
    @return: the mask of the modes of new files.
    """
    now = os.umask(0o77)
    os.umask(now)
    return now


ATTEMPTS: dict[str, Callable[[], object]] = {
    "CapabilityBoundingSet": lambda: see(int(status("CapBnd"), 16)),
    "DynamicUser": lambda: see(os.geteuid() == 0),
    "LockPersonality": lambda: call("personality", ctypes.c_ulong(PER_LINUX32)),
    "NoNewPrivileges": lambda: see(status("NoNewPrivs") == "0"),
    "PrivateDevices": lambda: os.stat("/dev/secret"),
    "PrivateMounts": lambda: see(
        os.readlink("/proc/self/ns/mnt") == os.readlink("/proc/1/ns/mnt")
    ),
    "PrivateTmp": lambda: os.stat("/tmp/secret"),
    "PrivateUsers": lambda: see("4294967295" in Path("/proc/self/uid_map").read_text()),
    "ProtectClock": lambda: call("adjtimex", ctypes.create_string_buffer(1024)),
    "ProtectControlGroups": lambda: see(isWritable("/sys/fs/cgroup")),
    "ProtectHome": lambda: os.listdir("/home"),
    "ProtectHostname": lambda: call("sethostname", b"poem", 4),
    "ProtectKernelLogs": lambda: call("klogctl", SYSLOG_ACTION_SIZE_BUFFER, None, 0),
    "ProtectKernelModules": lambda: call("delete_module", b"no module", 0),
    "ProtectKernelTunables": lambda: see(isWritable("/sys")),
    "ProtectProc": lambda: os.stat("/proc/1"),
    "ProtectSystem": lambda: see(isWritable("/opt")),
    "RestrictAddressFamilies": lambda: socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW
    ).close(),
    "RestrictNamespaces": lambda: call("unshare", CLONE_NEWUSER),
    "RestrictRealtime": lambda: call(
        "sched_setscheduler", 0, os.SCHED_RR, ctypes.byref(ctypes.c_int(NO_PRIORITY))
    ),
    "RestrictSUIDSGID": setUserId,
    "SystemCallFilter=@system-service": lambda: call(
        "ptrace", PTRACE_ATTACH, NO_PROCESS, None, None
    ),
    "SystemCallFilter=~@privileged": lambda: call("chroot", b"/"),
    "SystemCallFilter=~@resources": lambda: call("setpriority", 0, 0, 1),
    "UMask": lambda: see(umask() != 0o77),
}


def main() -> None:
    """
    Print a line for each attempt.
    """
    for name, attempt in ATTEMPTS.items():
        try:
            attempt()
        except (Forbidden, OSError):
            print(f"{name}: forbidden")
        else:
            print(f"{name}: possible")


if __name__ == "__main__":
    main()
