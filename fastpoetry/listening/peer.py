"""
The address of a peer, as Twisted has it, from what accept(2) gives.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress

_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


def peerAddress(port: Any, family: int, address: Any) -> IAddress:
    """
    @param port: the L{Port<twisted.internet.tcp.Port>} that accepted it.

    @param family: the family of its socket.

    @param address: the address of the other side, as C{accept} gives it.

    @return: the same for L{twisted.internet.interfaces.ITransport.getPeer}.
    """
    if family == socket.AF_INET:
        # As its constructor does, without the check of the first argument.
        peer = object.__new__(IPv4Address)
        peer.type, (peer.host, peer.port) = "TCP", address
        return peer
    if family == socket.AF_INET6 and address[3]:  # only a name has a scope
        address = socket.getnameinfo(address, _NUMERIC)[:1] + address[1:]
    found: IAddress = port._buildAddr(address)
    return found
