"""
Which readers a server lets in.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_network
from typing import Any

from fastpoetry.error import ListenError
from fastpoetry.listening.acceptor import Acceptor
from fastpoetry.listening.access import Access
from fastpoetry.listening.nets import Network
from fastpoetry.listening.proxyheader import HeaderFactory


def addFilters(
    acceptor: Acceptor,
    factory: Any,
    access: Access | None,
    proxies: Collection[str | Network],
    reactor: Any,
) -> Access:
    """
    Have an acceptor refuse readers.

    @param factory: serves the readers.

    @param access: who may read; by default everybody.

    @param proxies: networks of proxies, whose headers tell who the readers are.

    @return: who may read.

    @raise ListenError: when that are no networks.
    """
    access = access or Access(reactor=reactor)
    if not proxies:
        acceptor.admit = access.admit
        return access
    try:
        networks = [ip_network(one) for one in proxies]
    except ValueError as error:
        raise ListenError(f"proxies has no networks: {error}") from error
    headers = HeaderFactory(factory, networks, access, reactor)
    acceptor.buildProtocol = headers.buildProtocol
    return access
