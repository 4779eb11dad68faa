"""
Real daemons that serve pages, figures and XML-RPC, with the clients of Python's
standard library, and curl.
"""

from __future__ import annotations

import http.client
import select
import signal
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xmlrpc.client import ServerProxy

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from sandbox import (
    POEM,
    Sandbox,
    Server,
    connect,
    fetch,
    findCommand,
    holdPort,
    readAll,
)
from tests.refusals import RefusalTestCase

# More than all buffers on the way.
BIG = bytes(range(256)) * 2**16  # 16 MiB


class Client(http.client.HTTPConnection):
    """
    A client of HTTP, over whatever connection.
    """

    def __init__(self, make: Callable[[], Any]) -> None:
        super().__init__("localhost")
        self.sock = make()

    def get(self, path: str, **headers: str) -> Any:
        """
        Ask on this connection.

        @return: the answer; its body is yet to be read.
        """
        self.request("GET", path, headers=headers)
        return self.getresponse()


class WebDaemonTestCase(SynchronousTestCase):
    """
    Serves a poem to browsers.
    """

    poem = POEM

    def setUp(self) -> None:
        """
        Find a place.
        """
        self.sandbox = Sandbox(self.addCleanup, self.poem)
        self.port = holdPort(self.addCleanup, socket.SO_REUSEADDR)
        self.status = self.sandbox.path / "status"

    def start(self, *options: str, http: str = "") -> Server:
        """
        Start a daemon.
        """
        http = http or f"tcp:{self.port}:interface=127.0.0.1"
        return self.sandbox.foreground(
            "twistd -n --pidfile= fastpoetry --poem poem.txt --port 0 "
            f"--http {http} --status unix:{self.status} {' '.join(options)}"
        )

    def client(self, address: int | Path | None = None) -> Client:
        """
        Connect a client, to the port where nothing else is said.
        """
        client = Client(lambda: connect(address or self.port))
        self.addCleanup(client.close)
        return client


class PlainTests(WebDaemonTestCase):
    """
    Tests over TCP and UNIX sockets.
    """

    def test_doors(self) -> None:
        """
        One poem by TCP, as a page, as its bytes, by XML-RPC; and the figures of all.
        """
        server = self.start("--xmlrpc", "--max-connections 9")
        self.assertEqual(fetch(server.ports[0]), POEM)
        client = self.client()
        for _ in range(2):  # on one connection
            page = client.get("/")
            self.assertIn(b"The violet&#x27;s reclining head,\n", page.read())
            text = client.get("/poem.txt")
            self.assertEqual(text.read(), POEM)
            tag = text.getheader("ETag")
            again = client.get("/poem.txt", **{"If-None-Match": tag})
            self.assertEqual((again.status, again.read()), (304, b""))
            self.assertEqual(client.get("/none").read()[:1], b"\n")
        with ServerProxy(f"http://127.0.0.1:{self.port}/RPC2") as proxy:
            self.assertEqual(proxy.getPoem(), POEM.decode())
            self.assertIn("getPoem", proxy.system.listMethods())
        status = self.client(self.status)
        self.assertEqual(status.get("/healthz").read(), b"ok\n")

        def figures() -> dict[str, list[float]]:
            metrics = status.get("/metrics").read().decode()
            return {
                family.name: [sample.value for sample in family.samples]
                for family in text_string_to_metric_families(metrics)
            }

        # Those who have read a poem are soon gone.
        server.waitUntil(
            lambda: figures()["fastpoetry_readers"] == [0, 1, 1], "end of readers"
        )
        found = figures()
        self.assertEqual(found["fastpoetry_poem_bytes"], [len(POEM)])
        self.assertEqual(found["fastpoetry_readers_limit"], [9, 9, 9])
        self.assertEqual(self.client().get("/healthz").status, 404)
        server.signal(signal.SIGUSR2)
        server.waitForLog('fastpoetry_poem_bytes{poem="')
        self.assertIn("sending 2817 bytes of poetry to 127.0.0.1:", server.log)
        server.stop()

    def test_curl(self) -> None:
        """
        curl gets the same over a UNIX socket, and HTTP/1.0, too.
        """
        path = self.sandbox.path / "web"
        server = self.start(http=f"unix:{path}")
        findCommand("curl")
        for option in ("", "--http1.0", "--head"):
            status, output = self.sandbox.run(
                f"curl -sSf --unix-socket {path} {option} http://localhost/poem.txt"
            )
            self.assertEqual(status, 0, output)
            if option != "--head":
                self.assertEqual(output, POEM)
        server.stop()

    def test_halfClosed(self) -> None:
        """
        A client that half-closes after its request gets all of the answer.
        """
        server = self.start()
        reader = connect(self.port)
        reader.sendall(b"GET /poem.txt HTTP/1.1\r\n\r\n")
        reader.shutdown(socket.SHUT_WR)
        self.assertTrue(readAll(reader).endswith(b"\r\n\r\n" + POEM))
        server.stop()

    def test_proxied(self) -> None:
        """
        Behind a proxy the log has the reader's own address; the status has no proxy.
        """
        server = self.start("--proxy-protocol 127.0.0.1")
        reader = connect(self.port)
        reader.sendall(
            b"PROXY TCP4 192.0.2.7 192.0.2.1 4321 80\r\nGET /poem.txt HTTP/1.0\r\n\r\n"
        )
        self.assertTrue(readAll(reader).endswith(b"\r\n\r\n" + POEM))
        self.assertIn("sending 2817 bytes of poetry to 192.0.2.7:4321", server.log)
        self.assertEqual(self.client(self.status).get("/healthz").read(), b"ok\n")
        server.stop()

    def test_slow(self) -> None:
        """
        A client that sends its request a byte at a time is let go, and the next one is
        served, who has waited for its place.
        """
        server = self.start("--timeout 1", "--max-connections 1")
        slow = connect(self.port)
        self.addCleanup(slow.close)
        while not select.select([slow], [], [], 0.05)[0]:
            try:
                slow.sendall(b"G")
            except OSError:
                break  # it was let go just now
        self.assertEqual(self.client().get("/poem.txt").read(), POEM)
        server.stop()


class LongTests(WebDaemonTestCase):
    """
    Tests with a poem that takes its time.
    """

    poem = BIG

    def test_stop(self) -> None:
        """
        A stop finishes an answer, ends a connection that waits for nothing, and tells
        by its status that it drains.
        """
        server = self.start()
        reading, idle = self.client(), self.client()
        self.assertEqual(idle.get("/none").status, 404)
        text = reading.get("/poem.txt")
        begun = text.read(1000)
        status = self.client(self.status)
        self.assertEqual(status.get("/healthz").read(), b"ok\n")
        server.signal(signal.SIGTERM)
        self.assertEqual(idle.sock.recv(1), b"")
        answer = self.client(self.status).get("/healthz")
        self.assertEqual((answer.status, answer.read()), (503, b"draining\n"))
        self.assertRaises(OSError, connect, self.port)
        self.assertEqual(begun + text.read(), BIG)
        server.waitForEnd()
        self.assertNotIn("Traceback", server.log)
        self.assertFalse(self.status.exists())

    def test_grace(self) -> None:
        """
        Who needs longer than the grace is reset, and has no whole answer.
        """
        server = self.start("--grace 0.5")
        text = self.client().get("/poem.txt")
        text.read(1000)
        server.stop()
        self.assertIn("aborting the readers left after 0.5 seconds: 1", server.log)
        with self.assertRaises((ConnectionResetError, http.client.IncompleteRead)):
            text.read()

    def test_tls(self) -> None:
        """
        Over TLS it is the same: a long answer, connections that are kept, half-closes
        and stops.
        """
        endpoint = self.sandbox.makeCertificate(self.port)
        server = self.start(http=f"{endpoint}:interface=127.0.0.1")
        context = ssl.create_default_context(cafile=self.sandbox.path / "cert.pem")

        def begin() -> ssl.SSLSocket:
            return context.wrap_socket(connect(self.port), server_hostname="localhost")

        client = Client(begin)
        self.addCleanup(client.close)
        for _ in range(2):
            self.assertEqual(client.get("/poem.txt").read(), BIG)
        ending = begin()
        ending.sendall(b"GET /poem.txt HTTP/1.1\r\nHost: localhost\r\n\r\n")
        socket.socket.shutdown(ending, socket.SHUT_WR)
        answer = b"".join(iter(lambda: ending.recv(2**16), b""))
        ending.close()
        self.assertTrue(answer.endswith(BIG))
        reading = Client(begin)
        self.addCleanup(reading.close)
        text = reading.get("/poem.txt")
        begun = text.read(1000)
        server.signal(signal.SIGTERM)
        self.assertEqual(client.sock.recv(1), b"")
        self.assertEqual(begun + text.read(), BIG)
        server.waitForEnd()
        self.assertNotIn("Traceback", server.log)


class RefusalTests(RefusalTestCase):
    """
    Tests of starts that must not succeed.
    """

    def test_refused(self) -> None:
        """
        A port that is taken, or cannot be, is told in a sentence.
        """
        for option in ("http", "status"):
            self.addStart(
                f"{option} taken",
                "--pidfile pid fastpoetry --poem poem.txt --port 0 "
                f"--{option} tcp:{{taken}}:interface=127.0.0.1",
                "Address already in use: tcp:{taken}:interface=127.0.0.1",
            )
        self.assertNoneStarts()
