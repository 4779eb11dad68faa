"""
A few tests with real C{twistd} processes.
"""

from __future__ import annotations

import os
import platform
import random
import re
import signal
import socket
import ssl
import stat
import sys
from pathlib import Path
from unittest import skipIf

from twisted.copyright import version
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry import __version__
from tests.processes import (
    POEM,
    ROOT,
    Ground,
    RefusalTestCase,
    Server,
    connect,
    fetch,
    quoted,
    readAll,
)

PLUGIN = "fastpoetry --port 0 --poem poem.txt"
TAC = "-y fastpoetry.tac"

# More than the kernels of both sides hold for a reader that reads nothing.
LONG = b"".join(b"verse %d\n" % number for number in range(500_000))

# A poem of so many bytes the kernel takes at once, for whatever reader.
SMALL = 16 * 1024

# Poems that something on the way might take for text, and change.
AWKWARD = {
    "bom": b"\xef\xbb\xbfune po\xc3\xa9sie\n",
    "latin-1": b"une po\xe9sie\n",
    "crlf": b"one\r\ntwo\r\n\r\nthree\rfour\n",
    "nul": b"\0one\0\0two\0",
    "no-newline": b"the last line\nhas no end",
    "one-byte": b"x",
    "all-bytes": bytes(range(256)),
    "na\xefve": b"its name is not ASCII\n",
}

CLIENTS = [
    "nc.openbsd 127.0.0.1 {port}",
    "nc.traditional 127.0.0.1 {port}",
    "ncat 127.0.0.1 {port}",
    # By itself, it waits half a second for the rest when its input has ended.
    "socat -t 60 - TCP:127.0.0.1:{port}",
    "curl -sS telnet://127.0.0.1:{port}",
]

# Each mistake on the command line with the sentence that answers it.  {dir} is the
# current directory, {taken} a port that somebody listens on, and ... stands for
# words that are not ours.
PLUGIN_MISTAKES = {
    "": "no poem to serve: --poem FILE is missing",
    "--poem none.txt": "No such file or directory: none.txt",
    "--poem {dir}/none.txt": "No such file or directory: {dir}/none.txt",
    "--poem poem.txt/poem.txt": "Not a directory: poem.txt/poem.txt",
    "--poem ''": "No such file or directory: ",
    "--poem {dir}": "Not a regular file: {dir}",
    "--poem fifo": "Not a regular file: fifo",
    "--poem /dev/null": "Not a regular file: /dev/null",
    "--poem /dev/zero": "Not a regular file: /dev/zero",
    "--poem poem.txt --port 70000": "not a port number from 0 to 65535: 70000",
    "--poem poem.txt --port abc": "not a port number from 0 to 65535: abc",
    "--poem poem.txt --port -1": "not a port number from 0 to 65535: -1",
    "--poem poem.txt --port {taken}": (
        "Address already in use: tcp:{taken}:interface=localhost"
    ),
    "--poem poem.txt --port 0 --endpoint tcp:{taken}": (
        "Address already in use: tcp:{taken}"
    ),
    "--poem poem.txt --port 0 --iface 203.0.113.77": (
        "Cannot assign requested address: tcp:0:interface=203.0.113.77"
    ),
    "--poem poem.txt --endpoint unix:none/socket": (
        "No such file or directory: unix:none/socket"
    ),
    "--poem poem.txt --endpoint unix:poem.txt": "Address already in use: unix:poem.txt",
    "--poem poem.txt --endpoint unix:good --endpoint unix:none/socket": (
        "No such file or directory: unix:none/socket"
    ),
    "--poem poem.txt --iface ''": "--iface is no address: ''",
    "--poem poem.txt --endpoint systemd:domain=INET:index=0": (
        "No such socket was passed: systemd:domain=INET:index=0"
    ),
    "--poem poem.txt --endpoint bogus:1": "Not an endpoint: bogus:1 (...: bogus)",
    "--poem poem.txt --endpoint tcp:0:x=1": "Not an endpoint: tcp:0:x=1 (...of tcp: x)",
    "--poem poem.txt --endpoint tcp:abc": "Not an endpoint: tcp:abc (...: abc)",
    "--poem poem.txt --endpoint tcp:": "Not an endpoint: tcp: (...)",
    "--poem poem.txt --endpoint ''": "Not an endpoint:  (...)",
    "--poem poem.txt --poem poem.txt --port 0": (
        "2 poems do not go with 1 ports and endpoints"
    ),
    "--poem poem.txt --poem poem.txt -p 0 -p 0 -e tcp:0": (
        "2 poems do not go with 3 ports and endpoints"
    ),
    "--poem poem.txt --bogus": "option --bogus not recognized",
    "--poem poem.txt stray": "not an option: stray",
    "--poem poem.txt --timeout -1": "not a number of seconds above 0: -1",
    "--poem poem.txt --timeout soon": "not a number of seconds above 0: soon",
    "--poem poem.txt --grace -0.5": "not a number of seconds, 0 or more: -0.5",
    "--poem poem.txt --grace inf": "not a number of seconds, 0 or more: inf",
    "--poem poem.txt --max-connections 0": "not a whole number above 0: 0",
    "--poem poem.txt --max-connections -1": "not a whole number above 0: -1",
    "--poem poem.txt --max-connections all": "not a whole number above 0: all",
}
# The same for the settings of a .tac file.
TAC_MISTAKES = [
    (
        "iface",
        "",
        "Not an endpoint: tcp:0:interface= (its interface is no address: '')",
    ),
    ("poetry_file", "none.txt", "No such file or directory: {dir}/none.txt"),
    ("poetry_file", ".", "Not a regular file: {dir}"),
    ("poetry_file", "fifo", "Not a regular file: {dir}/fifo"),
    ("poetry_file", "/dev/null", "Not a regular file: /dev/null"),
    ("poetry_file", "/dev/zero", "Not a regular file: /dev/zero"),
    ("poetry_file", "po\0em", "Not the name of a file: '{dir}/po"),
    ("port", "{taken}", "Address already in use: tcp:{taken}:interface=localhost"),
    ("port", 70000, ": tcp:70000:interface=localhost"),
    ("port", "abc", "Not an endpoint: tcp:abc:interface=localhost (...: abc)"),
    ("port", -1, ": tcp:-1:interface=localhost"),
    ("port", "0:x=1", "Not an endpoint: tcp:0:x=1:interface=localhost (...of tcp: x)"),
    ("iface", "203.0.113.77", "requested address: tcp:0:interface=203.0.113.77"),
]

NOBODY = 65534
AS_NOBODY = "--uid nobody --gid nogroup"
needsRoot = skipIf(os.geteuid() != 0, "only root can start it as somebody else")


def nameOf(reader: socket.socket) -> str:
    """
    @return: how the log names a reader.
    """
    host, port = reader.getsockname()
    return f"{host}:{port}"


class DaemonTests(SynchronousTestCase):
    """
    A server, from its start to its end.
    """

    def setUp(self) -> None:
        self.ground = Ground(self.addCleanup)

    def test_startedFromElsewhere(self) -> None:
        """
        Wherever C{twistd} is started, the poem's path counts from the place of
        the .tac file.
        """
        self.ground.writeTac()
        (self.ground.path / "elsewhere").mkdir()
        command = "twistd -y ../fastpoetry.tac"
        self.assertEqual((0, b""), self.ground.run(command, cwd="elsewhere"))
        (process,) = self.ground.processes()
        server = Server(process.pid, self.ground.path / "elsewhere" / "twistd.log")
        self.assertEqual(POEM, fetch(*server.ports))

    def test_plainPython(self) -> None:
        """
        The .tac file composes and does nothing else.
        """
        path = ROOT / "fastpoetry.tac"
        ended = self.ground.run(f"{quoted(sys.executable)} {quoted(path)}")
        self.assertEqual((0, b""), ended)

    def test_foreground(self) -> None:
        """
        With C{-n}, all of the log is on standard output, from the opening of the
        log to the end by SIGINT.
        """
        self.ground.writeTac()
        server = self.ground.foreground(f"twistd -n {TAC}")
        (port,) = server.ports
        self.assertEqual(POEM, fetch(port))
        server.waitForLog("sending ")
        self.assertEqual(-signal.SIGINT, server.stop(signal.SIGINT))
        rest = server.log
        for line in (
            f"fastpoetry {__version__}, Python {platform.python_version()}, "
            f"Twisted {version}\n",
            f"twistd {version} (",
            "reactor class: twisted.internet.",
            f"listening on 127.0.0.1:{port}, with the poem "
            f"{self.ground.path / 'poem.txt'}\n",
            "loaded a poem from: ",
            "[fastpoetry.protocol.PoetryFactory#info] sending "
            f"{len(POEM)} bytes of poetry to ",
            "Received SIGINT, shutting down.\n",
            f"(TCP Port {port} Closed)\n",
            "Main loop terminated.\n",
            "Server Shut Down.\n",
        ):
            self.assertIn(line, rest, f"missing, or out of order in:\n{server.log}")
            rest = rest.partition(line)[2]
        files = sorted(os.listdir(self.ground.path))
        self.assertEqual(["fastpoetry.tac", "poem.txt", "stdout"], files)

    def test_filesElsewhere(self) -> None:
        """
        The paths on the command line count from where it is given, with
        C{--rundir} too: those of the log, the pid file and the poem.
        """
        (self.ground.path / "run").mkdir()
        server = self.ground.daemon(
            f"--logfile my.log --pidfile my.pid --rundir run {PLUGIN}",
            log="my.log",
            pidfile="my.pid",
        )
        self.assertEqual(POEM, fetch(*server.ports))
        current = os.readlink(f"/proc/{server.pid}/cwd")
        self.assertEqual(str(self.ground.path / "run"), current)
        server.stop(signal.SIGINT)
        self.assertFalse((self.ground.path / "my.pid").exists())

    def test_rotatesOnSignal(self) -> None:
        """
        SIGUSR1 rotates the log of a daemon, which serves on.  C{--umask} holds
        for the new log, and for the pid file.
        """
        server = self.ground.daemon(f"--umask 027 {PLUGIN}")
        ports, before = server.ports, server.log
        self.assertEqual(before, server.rotate().read_text())
        self.assertEqual(POEM, fetch(*ports))
        server.waitForLog("sending")
        for name in ("twistd.pid", "twistd.log"):
            mode = stat.S_IMODE((self.ground.path / name).stat().st_mode)
            self.assertEqual("0o640", oct(mode), name)
        server.stop()

    def test_rotatesAtItsSize(self) -> None:
        """
        A log that has grown to 1,000,000 bytes is rotated, and no line is lost.
        """
        filler = b"." * 999_990
        old = self.ground.write("twistd.log", filler).with_name("twistd.log.1")
        server = self.ground.daemon(PLUGIN)
        self.assertEqual(POEM, fetch(*server.ports))
        server.stop()
        self.assertTrue(old.read_bytes().startswith(filler))
        self.assertTrue(old.read_text().endswith(f"Twisted {version}\n"))
        for line in (
            "starting up.",
            "reactor class: ",
            "loaded a poem",
            "sending",
            "Server Shut Down.",
        ):
            self.assertIn(line, server.log)

    def test_rotatesNothing(self) -> None:
        """
        SIGUSR1 does no harm to a server whose log is not in a file.
        """
        server = self.ground.foreground(f"twistd -n {PLUGIN}")
        server.signal(signal.SIGUSR1)
        server.waitForLog("received SIGUSR1")
        self.assertEqual(POEM, fetch(*server.ports))
        server.stop()

    def test_secondStart(self) -> None:
        """
        A second daemon with the same pid file is refused, and the first serves on.
        """
        first = self.ground.daemon(PLUGIN)
        status, terminal = self.ground.run(f"twistd {PLUGIN}")
        self.assertEqual(1, status)
        self.assertIn(b"Another twistd server is running", terminal)
        self.assertEqual(POEM, fetch(*first.ports))
        first.stop()

    def test_stalePidFile(self) -> None:
        """
        The pid file of a server that was killed keeps none from starting.
        """
        first = self.ground.foreground(f"twistd -n {PLUGIN}")
        first.stop(signal.SIGKILL)
        self.assertTrue((self.ground.path / "twistd.pid").exists())
        second = self.ground.daemon(PLUGIN)
        self.assertEqual(POEM, fetch(*second.ports))
        second.stop()

    @needsRoot
    def test_privileges(self) -> None:
        """
        Started by root, it opens a port for root alone and does all else as
        another user, who has the log and the directories: so the log rotates and
        the pid file goes.
        """
        log = self.ground.write("log/my.log", b"")
        pidfile = self.ground.write("run/my.pid", b"")
        pidfile.unlink()
        for path in (log, log.parent, pidfile.parent):
            os.chown(path, NOBODY, NOBODY)
        files = f"--logfile {log} --pidfile {pidfile}"
        server = self.ground.daemon(
            f"{AS_NOBODY} {files} fastpoetry --port {self.freePort()} --poem poem.txt",
            log="log/my.log",
            pidfile="run/my.pid",
        )
        (port,) = server.ports
        self.assertLess(port, 1024)
        status = Path(f"/proc/{server.pid}/status").read_text()
        for name in ("Uid", "Gid"):
            self.assertIn(f"{name}:" + 4 * f"\t{NOBODY}" + "\n", status)
        self.assertEqual(POEM, fetch(port))
        self.assertIn("loaded a poem", server.rotate().read_text())
        self.assertEqual(POEM, fetch(port))
        server.waitForLog("sending")
        server.stop()
        self.assertFalse(pidfile.exists())

    def freePort(self) -> int:
        """
        Find a port that is free, and for root alone.
        """
        for port in random.sample(range(200, 1024), 800):
            try:
                socket.create_server(("127.0.0.1", port)).close()
            except OSError:
                continue
            return port
        self.fail("no port below 1024 is free")

    def test_listed(self) -> None:
        """
        C{twistd --help} and C{twist --help} list the command, with what it does.
        """
        for command in ("twistd --help", "twist --help"):
            status, terminal = self.ground.run(command)
            self.assertEqual(0, status)
            line = rb"fastpoetry +Serve a poem to whoever connects\.\n"
            self.assertRegex(terminal, line)

    def test_help(self) -> None:
        """
        C{twistd fastpoetry --help} prints all options.
        """
        status, terminal = self.ground.run("twistd fastpoetry --help")
        self.assertEqual(0, status)
        options = "poem port iface endpoint max-connections timeout grace reuse-port"
        for option in options.split():
            self.assertRegex(terminal, rf"(?m)^ .*--{option}\b".encode())

    def test_onePoemOnTwoListeners(self) -> None:
        """
        One poem is served on a port and on a UNIX socket.
        """
        server = self.ground.daemon(f"{PLUGIN} --endpoint unix:socket")
        self.assertEqual(POEM, fetch(*server.ports))
        self.assertEqual(POEM, fetch(self.ground.path / "socket"))
        server.stop()
        self.assertFalse((self.ground.path / "socket").exists())

    def test_tls(self) -> None:
        """
        Over TLS, too, a reader that talks gets the whole of a long poem.
        """
        self.ground.write("poem.txt", LONG)
        endpoint = self.ground.makeCertificate()
        options = f"--endpoint {endpoint} --poem poem.txt"
        (port,) = self.ground.daemon(f"fastpoetry {options}").ports
        context = ssl.create_default_context(cafile=self.ground.path / "cert.pem")
        with context.wrap_socket(connect(port), server_hostname="localhost") as reader:
            reader.sendall(b"hi\n")
            self.assertTrue(readAll(reader) == LONG)

    def test_twist(self) -> None:
        """
        C{twist fastpoetry} serves in the foreground, and writes no file.
        """
        server = self.ground.foreground(f"twist --log-format=text {PLUGIN}")
        self.assertEqual(POEM, fetch(*server.ports))
        files = sorted(os.listdir(self.ground.path))
        self.assertEqual(["poem.txt", "stdout"], files)
        self.assertEqual(-signal.SIGTERM, server.stop())

    def test_emptyPoem(self) -> None:
        """
        An empty poem is served as such, with a clean end, and a warning at start;
        on a UNIX socket, too.
        """
        path = self.ground.write("poem.txt", b"")
        server = self.ground.daemon(f"{PLUGIN} --endpoint unix:socket")
        self.assertIn(f"#warn] the poem is empty: {path}\n", server.log)
        self.assertEqual(b"", fetch(*server.ports))
        self.assertEqual(b"", fetch(self.ground.path / "socket"))
        server.stop()

    def test_bytesAreKept(self) -> None:
        """
        Of several poems on as many ports each port gives its own, byte for byte,
        whatever the locale, and whichever way it goes.
        """
        poems = dict(AWKWARD)
        for name, poem in AWKWARD.items():
            poems[f"long-{name}"] = poem + LONG[:SMALL] + poem
        for name, poem in poems.items():
            self.ground.write(name, poem)
        options = " ".join(f"--port 0 --poem {name}" for name in poems)
        # With the locale C, Python 3.11 and 3.12 do not start in an environment with an
        # editable install whose path is not ASCII.
        for locale in ("C", "C.UTF-8") if str(ROOT).isascii() else ("C.UTF-8",):
            server = self.ground.daemon(
                f"--logfile {locale}.log fastpoetry {options}",
                log=f"{locale}.log",
                environment={"LC_ALL": locale},
            )
            received = dict(zip(poems, map(fetch, server.ports)))
            self.assertEqual(poems, received, locale)
            server.stop()


class SmallPoemTests(SynchronousTestCase):
    """
    What a server owes its readers, with a poem that the kernel takes at once.

    @ivar poem: what the server serves.

    @ivar other: another poem.
    """

    poem = LONG[:SMALL]
    other = LONG

    def setUp(self) -> None:
        """
        Make a directory with the poem.
        """
        self.ground = Ground(self.addCleanup, self.poem)

    def assertPoem(self, received: bytes, poem: bytes | None = None) -> None:
        """
        Assert that this is a whole poem, by default the first one.
        """
        expected = self.poem if poem is None else poem
        self.assertTrue(received == expected, f"{len(received)} bytes")

    def connectSlow(self, server: Server) -> socket.socket:
        """
        Connect a reader that reads nothing, and wait until its kernel holds the
        beginning of the poem, which is all that it has room for.
        """
        (port,) = server.ports
        reader = connect(port, buffer=2**12)
        self.addCleanup(reader.close)
        reader.recv(1, socket.MSG_PEEK)
        return reader

    def test_together(self) -> None:
        """
        Readers who come together are named in one line of the log.
        """
        server = self.ground.daemon(PLUGIN)
        status = Path(f"/proc/{server.pid}/status")
        server.signal(signal.SIGSTOP)
        server.waitUntil(lambda: "T (stopped)" in status.read_text(), "halt")
        readers = [connect(*server.ports) for _ in range(3)]
        names = list(map(nameOf, readers))
        server.signal(signal.SIGCONT)
        for reader in readers:
            self.assertPoem(readAll(reader))
        server.stop()
        lines = re.findall(r"sending \d+ bytes of poetry to (.*)", server.log)
        self.assertEqual(names, ", ".join(lines).split(", "))
        self.assertEqual(1, len(lines))

    def test_daemonServesThePoem(self) -> None:
        """
        The daemon serves the poem byte for byte, logs that it does, and leaves
        no pid file when SIGTERM ends it.
        """
        self.ground.writeTac()
        server = self.ground.daemon(TAC)
        with connect(*server.ports) as reader:
            name = nameOf(reader)
            self.assertPoem(readAll(reader))
        self.assertTrue((self.ground.path / "twistd.pid").exists())
        server.stop()
        self.assertFalse((self.ground.path / "twistd.pid").exists())
        for line in (
            f"loaded a poem from: {self.ground.path}/poem.txt\n",
            f"sending {len(self.poem)} bytes of poetry to {name}\n",
        ):
            self.assertIn(line, server.log)

    def checkReload(self, server: Server) -> None:
        """
        Replace the poem by one that goes the other way, then delete it, with a
        SIGHUP after each.
        """
        poem = self.ground.path / "poem.txt"
        self.assertPoem(fetch(*server.ports))
        slow = self.connectSlow(server)
        self.ground.write("new.txt", self.other).replace(poem)
        server.signal(signal.SIGHUP)
        server.waitForLog("loaded a poem", times=2)
        self.assertPoem(fetch(*server.ports), self.other)
        poem.unlink()
        server.signal(signal.SIGHUP)
        server.waitForLog(f"No such file or directory: {poem}\n")
        self.assertPoem(fetch(*server.ports), self.other)
        self.assertPoem(readAll(slow))
        server.stop()
        self.assertEqual(1, server.log.count("#error]"), server.log)

    def test_tacReloads(self) -> None:
        """
        SIGHUP makes a .tac daemon read its poem anew, and keep the old one when
        it cannot.  A reader in the middle of the old poem gets the rest of that.
        """
        self.ground.writeTac()
        self.checkReload(self.ground.daemon(TAC))

    def test_pluginReloads(self) -> None:
        """
        The same is true of a daemon of the plugin.
        """
        self.checkReload(self.ground.daemon(PLUGIN))

    def stopWithReaders(self) -> tuple[Server, list[socket.socket]]:
        """
        Stop a server while two readers read nothing.
        """
        server = self.ground.foreground(f"twistd -n {PLUGIN} --grace 999 --timeout 999")
        (port,) = server.ports
        readers = [self.connectSlow(server) for _ in range(2)]
        server.signal(signal.SIGTERM)
        server.waitForLog("readers in flight: 2")
        self.assertRaises(ConnectionRefusedError, connect, port)
        return server, readers

    def test_drains(self) -> None:
        """
        Readers in flight when SIGTERM comes get the whole poem, then the server
        ends.
        """
        server, readers = self.stopWithReaders()
        for reader in readers:
            self.assertFalse(server.hasEnded())
            self.assertPoem(readAll(reader))
        server.waitForEnd()
        self.assertFalse((self.ground.path / "twistd.pid").exists())

    def test_secondSignal(self) -> None:
        """
        A second SIGTERM ends a server at once, and its readers with a reset.
        """
        server, readers = self.stopWithReaders()
        self.assertEqual(-signal.SIGTERM, server.stop())
        self.assertFalse((self.ground.path / "twistd.pid").exists())
        for reader in readers:
            self.assertRaises(ConnectionResetError, readAll, reader)

    def kill(self) -> socket.socket:
        """
        Kill a server in the middle of a poem.

        @return: the reader of that.
        """
        server = self.ground.daemon(PLUGIN)
        reader = self.connectSlow(server)
        # It says so when the kernel has as much as it takes.
        server.waitForLog("sending ")
        server.signal(signal.SIGKILL)
        server.waitForEnd()
        return reader

    def test_killed(self) -> None:
        """
        When the server is killed, the reader gets the whole poem all the same:
        the kernel had it, and its end.
        """
        self.assertPoem(readAll(self.kill()))

    def checkClients(self, says: bytes) -> None:
        """
        Have each client get the poem, while one is in the middle of it.
        """
        server = self.ground.daemon(PLUGIN)
        (port,) = server.ports
        slow = self.connectSlow(server)
        slow.sendall(says)
        for client in CLIENTS:
            status, received = self.ground.run(client.format(port=port), says=says)
            self.assertEqual(0, status, f"{client}: {received[-200:]!r}")
            self.assertTrue(received == self.poem, f"{client}: {len(received)} bytes")
        self.assertPoem(readAll(slow))
        server.stop()

    def test_clients(self) -> None:
        """
        The usual clients get the poem, byte for byte, and end by themselves.
        """
        self.checkClients(says=b"")

    def test_clientsThatTalk(self) -> None:
        """
        What a client says takes nothing from the poem.
        """
        self.checkClients(says=b"hi\n")


class LongPoemTests(SmallPoemTests):
    """
    The same with a poem of which the kernels of both sides hold only a part for a
    reader that reads nothing.
    """

    poem = LONG
    other = LONG[:SMALL]

    def test_killed(self) -> None:
        """
        When the server is killed in the middle of a poem, the reader sees a reset,
        not the end of a shorter poem.
        """
        self.assertRaises(ConnectionResetError, readAll, self.kill())


class RefusalTests(RefusalTestCase):
    """
    Mistakes, each of which ends the start with a plain sentence.
    """

    def test_plugin(self) -> None:
        """
        No mistake on the command line starts a server.
        """
        for options, sentence in PLUGIN_MISTAKES.items():
            self.addStart(options, f"fastpoetry {options}", sentence)
        self.assertNoneStarts()

    def test_tac(self) -> None:
        """
        No mistake in the settings of a .tac file starts a server.
        """
        for setting, value, sentence in TAC_MISTAKES:
            self.addStart(f"{setting} = {value!r}", TAC, sentence, **{setting: value})
        self.assertNoneStarts()

    @needsRoot
    def test_unreadable(self) -> None:
        """
        A poem that the user of the server may not read is not served, though the
        user who starts it may.
        """
        for arguments in (PLUGIN, TAC):
            ground = self.addStart(
                arguments,
                f"{AS_NOBODY} {arguments}",
                "Permission denied: {dir}/poem.txt",
            )
            (ground.path / "poem.txt").chmod(0o600)
            os.chown(ground.path, NOBODY, NOBODY)  # or its pid file would stay
        self.assertNoneStarts()
