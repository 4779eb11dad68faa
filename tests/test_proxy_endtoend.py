"""
Tests of proxies whose upstream does not behave, each a real process.
"""

from __future__ import annotations

import os
import signal
import socket

from sandbox import DEADLINE, POEM, connect, holdPort, readAll
from tests.test_network_endtoend import NetworkTestCase, portOf


class UpstreamTests(NetworkTestCase):
    """
    Tests of real proxies.
    """

    def test_itself(self) -> None:
        """
        A proxy whose upstream is itself says so, and its readers are reset.
        """
        port = holdPort(self.addCleanup, socket.SO_REUSEADDR)
        proxy = self.sandbox().daemon(
            f"poetry-proxy --upstream 127.0.0.1:{port} --iface 127.0.0.1 --port {port}"
        )
        crowd = [connect(port) for _ in range(10)]
        for reader in crowd:
            self.addCleanup(reader.close)
            self.assertRaises(ConnectionResetError, readAll, reader)
        proxy.waitForLog("the proxy fetches from itself")
        proxy.stop()

    def test_stopsWhileItFetches(self) -> None:
        """
        Readers who wait for a fetch when the proxy is told to stop get their poem.
        """
        upstream = self.serve(POEM)
        proxy = self.startProxy(portOf(upstream))
        upstream.signal(signal.SIGSTOP)
        crowd = [connect(portOf(proxy)) for _ in range(10)]
        files = f"/proc/{proxy.pid}/fd"
        for reader in crowd:
            self.addCleanup(reader.close)
        idle = len(crowd) + 5
        proxy.waitUntil(lambda: len(os.listdir(files)) > idle, "connections")
        proxy.signal(signal.SIGTERM)
        proxy.waitForLog("stopping, readers in flight")
        upstream.signal(signal.SIGCONT)
        self.assertEqual([readAll(reader) for reader in crowd], [POEM] * len(crowd))
        proxy.waitForLog("served on ")
        upstream.stop()

    def test_emptyPoem(self) -> None:
        """
        A server that ends cleanly without a byte, as a relay does whose own is down,
        has no poem: the older one stays.
        """
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        listener.settimeout(DEADLINE)
        number = listener.getsockname()[1]
        proxy = self.startCommand(
            f"poetry-proxy --max-age 0 --upstream 127.0.0.1:{number}"
        )
        reader = connect(portOf(proxy))
        self.addCleanup(reader.close)
        for poem in (POEM, b""):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(poem)
            self.assertEqual(readAll(reader), POEM)
            reader = connect(portOf(proxy))
            self.addCleanup(reader.close)
        proxy.waitForLog("serving an older poem: ")
        proxy.waitForLog("there is no poem, 0 bytes received")
        self.assertEqual(readAll(reader), POEM)
        proxy.stop()
