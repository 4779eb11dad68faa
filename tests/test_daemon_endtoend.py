"""
A server, from its start to its end, with real C{twistd} processes.
"""

from __future__ import annotations

import os
import platform
import random
import signal
import socket
import ssl
import stat
import sys
from pathlib import Path

from twisted.copyright import version
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry import __version__
from sandbox import POEM, ROOT, Sandbox, Server, connect, fetch, quoted, readAll
from tests.daemons import AS_NOBODY, NOBODY, PLUGIN, SMALL, TAC, needsRoot
from tests.support import LONG

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


class DaemonTests(SynchronousTestCase):
    """
    A server, from its start to its end.
    """

    def setUp(self) -> None:
        self.sandbox = Sandbox(self.addCleanup)

    def test_startedFromElsewhere(self) -> None:
        """
        Wherever C{twistd} is started, the poem's path counts from the place of
        the .tac file.
        """
        self.sandbox.writeTac()
        (self.sandbox.path / "elsewhere").mkdir()
        command = "twistd -y ../fastpoetry.tac"
        self.assertEqual(self.sandbox.run(command, cwd="elsewhere"), (0, b""))
        (process,) = self.sandbox.processes()
        server = Server(process.pid, self.sandbox.path / "elsewhere" / "twistd.log")
        self.assertEqual(fetch(*server.ports), POEM)

    def test_plainPython(self) -> None:
        """
        The .tac file composes and does nothing else.
        """
        path = ROOT / "fastpoetry.tac"
        ended = self.sandbox.run(f"{quoted(sys.executable)} {quoted(path)}")
        self.assertEqual(ended, (0, b""))

    def test_foreground(self) -> None:
        """
        With C{-n}, all of the log is on standard output, from the opening of the
        log to the end by SIGINT.
        """
        self.sandbox.writeTac()
        server = self.sandbox.foreground(f"twistd -n {TAC}")
        (port,) = server.ports
        self.assertEqual(fetch(port), POEM)
        server.waitForLog("sending ")
        self.assertEqual(server.stop(signal.SIGINT), -signal.SIGINT)
        rest = server.log
        for line in (
            f"fastpoetry {__version__}, Python {platform.python_version()}, "
            f"Twisted {version}\n",
            f"twistd {version} (",
            "reactor class: twisted.internet.",
            f"listening on 127.0.0.1:{port}, with the poem "
            f"{self.sandbox.path / 'poem.txt'}\n",
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
        files = sorted(os.listdir(self.sandbox.path))
        self.assertEqual(files, ["fastpoetry.tac", "poem.txt", "stdout"])

    def test_filesElsewhere(self) -> None:
        """
        The paths on the command line count from where it is given, with
        C{--rundir} too: those of the log, the pid file and the poem.
        """
        (self.sandbox.path / "run").mkdir()
        server = self.sandbox.daemon(
            f"--logfile my.log --pidfile my.pid --rundir run {PLUGIN}",
            log="my.log",
            pidfile="my.pid",
        )
        self.assertEqual(fetch(*server.ports), POEM)
        current = os.readlink(f"/proc/{server.pid}/cwd")
        self.assertEqual(current, str(self.sandbox.path / "run"))
        server.stop(signal.SIGINT)
        self.assertFalse((self.sandbox.path / "my.pid").exists())

    def test_rotatesOnSignal(self) -> None:
        """
        SIGUSR1 rotates the log of a daemon, which serves on.  C{--umask} holds
        for the new log, and for the pid file.
        """
        server = self.sandbox.daemon(f"--umask 027 {PLUGIN}")
        ports, before = server.ports, server.log
        self.assertEqual(server.rotate().read_text(), before)
        self.assertEqual(fetch(*ports), POEM)
        server.waitForLog("sending")
        for name in ("twistd.pid", "twistd.log"):
            mode = stat.S_IMODE((self.sandbox.path / name).stat().st_mode)
            self.assertEqual(oct(mode), "0o640", name)
        server.stop()

    def test_rotatesAtItsSize(self) -> None:
        """
        A log that has grown to 1,000,000 bytes is rotated, and no line is lost.
        """
        filler = b"." * 999_990
        old = self.sandbox.write("twistd.log", filler).with_name("twistd.log.1")
        server = self.sandbox.daemon(PLUGIN)
        self.assertEqual(fetch(*server.ports), POEM)
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
        server = self.sandbox.foreground(f"twistd -n {PLUGIN}")
        server.signal(signal.SIGUSR1)
        server.waitForLog("received SIGUSR1")
        self.assertEqual(fetch(*server.ports), POEM)
        server.stop()

    def test_secondStart(self) -> None:
        """
        A second daemon with the same pid file is refused, and the first serves on.
        """
        first = self.sandbox.daemon(PLUGIN)
        status, terminal = self.sandbox.run(f"twistd {PLUGIN}")
        self.assertEqual(status, 1)
        self.assertIn(b"Another twistd server is running", terminal)
        self.assertEqual(fetch(*first.ports), POEM)
        first.stop()

    def test_stalePidFile(self) -> None:
        """
        The pid file of a server that was killed keeps none from starting.
        """
        first = self.sandbox.foreground(f"twistd -n {PLUGIN}")
        first.stop(signal.SIGKILL)
        self.assertTrue((self.sandbox.path / "twistd.pid").exists())
        second = self.sandbox.daemon(PLUGIN)
        self.assertEqual(fetch(*second.ports), POEM)
        second.stop()

    @needsRoot
    def test_privileges(self) -> None:
        """
        Started by root, it opens a port for root alone and does all else as
        another user, who has the log and the directories: so the log rotates and
        the pid file goes.
        """
        log = self.sandbox.write("log/my.log", b"")
        pidfile = self.sandbox.write("run/my.pid", b"")
        pidfile.unlink()
        for path in (log, log.parent, pidfile.parent):
            os.chown(path, NOBODY, NOBODY)
        files = f"--logfile {log} --pidfile {pidfile}"
        server = self.sandbox.daemon(
            f"{AS_NOBODY} {files} fastpoetry --port {self.freePort()} --poem poem.txt",
            log="log/my.log",
            pidfile="run/my.pid",
        )
        (port,) = server.ports
        self.assertLess(port, 1024)
        status = Path(f"/proc/{server.pid}/status").read_text()
        for name in ("Uid", "Gid"):
            self.assertIn(f"{name}:" + 4 * f"\t{NOBODY}" + "\n", status)
        self.assertEqual(fetch(port), POEM)
        self.assertIn("loaded a poem", server.rotate().read_text())
        self.assertEqual(fetch(port), POEM)
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
            status, terminal = self.sandbox.run(command)
            self.assertEqual(status, 0)
            line = rb"fastpoetry +Serve a poem to whoever connects\.\n"
            self.assertRegex(terminal, line)

    def test_help(self) -> None:
        """
        C{twistd fastpoetry --help} prints all options.
        """
        status, terminal = self.sandbox.run("twistd fastpoetry --help")
        self.assertEqual(status, 0)
        options = "poem port iface endpoint max-connections timeout grace reuse-port"
        for option in options.split():
            self.assertRegex(terminal, rf"(?m)^ .*--{option}\b".encode())

    def test_onePoemOnTwoListeners(self) -> None:
        """
        One poem is served on a port and on a UNIX socket.
        """
        server = self.sandbox.daemon(f"{PLUGIN} --endpoint unix:socket")
        self.assertEqual(fetch(*server.ports), POEM)
        self.assertEqual(fetch(self.sandbox.path / "socket"), POEM)
        server.stop()
        self.assertFalse((self.sandbox.path / "socket").exists())

    def test_tls(self) -> None:
        """
        Over TLS, too, a reader that talks gets the whole of a long poem.
        """
        self.sandbox.write("poem.txt", LONG)
        endpoint = self.sandbox.makeCertificate()
        options = f"--endpoint {endpoint} --poem poem.txt"
        (port,) = self.sandbox.daemon(f"fastpoetry {options}").ports
        context = ssl.create_default_context(cafile=self.sandbox.path / "cert.pem")
        with context.wrap_socket(connect(port), server_hostname="localhost") as reader:
            reader.sendall(b"hi\n")
            self.assertTrue(readAll(reader) == LONG)

    def test_twist(self) -> None:
        """
        C{twist fastpoetry} serves in the foreground, and writes no file.
        """
        server = self.sandbox.foreground(f"twist --log-format=text {PLUGIN}")
        self.assertEqual(fetch(*server.ports), POEM)
        files = sorted(os.listdir(self.sandbox.path))
        self.assertEqual(files, ["poem.txt", "stdout"])
        self.assertEqual(server.stop(), -signal.SIGTERM)

    def test_emptyPoem(self) -> None:
        """
        An empty poem is served as such, with a clean end, and a warning at start;
        on a UNIX socket, too.
        """
        path = self.sandbox.write("poem.txt", b"")
        server = self.sandbox.daemon(f"{PLUGIN} --endpoint unix:socket")
        self.assertIn(f"#warn] the poem is empty: {path}\n", server.log)
        self.assertEqual(fetch(*server.ports), b"")
        self.assertEqual(fetch(self.sandbox.path / "socket"), b"")
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
            self.sandbox.write(name, poem)
        options = " ".join(f"--port 0 --poem {name}" for name in poems)
        # With the locale C, Python 3.11 and 3.12 do not start in an environment with an
        # editable install whose path is not ASCII.
        for locale in ("C", "C.UTF-8") if str(ROOT).isascii() else ("C.UTF-8",):
            server = self.sandbox.daemon(
                f"--logfile {locale}.log fastpoetry {options}",
                log=f"{locale}.log",
                environment={"LC_ALL": locale},
            )
            received = dict(zip(poems, map(fetch, server.ports)))
            self.assertEqual(received, poems, locale)
            server.stop()
