"""
What is between server and readers: loopback, a link with a delay, a UNIX socket, TLS.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from benchmarks.crowd import Reader, TLSReader, UNIXReader

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 1, 0x1000


class Loopback:
    """
    Server and readers on one machine.

    @ivar name: for a table.

    @ivar host: where the server listens.

    @ivar reader: what its readers are.

    @ivar cut: how a reader that knows its trade sees a poem that is cut.
    """

    name = "loopback"
    host = "127.0.0.1"
    cut = "reset"
    reader: type[Reader] = Reader

    @property
    def where(self) -> str:
        """
        What is said of something that is tried here.
        """
        return f"on {self.name}"

    @contextmanager
    def atServer(self) -> Iterator[None]:
        """
        Be where the server is: sockets and processes made there stay there.
        """
        yield

    @contextmanager
    def atReaders(self) -> Iterator[None]:
        """
        Be where the readers are.
        """
        yield


class Link(Loopback):
    """
    Two network namespaces with a link between them that is 10 milliseconds long,
    with packets of 1,500 bytes.  It needs root.

    The delay is made by a process between two TUN devices (see
    L{benchmarks.delay}): not every kernel has netem.
    """

    name = "a 20 ms link"
    host = "192.0.2.1"
    _readerHost = "192.0.2.2"

    def __init__(self, stack: ExitStack) -> None:
        """
        Make it.

        @param stack: what takes it down again.

        @raise OSError: when this process may not.
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
            [sys.executable, "-m", "benchmarks.delay", *map(str, devices), "0.01"],
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
        Nothing gets through meanwhile.
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


class UNIXSockets(Loopback):
    """
    Server and readers on one machine, with a UNIX socket between them, where there
    is no reset.
    """

    name = "a UNIX socket"
    cut = "cut without proof"
    reader = UNIXReader


LOOPBACK = Loopback()
UNIX = UNIXSockets()


class TLSConnections(Loopback):
    """
    TLS, on another network.
    """

    reader = TLSReader

    def __init__(self, network: Loopback = LOOPBACK) -> None:
        self.name = "TLS" if network is LOOPBACK else f"TLS on {network.name}"
        self.host = network.host
        self.atServer = network.atServer  # type: ignore[method-assign]
        self.atReaders = network.atReaders  # type: ignore[method-assign]

    @property
    def where(self) -> str:
        """
        @see: L{Loopback.where}
        """
        return f"over {self.name}"


TLS = TLSConnections()


@contextmanager
def openLink() -> Iterator[Link | None]:
    """
    Make a link for as long as the context lasts, SIGTERM included.

    @return: L{None}, with a line on standard error, where that is impossible.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with ExitStack() as stack:
        link = None
        try:
            link = Link(stack)
        except (OSError, subprocess.CalledProcessError) as error:
            stack.close()
            print(f"without the 20 ms link: {error}", file=sys.stderr)
        yield link


def counters(*names: str) -> dict[str, int]:
    """
    Look at counters of the kernel, of the namespace that this thread is in.

    @param names: as C{nstat} calls them: C{TcpRetransSegs}.
    """
    found: dict[str, int] = {}
    for path in ("/proc/thread-self/net/snmp", "/proc/thread-self/net/netstat"):
        with open(path) as file:
            for titles, values in zip(file, file):
                prefix = titles.partition(":")[0]
                for title, value in zip(titles.split()[1:], values.split()[1:]):
                    with contextlib.suppress(ValueError):
                        found[prefix + title] = int(value)
    return {name: found.get(name, 0) for name in names}


def memoryPressure() -> float:
    """
    @return: from how many MB on the kernel is sparing with memory for TCP sockets.
    """
    with open("/proc/sys/net/ipv4/tcp_mem") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def socketMemory() -> float:
    """
    @return: how many MB the kernel holds for all TCP sockets.
    """
    with open("/proc/thread-self/net/sockstat") as file:
        (line,) = (line for line in file if line.startswith("TCP:"))
    words = line.split()
    return int(words[words.index("mem") + 1]) * os.sysconf("SC_PAGESIZE") / 1e6
