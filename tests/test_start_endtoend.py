"""
The start of real processes: signals that come in the middle of it, few descriptors, and
where the sentence of a start that fails is told.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from itertools import product
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from sandbox import POEM, Sandbox, Server, fetch, findCommand, quoted
from tests.daemons import TAC
from tests.refusals import RefusalTestCase

PLUGIN = "fastpoetry --endpoint unix:socket --poem poem.txt"

# What each signal is answered with.
EFFECTS = {
    signal.SIGHUP: "received SIGHUP, reloading",
    signal.SIGUSR1: "received SIGUSR1, but the log is not a file of twistd's",
    signal.SIGUSR2: "received SIGUSR2, these are the figures",
}


class SignalTests(SynchronousTestCase):
    """
    Signals that C{strace} sends while a server starts.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        self.sandbox = Sandbox(self.addCleanup)
        self.sandbox.writeTac(endpoint="unix:socket")
        self.pidfile = self.sandbox.path / "twistd.pid"
        self.strace = f"{quoted(findCommand('strace'))} -f -qq -o trace"

    def start(self, inject: str, arguments: str) -> tuple[Server, Server]:
        """
        Start a server that gets a signal.

        @param inject: where and which; strace(1).

        @return: C{strace}, whose output is the server's, and the server, which has a
            log file unless it is in the foreground.
        """
        twistd = f"{quoted(findCommand('twistd'))} {arguments}"
        tracer = self.sandbox.foreground(f"{self.strace} {inject} {twistd}", ())
        tracer.waitUntil(
            lambda: self.pidfile.exists() and self.pidfile.read_text() != "", "pid file"
        )
        path = self.sandbox.path / "twistd.log"
        isForeground = arguments.startswith("-n")
        pid = int(self.pidfile.read_text())
        return tracer, Server(pid, tracer.logPath if isForeground else path)

    def hit(self, number: signal.Signals, arguments: str) -> tuple[Server, Server]:
        """
        Start a server that gets a signal as soon as there is a pid file.
        """
        path = f"-P {quoted(self.pidfile)} -e trace=write"
        inject = f"{path} -e inject=write:signal={number.name}:when=1"
        return self.start(inject, arguments)

    def assertServes(self, tracer: Server, server: Server) -> None:
        """
        Assert that a server has taken no harm, and leaves nothing behind.
        """
        poems: list[bytes] = []

        def isServed() -> bool:
            try:
                poems.append(fetch(self.sandbox.path / "socket"))
            except (FileNotFoundError, ConnectionRefusedError):
                return False  # the socket has a name before anybody listens on it
            return True

        tracer.waitUntil(isServed, "poem")
        self.assertEqual(poems, [POEM])
        server.signal(signal.SIGTERM)
        tracer.waitForEnd()
        self.assertFalse(self.pidfile.exists())

    def test_foreground(self) -> None:
        """
        No signal that comes when the pid file is written ends a server, be it a plugin
        or a .tac file; it has its effect when the server has started.
        """
        for arguments in (PLUGIN, TAC):
            for number, effect in EFFECTS.items():
                tracer, server = self.hit(number, f"-n {arguments}")
                server.waitForLog(effect)
                before, _, _ = server.log.partition(effect)
                self.assertIn("loaded a poem from: ", before)
                self.assertServes(tracer, server)

    def test_daemon(self) -> None:
        """
        So it is with a daemon, whose log file SIGUSR1 rotates.
        """
        for arguments in (PLUGIN, TAC):
            for number, effect in EFFECTS.items():
                tracer, server = self.hit(number, arguments)
                if number == signal.SIGUSR1:
                    old = server.logPath.with_name("twistd.log.1")
                    server.waitUntil(old.exists, "rotation of the log")
                else:
                    server.waitForLog(effect)
                self.assertServes(tracer, server)
                server.logPath.unlink()
            old.unlink()

    def test_otherLogs(self) -> None:
        """
        So it is where the log is no file of C{twistd}'s.
        """
        for log in ("--syslog", "--logger fastpoetry.log.boundedLog"):
            for number in EFFECTS:
                self.assertServes(*self.hit(number, f"{log} {PLUGIN}"))

    def test_stop(self) -> None:
        """
        A server that is told to stop while it starts stops as soon as it has started,
        and leaves no pid file and no socket.
        """
        before = set(os.listdir(self.sandbox.path))
        signals = (signal.SIGTERM, signal.SIGINT)
        for arguments, number in product((PLUGIN, TAC), signals):
            twistd = f"{quoted(findCommand('twistd'))} -n {arguments}"
            for call in ("bind", "chmod", "listen"):
                inject = f"-e trace={call} -e inject={call}:signal={number.name}:when=1"
                server = self.sandbox.foreground(f"{self.strace} {inject} {twistd}", ())
                server.waitForEnd()
                self.assertIn(f"Received {number.name}, shutting down", server.log)
                self.assertIn("loaded a poem from: ", server.log)
                self.assertNotIn("cannot start", server.log)
                left = set(os.listdir(self.sandbox.path)) - before
                self.assertEqual(left & {"twistd.pid", "socket"}, set())


class DescriptorTests(SynchronousTestCase):
    """
    Starts with few descriptors.
    """

    def test_tooFew(self) -> None:
        """
        With fewer than a daemon takes there is one sentence, and nothing is left; with
        as many it serves.
        """
        sandbox = Sandbox(self.addCleanup)
        sandbox.writeTac(endpoint="unix:socket")
        before = set(os.listdir(sandbox.path))
        # Where its path has spaces it is a script of the shell, which takes some, too.
        twistd = f"{quoted(sys.executable)} {quoted(findCommand('twistd'))}"
        for arguments in (f"-n {PLUGIN}", PLUGIN, f"-n {TAC}", TAC):
            for limit in (5, 8, 14):
                ended = sandbox.run(
                    f"sh -c {quoted(f'ulimit -n {limit}; {twistd} {arguments}')}"
                )
                sentence = (
                    "cannot start: the limit of open files (ulimit -n) is "
                    f"{limit}, and at least 15 are needed\n"
                )
                self.assertEqual(ended, (1, sentence.encode()))
                self.assertEqual(set(os.listdir(sandbox.path)), before)
                self.assertEqual(sandbox.processes(), [])
        for arguments in (PLUGIN, TAC):
            status, _ = sandbox.run(
                f"sh -c {quoted(f'ulimit -n 15; {twistd} {arguments}')}"
            )
            self.assertEqual(status, 0)
            pid = int((sandbox.path / "twistd.pid").read_text())
            server = Server(pid, sandbox.path / "twistd.log")
            self.assertEqual(fetch(sandbox.path / "socket"), POEM)
            server.stop()


class ToldTests(RefusalTestCase):
    """
    Starts that fail, and where that is told.
    """

    def test_once(self) -> None:
        """
        In the foreground the sentence is told once: in the log, and where that is
        elsewhere, on standard error.
        """
        sandbox = Sandbox(self.addCleanup)
        sandbox.writeTac(port=self.taken)
        sentence = (
            "cannot start: Address already in use: "
            f"tcp:{self.taken}:interface=localhost\n"
        ).encode()
        plugin = f"fastpoetry --port {self.taken} --poem poem.txt"
        for command in (
            f"twistd -n {plugin}",
            f"twistd -n {TAC}",
            f"twist {plugin}",
            f"twist --log-file log {plugin}",
        ):
            status, output = sandbox.run(command)
            self.assertEqual(status, 1)
            self.assertEqual(output.count(sentence.rstrip()), 1, output)
            self.assertNotIn(b"Traceback", output)
        for log in ("--logfile log", "--syslog", "--logger fastpoetry.log.boundedLog"):
            for arguments in (plugin, TAC):
                ended = sandbox.run(f"twistd -n {log} {arguments}")
                self.assertEqual(ended, (1, sentence))
        self.assertIn(sentence, (sandbox.path / "log").read_bytes())
        self.assertFalse((sandbox.path / "twistd.pid").exists())


class ServerOptionsTests(RefusalTestCase):
    """
    What C{twistd} cannot do with its own options.
    """

    def test_refused(self) -> None:
        """
        It is told in a sentence, which names the option, in the foreground and as a
        daemon.
        """
        missing = "No such file or directory: "
        for options, sentence in [
            ("--rundir nosuch", f"{missing}--rundir nosuch"),
            ("--chroot nosuch", f"{missing}--chroot nosuch"),
            ("--logfile nosuch/log", f"{missing}--logfile nosuch/log"),
            ("--pidfile nosuch/pid", f"{missing}--pidfile nosuch/pid"),
            ("--uid 4000000000", "No such user: --uid 4000000000"),
            ("--uid 4000000000 --gid 0", ": --"),
        ]:
            self.addStart(options, f"{options} {PLUGIN}", f"fastpoetry: ...{sentence}")
        links = []
        for option in ("--logfile link", "--pidfile link"):
            arguments, sentence = f"{option} {PLUGIN}", f"fastpoetry: {missing}{option}"
            sandbox = self.addStart(option, arguments, sentence)
            links.append(sandbox.path / "link")
            links[-1].symlink_to("nosuch/x")
        self.assertNoneStarts()
        self.assertEqual([os.readlink(link) for link in links], 2 * ["nosuch/x"])

    def test_notPermitted(self) -> None:
        """
        So it is with another user, or another root, for who may not have one.
        """
        command = "setpriv --bounding-set=-setuid,-setgid,-sys_chroot"
        before = f"{command} {quoted(findCommand('twistd'))}"
        if os.geteuid() != 0:
            before = "twistd"
        other = "nobody" if os.geteuid() == 0 else "root"
        for option in (f"--uid {other}", f"--gid {os.getgid() + 1}", "--chroot ."):
            for mode in ("", "-n"):
                self.assertRefuses(
                    Sandbox(self.addCleanup),
                    f"{before} {mode} {option} {PLUGIN}",
                    f"fastpoetry: Operation not permitted: {option.split()[0]} ",
                )


# No home, a root that nobody can write to, and a user whom nobody knows.
CONTAINER = b"""set -e
mount -o bind,ro / /
if touch /fastpoetry-test 2>/dev/null; then exit 1; fi
unset HOME
exec setpriv --reuid 12345 --regid 12345 --clear-groups "$@"
"""


class ContainerTests(SynchronousTestCase):
    """
    A server that is the first process of a container.
    """

    def setUp(self) -> None:
        """
        Skip the tests where there are no containers.
        """
        self.sandbox = Sandbox(self.addCleanup)
        self.sandbox.write("container", CONTAINER)
        self.container = (
            f"{quoted(findCommand('unshare'))} --pid --fork --kill-child --mount "
            "--mount-proc sh container"
        )
        python = f"{quoted(sys.executable)} -c pass"
        status, output = self.sandbox.run(f"{self.container} {python}")
        if status != 0:
            raise SkipTest(f"not allowed here: {output.decode().strip()}")
        self.twistd = f"{self.container} {quoted(findCommand('twistd'))} -n"

    def test_stop(self) -> None:
        """
        It serves, and stops when it is told to.
        """
        port = "fastpoetry --port 0 --poem poem.txt"
        container = self.sandbox.foreground(f"{self.twistd} --pidfile= {port}")
        self.assertEqual(fetch(*container.ports), POEM)
        for process in self.sandbox.processes():
            status = Path(f"/proc/{process.pid}/status").read_text()
            if re.search("(?m)^NSpid:.*\t1$", status):
                self.assertIn("Uid:" + 4 * "\t12345" + "\n", status)
                process.signal(signal.SIGTERM)
        container.waitForEnd()
        self.assertIn("Received SIGTERM, shutting down", container.log)
        self.assertNotIn("Traceback", container.log)

    def test_predecessor(self) -> None:
        """
        A pid file that the first process of another container has left is refused in
        a sentence, which says what to do.
        """
        path = self.sandbox.write("twistd.pid", b"1")
        ended = self.sandbox.run(f"{self.twistd} fastpoetry --poem poem.txt --port 0")
        sentence = (
            "fastpoetry: the pid file was left by a server that is no more and had the "
            "number of this process, 1: remove it, or start with --pidfile= for none: "
            "--pidfile twistd.pid\n"
        )
        self.assertEqual(ended, (1, sentence.encode()))
        self.assertEqual(path.read_bytes(), b"1")
