"""
Poems by UDP: real servers, real clients.
"""

from __future__ import annotations

import os
import re
import signal
import socket
from pathlib import Path
from typing import Any
from unittest import skipIf
from urllib.request import urlopen
from xmlrpc.client import ServerProxy

from twisted.trial.unittest import SynchronousTestCase

from sandbox import DEADLINE, POEM, Sandbox, Server, fetch, findCommand
from tests.refusals import RefusalTestCase

HEAD = POEM[: POEM.rindex(b"\n", 0, 512) + 1]
SHORT = b"one\ntwo\nthree\n"

# What sends a line by UDP, and then prints what comes.
CLIENTS = ("nc.openbsd -u", "nc.traditional -u", "ncat -u")

# A deployment that tells what it has counted a hundred times a second.
TAC = """
from twisted.application import service
from fastpoetry.doors import datagram
from fastpoetry.service import PoetryService
datagram.REPORT_INTERVAL = 0.01
application = service.Application("datagrams")
poetry_service = PoetryService("poem.txt")
poetry_service.setServiceParent(application)
protocol = datagram.PoetryDatagramProtocol(poetry_service)
server = datagram.PoetryDatagramServer({port}, protocol, "127.0.0.1")
server.setServiceParent(application)
"""


def portOf(server: Server) -> int:
    """
    @return: where a server listens for datagrams.
    """
    (port,) = re.findall(r"listening for datagrams on .*:(\d+)", server.log)
    return int(port)


def counted(server: Server, what: str) -> int:
    """
    @return: how many datagrams of a kind the log of a server tells of.
    """
    return sum(
        int(number)
        for line in re.findall(r"datagrams on \S+: (.*)", server.log)
        for number in re.findall(rf"(\d+) {what}", line)
    )


class DatagramTestCase(SynchronousTestCase):
    """
    Asks by UDP.
    """

    def socket(self, port: int = 0) -> socket.socket:
        """
        @param port: where answers are to come to, 0 for a port that the system chooses.
        """
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(made.close)
        made.settimeout(DEADLINE)
        made.bind(("127.0.0.1", port))
        return made

    def ask(self, server: Server, question: bytes = b"", asker: Any = None) -> bytes:
        """
        @return: the answer to a question.
        """
        asker = asker or self.socket()
        asker.sendto(question, ("127.0.0.1", portOf(server)))
        answer, address = asker.recvfrom(2**16)
        self.assertEqual(address, ("127.0.0.1", portOf(server)))
        return bytes(answer)

    def serve(self, options: str = "--udp 0", poem: bytes = POEM) -> Server:
        """
        Start a daemon.
        """
        self.sandbox = Sandbox(self.addCleanup, poem)
        return self.sandbox.daemon(f"fastpoetry --poem poem.txt --port 0 {options}")


class AnswerTests(DatagramTestCase):
    """
    Tests of one server.
    """

    def test_both(self) -> None:
        """
        The same poem is served by TCP and, as far as 512 bytes hold its lines, by UDP;
        SIGHUP has both serve another.
        """
        server = self.serve()
        self.assertEqual(fetch(*server.ports), POEM)
        self.assertEqual(self.ask(server), HEAD)
        self.sandbox.write("poem.txt", SHORT)
        server.signal(signal.SIGHUP)
        server.waitForLog("loaded a poem from: ", 2)
        self.assertEqual(fetch(*server.ports), SHORT)
        self.assertEqual(self.ask(server), SHORT)
        server.stop()
        self.assertEqual(counted(server, "answered"), 2)
        self.assertRaises(ConnectionRefusedError, self.askTwice, portOf(server))

    def test_example(self) -> None:
        """
        The example with other doors serves its poem at all of them.
        """
        sandbox = Sandbox(self.addCleanup)
        tac = "examples/other-doors.tac"
        sandbox.writeTac(tac, poetry_file="poem.txt", web_port=0)
        server = sandbox.daemon("-y other-doors.tac")
        port, web = server.ports
        self.assertEqual(fetch(port), POEM)
        self.assertEqual(self.ask(server), HEAD)
        site = f"http://127.0.0.1:{web}/"
        with urlopen(site) as page, urlopen(f"{site}ecstasy.txt") as poem:
            self.assertIn(b"The violet&#x27;s reclining head,\n", page.read())
            self.assertEqual(poem.read(), POEM)
        with urlopen(f"{site}healthz") as health, urlopen(f"{site}metrics") as metrics:
            self.assertEqual(health.read(), b"ok\n")
            figures = metrics.read().decode()
        for figure in ("poems", "datagrams", "http_responses"):
            self.assertIn(f"\nfastpoetry_{figure}_total{{", figures)
        with ServerProxy(f"{site}RPC2") as proxy:
            self.assertEqual(proxy.getPoem(), POEM.decode())
        server.stop()

    def askTwice(self, port: int) -> None:
        """
        Ask where nobody may listen.
        """
        asker = self.socket()
        asker.connect(("127.0.0.1", port))
        asker.send(b"")
        asker.recv(1)

    def assertPrints(self, client: str) -> None:
        """
        Assert that a client prints the head of the poem.
        """
        findCommand(client.split()[0])
        sandbox = Sandbox(self.addCleanup)
        # What is at the end of its input may leave before there is an answer.
        shell = f"{{ echo poem, please; tail -f /dev/null; }} | {client}"
        reader = sandbox.foreground(f'bash -c "{shell}"', [HEAD.decode()])
        self.assertEqual(reader.log, HEAD.decode())

    def test_nc(self) -> None:
        """
        All kinds of C{nc} show the poem.
        """
        server = self.serve()
        for client in CLIENTS:
            self.assertPrints(f"{client} 127.0.0.1 {portOf(server)}")
        server.stop()

    def test_socat(self) -> None:
        """
        C{socat} shows the poem.
        """
        server = self.serve()
        self.assertPrints(f"socat - UDP:127.0.0.1:{portOf(server)}")
        server.stop()

    def test_IPv6(self) -> None:
        """
        An address of IPv6 has its answers, too.
        """
        server = self.serve("--udp [::1]:0")
        asker = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self.addCleanup(asker.close)
        asker.settimeout(DEADLINE)
        asker.sendto(b"", ("::1", portOf(server)))
        self.assertEqual(asker.recv(2**16), HEAD)
        server.stop()

    def test_world(self) -> None:
        """
        Who is not trusted gets three times the question, and nothing for little.
        """
        server = self.serve("--udp 0 --udp-trust 192.0.2.0/24", SHORT)
        asker = self.socket()
        for nothing in (b"", b"x"):
            asker.sendto(nothing, ("127.0.0.1", portOf(server)))
        self.assertEqual(self.ask(server, b"xx", asker), b"one\n")
        self.assertEqual(self.ask(server, b"x" * 1000, asker), SHORT)
        server.stop()
        self.assertEqual(counted(server, "no room"), 2)
        self.assertEqual(counted(server, "answered"), 2)

    @skipIf(os.geteuid() != 0, "only root has the ports of servers")
    def test_lowPort(self) -> None:
        """
        The port of a server is not answered.
        """
        server = self.serve()
        asker = self.socket(self.lowPort())
        asker.sendto(b"", ("127.0.0.1", portOf(server)))
        self.assertEqual(self.ask(server), HEAD)
        server.stop()
        self.assertEqual(counted(server, "low port"), 1)
        self.assertEqual(counted(server, "answered"), 1)
        asker.setblocking(False)
        self.assertRaises(BlockingIOError, asker.recv, 1)

    def lowPort(self) -> int:
        """
        @return: a port below 1024 that nobody has.
        """
        for port in range(1023, 511, -1):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError:
                    continue
                return port
        raise AssertionError("no port is free")

    @skipIf(os.geteuid() != 0, "only root can start it as somebody else")
    def test_privileges(self) -> None:
        """
        Started by root for somebody else, it has a port below 1024.
        """
        port = self.lowPort()
        sandbox = Sandbox(self.addCleanup)
        server = sandbox.daemon(
            "--uid 65534 --gid 65534 "
            f"fastpoetry --poem poem.txt --port 0 --udp 127.0.0.1:{port}"
        )
        self.assertEqual(self.ask(server), HEAD)
        status = Path(f"/proc/{server.pid}/status").read_text()
        self.assertIn("Uid:\t65534\t65534", status)
        server.stop()


class LoopTests(DatagramTestCase):
    """
    Tests of two servers that answer each other.
    """

    def serveTac(self, port: int) -> Server:
        """
        Start a daemon on a port.
        """
        sandbox = Sandbox(self.addCleanup)
        sandbox.write("datagrams.tac", TAC.format(port=port).encode())
        server = sandbox.daemon("-y datagrams.tac")
        server.waitForLog("listening for datagrams")
        return server

    def test_ends(self) -> None:
        """
        A datagram in the name of another server is followed by ten answers each.
        """
        one = self.serveTac(0)
        one.signal(signal.SIGSTOP)
        state = Path(f"/proc/{one.pid}/stat")
        one.waitUntil(lambda: ") T " in state.read_text(), "standstill")
        with self.socket() as asker:
            asker.sendto(b"", ("127.0.0.1", portOf(one)))
            port = asker.getsockname()[1]
        two = self.serveTac(port)
        one.signal(signal.SIGCONT)
        one.waitForLog("1 no pause")
        one.stop()
        two.stop()
        self.assertEqual(counted(one, "answered"), 10)
        self.assertEqual(counted(one, "no pause"), 1)
        self.assertEqual(counted(two, "answered"), 10)


class StartTests(RefusalTestCase):
    """
    Tests of starts that must not succeed.
    """

    def test_refused(self) -> None:
        """
        A port that somebody has, and an address that is none, are one sentence, and
        nothing is left behind.
        """
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(other.close)
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        for option, sentence in [
            (f"127.0.0.1:{taken}", f"Address already in use: UDP port {taken}"),
            ("0.0.0.0:0", "Not the address of one interface: 0.0.0.0"),
        ]:
            self.addStart(
                option, f"fastpoetry --port 0 --poem poem.txt --udp {option}", sentence
            )
        self.assertNoneStarts()
