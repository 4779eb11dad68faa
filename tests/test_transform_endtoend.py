"""
A few tests of transforms with real processes and sockets.  The clients and servers
here know nothing but what is on the wire.
"""

from __future__ import annotations

import os
import random
import re
import signal
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from fastpoetry.server import PoetryServer
from fastpoetry.transform import TransformFactory, TransformService
from fastpoetry.transformclient import TransformError, TransformProxy
from sandbox import DEADLINE, ROOT, Sandbox, Server, connect, quoted, readAll
from tests.support import socketPath
from tests.transforms import ANSWER, REQUEST, netstring

# A server whose transform does not return.
HANGING = """
import threading
from twisted.application import service
from fastpoetry.daemon import DaemonService
from fastpoetry.server import PoetryServer
from fastpoetry.transform import TransformFactory, TransformService

def hang(poem):
    print("it hangs", flush=True)
    threading.Event().wait()

factory = TransformFactory(TransformService({"hang": hang}))
application = service.Application("hanging")
DaemonService().setServiceParent(application)
server = PoetryServer("tcp:0:interface=127.0.0.1", factory, grace=0.1)
server.setServiceParent(application)
"""

# More than the kernels of both sides hold for a client that reads nothing.
LONG = b"A LINE\n" * 1_000_000
LONG_REQUEST = netstring(b"cummingsify." + LONG)
LONG_ANSWER = netstring(LONG.lower())

PLUGIN = "poetry-transform --port 0 --max-length 8000000"


def memory(server: Server) -> int:
    """
    @return: how many bytes of memory a process has (C{VmRSS}).
    """
    with open(f"/proc/{server.pid}/status") as file:
        (kilobytes,) = re.findall(r"VmRSS:\s+(\d+) kB", file.read())
    return int(kilobytes) * 1024


def descriptors(server: Server) -> int:
    """
    @return: how many descriptors a process has open.
    """
    return len(os.listdir(f"/proc/{server.pid}/fd"))


class HangingTests(SynchronousTestCase):
    """
    Tests of a transform that does not return.
    """

    def test_stop(self) -> None:
        """
        A stop does not wait for it after the grace.
        """
        sandbox = Sandbox(self.addCleanup)
        sandbox.write("hanging.tac", HANGING.encode())
        server = sandbox.daemon("-y hanging.tac")
        with connect(server.ports[0]) as client:
            client.sendall(netstring(b"hang." + bytes(10_000)))
            server.waitForLog("it hangs")
            server.stop()


class DaemonTests(SynchronousTestCase):
    """
    A server of transforms, and clients of all kinds.
    """

    def setUp(self) -> None:
        self.sandbox = Sandbox(self.addCleanup)

    def ask(self, server: Server, *pieces: bytes) -> bytes:
        """
        Connect, say something and half-close.

        @return: the answer, when it ends cleanly.
        """
        client = connect(*server.ports)
        for piece in pieces:
            client.sendall(piece)
        client.shutdown(socket.SHUT_WR)
        return readAll(client)

    def test_clients(self) -> None:
        """
        A client has its answer whole, whether it half-closes after the request or
        waits, sends byte by byte, or goes on talking before it reads, and even
        while the daemon is stopping.
        """
        server = self.sandbox.daemon(PLUGIN)
        self.assertEqual(self.ask(server, REQUEST), ANSWER)
        self.assertEqual(self.ask(server, *(bytes([byte]) for byte in REQUEST)), ANSWER)
        for more in (b"", b"more" * 250_000):
            client = connect(*server.ports)
            client.sendall(LONG_REQUEST + more)
            self.assertEqual(readAll(client), LONG_ANSWER)
        (port,) = server.ports
        client = connect(port, buffer=4096)
        client.sendall(LONG_REQUEST)
        server.waitForLog(f"sending {len(LONG)} bytes of poetry to ", times=3)
        server.signal(signal.SIGTERM)
        server.waitForLog("stopping, readers in flight: ")
        self.assertEqual(readAll(client), LONG_ANSWER)
        server.waitForEnd()
        self.assertNotIn("Traceback", server.log)

    def test_tac(self) -> None:
        """
        The example runs from any directory.
        """
        text = (ROOT / "examples" / "poetry-transform.tac").read_text()
        self.assertIn("\nport = 11000\n", text)
        tac = text.replace("\nport = 11000\n", "\nport = 0\n")
        path = self.sandbox.write("examples/transform.tac", tac.encode())
        server = self.sandbox.daemon(f"-y {quoted(path)}")
        self.assertEqual(self.ask(server, REQUEST), ANSWER)
        server.stop()

    def test_mistake(self) -> None:
        """
        A mistake in the options is told in one sentence.
        """
        status, terminal = self.sandbox.run("twistd poetry-transform --max-length 1M")
        self.assertNotEqual(status, 0)
        self.assertIn(b"not a whole number above 0: 1M", terminal)
        self.assertNotIn(b"Traceback", terminal)

    def test_stalled(self) -> None:
        """
        A hundred clients who stop in the middle of 7 MB have no more memory together
        than there is; short poems are answered meanwhile, and long ones afterwards.
        """
        server = self.sandbox.daemon(f"{PLUGIN} --max-memory 30000000")
        self.assertEqual(self.ask(server, LONG_REQUEST), LONG_ANSWER)
        idle, fresh = descriptors(server), memory(server)
        clients = [connect(*server.ports) for _ in range(100)]
        for client in clients:
            client.settimeout(0)
            client.send(LONG_REQUEST[:-1])
            client.settimeout(DEADLINE)
        self.assertEqual(self.ask(server, REQUEST), ANSWER)
        self.assertLess(memory(server) - fresh, 40 * 2**20)
        for client in clients:
            client.close()
        self.assertEqual(self.ask(server, LONG_REQUEST), LONG_ANSWER)
        server.waitUntil(lambda: descriptors(server) <= idle, "end of all connections")
        server.stop()

    def test_stoodStill(self) -> None:
        """
        A server that stood still for longer than its deadlines answers whoever has
        asked meanwhile.
        """
        command = f"{PLUGIN} --timeout 1 --request-timeout 1"
        server = self.sandbox.daemon(command)
        other = Sandbox(self.addCleanup).daemon(command)
        idle = descriptors(server)
        client = connect(*server.ports)
        client.sendall(REQUEST[:9])
        server.waitUntil(lambda: descriptors(server) > idle, "the connection")
        server.signal(signal.SIGSTOP)
        client.sendall(REQUEST[9:])
        with connect(*other.ports):
            other.waitForLog("gave up on ")  # as this one would have
        server.signal(signal.SIGCONT)
        self.assertEqual(readAll(client), ANSWER)
        server.stop()
        other.stop()

    def test_abuse(self) -> None:
        """
        Whatever is sent, every connection has an end, and what claims to be a
        gigabyte long costs no memory.
        """
        server = self.sandbox.daemon(PLUGIN)
        chance = random.Random(20)
        heads = [b"", b"1000000000:cummingsify.", b"2000:", b"27:cummingsify."]

        def abuse() -> None:
            for _ in range(100):
                said = chance.choice(heads) + chance.randbytes(chance.randrange(3000))
                self.assertEqual(self.ask(server, said), b"")
            clients = [connect(*server.ports) for _ in range(100)]
            for client in clients:
                client.sendall(b"1000000000:cummingsify." + bytes(100_000))
            for client in clients:
                self.assertEqual(readAll(client), b"")

        # Who is answered knows that the daemon is done with starting.
        self.assertEqual(self.ask(server, REQUEST), ANSWER)
        idle, fresh = descriptors(server), memory(server)
        abuse()
        used = memory(server)
        self.assertLess(used - fresh, 16 * 2**20)
        for _ in range(3):
            abuse()
        self.assertLess(memory(server) - used, 8 * 2**20)
        self.assertEqual(self.ask(server, REQUEST), ANSWER)
        server.waitUntil(lambda: descriptors(server) <= idle, "end of all connections")
        server.stop()


class InteroperationTests(TestCase):
    """
    L{TransformProxy}, and servers of all kinds.
    """

    def serve(self, behave: Callable[[socket.socket], None]) -> Deferred[Any]:
        """
        Have a server of another make answer one request of L{TransformProxy}.

        @param behave: what the server does when it has the request.

        @return: what C{xform} gave, once the server is done, too.
        """
        from twisted.internet import reactor

        listener = socket.create_server(("127.0.0.1", 0))
        listener.settimeout(DEADLINE)

        def run() -> None:
            with listener:
                connection, _ = listener.accept()
            with connection:
                connection.settimeout(DEADLINE)
                request = b""
                while len(request) < len(REQUEST):
                    request += connection.recv(7)
                self.assertEqual(request, REQUEST)
                behave(connection)

        endpoint = TCP4ClientEndpoint(reactor, *listener.getsockname())
        done = deferToThread(run)
        poem = TransformProxy(endpoint).xform("cummingsify", b"HERE IS MY POEM")
        waited: list[Deferred[Any]] = [poem, done]
        both = gatherResults(waited, consumeErrors=True)
        return both.addCallback(lambda results: results[0])

    async def test_closesAtOnce(self) -> None:
        """
        A server may close at once after its answer.
        """
        poem = await self.serve(lambda connection: connection.sendall(ANSWER))
        self.assertEqual(poem, b"here is my poem")

    async def test_holds(self) -> None:
        """
        A server may wait for the client to close.
        """

        def behave(connection: socket.socket) -> None:
            connection.sendall(ANSWER)
            self.assertEqual(connection.recv(1), b"")

        self.assertEqual(await self.serve(behave), b"here is my poem")

    async def test_byteByByte(self) -> None:
        """
        A server may send byte by byte.
        """

        def behave(connection: socket.socket) -> None:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in ANSWER:
                connection.sendall(bytes([byte]))

        self.assertEqual(await self.serve(behave), b"here is my poem")

    async def test_ownService(self) -> None:
        """
        Client and server of this package work with each other on a UNIX socket,
        and when a transform fails, the server logs it and closes.
        """
        from twisted.internet import reactor

        def fail(poem: str) -> str:
            raise ValueError("not in the mood")

        table = {"whisper": str.lower, "fail": fail}
        factory = TransformFactory(TransformService(table), maxLength=len(LONG) + 8)
        path = socketPath(self.addCleanup)
        server = PoetryServer(f"unix:{path}", factory)
        server.startService()
        proxy = TransformProxy(UNIXClientEndpoint(reactor, path))
        try:
            self.assertEqual(await proxy.xform("whisper", LONG), LONG.lower())
            with self.assertRaises(TransformError) as caught:
                await proxy.xform("fail", b"")
        finally:
            await server.stopService()
        sentence = "The server closed without an answer"
        self.assertEqual(str(caught.exception), sentence)
        (failure,) = self.flushLoggedErrors(ValueError)
        self.assertEqual(failure.getErrorMessage(), "not in the mood")

    async def test_refused(self) -> None:
        """
        That nobody listens is told in plain words.
        """
        from twisted.internet import reactor

        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = listener.getsockname()
        with self.assertRaises(TransformError) as caught:
            await TransformProxy(TCP4ClientEndpoint(reactor, *address)).xform("a", b"")
        self.assertEqual(str(caught.exception), "Cannot connect: Connection refused")
