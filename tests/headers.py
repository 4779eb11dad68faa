"""
Headers of the PROXY protocol, for the tests.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL, PROXY = 0x20, 0x21


def version1(source: str, port: int = 4321, destination: str | None = None) -> bytes:
    """
    @return: a header of version 1.
    """
    family = ip_address(source).version
    destination = destination or source
    return f"PROXY TCP{family} {source} {destination} {port} 17\r\n".encode()


def version2(
    source: str | None, port: int = 4321, more: bytes = b"", by: int = 1
) -> bytes:
    """
    @param source: the address, C{None} when there is none.

    @param more: what comes after the addresses.

    @param by: 1 is for streams, 2 for datagrams.

    @return: a header of version 2.
    """
    if source is None:
        return raw2(PROXY, 0, more)
    host = ip_address(source)
    family = {4: 0x10, 6: 0x20}[host.version]
    addresses = host.packed * 2 + struct.pack(">HH", port, 17)
    return raw2(PROXY, family + by, addresses + more)


def raw2(command: int, family: int, content: bytes, length: int | None = None) -> bytes:
    """
    @param length: how long it says that the content is; by default, as it is.

    @return: what may be a header of version 2.
    """
    size = len(content) if length is None else length
    return SIGNATURE + struct.pack(">BBH", command, family, size) + content
