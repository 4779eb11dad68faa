"""
A link with a delay, between two network namespaces.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sandbox.network import Loopback

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000


class Link(Loopback):
    """
    Two network namespaces with a link between them that is 10 milliseconds long,
    with packets of 1,500 bytes.  It needs root.

    The delay is made by a process between two TUN devices (see
    L{sandbox.delay}): not every kernel has netem.
    """

    name = "a 20 ms link"
    host = "192.0.2.1"
    _readerHost = "192.0.2.2"

    def __init__(self, stack: ExitStack) -> None:
        """
        Make it.

        @param stack: takes it down when it closes.

        @raise OSError: if this process may not make it.

        @raise subprocess.CalledProcessError: if C{ip} fails.
        """
        self._names = [f"fastpoetry-{os.getpid()}-{side}" for side in ("s", "r")]
        devices = []
        for name, host in zip(self._names, (self.host, self._readerHost)):
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
            with _inside(name):
                device = os.open("/dev/net/tun", os.O_RDWR)
                stack.callback(os.close, device)
                request = struct.pack("16sH", b"link", IFF_TUN | IFF_NO_PI)
                fcntl.ioctl(device, TUNSETIFF, request)
            _ip("-n", name, "address", "add", f"{host}/24", "dev", "link")
            _ip("-n", name, "link", "set", "dev", "lo", "up")
            _ip("-n", name, "link", "set", "dev", "link", "up", "txqueuelen", "10000")
            devices.append(device)
        self._delay = subprocess.Popen(
            [sys.executable, "-m", "sandbox.delay", *map(str, devices), "0.01"],
            pass_fds=devices,
            stdin=subprocess.PIPE,
        )
        stack.enter_context(self._delay)
        stack.callback(self._delay.kill)

    @contextmanager
    def atServer(self) -> Iterator[None]:
        """
        @see: L{Loopback.atServer}
        """
        with _inside(self._names[0]):
            yield

    @contextmanager
    def atReaders(self) -> Iterator[None]:
        """
        @see: L{Loopback.atReaders}
        """
        with _inside(self._names[1]):
            yield

    @contextmanager
    def dead(self) -> Iterator[None]:
        """
        Let nothing through meanwhile.
        """
        self._delay.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._delay.send_signal(signal.SIGCONT)


@contextmanager
def _inside(name: str) -> Iterator[None]:
    with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{name}") as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(home.fileno())


def _enter(fd: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@contextmanager
def openLink() -> Iterator[Link | None]:
    """
    Make a link for as long as the context lasts.

    @return: the link; C{None}, with a line on standard error, if it cannot be made.
    """
    with ExitStack() as stack:
        link = None
        try:
            link = Link(stack)
        except (OSError, subprocess.CalledProcessError) as error:
            stack.close()
            print(f"without the 20 ms link: {error}", file=sys.stderr)
        yield link
