"""
Tests of what F{CONTRIBUTING.md} says.
"""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.protocol import PoetryFactory
from tests.pages import read

PAGE = read("CONTRIBUTING.md")


class Source:
    """
    A source with a poem.
    """

    poem = b"first\nlast\n"

    def getPoem(self) -> bytes:
        """
        Give the poem.
        """
        return self.poem


class DoorTests(SynchronousTestCase):
    """
    Tests of the door that the page adds.
    """

    def test_door(self) -> None:
        """
        Its factory, as the page has it, sends the poem as Gopher wants it.
        """
        start = PAGE.index("        from twisted.internet.defer import maybeDeferred")
        code = dedent(PAGE[start : PAGE.index("        PoetryServer(", start)])
        names: dict[str, Any] = {"PoetryFactory": PoetryFactory}
        exec(code, names)
        factory = names["GopherFactory"](Source(), reactor=Clock())
        protocol = factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        transport = StringTransport()
        protocol.makeConnection(transport)
        self.assertEqual(transport.value(), b"first\r\nlast\r\n.\r\n")
