"""
Ports and connections of this machine.
"""

from __future__ import annotations

import random
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Union

# So many seconds are enough on the busiest machine.
DEADLINE = 60.0

TCPAddress = tuple[str, int]
Address = Union[TCPAddress, str]  # which is the path of a UNIX socket

# The kernel gives readers ports above these (net.ipv4.ip_local_port_range).
PORTS = range(10000, 32768)


def holdPort(addCleanup: Callable[..., Any], option: int) -> int:
    """
    Hold a port, on which only servers of the test can listen meanwhile, and from
    which nobody connects.

    @param addCleanup: of the test.

    @param option: C{SO_REUSEADDR}, when they do so one after the other, or
        C{SO_REUSEPORT}, when they share it.
    """
    holder = socket.socket()
    addCleanup(holder.close)
    holder.setsockopt(socket.SOL_SOCKET, option, 1)
    # Not 127.0.0.1: a server on all addresses could not have a port that somebody
    # uses on another one.
    holder.bind(("0.0.0.0", 0))
    port: int = holder.getsockname()[1]
    return port


def freePort() -> int:
    """
    @return: a TCP port that nothing listens on, and that the kernel gives to no reader.
    """
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def connect(address: int | Path | Address, buffer: int | None = None) -> socket.socket:
    """
    Connect to a port of this machine, to any other TCP port, or to a UNIX socket.

    @param address: the port, host and port, or the path of the UNIX socket.

    @param buffer: its C{SO_RCVBUF}, in bytes; by default the system's.

    @return: a connection, which blocks for up to L{DEADLINE} seconds.

    @raise OSError: if that fails.
    """
    if isinstance(address, int):
        address = ("127.0.0.1", address)
    if isinstance(address, Path):
        address = str(address)
    isUnix = isinstance(address, str)
    reader = socket.socket(socket.AF_UNIX if isUnix else socket.AF_INET)
    reader.settimeout(DEADLINE)
    if buffer is not None:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    try:
        reader.connect(address)
    except OSError:
        reader.close()
        raise
    return reader


def readAll(reader: socket.socket) -> bytes:
    """
    Read until a clean end, and close.
    """
    with reader:
        return b"".join(iter(lambda: reader.recv(2**16), b""))


def fetch(address: int | Path | Address) -> bytes:
    """
    Get a poem.
    """
    return readAll(connect(address))
