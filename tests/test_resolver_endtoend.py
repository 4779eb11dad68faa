"""
A few tests with real processes in which names are looked up.
"""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
from unittest import skipIf

from twisted.trial.unittest import SynchronousTestCase

from sandbox import DEADLINE, POEM, ROOT, Sandbox, connect, findCommand, readAll

# Python executes it first.  The names that hang do so for longer than any name server
# is waited for, and leave a line in a file.
HANGING = b"""
import socket, threading
getaddrinfo = socket.getaddrinfo

def hang(host, *arguments, **options):
    if host.endswith(".example"):
        with open(%r, "a") as hung:
            hung.write(host + "\\n")
        threading.Event().wait()
    return getaddrinfo(host, *arguments, **options)

socket.getaddrinfo = hang
"""

# In a network of its own: a server on an address of the link, and on one that has a
# name with an underscore; and who fetches from both.
LINK = """
ip link set lo up
ip address add fe80::1/64 dev lo nodad
echo "127.0.0.1 poem_server" >hosts
mount --bind hosts /etc/hosts
{twistd} fastpoetry --poem poem.txt --port 0 --iface fe80::1%lo --iface 127.0.0.1
set -- `sed -n 's/.*listening on .*:\\([0-9]*\\),.*/\\1/p' twistd.log`
{getPoetry} --in-order "[fe80::1%lo]:$1" "poem_server:$2" "tcp:poem_server:$2"
"""


class HangingTests(SynchronousTestCase):
    """
    Tests of names that hang.
    """

    def setUp(self) -> None:
        """
        Have a place to run commands in, where some names hang.
        """
        self.sandbox = Sandbox(self.addCleanup)
        self.hung = self.sandbox.path / "hung"
        self.sandbox.write("path/sitecustomize.py", HANGING % os.fsencode(self.hung))
        self.environment = {"PYTHONPATH": f"{self.sandbox.path}/path:{ROOT}"}

    def test_others(self) -> None:
        """
        While ten names hang, C{get-poetry} has the poems of another name and of an
        address.
        """
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        listener.settimeout(DEADLINE)
        port = listener.getsockname()[1]
        names = [f"hung-{number}.example:17" for number in range(10)]
        others = [f"127.0.0.1:{port}", f"localhost:{port}"]
        command = ["get-poetry", "--jobs", "12", "--timeout", "999", *names, *others]
        child = subprocess.Popen(
            [findCommand(command[0]), *command[1:]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **self.environment},
        )
        self.addCleanup(child.communicate)
        self.addCleanup(child.kill)
        for _ in others:
            reader, _ = listener.accept()
            with reader:
                reader.sendall(POEM)
        assert child.stdout is not None and child.stderr is not None
        self.assertEqual(child.stdout.read(2 * len(POEM)), 2 * POEM)
        child.kill()
        self.assertEqual(child.stderr.read(), b"")  # no name has failed

    def test_commandEnds(self) -> None:
        """
        C{get-poetry} ends when it has given up, whatever kind of endpoint looks a
        name up.
        """
        addresses = ["hung.example:17", "tcp:hung.example:17", "tls:hung.example:17"]
        status, output = self.sandbox.run(
            f"get-poetry --timeout 0.5 {' '.join(addresses)}",
            environment=self.environment,
        )
        self.assertEqual(
            sorted(output.decode().splitlines()),
            [
                f"get-poetry: {address}: no connection for 0.5 seconds, "
                "0 bytes received"
                for address in addresses
            ],
        )
        self.assertEqual(status, 1)

    def test_proxyEnds(self) -> None:
        """
        SIGTERM ends a proxy whose reader waits for a name that hangs.
        """
        proxy = self.sandbox.daemon(
            "poetry-proxy --upstream hung.example:17 --port 0 --grace 999",
            environment=self.environment,
        )
        reader = connect(proxy.ports[0])
        proxy.waitUntil(self.hung.exists, "name that hangs")
        proxy.signal(signal.SIGTERM)
        self.assertRaises(ConnectionResetError, readAll, reader)
        proxy.waitForEnd()
        self.assertNotIn("Traceback", proxy.log)


class LinkTests(SynchronousTestCase):
    """
    Tests of addresses of the link, and of names with an underscore.
    """

    @skipIf(os.geteuid() != 0, "only root can make a network")
    def test_fetch(self) -> None:
        """
        C{get-poetry} fetches from both.
        """
        sandbox = Sandbox(self.addCleanup)
        findCommand("ip")
        script = LINK.format(
            twistd=shlex.quote(findCommand("twistd")),
            getPoetry=shlex.quote(findCommand("get-poetry")),
        )
        sandbox.write("script", script.encode())
        ended = sandbox.run("unshare --net --mount sh -e script")
        self.assertEqual(ended, (0, POEM * 3))
