"""
A few tests with real C{get-poetry} processes.
"""

from __future__ import annotations

import os
import pty
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from fastpoetry import __version__
from fastpoetry.commands.jobs import LEAST_DESCRIPTORS
from sandbox import DEADLINE, POEM, ROOT, Sandbox, findCommand

COMMAND = [sys.executable, "-c", "from fastpoetry.commands.process import run; run()"]

# More than the kernels of both sides and a pipe hold.
LONG = b"".join(b"verse %d\n" % number for number in range(1_000_000))


class GetPoetryTests(SynchronousTestCase):
    """
    Tests of the command, with servers that are played by the test.
    """

    def setUp(self) -> None:
        """
        Have a place to run commands in.
        """
        self.sandbox = Sandbox(self.addCleanup)

    def start(
        self, *arguments: object, shell: Sequence[str] = (), **options: Any
    ) -> subprocess.Popen[bytes]:
        """
        Start the command.

        @param shell: what runs it.

        @param options: as for C{Popen}.
        """
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        child = subprocess.Popen(
            [*shell, *COMMAND, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            cwd=self.sandbox.path,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"},
            **streams,
        )
        self.addCleanup(self.end, child)
        return child

    def startIn(
        self, script: str, *arguments: object, **options: Any
    ) -> subprocess.Popen[bytes]:
        """
        Start the command from a shell.

        @param script: C{"$@"} in it is the command.

        @param options: as for C{Popen}.
        """
        return self.start(*arguments, shell=["sh", "-c", script, "sh"], **options)

    def end(self, child: subprocess.Popen[bytes]) -> None:
        """
        Leave nothing behind.
        """
        child.kill()
        child.communicate()

    def listen(self) -> tuple[int, socket.socket]:
        """
        Listen on a port that the system chooses.
        """
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        listener.settimeout(DEADLINE)
        return listener.getsockname()[1], listener

    def refuse(self) -> int:
        """
        @return: a port on which nobody listens.
        """
        refusing = socket.socket()
        self.addCleanup(refusing.close)
        refusing.bind(("127.0.0.1", 0))
        port: int = refusing.getsockname()[1]
        return port

    def accept(self, listener: socket.socket) -> socket.socket:
        """
        Wait for a reader.
        """
        reader, _ = listener.accept()
        self.addCleanup(reader.close)
        reader.settimeout(DEADLINE)
        return reader

    def assertEnds(
        self,
        child: subprocess.Popen[bytes],
        status: int,
        stdout: bytes | None,
        stderr: str,
    ) -> None:
        """
        Assert that the command ends so.

        @param stdout: C{None} when it is no pipe.
        """
        out, errors = child.communicate(timeout=DEADLINE)
        self.assertEqual(errors.decode(), stderr)
        self.assertEqual(child.returncode, status)
        self.assertEqual(out, stdout)

    def test_installed(self) -> None:
        """
        The command is installed.
        """
        path = findCommand("get-poetry")
        version = subprocess.run([path, "--version"], stdout=subprocess.PIPE).stdout
        self.assertEqual(version.decode(), f"get-poetry {__version__}\n")

    def test_server(self) -> None:
        """
        Poems come from our own server, over TCP and a UNIX socket.
        """
        server = self.sandbox.foreground(
            "twistd -n --pidfile= fastpoetry --port 0 --endpoint unix:poem.sock "
            "--poem poem.txt"
        )
        (port,) = server.ports
        child = self.start(port, f"127.0.0.1:{port}", "unix:poem.sock")
        self.assertEnds(child, 0, POEM * 3, "")
        server.stop()

    def test_descriptors(self) -> None:
        """
        With fewer descriptors than a poem takes there is one sentence; with as many
        there are poems of all endpoints.
        """
        for limit in (5, LEAST_DESCRIPTORS - 1):
            self.assertEnds(
                self.startIn(f'ulimit -n {limit}; exec "$@"', "unix:poem.sock"),
                1,
                b"",
                f"get-poetry: the limit of open files (ulimit -n) is {limit}, and at "
                f"least {LEAST_DESCRIPTORS} are needed\n",
            )
        tls = self.sandbox.makeCertificate()
        server = self.sandbox.foreground(
            "twistd -n --pidfile= fastpoetry --poem poem.txt --port 0 "
            f"--endpoint {tls} --endpoint unix:poem.sock",
            ("with TLS", "poem.sock, with", "loaded a poem from: "),
        )
        port, tlsPort = server.ports
        for address in (
            f"localhost:{port}",
            f"127.0.0.1:{port}",
            "unix:poem.sock",
            f"tls:localhost:{tlsPort}:trustRoots=.",
            f"ssl:localhost:{tlsPort}:caCertsDir=.",
        ):
            # A soft limit is raised.
            for limits in (f"-n {LEAST_DESCRIPTORS}", "-Sn 5"):
                child = self.startIn(f'ulimit {limits}; exec "$@"', address)
                self.assertEnds(child, 0, POEM, "")
        server.stop()

    def test_distrustedServer(self) -> None:
        """
        A server whose certificate is not to be trusted is told of in a line.
        """
        endpoint = self.sandbox.makeCertificate()
        server = self.sandbox.daemon(
            f"fastpoetry --poem poem.txt --endpoint {endpoint}"
        )
        address = f"tls:localhost:{server.ports[0]}"
        reason = "SSL routines: certificate verify failed"
        self.assertEnds(
            self.start(address),
            1,
            b"",
            f"get-poetry: {address}: {reason}, 0 bytes received\n",
        )
        server.stop()

    def test_failures(self) -> None:
        """
        Servers that refuse, that send half a poem and reset, and that send half
        and nothing more, are each told in a line; whole poems are printed.
        """
        (
            refused,
            (half, halfListener),
            (stall, stallListener),
            (good, goodListener),
        ) = (
            self.refuse(),
            self.listen(),
            self.listen(),
            self.listen(),
        )
        ports = [refused, half, stall, good]
        child = self.start("--timeout", 3, *(f"127.0.0.1:{port}" for port in ports))
        self.accept(stallListener).sendall(b"half a p")
        with self.accept(halfListener) as resetting:
            resetting.sendall(LONG)  # then some of it has been read
            resetting.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
        with self.accept(goodListener) as whole:
            whole.sendall(LONG)
        out, errors = child.communicate(timeout=DEADLINE)
        for port, reason in [
            (refused, "Connection refused, 0 bytes"),
            (half, "Connection lost before the end, [1-9][0-9]* bytes"),
            (stall, "nothing came for 3 seconds, 8 bytes"),
        ]:
            line = rf"(?m)^get-poetry: 127\.0\.0\.1:{port}: {reason} received$"
            self.assertRegex(errors.decode(), line)
        self.assertEqual(errors.count(b"\n"), 3)
        self.assertEqual(child.returncode, 1)
        self.assertEqual(out, LONG)

    def test_usage(self) -> None:
        """
        A mistake on the command line ends with status 2.
        """
        self.assertEnds(
            self.start("10000x"),
            2,
            b"",
            "usage: get-poetry [options] [HOST:]PORT ...\n"
            "get-poetry: error: not a port number from 1 to 65535: 10000x\n",
        )

    def test_brokenPipe(self) -> None:
        """
        A process whose output is no longer read ends by SIGPIPE, and quietly.
        """
        port, listener = self.listen()
        child = self.start(port)
        with self.accept(listener) as reader:
            reader.sendall(LONG)
        assert child.stdout is not None and child.stderr is not None
        self.assertEqual(child.stdout.read(1), b"v")
        child.stdout.close()
        self.assertEqual(child.wait(DEADLINE), -signal.SIGPIPE)
        self.assertEqual(child.stderr.read(), b"")

    def test_signals(self) -> None:
        """
        SIGINT and SIGTERM end the process, also while it waits for a server, or
        for somebody to read its output, and quietly.
        """
        port, listener = self.listen()
        waiting = self.start(port)
        self.accept(listener).sendall(b"half")
        writing = self.start(port)
        with self.accept(listener) as reader:
            reader.sendall(LONG)
        assert writing.stdout is not None
        self.assertEqual(writing.stdout.read(1), b"v")
        waiting.send_signal(signal.SIGTERM)
        writing.send_signal(signal.SIGINT)
        self.assertEnds(waiting, -signal.SIGTERM, b"", "")
        self.assertEqual(writing.wait(DEADLINE), -signal.SIGINT)
        assert writing.stderr is not None
        self.assertEqual(writing.stderr.read(), b"")

    def test_noSpace(self) -> None:
        """
        Output that cannot be written, or that is closed, is told in a sentence.
        """
        port, listener = self.listen()
        with open("/dev/full", "wb") as full:
            child = self.start(port, stdout=full)
        with self.accept(listener) as reader:
            reader.sendall(POEM)
        _, errors = child.communicate(timeout=DEADLINE)
        self.assertEqual(
            errors,
            b"get-poetry: cannot write to standard output: No space left on device\n",
        )
        self.assertEqual(child.returncode, 1)
        child = self.startIn('"$@" >&-', port)
        self.assertEnds(child, 1, b"", "get-poetry: standard output is closed\n")

    def test_errorOutput(self) -> None:
        """
        A standard error output that cannot be written, that nobody reads, or that
        is closed, costs no poem, and nothing else is to be seen of it.
        """
        port, listener = self.listen()
        end, unread = os.pipe()
        os.close(end)
        self.addCleanup(os.close, unread)
        for script, stderr in (
            ('"$@" 2>/dev/full', subprocess.PIPE),
            ('"$@" 2>&-', subprocess.PIPE),
            ('"$@"', unread),
        ):
            child = self.startIn(script, port, self.refuse(), stderr=stderr)
            with self.accept(listener) as reader:
                reader.sendall(POEM)
            out, errors = child.communicate(timeout=DEADLINE)
            self.assertEqual((child.returncode, out), (1, POEM))
            self.assertFalse(errors)

    def test_nonBlocking(self) -> None:
        """
        Where the output is in non-blocking mode, it is waited for, and gets all.
        """
        port, listener = self.listen()
        end, descriptor = os.pipe()
        os.set_blocking(descriptor, False)
        child = self.start(port, stdout=descriptor)
        os.close(descriptor)
        with self.accept(listener) as reader:
            reader.sendall(LONG)
        with open(end, "rb") as output:
            self.assertEqual(output.read(), LONG)
        self.assertEnds(child, 0, None, "")

    def test_endless(self) -> None:
        """
        A server that never ends costs its poem, and no other, when there is no
        memory left, and when a poem may be no longer.
        """
        for script, option, reason in (
            ('ulimit -v 600000; "$@"', 2**40, "no memory left for more"),
            ('"$@"', 10**7, "longer than 10000000 bytes"),
        ):
            endless, listener = self.listen()
            good, goodListener = self.listen()
            child = self.startIn(script, "--max-length", option, endless, good)
            with self.accept(listener) as reader, self.assertRaises(ConnectionError):
                while True:
                    reader.sendall(bytes(2**20))
            with self.accept(goodListener) as reader:
                reader.sendall(POEM)
            out, errors = child.communicate(timeout=DEADLINE)
            line = rf"^get-poetry: localhost:{endless}: {reason}, \d+ bytes received\n$"
            self.assertRegex(errors.decode(), line)
            self.assertEqual((child.returncode, out), (1, POEM))

    def test_control(self) -> None:
        """
        On a terminal, control characters of a poem are shown.
        """
        port, listener = self.listen()
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        child = self.start(port, stdout=slave)
        with self.accept(listener) as reader:
            reader.sendall(b"\x1b]0;title\x07poem\xff")
        self.assertEqual(child.wait(DEADLINE), 0)
        self.assertEqual(os.read(master, 2**16), rb"^[]0;title^Gpoem\xff")
        os.close(slave)

    def test_progress(self) -> None:
        """
        On a terminal, the progress is shown until all is done, and poems go to
        where they should.
        """
        port, listener = self.listen()
        master, slave = pty.openpty()
        self.addCleanup(os.close, master)
        child = self.start(port, stderr=slave)
        os.close(slave)
        reader = self.accept(listener)
        reader.sendall(b"half")
        shown = b""
        while b"poems: 0 of 1, 4 bytes, 1 s" not in shown:
            shown += os.read(master, 2**16)
        reader.close()
        self.assertEqual(child.communicate(timeout=DEADLINE)[0], b"half")
        self.assertEqual(child.returncode, 0)
        last = os.read(master, 2**16)
        while not last.endswith(b" \r"):
            last += os.read(master, 2**16)
        self.assertNotIn(b"\n", shown + last)
