"""
Which readers a server lets in.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_network

from fastpoetry.error import ListenError
from fastpoetry.listening.acceptor import Acceptor
from fastpoetry.listening.access import Access
from fastpoetry.listening.nets import Network
from fastpoetry.listening.proxyheader import HeaderFactory


def addFilters(
    acceptor: Acceptor | None,
    access: Access | None,
    proxies: Collection[str | Network],
) -> Access:
    """
    Make an acceptor refuse those who may not read.

    @param acceptor: C{None} where Twisted's own port serves, which refuses nobody.

    @param access: who may read; by default everybody.

    @param proxies: networks of proxies, whose headers tell who the readers are.

    @return: who may read.

    @raise ListenError: when the proxies are no networks, or without an acceptor.
    """
    if acceptor is None:
        raise ListenError("Nobody can be refused here")
    access = access or Access(reactor=acceptor.reactor)
    if not proxies:
        acceptor.admit = access.admit
        return access
    try:
        networks = [ip_network(one) for one in proxies]
    except ValueError as error:
        raise ListenError(f"proxies has no networks: {error}") from error
    headers = HeaderFactory(acceptor.factory, networks, access, acceptor.reactor)
    acceptor.buildProtocol = headers.buildProtocol
    return access
