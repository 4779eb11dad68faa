"""
Tests of what servers listen on, each a real process: sockets that are passed, UNIX
sockets, and addresses in a network of their own.
"""

from __future__ import annotations

import os
import signal
import socket
import ssl
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from sandbox import (
    DEADLINE,
    POEM,
    SANDBOX_VARIABLE,
    Sandbox,
    Server,
    connect,
    fetch,
    findCommand,
    holdPort,
    quoted,
    readAll,
)
from tests.daemons import NOBODY, OTHER, needsRoot

# How often two start at once.
ROUNDS = 5

# A network where nothing is as it is elsewhere.
NETWORK = b"""set -e
ip link set lo up
ip addr add fe80::1/64 dev lo
echo 1 >/proc/sys/net/ipv6/bindv6only
exec "$@"
"""


def fetchFrom(host: str, port: int) -> bytes:
    """
    Get a poem from another address than 127.0.0.1.
    """
    return readAll(socket.create_connection((host, port), DEADLINE))


class SocketTestCase(SynchronousTestCase):
    """
    Starts servers in a directory of its own.

    @ivar path: a UNIX socket there.
    """

    def setUp(self) -> None:
        """
        Make the directory.
        """
        self.sandbox = Sandbox(self.addCleanup)
        self.sandbox.write("other.txt", OTHER)
        self.path = self.sandbox.path / "socket"
        self.twistd = f"{quoted(findCommand('twistd'))} -n --pidfile="

    def serve(self, options: str, before: str = "") -> Server:
        """
        Start a server of one poem.

        @param before: a command that starts it in turn.
        """
        return self.sandbox.foreground(
            f"{before} {self.twistd} fastpoetry --poem poem.txt {options}"
        )

    def needs(self, command: str) -> None:
        """
        Skip the test where a command is not allowed.
        """
        findCommand("unshare")
        status, output = self.sandbox.run(f"{command} true")
        if status != 0:
            raise SkipTest(f"not allowed here: {output.decode().strip()}")


class PassedTests(SocketTestCase):
    """
    Tests of sockets that systemd passes.
    """

    def activate(
        self, sockets: str, arguments: str, twistd: str | None = None
    ) -> Server:
        """
        Wait until systemd listens; the first reader starts the server.
        """
        command = (
            f"systemd-socket-activate {sockets} -E {SANDBOX_VARIABLE} -E PYTHONPATH "
            f"{twistd or self.twistd} fastpoetry {arguments}"
        )
        activated = self.sandbox.foreground(command, ["Listening on "])
        activated.waitForLog("Listening on ", sockets.count("-l "))
        return activated

    def test_port(self) -> None:
        """
        A port that is passed without a name is one of both families, whatever was asked
        for, and readers have the addresses that they have.
        """
        port = holdPort(self.addCleanup, socket.SO_REUSEADDR)
        for domain in ("domain=INET:", "domain=INET6:", ""):
            endpoint = f"systemd:{domain}index=0"
            server = self.activate(f"-l {port}", f"--poem poem.txt -e {endpoint}")
            with connect(port) as reader:
                number = reader.getsockname()[1]
                self.assertEqual(readAll(reader), POEM)
            self.assertEqual(fetchFrom("::1", port), POEM)
            server.stop()
            self.assertIn(f"[::ffff:127.0.0.1]:{number}", server.log)
            self.assertIn("[::1]:", server.log)

    def identity(self) -> tuple[int, int]:
        """
        @return: what tells the file of the socket from another, and its mode.
        """
        status = self.path.stat()
        return status.st_ino, status.st_mode

    def test_unix(self) -> None:
        """
        A UNIX socket keeps its mode, and its file when the server stops.
        """
        for kind in ("domain=UNIX:index=0", "index=0"):
            arguments = f"--poem poem.txt -e systemd:{kind}"
            server = self.activate(f"-l {self.path}", arguments)
            self.path.chmod(0o600)
            before = self.identity()
            self.assertEqual(fetch(self.path), POEM)
            self.assertEqual(self.identity(), before)
            server.stop()
            self.assertEqual(self.identity(), before)

    def test_several(self) -> None:
        """
        Each of several goes with its own poem, by its name or its number.
        """
        port = holdPort(self.addCleanup, socket.SO_REUSEADDR)
        sockets = f"-l 127.0.0.1:{port} -l {self.path}"
        poems = "--poem poem.txt --poem other.txt"
        for names, first, second in [
            ("--fdname=ode:sonnet", "name=sonnet", "name=ode"),
            ("", "index=1", "index=0"),
        ]:
            server = self.activate(
                f"{sockets} {names}", f"{poems} -e systemd:{first} -e systemd:{second}"
            )
            self.assertEqual(fetch(port), OTHER)
            self.assertEqual(fetch(self.path), POEM)
            server.stop()

    def test_daemon(self) -> None:
        """
        A daemon, which has another number than the process that was started, has what
        was passed to that.
        """
        twistd = quoted(findCommand("twistd"))
        activated = self.activate(
            f"-l {self.path}", "--poem poem.txt -e systemd:index=0", twistd
        )
        self.assertEqual(fetch(self.path), POEM)
        activated.waitForEnd()
        pid = int((self.sandbox.path / "twistd.pid").read_text())
        self.assertNotEqual(activated.pid, pid)
        server = Server(pid, self.sandbox.path / "twistd.log")
        self.assertEqual(fetch(self.path), POEM)
        server.stop()
        self.assertTrue(self.path.exists())

    def test_refused(self) -> None:
        """
        What cannot be listened on ends the start in one sentence.
        """
        for sockets, endpoints, sentence in [
            ("", ["index=1"], "No such socket was passed: systemd:index=1"),
            (
                "",
                ["domain=INET:index=0"],
                "The socket that was passed is one of AF_UNIX: "
                "systemd:domain=INET:index=0",
            ),
            (
                "--seqpacket",
                ["index=0"],
                "The socket that was passed does not listen: systemd:index=0",
            ),
            (
                "--fdname=poem",
                ["index=0", "name=poem"],
                "The socket that was passed is listened on already: systemd:name=poem",
            ),
        ]:
            options = " ".join(f"-e systemd:{one}" for one in endpoints)
            server = self.activate(
                f"{sockets} -l {self.path}", f"--poem poem.txt {options}"
            )
            kind = socket.SOCK_SEQPACKET if "--seq" in sockets else socket.SOCK_STREAM
            with socket.socket(socket.AF_UNIX, kind) as reader:
                reader.connect(str(self.path))
                server.waitForEnd()
            self.assertIn(sentence, server.log)
            self.assertNotIn("Traceback", server.log)
            self.path.unlink()


class UNIXTests(SocketTestCase):
    """
    Tests of UNIX sockets that a server makes.
    """

    @needsRoot
    def test_privileges(self) -> None:
        """
        Started by root to run as another user, the server makes the socket as that
        user, who can remove it.
        """
        path = self.sandbox.write("run/file", b"").with_name("socket")
        os.chown(path.parent, NOBODY, NOBODY)
        self.twistd += " --uid nobody --gid nogroup"
        server = self.serve("-e unix:run/socket:mode=660")
        status = path.stat()
        self.assertEqual((status.st_uid, status.st_gid), (NOBODY, NOBODY))
        self.assertEqual(stat.S_IMODE(status.st_mode), 0o660)
        self.assertEqual(fetch(path), POEM)
        server.stop()
        self.assertFalse(path.exists())

    @needsRoot
    def test_withoutPrivileges(self) -> None:
        """
        Where that user may make no socket, the server does not start.
        """
        command = f"{self.twistd} --uid nobody --gid nogroup fastpoetry"
        status, output = self.sandbox.run(f"{command} --poem poem.txt -e unix:socket")
        self.assertEqual(status, 1)
        self.assertIn(b"cannot start: Permission denied: unix:socket\n", output)
        self.assertNotIn(b"Traceback", output)

    def test_runDirectory(self) -> None:
        """
        A relative path counts from the directory that the server runs in.
        """
        (self.sandbox.path / "run").mkdir()
        self.twistd += " --rundir run"
        server = self.serve("-e unix:socket")
        self.assertEqual(fetch(self.sandbox.path / "run" / "socket"), POEM)
        server.stop()
        self.assertEqual(os.listdir(self.sandbox.path / "run"), [])

    def test_killed(self) -> None:
        """
        The socket of a server that was killed is replaced by the next one.
        """
        self.serve("-e unix:socket").stop(signal.SIGKILL)
        self.assertRaises(ConnectionRefusedError, fetch, self.path)
        server = self.serve("-e unix:socket")
        self.assertEqual(fetch(self.path), POEM)
        server.stop()
        self.assertFalse(self.path.exists())

    def test_container(self) -> None:
        """
        So it is where each process has the number 1, and that of a server that lives
        is not.
        """
        container = "unshare --pid --fork --kill-child --mount-proc"
        self.needs(container)
        for _ in range(2):
            server = self.serve("-e unix:socket", container)
            self.assertEqual(fetch(self.path), POEM)
            status, output = self.sandbox.run(
                f"{container} {self.twistd} fastpoetry --poem poem.txt -e unix:socket"
            )
            self.assertEqual(status, 1)
            self.assertIn(b"Address already in use: unix:socket\n", output)
            self.assertEqual(fetch(self.path), POEM)
            processes = self.sandbox.processes()
            server.stop(signal.SIGKILL)
            for process in processes:
                process.waitForEnd()
            self.assertTrue(self.path.exists())

    def test_together(self) -> None:
        """
        Of two that start at once, be there something left behind or not, one serves and
        the other ends with a sentence.
        """

        def start(number: int) -> tuple[int, bytes]:
            return self.sandbox.run(
                f"twistd --pidfile {number}.pid --logfile {number}.log "
                "fastpoetry --poem poem.txt -e unix:socket"
            )

        for _ in range(ROUNDS):
            with ThreadPoolExecutor(2) as pool:
                ended = list(pool.map(start, range(2)))
            statuses = [status for status, _ in ended]
            self.assertEqual(sorted(statuses), [0, 1], ended)
            self.assertIn(b"Address already in use: unix:socket", max(ended)[1])
            self.assertEqual(fetch(self.path), POEM)
            pidfile = self.sandbox.path / f"{statuses.index(0)}.pid"
            server = Server(int(pidfile.read_text()), pidfile.with_suffix(".log"))
            server.stop(signal.SIGKILL)
            pidfile.unlink()


class PortTests(SocketTestCase):
    """
    Tests of ports.
    """

    def test_interfaces(self) -> None:
        """
        Each port is opened on each interface, and all of them have its poem.
        """
        hosts = ("127.0.0.1", "127.0.0.2", "::1")
        interfaces = " ".join(f"--iface {host}" for host in hosts)
        server = self.serve(f"--poem other.txt -p 0 -p 0 {interfaces}")
        self.assertEqual(
            [fetchFrom(*one) for one in zip(hosts * 2, server.ports)],
            [POEM] * 3 + [OTHER] * 3,
        )
        server.stop()

    def test_sharedTLS(self) -> None:
        """
        A port of TLS can be shared, too.
        """
        port = holdPort(self.addCleanup, socket.SO_REUSEPORT)
        endpoint = self.sandbox.makeCertificate().replace("ssl:0:", f"ssl:{port}:")
        daemons = [
            self.sandbox.daemon(
                f"--pidfile {number}.pid --logfile {number}.log fastpoetry "
                f"--poem poem.txt --reuse-port -e {endpoint}",
                f"{number}.log",
                f"{number}.pid",
            )
            for number in range(2)
        ]
        context = ssl.create_default_context(cafile=self.sandbox.path / "cert.pem")
        for daemon in daemons:
            reader = context.wrap_socket(connect(port), server_hostname="localhost")
            self.assertEqual(readAll(reader), POEM)
            daemon.stop()


class AddressTests(SocketTestCase):
    """
    Tests of addresses that this machine has only in a network of its own, where IPv6 is
    without IPv4 unless somebody asks.
    """

    def setUp(self) -> None:
        """
        See that there can be one.
        """
        super().setUp()
        script = self.sandbox.write("network.sh", NETWORK)
        self.network = f"unshare --net sh {script}"
        self.needs(self.network)

    def serveThere(self, options: str) -> Server:
        """
        Start a server in such a network.
        """
        return self.serve(options, self.network)

    def fetchThere(self, server: Server, host: str, port: int) -> bytes:
        """
        Get a poem in the network of a server.
        """
        network = Path(f"/proc/{server.pid}/ns/net")
        status, output = self.sandbox.run(
            f"nsenter --net={network} nc.openbsd {host} {port}"
        )
        self.assertEqual(status, 0, output)
        return output

    def test_bothFamilies(self) -> None:
        """
        All addresses of IPv6 are those of IPv4, too.
        """
        for options in ("--iface :: -p 0", "-e tcp6:0", "--iface :: -p 0 --reuse-port"):
            server = self.serveThere(options)
            (port,) = server.ports
            for host in ("127.0.0.1", "::1"):
                self.assertEqual(self.fetchThere(server, host, port), POEM, options)
            server.stop()

    def test_scoped(self) -> None:
        """
        An address that has a scope can be listened on, and the log names readers with
        it.
        """
        for options in ("", "--reuse-port"):
            server = self.serveThere(f"--iface fe80::1%lo -p 0 {options}")
            (port,) = server.ports
            self.assertEqual(self.fetchThere(server, "fe80::1%lo", port), POEM)
            server.stop()
            self.assertIn("poetry to [fe80::1%lo]:", server.log)
