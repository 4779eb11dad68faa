"""
A few tests of servers, proxies, transforms and C{get-poetry} together, each a real
process in a directory of its own.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sandbox import (
    DEADLINE,
    POEM,
    ROOT,
    Sandbox,
    Server,
    connect,
    fetch,
    holdPort,
    quoted,
    readAll,
)
from tests.daemons import OTHER
from tests.refusals import RefusalTestCase
from tests.support import LONG

# Each mistake on the command line with the sentence that answers it, as in
# L{tests.test_refusals_endtoend}.
PROXY_MISTAKES = {
    "": "no server to fetch from: --upstream [HOST:]PORT is missing",
    "--upstream example.org": "not a port number from 1 to 65535: example.org",
    "--upstream example.org:0": "not a port number from 1 to 65535: example.org:0",
    "--upstream ::1:17": (
        "not [HOST:]PORT, with an IPv6 address in brackets ([::1]:10000): ::1:17"
    ),
    "--upstream bogus:a:b": "not an endpoint: bogus:a:b (unknown kind: bogus)",
    f"--upstream unix:/{'x' * 107}": "(the path of a socket has 107 bytes at most)",
    "--upstream 17 --max-age -1": "not a number of seconds, 0 or more: -1",
    "--upstream 17 --max-age old": "not a number of seconds, 0 or more: old",
    "--upstream 17 --port {taken}": (
        "Address already in use: tcp:{taken}:interface=localhost"
    ),
}
TRANSFORM_MISTAKES = {
    "--max-length 0": "not a whole number above 0: 0",
    "--max-length 1M": "not a whole number above 0: 1M",
    "--port {taken}": "Address already in use: tcp:{taken}:interface=localhost",
    "--upstream 17": "option --upstream not recognized",
}


def portOf(server: Server) -> int:
    """
    @return: the one port that a server listens on.
    """
    (port,) = server.ports
    return port


def readers(server: Server) -> list[str]:
    """
    @return: to whom a server says that it has sent a poem.  It may say so after
        they have it.
    """
    lines = re.findall(r"sending \d+ bytes of poetry to (.*)", server.log)
    return ", ".join(lines).split(", ") if lines else []


class NetworkTestCase(SynchronousTestCase):
    """
    Starts processes that know one another.
    """

    def sandbox(self) -> Sandbox:
        """
        Make a new directory.
        """
        return Sandbox(self.addCleanup)

    def serve(self, poem: bytes, port: int = 0) -> Server:
        """
        Start a server by its .tac file.
        """
        sandbox = self.sandbox()
        sandbox.write("poem.txt", poem)
        sandbox.writeTac(port=port)
        return sandbox.daemon("-y fastpoetry.tac")

    def startProxy(self, upstream: int) -> Server:
        """
        Start a proxy by its .tac file.
        """
        sandbox = self.sandbox()
        sandbox.writeTac("examples/poetry-proxy.tac", upstream=f"127.0.0.1:{upstream}")
        return sandbox.daemon("-y poetry-proxy.tac")

    def startTransforms(self) -> Server:
        """
        Start a transform service by its .tac file.
        """
        sandbox = self.sandbox()
        sandbox.writeTac("examples/poetry-transform.tac")
        return sandbox.daemon("-y poetry-transform.tac")

    def startCommand(self, arguments: str) -> Server:
        """
        Start a command of C{twistd}, on a port that the system chooses.
        """
        return self.sandbox().daemon(f"{arguments} --port 0")

    def assertPrints(
        self,
        arguments: str,
        servers: list[Server],
        status: int,
        poems: bytes,
        *says: str,
    ) -> None:
        """
        Have C{get-poetry} fetch from servers, in their order.

        @param status: the exit status that it must end with.

        @param poems: what it must print.

        @param says: regular expressions of the lines that it must print above
            that, in any order.
        """
        addresses = " ".join(f"127.0.0.1:{portOf(server)}" for server in servers)
        command = f"get-poetry --in-order {arguments} {addresses}"
        self.assertPrinted(self.sandbox().run(command), status, poems, *says)

    def assertPrinted(
        self, ended: tuple[int, bytes], status: int, poems: bytes, *says: str
    ) -> None:
        """
        Assert that this is how C{get-poetry} has ended.

        @see: L{assertPrints}
        """
        head = ended[1][: len(ended[1]) - len(poems)].decode()
        self.assertTrue(ended[1].endswith(poems), ended[1][-200:])
        self.assertEqual(ended[0], status, head)
        lines = head.splitlines()
        self.assertEqual(len(lines), len(says), head)
        for pattern in says:
            self.assertRegex(head, f"(?m)^get-poetry: {pattern}$")

    def waitForReaders(self, server: Server, count: int) -> None:
        """
        Wait until the log of a server names this many readers.
        """
        server.waitUntil(lambda: server.readers >= count, f"{count} readers in the log")

    def stopInFlight(self, server: Server, count: int) -> None:
        """
        Tell a server to stop, with readers in flight: nobody else may be let in.
        """
        (port,) = server.ports
        server.signal(signal.SIGTERM)
        server.waitForLog(f"readers in flight: {count}\n")
        self.assertRaises(ConnectionRefusedError, connect, port)

    def assertDrains(
        self, server: Server, inFlight: list[socket.socket], whole: bytes
    ) -> None:
        """
        Assert that each reader has all that it is to have, and the server ends
        then.
        """
        for reader in inFlight:
            self.assertFalse(server.hasEnded())
            self.assertTrue(readAll(reader) == whole)
        self.assertEnds(server)

    def assertEnds(self, server: Server) -> None:
        """
        Assert that a server ends, and leaves no pid file and no traceback.
        """
        server.waitForEnd()
        self.assertFalse(server.logPath.with_name("twistd.pid").exists())
        self.assertNotIn("Traceback", server.log)


class NetworkTests(NetworkTestCase):
    """
    Tests of what all together do.
    """

    def test_allAtOnce(self) -> None:
        """
        C{get-poetry} has poems from a server, a proxy and a proxy behind that, all
        at once, plain or transformed; the proxies have fetched theirs once.  When
        the transform service is stopped, it prints the poems plain, with a warning
        for each, and has done what it could.
        """
        first, second = self.serve(POEM), self.serve(OTHER)
        near = self.startProxy(portOf(first))
        far = self.startCommand(f"poetry-proxy --upstream 127.0.0.1:{portOf(near)}")
        transforms = self.startTransforms()
        servers, poems = [far, second, near], POEM + OTHER + POEM
        self.assertPrints("", servers, 0, poems)
        port = portOf(transforms)
        options = f"--transform proclaim --transform-server 127.0.0.1:{port}"
        self.assertPrints(options, servers, 0, poems.decode().upper().encode())
        transforms.stop()
        warnings = [
            rf"127\.0\.0\.1:{portOf(server)}: not transformed by 127\.0\.0\.1:{port}: "
            "Cannot connect: Connection refused"
            for server in servers
        ]
        self.assertPrints(options, servers, 0, poems, *warnings)
        for server in (far, near, first, second):
            server.stop()
        for proxy in (far, near):
            line = f"fetched {len(POEM)} bytes of poetry from"
            self.assertEqual(proxy.log.count(line), 1)
        # The second one serves the third one, too.
        self.assertEqual(
            [len(readers(one)) for one in (first, near, far, second)], [1, 4, 3, 3]
        )

    def test_endsInTheMiddle(self) -> None:
        """
        When a server is ended by force in the middle of a poem, C{get-poetry} says
        so and fails, and prints the other poems whole.
        """
        broken, whole = self.serve(LONG), self.serve(POEM)
        broken.signal(signal.SIGSTOP)
        sandbox = self.sandbox()
        # These connect at once and in their order, with no name to look up.
        addresses = [f"tcp:127.0.0.1:{portOf(one)}" for one in (broken, whole)]
        command = f"get-poetry --in-order {' '.join(addresses)}"
        with ThreadPoolExecutor(1) as pool:
            ended = pool.submit(sandbox.run, command)
            whole.waitForLog("sending")
            whole.stop()  # once the client has its poem, and waits for the other
            (client,) = sandbox.processes()
            client.signal(signal.SIGSTOP)
            broken.signal(signal.SIGCONT)
            broken.waitForLog("sending")
            broken.signal(signal.SIGTERM)
            broken.waitForLog("readers in flight: 1")
            broken.stop()
            client.signal(signal.SIGCONT)
            reason = r"Connection lost before the end, [1-9]\d* bytes received"
            line = f"{re.escape(addresses[0])}: {reason}"
            self.assertPrinted(ended.result(), 1, POEM, line)

    def test_upstreamStops(self) -> None:
        """
        While the server behind them is stopped, a proxy that keeps its poem serves
        that, one that wants a newer poem serves the older one, with a warning, and
        one that has none resets its readers.  When the server is back with another
        poem, all of them fetch that after SIGHUP, and who has an older one serves it
        meanwhile.
        """
        port = holdPort(self.addCleanup, socket.SO_REUSEADDR)
        upstream = self.serve(POEM, port)
        keeping, empty = self.startProxy(port), self.startProxy(port)
        asking = self.startCommand(
            f"poetry-proxy --max-age 0 --upstream 127.0.0.1:{port}"
        )
        self.assertPrints("", [keeping, asking], 0, POEM + POEM)
        upstream.stop()
        self.assertPrints(
            "",
            [keeping, empty, asking],
            1,
            POEM + POEM,
            # It may be reset before it knows that it is connected.
            rf"127\.0\.0\.1:{portOf(empty)}: .+, 0 bytes received",
        )
        self.assertRaises(ConnectionResetError, fetch, portOf(empty))
        reason = f"127.0.0.1:{port}: Connection refused, 0 bytes received"
        asking.waitForLog(f"#warn] serving an older poem: {reason}")
        empty.waitForLog(f": {reason}", times=2)
        self.assertEqual(empty.log.count("#error] no poem for 127.0.0.1:"), 2)
        self.assertNotIn("older", keeping.log)

        upstream = self.serve(OTHER, port)
        proxies = [keeping, empty, asking]
        for proxy in proxies:
            proxy.signal(signal.SIGHUP)
            proxy.waitForLog("received SIGHUP")
        self.assertPrints("", proxies, 0, POEM + OTHER + POEM)
        for proxy in proxies:
            proxy.waitForLog(f"fetched {len(OTHER)} bytes")
        self.assertPrints("", proxies, 0, OTHER + OTHER + OTHER)
        for server in (*proxies, upstream):
            server.stop()

    def test_crowd(self) -> None:
        """
        A proxy of whom 900 ask at once for a poem that it has not fetches it once.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        upstream = self.serve(POEM)
        proxy = self.startProxy(portOf(upstream))
        upstream.signal(signal.SIGSTOP)
        crowd = [connect(portOf(proxy)) for _ in range(900)]
        for reader in crowd:
            self.addCleanup(reader.close)
        files = Path(f"/proc/{proxy.pid}/fd")
        proxy.waitUntil(lambda: len(os.listdir(files)) > 900, "900 connections")
        upstream.signal(signal.SIGCONT)
        for reader in crowd:
            self.assertEqual(readAll(reader), POEM)
        for server in (proxy, upstream):
            server.stop()
        self.assertEqual(len(readers(proxy)), 900)
        self.assertEqual(len(readers(upstream)), 1)

    def test_twoPoems(self) -> None:
        """
        The example with two poems serves both, and finds them from where it is.
        """
        tac = (ROOT / "examples" / "two-poems.tac").read_text()
        for old, new in [("10000:", "0:"), ("10001:", '"0":')]:
            self.assertEqual(tac.count(old), 1)
            tac = tac.replace(old, new)
        sandbox = self.sandbox()
        path = sandbox.write("examples/two-poems.tac", tac.encode())
        sandbox.write("poetry/ecstasy.txt", POEM)
        sandbox.write("poetry/science.txt", OTHER)
        server = sandbox.daemon(f"-y {quoted(path)}")
        self.assertEqual([fetch(port) for port in server.ports], [POEM, OTHER])
        server.stop()


class StopTests(NetworkTestCase):
    """
    Tests of how proxies and transform services end.
    """

    def start(self, count: int, port: int, says: bytes = b"") -> list[socket.socket]:
        """
        Start to read, and read nothing.
        """
        begun = []
        for _ in range(count):
            reader = connect(port, buffer=2**12)
            self.addCleanup(reader.close)
            reader.sendall(says)
            begun.append(reader)
        return begun

    def test_proxyDrains(self) -> None:
        """
        Readers of a proxy who are in flight when SIGTERM comes get the whole poem,
        and nobody else is let in.
        """
        upstream = self.serve(LONG)
        proxy = self.startCommand(
            f"poetry-proxy --upstream 127.0.0.1:{portOf(upstream)} "
            "--grace 999 --timeout 999"
        )
        inFlight = self.start(2, portOf(proxy))
        self.waitForReaders(proxy, 2)
        self.stopInFlight(proxy, 2)
        self.assertDrains(proxy, inFlight, LONG)

    def test_transformsDrain(self) -> None:
        """
        Clients of a transform service who are in flight when SIGTERM comes get the
        whole answer, one that is still saying its request too; nobody else is let
        in.
        """
        server = self.startCommand(
            "poetry-transform --max-length 9000000 --grace 999 --timeout 999"
        )
        request = b"%d:proclaim.%b," % (len(LONG) + 9, LONG)
        inFlight = self.start(2, portOf(server), request)
        self.waitForReaders(server, 2)
        late = self.start(1, portOf(server), request[:-1])
        self.stopInFlight(server, 3)
        late[0].sendall(request[-1:])
        self.waitForReaders(server, 3)
        answer = b"%d:%b," % (len(LONG), LONG.upper())
        self.assertDrains(server, inFlight + late, answer)

    def test_coldProxyStops(self) -> None:
        """
        A proxy that has no poem, and waits for a server that says nothing when SIGTERM
        comes, ends when that fetch does; its readers are reset.
        """
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        listener.settimeout(DEADLINE)
        proxy = self.startCommand(
            f"poetry-proxy --upstream 127.0.0.1:{listener.getsockname()[1]} "
            "--grace 999 --timeout 999 --fetch-timeout 1"
        )
        waiting = self.start(2, portOf(proxy))
        upstream, _ = listener.accept()
        self.addCleanup(upstream.close)
        proxy.signal(signal.SIGTERM)
        for reader in waiting:
            self.assertRaises(ConnectionResetError, readAll, reader)
        self.assertEnds(proxy)


class RefusalTests(RefusalTestCase):
    """
    Mistakes, each of which ends the start with a plain sentence.
    """

    def test_proxy(self) -> None:
        """
        No mistake on the command line starts a proxy.
        """
        for options, sentence in PROXY_MISTAKES.items():
            self.addStart(options, f"poetry-proxy {options}", sentence)
        self.assertNoneStarts()

    def test_transforms(self) -> None:
        """
        No mistake on the command line starts a transform service.
        """
        for options, sentence in TRANSFORM_MISTAKES.items():
            self.addStart(options, f"poetry-transform {options}", sentence)
        self.assertNoneStarts()
