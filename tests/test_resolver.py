"""
Tests of L{fastpoetry.resolver}.
"""

from __future__ import annotations

import queue
import socket
import threading
from typing import Any

from twisted.internet._resolver import GAIResolver
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IHostnameResolver,
    IHostResolution,
    IResolutionReceiver,
)
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from fastpoetry.address import clientEndpoint
from fastpoetry.client import (
    PoetryCancelledError,
    PoetryConnectError,
    PoetryTimeoutError,
    getPoetry,
)
from fastpoetry.resolver import MAX_THREADS, Resolver
from fastpoetry.transformclient import TransformError, TransformProxy
from sandbox import DEADLINE
from tests.test_client import ClientReactor
from tests.threads import noThread


class Names:
    """
    A C{getaddrinfo} that hangs for some names until a test lets it go on.

    @ivar asked: what it was asked for.

    @ivar threads: in which threads.

    @ivar found: its answers; every other name has the address 192.0.2.1.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.threads: list[threading.Thread] = []
        self.found: dict[str, Any] = {}
        self._hung: dict[str, threading.Event] = {}

    @property
    def names(self) -> list[str]:
        """
        The names that it was asked for.
        """
        return [name for name, *_ in self.asked]

    def hang(self, *names: str) -> None:
        """
        Give no answer for these.
        """
        for name in names:
            self._hung[name] = threading.Event()

    def release(self, *names: str) -> None:
        """
        Give it after all; by default for every name.
        """
        for name in names or self._hung:
            self._hung[name].set()

    def __call__(self, name: str, *arguments: Any) -> Any:
        self.threads.append(threading.current_thread())
        self.asked.append((name, *arguments))
        if name in self._hung:
            self._hung[name].wait()
        found = self.found.get(name, [(socket.AF_INET, ("192.0.2.1", 0))])
        if isinstance(found, Exception):
            raise found
        return [(family, 0, 0, "", address) for family, address in found]


class NamesReactor(ClientReactor):
    """
    A reactor in memory that is called from real threads.
    """

    def __init__(self, names: Names, most: int = MAX_THREADS) -> None:
        super().__init__()
        self.nameResolver = Resolver(self, names, most)  # type: ignore[arg-type]
        self._calls: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def callFromThread(self, call: Any, *arguments: Any) -> None:
        """
        Call in a turn of its own.
        """
        self._calls.put((call, arguments))

    def turn(self, times: int = 1) -> None:
        """
        Wait for a thread to be done, and hear of it.
        """
        for _ in range(times):
            call, arguments = self._calls.get(timeout=DEADLINE)
            call(*arguments)


@implementer(IResolutionReceiver)
class Receiver:
    """
    Somebody who asks for addresses.

    @ivar addresses: all that were found; C{None} until it is known that there are no
        more.
    """

    addresses: list[Any] | None = None

    def __init__(self) -> None:
        self._addresses: list[Any] = []

    def resolutionBegan(self, resolution: IHostResolution) -> None:
        self.resolution: Any = resolution

    def addressResolved(self, address: Any) -> None:
        self._addresses.append(address)

    def resolutionComplete(self) -> None:
        self.addresses = self._addresses


class ResolverTestCase(SynchronousTestCase):
    """
    Has a resolver whose names are played by the test.
    """

    most = MAX_THREADS

    def setUp(self) -> None:
        """
        Make a resolver, in a reactor in memory.
        """
        self.names = Names()
        self.reactor = NamesReactor(self.names, self.most)
        self.addCleanup(self.letGo)

    def letGo(self) -> None:
        """
        After each test no thread is left, and nothing scheduled.
        """
        self.names.release()
        for thread in self.names.threads:
            thread.join(DEADLINE)
            self.assertFalse(thread.is_alive())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def ask(self, name: str, *arguments: Any) -> Receiver:
        """
        Ask for the addresses of a name.
        """
        receiver = Receiver()
        resolution = self.reactor.nameResolver.resolveHostName(
            receiver, name, 17, *arguments
        )
        self.assertIs(receiver.resolution, resolution)
        return receiver

    def get(self, name: str, **options: Any) -> Deferred[bytes]:
        """
        Ask for a poem.
        """
        return getPoetry((name, 17), reactor=self.reactor, **options)


class LookupTests(ResolverTestCase):
    """
    Tests of one lookup.
    """

    def test_interfaces(self) -> None:
        """
        It is a resolver as any other of Twisted's.
        """
        verifyObject(IHostnameResolver, self.reactor.nameResolver)
        verifyObject(IHostResolution, self.ask("192.0.2.1").resolution)

    def test_found(self) -> None:
        """
        Whoever asks gets all addresses in their order, with the port that they asked
        for, and one of this link with its scope.
        """
        self.names.found["name"] = [
            (socket.AF_INET6, ("fe80::1", 0, 0, 3)),
            (socket.AF_INET6, ("2001:db8::1", 0, 0, 0)),
            (socket.AF_INET, ("192.0.2.1", 0)),
        ]
        receiver = self.ask("name")
        self.assertIs(receiver.addresses, None)
        self.reactor.turn()
        self.assertEqual(
            receiver.addresses,
            [
                IPv6Address("TCP", "fe80::1%3", 17),
                IPv6Address("TCP", "2001:db8::1", 17),
                IPv4Address("TCP", "192.0.2.1", 17),
            ],
        )
        self.assertEqual(
            self.names.asked, [("name", None, socket.AF_UNSPEC, socket.SOCK_STREAM)]
        )

    def test_kinds(self) -> None:
        """
        Whoever wants addresses of one family, or for UDP, gets these.
        """
        receiver = self.ask("name", [IPv4Address], "UDP")
        self.reactor.turn()
        self.assertEqual(receiver.addresses, [IPv4Address("UDP", "192.0.2.1", 17)])
        self.assertEqual(
            self.names.asked, [("name", None, socket.AF_INET, socket.SOCK_DGRAM)]
        )
        self.assertEqual(self.ask("::1", [IPv4Address]).addresses, [])

    def test_figures(self) -> None:
        """
        An address in figures is its own answer, at once, with the scope that it may
        have.
        """
        for name, address in {
            "192.0.2.1": IPv4Address("TCP", "192.0.2.1", 17),
            "::1": IPv6Address("TCP", "::1", 17),
            "fe80::1%eth0": IPv6Address("TCP", "fe80::1%eth0", 17),
        }.items():
            self.assertEqual(self.ask(name).addresses, [address])
        self.assertEqual(self.names.asked, [])

    def test_noAddress(self) -> None:
        """
        When there is no address, a client is told why.
        """
        again = "Temporary failure in name resolution"
        self.names.found.update(
            {
                "a": socket.gaierror(socket.EAI_AGAIN, again),
                "b": UnicodeError("label too long"),
                "c": [],
                ".": UnicodeError("label empty or too long"),
            }
        )
        for name, reason in {
            "a": again,
            "b": "not a name: 'b'",
            "c": "no results for hostname lookup: c",
            ".": "not a name: '.'",
        }.items():
            poem = self.get(name)
            self.reactor.turn()
            error = self.failureResultOf(poem, PoetryConnectError).value
            self.assertEqual(error.reason, f"DNS lookup failed: {reason}")

    def test_cancelled(self) -> None:
        """
        Whoever has given up hears nothing more.
        """
        receiver = self.ask("name")
        receiver.resolution.cancel()
        self.reactor.turn()
        self.assertIs(receiver.addresses, None)

    def test_nobodyWaits(self) -> None:
        """
        The end of the process does not wait for the threads, nor does anything else
        that runs in those of the reactor.
        """
        self.ask("name")
        self.reactor.turn()
        (thread,) = self.names.threads
        self.assertTrue(thread.daemon)

    def test_noThread(self) -> None:
        """
        When the system has no room for a thread, a client is told so.
        """
        self.patch(threading.Thread, "start", noThread)
        error = self.failureResultOf(self.get("name"), PoetryConnectError).value
        self.assertEqual(error.reason, "DNS lookup failed: can't start new thread")


class HungTests(ResolverTestCase):
    """
    Tests of names that hang.
    """

    def test_others(self) -> None:
        """
        While ten names hang, poems come from another name, and from an address.
        """
        hung = [f"hung-{number}" for number in range(10)]
        self.names.hang(*hung)
        poems = [self.get(name) for name in hung]
        for name in ("127.0.0.1", "name"):
            poem = self.get(name)
            if name == "name":
                self.reactor.turn()
            self.reactor.accept().sendPoem(b"poem")
            self.assertEqual(self.successResultOf(poem), b"poem")
        for poem in poems:
            poem.cancel()
            self.failureResultOf(poem, PoetryCancelledError)

    def test_deadline(self) -> None:
        """
        A poem from a host whose name hangs fails at the deadline of its reader.
        """
        self.names.hang("hung")
        poem = self.get("hung", connectTimeout=5.0)
        self.reactor.pump([5.0, 0])
        error = self.failureResultOf(poem, PoetryTimeoutError).value
        self.assertEqual(error.reason, "no connection for 5 seconds")

    def test_transforms(self) -> None:
        """
        So does a transform at that of its client.
        """
        self.names.hang("hung")
        endpoint = clientEndpoint(self.reactor, "hung:17")
        proxy = TransformProxy(endpoint, connectTimeout=5.0, reactor=self.reactor)
        answer = proxy.xform("cummingsify", b"POEM")
        self.reactor.advance(5.0)
        error = self.failureResultOf(answer, TransformError).value
        self.assertEqual(str(error), "Cannot connect within 5.0 seconds")


class BoundTests(ResolverTestCase):
    """
    Tests of the bound, here of two threads.
    """

    most = 2

    def setUp(self) -> None:
        """
        Take both.
        """
        super().setUp()
        self.names.hang("hung-1", "hung-2")
        self.poems = [self.get("hung-1"), self.get("hung-2")]
        self.addCleanup(self.giveUp, 0)
        self.addCleanup(self.giveUp, 1)

    def giveUp(self, number: int) -> None:
        """
        One of those who wait gives up.
        """
        if not self.poems[number].called:
            self.poems[number].cancel()
            self.failureResultOf(self.poems[number], PoetryCancelledError)

    def test_turns(self) -> None:
        """
        When all threads are busy, lookups wait for their turn.
        """
        first, second = self.ask("first"), self.ask("second")
        self.assertNotIn("first", self.names.names)
        self.names.release("hung-2")
        self.reactor.turn(2)
        self.assertEqual(len(first.addresses or []), 1)
        self.assertIs(second.addresses, None)
        self.reactor.turn()
        self.assertEqual(len(second.addresses or []), 1)
        self.assertEqual(self.names.names[2:], ["first", "second"])

    def test_withdrawn(self) -> None:
        """
        A lookup that waits for its turn when its reader gives up has none.
        """
        poem = self.get("given-up", connectTimeout=5.0)
        asking = self.ask("withdrawn")
        last = self.ask("last")
        self.reactor.pump([5.0, 0])
        self.failureResultOf(poem, PoetryTimeoutError)
        asking.resolution.cancel()
        self.names.release("hung-1")
        self.reactor.turn(2)
        self.assertEqual(len(last.addresses or []), 1)
        self.assertEqual(self.names.names[2:], ["last"])

    def test_hangForNobody(self) -> None:
        """
        When all threads hang, each for somebody who has given up, a lookup fails at
        once, with a sentence; an address in figures needs none; and when a thread
        has ended, there is a place again.
        """
        self.giveUp(0)
        waiting = self.ask("waiting")
        self.assertIs(waiting.addresses, None)
        waiting.resolution.cancel()
        self.giveUp(1)
        error = self.failureResultOf(self.get("name"), PoetryConnectError).value
        self.assertEqual(error.reason, "DNS lookup failed: 2 others hang")
        self.assertEqual(self.ask("name").addresses, [])
        self.assertEqual(len(self.ask("192.0.2.1").addresses or []), 1)
        self.names.release("hung-1")
        self.reactor.turn()
        receiver = self.ask("name")
        self.reactor.turn()
        self.assertEqual(len(receiver.addresses or []), 1)

    def test_noThreadForNext(self) -> None:
        """
        When the system has no room for the thread of a lookup whose turn it is, that
        and all others that wait fail.
        """
        waiting = [self.ask("first"), self.ask("second")]
        self.patch(threading.Thread, "start", noThread)
        self.names.release("hung-1")
        self.reactor.turn()
        self.assertEqual([each.addresses for each in waiting], [[], []])
        for each in waiting:
            self.assertEqual(each.resolution.reason, "can't start new thread")


class InstallTests(ResolverTestCase):
    """
    Tests of which reactor gets a resolver.
    """

    def install(self, resolver: Any) -> Any:
        """
        Have a reactor with a resolver connect twice.

        @return: the resolver that it has then.
        """
        installed = []

        def installNameResolver(new: Any) -> None:
            installed.append(new)
            self.reactor.nameResolver = new

        self.patch(self.reactor, "installNameResolver", installNameResolver)
        self.reactor.nameResolver = resolver
        for _ in range(2):
            poem = self.get("127.0.0.1")
            self.reactor.accept().sendPoem(b"poem")
            self.assertEqual(self.successResultOf(poem), b"poem")
        self.assertLessEqual(len(installed), 1)
        return self.reactor.nameResolver

    def test_default(self) -> None:
        """
        One with Twisted's own gets ours.
        """
        reactor: Any = self.reactor
        twisteds = GAIResolver(reactor, lambda: None)  # type: ignore[arg-type, return-value]
        self.assertIs(type(self.install(twisteds)), Resolver)

    def test_other(self) -> None:
        """
        One that somebody else has installed stays.
        """

        class Other:
            def resolveHostName(self, receiver: Any, *_: Any, **__: Any) -> None:
                receiver.addressResolved(IPv4Address("TCP", "192.0.2.7", 17))
                receiver.resolutionComplete()

        other = Other()
        self.assertIs(self.install(other), other)
        self.assertEqual(self.reactor.tcpClients[0][0], "192.0.2.7")

    def test_none(self) -> None:
        """
        A reactor that cannot look names up can connect where there are none.
        """
        del self.reactor.nameResolver
        endpoint = clientEndpoint(self.reactor, "unix:/poem")
        poem = getPoetry(endpoint, reactor=self.reactor)
        self.assertEqual(self.reactor.unixClients[0][0], "/poem")
        poem.cancel()
        self.failureResultOf(poem, PoetryCancelledError)
