"""
Tests of real proxies of TCP before real servers: HAProxy, and nginx with its module
C{stream}.
"""

from __future__ import annotations

import contextlib
import socket
import ssl

from twisted.trial.unittest import SynchronousTestCase

from sandbox import (
    DEADLINE,
    NGINX_STREAM,
    POEM,
    Sandbox,
    Server,
    connect,
    findCommand,
    holdPort,
    quoted,
    readAll,
)

# Readers, who are not at the address of the proxy.
READER, OTHER = "127.0.1.7", "127.0.2.7"

HAPROXY = """
global
    stats socket unix@haproxy.sock
defaults
    mode tcp
    timeout connect {deadline}
    timeout client {deadline}
    timeout server {deadline}
listen poem
    bind 127.0.0.1:{port}
    {check}
    server poem {server} {options}
"""

# A check that reads the poem.
WHOLE_CHECK = f"""
    option tcp-check
    tcp-check expect binary {POEM[:60].hex()}
"""

NGINX = """
{load}
daemon off;
master_process off;
pid nginx.pid;
events {{}}
stream {{
    server {{
        listen 127.0.0.1:{port};
        proxy_pass {server};
        proxy_protocol on;
    }}
}}
"""

TCP = "tcp:0:interface=127.0.0.1"


class BalancerTestCase(SynchronousTestCase):
    """
    Starts servers, and proxies before them.

    @ivar port: of the proxy.
    """

    def setUp(self) -> None:
        """
        Make a directory, with a certificate, and hold a port.
        """
        self.sandbox = Sandbox(self.addCleanup)
        self.port = holdPort(self.addCleanup, socket.SO_REUSEADDR)

    def serve(self, endpoint: str = TCP, options: str = "") -> Server:
        """
        Start a daemon that believes who has this machine's first address.
        """
        arguments = f"--poem poem.txt -e {endpoint} --proxy-protocol 127.0.0.1"
        return self.sandbox.daemon(f"fastpoetry {arguments} {options}")

    def fetch(self, source: str = READER, isTLS: bool = False) -> bytes:
        """
        Get a poem by the proxy.
        """
        address = ("127.0.0.1", self.port)
        reader = socket.create_connection(address, DEADLINE, (source, 0))
        if isTLS:
            context = ssl.create_default_context(cafile=self.sandbox.path / "cert.pem")
            reader = context.wrap_socket(reader, server_hostname="localhost")
        return readAll(reader)

    def assertOnly(self, server: Server, *sources: str) -> None:
        """
        Stop a server, and assert that its log has these readers, and nothing of
        anybody else.
        """
        server.stop()
        lines = [line.partition("] ")[2] for line in server.log.splitlines()]
        sent = f"sending {len(POEM)} bytes of poetry to "
        found = [line for line in lines if line.startswith(sent)]
        names = ", ".join(line.removeprefix(sent) for line in found).split(", ")
        hosts = [name.rpartition(":")[0] for name in names if name]
        self.assertEqual(hosts, list(sources), server.log)
        for text in (" got ", "no header", "no TLS", "refused"):
            self.assertNotIn(text, server.log)
        self.assertIn(f": {len(sources)} whole; ", server.log)


class HAProxyTests(BalancerTestCase):
    """
    Tests of HAProxy.
    """

    def balance(self, server: object, options: str, check: str = "") -> Server:
        """
        Start HAProxy, and wait until it listens.

        @param server: where the server is.

        @param options: how it is talked to.
        """
        text = HAPROXY.format(
            port=self.port,
            server=server,
            options=options,
            check=check,
            deadline=f"{DEADLINE:.0f}s",
        )
        self.sandbox.write("haproxy.cfg", text.encode())
        haproxy = quoted(findCommand("haproxy"))
        process = self.sandbox.foreground(f"{haproxy} -db -f haproxy.cfg", [])
        process.waitUntil(lambda: bool(self.checked()), "HAProxy")
        return process

    def checked(self) -> str:
        """
        @return: what HAProxy says of the server's health, if anything.
        """
        path = self.sandbox.path / "haproxy.sock"
        with contextlib.suppress(OSError), connect(path) as stats:
            stats.sendall(b"show stat\n")
            stats.shutdown(socket.SHUT_WR)
            names, *lines = readAll(stats).decode().splitlines()
            for line in lines:
                if line.startswith("poem,poem,"):
                    index = names.split(",").index("check_status")
                    return line.split(",")[index] or "none"
        return ""

    def waitForCheck(self, haproxy: Server, status: str) -> None:
        """
        Wait until HAProxy has found the server as it is to be.
        """
        haproxy.waitUntil(lambda: self.checked() == status, status)

    def test_readers(self) -> None:
        """
        Readers are known by their own addresses, whatever the version, and if there is
        more in the header.
        """
        for options in (
            "send-proxy",
            "send-proxy-v2",
            "send-proxy-v2 proxy-v2-options crc32c,unique-id",
        ):
            server = self.serve()
            haproxy = self.balance(f"127.0.0.1:{server.ports[0]}", options)
            self.assertEqual((self.fetch(), self.fetch(OTHER)), (POEM, POEM))
            haproxy.stop()
            self.assertOnly(server, READER, OTHER)
            server.logPath.unlink()

    def test_tls(self) -> None:
        """
        The same over TLS, of which the proxy knows nothing.
        """
        endpoint = self.sandbox.makeCertificate()
        for options in ("send-proxy", "send-proxy-v2"):
            server = self.serve(endpoint)
            haproxy = self.balance(f"127.0.0.1:{server.ports[0]}", options)
            self.assertEqual(self.fetch(isTLS=True), POEM)
            haproxy.stop()
            self.assertOnly(server, READER)
            server.logPath.unlink()

    def test_unix(self) -> None:
        """
        The same over a UNIX socket.
        """
        server = self.serve("unix:socket")
        haproxy = self.balance("unix@socket", "send-proxy-v2")
        self.assertEqual(self.fetch(), POEM)
        haproxy.stop()
        self.assertOnly(server, READER)

    def test_checks(self) -> None:
        """
        Health checks are served, and not in the log: those that leave when they are
        connected, and those that read the poem; and no limit holds for them.
        """
        for version in ("send-proxy", "send-proxy-v2"):
            for check, status in (("", "L4OK"), (WHOLE_CHECK, "L7OK")):
                server = self.serve(options="--rate 1/3600 --max-per-address 1")
                options = f"{version} check inter 20"
                address = f"127.0.0.1:{server.ports[0]}"
                haproxy = self.balance(address, options, check)
                self.waitForCheck(haproxy, status)
                self.assertEqual(self.fetch(), POEM)
                self.waitForCheck(haproxy, status)
                haproxy.stop()
                self.assertOnly(server, READER)
                server.logPath.unlink()

    def test_checksOfTLS(self) -> None:
        """
        So it is over TLS, also without a handshake.
        """
        endpoint = self.sandbox.makeCertificate()
        for how, check, status in (
            ("", "", "L4OK"),
            ("check-ssl verify none", WHOLE_CHECK, "L7OK"),
        ):
            server = self.serve(endpoint)
            options = f"send-proxy-v2 check inter 20 {how}"
            haproxy = self.balance(f"127.0.0.1:{server.ports[0]}", options, check)
            self.waitForCheck(haproxy, status)
            haproxy.stop()
            self.assertOnly(server)
            server.logPath.unlink()

    def test_limits(self) -> None:
        """
        Limits hold for the reader's own address, over TLS before the handshake.
        """
        for endpoint in (TCP, self.sandbox.makeCertificate()):
            isTLS = endpoint != TCP
            server = self.serve(endpoint, f"--rate 2/3600 --deny {OTHER}")
            haproxy = self.balance(f"127.0.0.1:{server.ports[0]}", "send-proxy")
            for source in (READER, READER, "127.0.3.7"):
                self.assertEqual(self.fetch(source, isTLS), POEM)
            for source in (READER, OTHER):
                with contextlib.suppress(OSError):  # in the handshake
                    self.assertEqual(self.fetch(source, isTLS), b"")
            haproxy.stop()
            server.stop()
            for network in ("127.0.1.0/24", "127.0.2.0/24"):
                self.assertIn(f"refused 1 readers of {network}\n", server.log)
            self.assertNotIn("no TLS", server.log)
            server.logPath.unlink()

    def test_withoutHeader(self) -> None:
        """
        A proxy that says no header, or that is not believed, gets no poem.
        """
        for options, line in (
            ("", "no header from 127.0.0.1:"),
            ("send-proxy source 127.0.4.7", "refused 1 readers of 127.0.4.0/24"),
        ):
            server = self.serve()
            haproxy = self.balance(f"127.0.0.1:{server.ports[0]}", options)
            address = ("127.0.0.1", self.port)
            reader = socket.create_connection(address, DEADLINE, (READER, 0))
            with reader, contextlib.suppress(ConnectionResetError):
                reader.sendall(b"hello")
                self.assertEqual(reader.recv(1), b"")
            server.waitForLog(line)
            haproxy.stop()
            server.stop()
            self.assertNotIn("sending", server.log)
            server.logPath.unlink()


class NginxTests(BalancerTestCase):
    """
    Tests of nginx.
    """

    def balance(self, server: str) -> Server:
        """
        Start nginx, and wait until it listens.
        """
        load = f"load_module {NGINX_STREAM};" if NGINX_STREAM.exists() else ""
        text = NGINX.format(port=self.port, server=server, load=load)
        self.sandbox.write("nginx.conf", text.encode())
        nginx = quoted(findCommand("nginx"))
        process = self.sandbox.foreground(
            f"{nginx} -e stderr -p {quoted(self.sandbox.path)} -c nginx.conf", []
        )

        def listens() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        process.waitUntil(listens, "nginx")
        return process

    def test_readers(self) -> None:
        """
        Readers are known by their own addresses.
        """
        server = self.serve()
        nginx = self.balance(f"127.0.0.1:{server.ports[0]}")
        self.assertEqual((self.fetch(), self.fetch(OTHER)), (POEM, POEM))
        nginx.stop()
        self.assertOnly(server, READER, OTHER)

    def test_tls(self) -> None:
        """
        The same over TLS, of which the proxy knows nothing.
        """
        server = self.serve(self.sandbox.makeCertificate())
        nginx = self.balance(f"127.0.0.1:{server.ports[0]}")
        self.assertEqual(self.fetch(isTLS=True), POEM)
        nginx.stop()
        self.assertOnly(server, READER)

    def test_unix(self) -> None:
        """
        The same over a UNIX socket.
        """
        server = self.serve("unix:socket")
        nginx = self.balance(f"unix:{self.sandbox.path / 'socket'}")
        self.assertEqual(self.fetch(), POEM)
        nginx.stop()
        self.assertOnly(server, READER)
