"""
Tests of L{fastpoetry.endpoints.passed}.
"""

from __future__ import annotations

import builtins
import os
import socket
from typing import Any

from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.tcp import _reservedFD
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from fastpoetry.endpoints import passed
from fastpoetry.endpoints.passed import namesOfPassed
from fastpoetry.endpoints.unixsocket import UNIXPort, UNIXTransport
from fastpoetry.error import ListenError
from fastpoetry.listening.endpoint import parseEndpoint
from tests.support import ListeningReactor, openDescriptors, socketPath

# LISTEN_FDS and LISTEN_FDNAMES, and the names that they stand for.
NAMED = [
    ("1", None, ["unknown"]),
    ("1", "", ["unknown"]),
    ("1", "poem", ["poem"]),
    ("2", "poem:poem", ["poem", "poem"]),
    ("2", "a:", ["a", ""]),
    ("3", "a:b", ["a", "b", "unknown"]),
    ("1", "a:b", ["a"]),
    ("02", None, ["unknown", "unknown"]),
    ("0", "a", []),
]

# Numbers of descriptors that are none.
NO_NUMBERS = ["", "some", "-1", "+1", " 1", "1 ", "1.0", "\xb2", "9" * 11, "9" * 5000]

# A description with the name and the number of a socket that was not passed.
NOT_PASSED = ["name=other", "name=", "index=1", "index=-1", "index=", "index=\xb2"]


class NamesTests(SynchronousTestCase):
    """
    Tests of what the environment says.
    """

    def names(self, count: str, names: str | None = None, pid: str = "17") -> list[str]:
        """
        @return: the names of what was passed to process 17.
        """
        environment = {"LISTEN_FDS": count, "LISTEN_PID": pid}
        if names is not None:
            environment["LISTEN_FDNAMES"] = names
        return namesOfPassed(environment, 17)

    def test_names(self) -> None:
        """
        There are as many names as there are descriptors, whether they are given or not.
        """
        for count, given, names in NAMED:
            self.assertEqual(self.names(count, given), names, (count, given))

    def test_noNumber(self) -> None:
        """
        What is not the number of descriptors of any process stands for none.
        """
        for count in NO_NUMBERS:
            self.assertEqual(self.names(count), [], count[:20])

    def test_ofAnother(self) -> None:
        """
        What was passed to another process is not taken.
        """
        for pid in ("18", "", "self", "017"):
            self.assertEqual(self.names("1", pid=pid), [], pid)

    def test_nothing(self) -> None:
        """
        Most often nothing is passed.
        """
        self.assertEqual(namesOfPassed({}, 17), [])

    def test_environment(self) -> None:
        """
        The environment is that of the start of the process, and where there is no
        F{/proc}, what is left of it.
        """
        self.patch(os, "environ", {"LISTEN_FDS": "1"})
        with open("/proc/self/environ", "rb") as file:
            isSet = b"PATH=" in file.read()
        self.assertEqual("PATH" in passed._environment(), isSet)

        def fail(*arguments: object) -> None:
            raise FileNotFoundError

        self.patch(builtins, "open", fail)
        self.assertEqual(passed._environment(), {"LISTEN_FDS": "1"})


class PassedTests(SynchronousTestCase):
    """
    Tests of C{systemd:} endpoints.
    """

    def setUp(self) -> None:
        """
        Make a reactor, and nothing that was taken.
        """
        self.reactor = ListeningReactor()
        self.patch(passed, "TAKEN", set())

    def passOn(self, *names: str, given: Any) -> None:
        """
        Pass something, each time with another name, to this process.
        """
        first = max(99, *openDescriptors()) + 1  # none that is the next to be given
        for number in range(first, first + len(names)):
            os.dup2(given.fileno(), number, inheritable=False)
            self.addCleanup(self.close, number)
        self.patch(passed, "FIRST", first)
        self.patch(passed, "PASSED", list(names))

    def close(self, number: int) -> None:
        """
        Close what has been passed, unless it has been taken.
        """
        try:
            os.close(number)
        except OSError:
            pass

    def listenOnIP(self, family: int = socket.AF_INET) -> socket.socket:
        """
        @return: a socket that listens on this machine.
        """
        listener = socket.socket(family)
        self.addCleanup(listener.close)
        listener.bind(("" if family == socket.AF_INET6 else "127.0.0.1", 0))
        listener.listen()
        return listener

    def listenOnUNIX(self) -> socket.socket:
        """
        @return: a UNIX socket that listens, and that others may not use.
        """
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        listener.bind(socketPath(self.addCleanup))
        os.chmod(listener.getsockname(), 0o600)
        listener.listen()
        return listener

    def listen(self, description: str) -> Any:
        """
        @return: the port on what was passed.
        """
        endpoint = parseEndpoint(self.reactor, f"systemd:{description}")
        port: Any = self.successResultOf(endpoint.listen(Factory()))
        self.addCleanup(port.socket.close)
        self.assertFalse(os.get_blocking(port.fileno()))
        self.assertEqual(self.reactor.getReaders(), [port])
        return port

    def assertRefused(self, description: str, sentence: str) -> None:
        """
        Assert that a description is refused.
        """
        error = self.assertRaises(
            ListenError, parseEndpoint, self.reactor, f"systemd:{description}"
        )
        self.assertEqual(str(error), f"{sentence}: systemd:{description}")

    def test_interface(self) -> None:
        """
        What is made of the description is an endpoint.
        """
        self.passOn("poem", given=self.listenOnIP())
        endpoint = parseEndpoint(self.reactor, "systemd:domain=INET:index=0")
        verifyObject(IStreamServerEndpoint, endpoint)

    def test_family(self) -> None:
        """
        The socket says of which family it is, so that the addresses of readers are
        right, whichever of the two was asked for, or none.
        """
        for family, kind in {
            socket.AF_INET: "IPv4Address",
            socket.AF_INET6: "IPv6Address",
        }.items():
            for domain in ("domain=INET:", "domain=INET6:", ""):
                passed.TAKEN.clear()
                listener = self.listenOnIP(family)
                self.passOn("poem", given=listener)
                port = self.listen(f"{domain}index=0")
                self.assertEqual(port.socket.family, family)
                self.assertEqual(type(port.getHost()).__name__, kind)
                self.assertEqual(port.socket.getsockname(), listener.getsockname())
                port.stopListening()
                self.reactor.advance(0)

    def test_unix(self) -> None:
        """
        A UNIX socket is left as it is: the mode of its file, and the file itself when
        the port is closed.
        """
        listener = self.listenOnUNIX()
        path = listener.getsockname()
        before = os.stat(path)
        self.passOn("a", "b", given=listener)
        for description in ("domain=UNIX:index=0", "name=b"):
            port = self.listen(description)
            self.assertIsInstance(port, UNIXPort)
            self.assertEqual(os.stat(path), before)
            port.stopListening()
            self.reactor.advance(0)
            self.assertEqual(os.stat(path), before)
            self.assertEqual(os.listdir(os.path.dirname(path)), ["socket"])
        with socket.socket(socket.AF_UNIX) as reader:  # whoever passed it has it yet
            reader.connect(path)

    def test_others(self) -> None:
        """
        When the port is closed, whoever else has the socket may listen on.
        """
        listener = self.listenOnIP()
        self.passOn("poem", given=listener)
        self.listen("index=0").stopListening()
        self.reactor.advance(0)
        socket.create_connection(listener.getsockname()).close()

    def test_which(self) -> None:
        """
        One of several is meant by its number or its name, the first of those that have
        the same.
        """
        self.passOn("a", "b", "b", given=self.listenOnIP())
        for number, description in enumerate(["index=0", "name=b", "INET:2"]):
            passed.TAKEN.clear()
            endpoint: Any = parseEndpoint(self.reactor, f"systemd:{description}")
            self.assertEqual(endpoint._fd, passed.FIRST + number, description)

    def test_descriptors(self) -> None:
        """
        What was passed has one descriptor afterwards, the port's.
        """
        _reservedFD.reserve()  # one for the process, as any port does
        UNIXTransport.makeProof()  # one for the process, too
        for listener in (self.listenOnIP(), self.listenOnUNIX()):
            passed.TAKEN.clear()
            self.passOn("a", "b", given=listener)
            before = openDescriptors()
            port = self.listen("index=0")
            after = openDescriptors()
            self.assertEqual(before - after, {passed.FIRST})
            self.assertEqual(after - before, {port.fileno()})
            self.assertFalse(os.get_inheritable(port.fileno()))
            port.stopListening()
            self.reactor.advance(0)
            self.assertEqual(openDescriptors(), before - {passed.FIRST})

    def test_twice(self) -> None:
        """
        A socket is listened on once, since its number may be somebody else's by then.
        """
        listener = self.listenOnIP()
        self.passOn("poem", given=listener)
        parsed = parseEndpoint(self.reactor, "systemd:index=0")
        port = self.listen("index=0")
        os.dup2(self.listenOnIP().fileno(), passed.FIRST)
        sentence = "The socket that was passed is listened on already"
        self.assertRefused("index=0", sentence)
        self.assertRefused("name=poem", sentence)
        failure = self.failureResultOf(parsed.listen(Factory()))
        self.assertEqual(str(failure.value), sentence)
        self.assertEqual(port.socket.getsockname(), listener.getsockname())

    def test_notPassed(self) -> None:
        """
        A socket that was not passed is not listened on, though there is one before and
        one after those that were.
        """
        self.passOn("before", "poem", "after", given=self.listenOnIP())
        self.patch(passed, "FIRST", passed.FIRST + 1)
        self.patch(passed, "PASSED", ["poem"])
        for which in NOT_PASSED:
            self.assertRefused(which, "No such socket was passed")

    def test_closed(self) -> None:
        """
        A number that has no descriptor is none of a socket.
        """
        number = os.dup(0)
        os.close(number)
        self.patch(passed, "FIRST", number)
        self.patch(passed, "PASSED", ["poem"])
        self.assertRefused("index=0", "No such socket was passed")

    def test_noSocket(self) -> None:
        """
        What is no socket is none that was passed, and leaves no descriptor.
        """
        with open("/dev/null", "rb") as file:
            self.passOn("poem", given=file)
            before = openDescriptors()
            self.assertRefused("index=0", "No such socket was passed")
            self.assertEqual(openDescriptors(), before)

    def test_whichIsMissing(self) -> None:
        """
        It has to be said which, in one way.
        """
        self.passOn("poem", given=self.listenOnIP())
        for which in ("domain=INET", "index=0:name=poem"):
            self.assertRefused(which, "Either an index or a name is needed")

    def test_domain(self) -> None:
        """
        What is no domain is refused.
        """
        self.passOn("poem", given=self.listenOnIP())
        for domain in ("inet", "UNIX6", "AF_INET"):
            self.assertRefused(
                f"domain={domain}:index=0", "The domain is none of INET, INET6 and UNIX"
            )

    def test_otherFamily(self) -> None:
        """
        A UNIX socket is none of IP, and the other way round.
        """
        sentence = "The socket that was passed is one of"
        self.passOn("poem", given=self.listenOnUNIX())
        for domain in ("INET", "INET6"):
            self.assertRefused(f"domain={domain}:index=0", f"{sentence} AF_UNIX")
        self.passOn("poem", given=self.listenOnIP(socket.AF_INET6))
        self.assertRefused("domain=UNIX:index=0", f"{sentence} AF_INET6")

    def test_otherKind(self) -> None:
        """
        A socket that does not listen for streams is refused, whatever else it is.
        """
        packets = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        packets.bind("")
        packets.listen()
        others = [
            *socket.socketpair(),
            packets,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM),
            socket.create_connection(self.listenOnIP().getsockname()),
        ]
        for other in others:
            self.addCleanup(other.close)
            self.passOn("poem", given=other)
            self.assertRefused("index=0", "The socket that was passed does not listen")
