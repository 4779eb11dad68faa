"""
One service behind two other doors: datagrams and XML-RPC.
"""

from __future__ import annotations

import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any
from xmlrpc.client import Binary

from twisted.internet.defer import inlineCallbacks
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import react
from twisted.internet.threads import deferToThread
from twisted.web.server import Site
from twisted.web.xmlrpc import XMLRPC, Proxy

from fastpoetry.service import PoetryService

service = PoetryService(Path(__file__).parents[2] / "poetry" / "ecstasy.txt")


class Datagrams(DatagramProtocol):
    """
    Answers every datagram with the poem.
    """

    transport: Any

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        """
        Answer one.  (Only in a lesson: in public, the answer to a small question must
        be small, too.  See F{docs/doors.md}.)
        """
        self.transport.write(service.getPoem(), addr)


class Calls(XMLRPC):
    """
    Has one procedure, C{getPoem}.
    """

    def xmlrpc_getPoem(self) -> Binary:
        """
        @return: the poem.
        """
        return Binary(service.getPoem())


def ask(port: int) -> bytes:
    """
    @return: the datagram that answers ours.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(30.0)
        asker.sendto(b"please", ("127.0.0.1", port))
        return asker.recv(2**16)


@inlineCallbacks
def main(reactor: Any) -> Generator[Any, Any, None]:
    """
    Open both doors, and ask at each.
    """
    service.startService()
    first = reactor.listenUDP(0, Datagrams(), interface="127.0.0.1")
    poem = yield deferToThread(ask, first.getHost().port)
    print("by datagram:", poem == service.poem, len(poem))
    second = reactor.listenTCP(0, Site(Calls()), interface="127.0.0.1")
    url = f"http://127.0.0.1:{second.getHost().port}/"
    answer = yield Proxy(url.encode()).callRemote("getPoem")
    print("by XML-RPC:", answer.data == service.poem, len(answer.data))


if __name__ == "__main__":
    react(main)
