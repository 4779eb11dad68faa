"""
Tests of L{fastpoetry.description}: what is typed for an endpoint, of a server or
a client, right or wrong.
"""

from __future__ import annotations

import os
from importlib import reload
from unittest import mock

from hypothesis import example, given, settings, strategies
from twisted.internet import endpoints
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.interfaces import (
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.plugin import getPlugins
from twisted.python.systemd import ListenFDs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface

import fastpoetry
from fastpoetry import description
from fastpoetry.address import clientEndpoint
from fastpoetry.description import CLIENTS, SERVERS, clientOptions, serverOptions
from fastpoetry.error import ListenError
from fastpoetry.listening.endpoint import parseEndpoint
from fastpoetry.text import printable
from tests.support import Reactor

# What Python and Twisted say of what they cannot take, in words for programmers.
PYTHON = [
    "argument",
    "attribute",
    "codec",
    "embedded",
    "index out of",
    "int()",
    "invalid literal",
    "must be",
    "NoneType",
    "null character",
    "object",
    "raised",
    "sys.",
    "too large",
    "unhashable",
    "unpack",
]

LONG = "1" * 5000

# What is wrong with the description of a server.
WRONG_SERVERS = {
    "": "unknown kind: ''",
    "=1": "unknown kind: ''",
    "tcp4:1": "unknown kind: tcp4",
    "8080": "unknown kind: 8080, a port is written tcp:8080",
    "tcp": "the port is missing",
    "tcp:": "the port is missing",
    "tcp:-1": "not a port number from 0 to 65535: -1",
    "tcp:65536": "not a port number from 0 to 65535: 65536",
    "tcp:abc": "not a port number from 0 to 65535: abc",
    "TCP:abc": "not a port number from 0 to 65535: abc",
    "tcp: 1": "not a port number from 0 to 65535:  1",
    "tcp:\u0661": "not a port number from 0 to 65535: \u0661",
    "tcp6:70000": "not a port number from 0 to 65535: 70000",
    "ssl:70000": "not a port number from 0 to 65535: 70000",
    "tcp:1:colour=red": "unknown option of tcp: colour",
    "tcp:1:=red": "unknown option of tcp: ''",
    "ssl:1:sslmethod=x": "unknown option of ssl: sslmethod",
    "systemd:index=0:fd=3": "unknown option of systemd: fd",
    "tcp:1:port=2": "the port is given twice",
    "tcp:1:interface=a:interface=b": "an option is given twice",
    "tcp:1:a:2:b:c": "too many parts: b",
    "tcp:1:backlog=x": "not a number for the backlog: x",
    "tcp6:1:backlog=-4": "not a number for the backlog: -4",
    "tcp:1:backlog=2147483648": "not a number for the backlog: 2147483648",
    "tcp:1:interface=a\0b": "not a host: a^@b",
    "tcp:1:interface=\xe9..b": "not a host: \xe9..b",
    os.fsdecode(b"tcp:1:interface=\xff"): r"not a host: \xff",
    "tcp:1:interface=\ud800": "it has a character that cannot be used",
    "tcp:1:\xe9=1": "it has a character that cannot be used",
    "tcp:1\\": "nothing follows the backslash at its end",
    "unix:": "the address is missing",
    "unix:a\0b": "not the path of a UNIX socket: a^@b",
    "unix:x:mode=rw": "not a mode in octal digits: rw",
    "unix:x:mode=689": "not a mode in octal digits: 689",
    "unix:x:mode=66666": "not a mode in octal digits: 66666",
    "unix:x:lockfile=no": "not 0 or 1 for the lockfile: no",
    f"unix:{'x' * 108}": "the path of a socket has 107 bytes at most",
    "tcp:1:interface=::1": r"an IPv6 address is written interface=\:\:1",
    "tcp:1:interface=::1:backlog=5": r"an IPv6 address is written interface=\:\:1",
    "tcp6:1:interface=::": r"an IPv6 address is written interface=\:\:",
    "ssl:1:interface=fe80::1%lo": (
        r"an IPv6 address is written interface=fe80\:\:1%lo"
    ),
    "tcp:::1:17": r"an IPv6 address is written tcp:17:interface=\:\:1",
}

# What is wrong with that of a client.
WRONG_CLIENTS = {
    "bogus:a:1": "unknown kind: bogus",
    "tcp:a": "the port is missing",
    "tcp:host=a": "the port is missing",
    "tcp::17": "the host is missing",
    "tcp:a:0": "not a port number from 1 to 65535: 0",
    "tcp:a:-1": "not a port number from 1 to 65535: -1",
    "TLS:a:70000": "not a port number from 1 to 65535: 70000",
    "tcp:a:17:timeout=-4": "not a whole number of seconds above 0: -4",
    "tcp:a:17:timeout=x": "not a whole number of seconds above 0: x",
    "tls:a:17:timeout=0": "not a whole number of seconds above 0: 0",
    "tcp:a:17:timout=3": "unknown option of tcp: timout",
    "tcp:a\0b:17": "not a host: a^@b",
    "tcp:a:17:bindAddress=a\0b": "not a host: a^@b",
    "tls:a..b:17": "not the name of a host",
    "tls:a:17:bindAddress=::1": r"an IPv6 address is written bindAddress=\:\:1",
    "tls:a:17:certificate=/dev/null": "no certificate and key in its files",
    "tls:a:17:trustRoots=a\0b": "not what tls: takes",
    "tls:a:17:trustRoots=/nope": "No such file or directory: /nope",
    "tls:a:17:endpoint=tcp\\:b\\:x": "not a port number from 1 to 65535: x",
    "unix:": "the path is missing",
    "unix:/x:lockfile=no": "not 0 or 1 for the lockfile: no",
    "unix:\ud800": "it has a character that cannot be used",
    "tcp:::1:17": r"an IPv6 address is written tcp:host=\:\:1:port=17 or [::1]:17",
    "tcp:host=::1:port=1234": (
        r"an IPv6 address is written tcp:host=\:\:1:port=1234 or [::1]:1234"
    ),
    "tls:fe80::1%lo:17:timeout=3": (
        r"an IPv6 address is written tls:host=fe80\:\:1%lo:port=17"
    ),
}

values = strategies.one_of(
    strategies.text(strategies.characters(), max_size=5),
    strategies.sampled_from(
        [
            *["", "-1", "0", "17", "65536", LONG, "abc", "::1", r"\:\:1", "1e400"],
            *["\0", "\ud800", "\udcff", "\\", "/", "a..b", "\n", "=", "\u0661", "660"],
        ]
    ),
)


def descriptions(kinds: dict[str, list[str]]) -> strategies.SearchStrategy[str]:
    """
    @return: what may be typed for an endpoint of one of some kinds.
    """
    names = sorted({name for names in kinds.values() for name in names})
    named = strategies.builds("{}={}".format, strategies.sampled_from(names), values)
    kind = strategies.one_of(
        strategies.sampled_from([*kinds, "haproxy", "stdio", "tls", "bogus"]), values
    )
    parts = strategies.lists(strategies.one_of(values, named), max_size=5)
    return strategies.builds(lambda kind, parts: ":".join([kind, *parts]), kind, parts)


class DescriptionTests(SynchronousTestCase):
    """
    Tests of the descriptions of both.
    """

    def assertPlain(self, sentence: str) -> None:
        """
        Assert that a sentence is for an operator: of one line, no longer than can be
        read, and not in the words of Python.
        """
        self.assertLessEqual(len(sentence), 500)
        self.assertEqual(len(sentence.encode().splitlines()), 1)
        self.assertEqual(sentence, printable(sentence))
        told = sentence.partition(" (")[2] or sentence
        for words in PYTHON:
            self.assertNotIn(words, told)

    def test_servers(self) -> None:
        """
        What is wrong with the description of a server is told in plain words.
        """
        for text, reason in WRONG_SERVERS.items():
            error = self.assertRaises(ListenError, parseEndpoint, Reactor(), text)
            self.assertTrue(str(error).endswith(f" ({reason})"), error)
            self.assertPlain(str(error))

    def test_clients(self) -> None:
        """
        So is what is wrong with that of a client.
        """
        for text, reason in WRONG_CLIENTS.items():
            error = self.assertRaises(ValueError, clientEndpoint, Reactor(), text)
            self.assertIn(reason, str(error))
            self.assertPlain(str(error))

    def test_long(self) -> None:
        """
        Of a value that is too long for a sentence, that has some, and the reason.
        """
        error = self.assertRaises(ListenError, parseEndpoint, None, f"tcp:{LONG}")
        self.assertIn("(not a port number from 0 to 65535: 11", str(error))
        self.assertPlain(str(error))
        for text in (f"tcp:a:{LONG}", f"a:{LONG}"):
            refused = self.assertRaises(ValueError, clientEndpoint, Reactor(), text)
            self.assertIn("not a port number from 1 to 65535: ", str(refused))
            self.assertPlain(str(refused))

    @settings(deadline=None)
    @given(descriptions(SERVERS))
    @example("ssl:1:privateKey=\0")
    @example(f"systemd:index={LONG}")
    @example("tls:\ud800")
    def test_anyServer(self, text: str) -> None:
        """
        Whatever is typed, there is an endpoint, or a plain sentence.
        """
        try:
            endpoint = parseEndpoint(Reactor(), text)
        except ListenError as error:
            self.assertPlain(str(error))
        else:
            self.assertTrue(IStreamServerEndpoint.providedBy(endpoint))

    @settings(deadline=None)
    @given(descriptions(CLIENTS))
    def test_anyClient(self, text: str) -> None:
        """
        The same holds for clients.
        """
        try:
            endpoint = clientEndpoint(Reactor(), text)
        except ValueError as error:
            # Those of Python's are a kind of ValueError, too.
            self.assertIs(type(error), ValueError)
            self.assertPlain(str(error))
        else:
            self.assertTrue(IStreamClientEndpoint.providedBy(endpoint))
            self.assertEqual(str(endpoint), printable(str(endpoint)))

    def test_right(self) -> None:
        """
        What is right has its names, be they typed or not, and no escapes.
        """
        for text, options in {
            r"tcp:17:\:\:1:5": {"port": "17", "interface": "::1", "backlog": "5"},
            "tcp6:interface=x:17": {"port": "17", "interface": "x"},
            r"unix:/a\=b:mode=0660": {"address": "/a=b", "mode": "0660"},
            "SystemD:INET:0": {"domain": "INET", "index": "0"},
        }.items():
            kind, found = serverOptions(text)
            self.assertEqual((kind, found), (text.partition(":")[0].lower(), options))
        for text in ("tcp:a:17", "TCP:host=a:17", "tcp:a:port=17", "tcp:17:host=a"):
            self.assertEqual(clientOptions(text), ("tcp", {"host": "a", "port": "17"}))

    def test_plugin(self) -> None:
        """
        A kind that a plugin of Twisted's brings is made by that, but its words are not
        ours.
        """

        class Parser:
            prefix = "Onion"

            def parseStreamServer(self, reactor: object, *arguments: str) -> str:
                (number,) = map(int, arguments)
                return f"made of {number}"

            parseStreamClient = parseStreamServer

        def plugins(interface: type[Interface]) -> list[object]:
            return [*getPlugins(interface), Parser()]

        self.patch(endpoints, "getPlugins", plugins)
        self.patch(description, "getPlugins", plugins)
        self.assertEqual(parseEndpoint(Reactor(), "onion:17"), "made of 17")
        clientEndpoint(Reactor(), "tls:a:17:endpoint=onion\\:17")
        error = self.assertRaises(ListenError, parseEndpoint, Reactor(), "onion:x")
        self.assertEqual(str(error), "Not an endpoint: onion:x (not what onion: takes)")
        refused = self.assertRaises(ValueError, clientEndpoint, Reactor(), "onion:x:1")
        self.assertEqual(
            str(refused), "not an endpoint: onion:x:1 (not what onion: takes)"
        )

    def test_withoutTLS(self) -> None:
        """
        Without what TLS needs, the sentence about a client is about that.
        """
        self.patch(endpoints, "optionsForClientTLS", None)
        delattr(endpoints, "optionsForClientTLS")
        error = self.assertRaises(ValueError, clientEndpoint, Reactor(), "tls:a:17")
        self.assertEqual(str(error), "not an endpoint: tls:a:17 (TLS is not installed)")

    def test_ofTwisted(self) -> None:
        """
        The options of each kind are those that Twisted has, with their names.
        """
        for kind, names in SERVERS.items():
            if kind in ("tcp", "tcp6", "unix"):
                given = {"port": "17", "address": "x", "mode": "660", "lockfile": "0"}
                text = ":".join(
                    f"{name}={quoteStringArgument(given.get(name, '1'))}"
                    for name in names
                )
                parseEndpoint(Reactor(), f"{kind}:{text}")


class EnvironmentTests(SynchronousTestCase):
    """
    Tests of the environment of those who pass sockets.
    """

    def test_descriptors(self) -> None:
        """
        Twisted does not read the number of descriptors when it cannot be one.
        """
        for number, left in (("9" * 50, None), ("9999999", None), ("2", "2")):
            given = {"LISTEN_FDS": number, "LISTEN_PID": str(os.getpid())}
            with mock.patch.dict(os.environ, given):
                reload(fastpoetry)
                self.assertEqual(os.environ.get("LISTEN_FDS"), left)
                ListenFDs.fromEnvironment()
