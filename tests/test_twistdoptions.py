"""
Tests of L{fastpoetry.commands.twistdoptions}.
"""

from __future__ import annotations

import errno
import os
import pwd
import sys
from functools import partial
from pathlib import Path

from twisted.python import usage
from twisted.scripts.twistd import ServerOptions  # type: ignore[attr-defined]
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.commands import twistdoptions
from fastpoetry.commands.twistdoptions import checkServerOptions
from tests.support import keepProcess

# More than any system has.
UNKNOWN = 4_000_000_000


def notPermitted(*arguments: object) -> None:
    """
    Fail as for somebody who is not root.
    """
    raise OSError(errno.EPERM, "Operation not permitted")


class ServerOptionsTests(SynchronousTestCase):
    """
    Tests of L{checkServerOptions}.

    @ivar path: a directory, with a file C{file} in it.
    """

    def setUp(self) -> None:
        """
        Make the directory, and be somebody who may do everything.
        """
        self.path = Path(self.mktemp())
        self.path.mkdir()
        (self.path / "file").touch()
        for name in ("setresuid", "setresgid", "setgroups", "chroot"):
            self.patch(os, name, lambda *arguments: None)

    def check(self, *arguments: str) -> None:
        """
        Check options, after those that need nothing where the test runs.
        """
        before = os.listdir(self.path)
        options = ServerOptions()
        options.parseOptions(["-n", "--pidfile=", *arguments])
        try:
            checkServerOptions(options)
        finally:
            self.assertEqual(os.listdir(self.path), before)

    def assertRefused(self, sentence: str, *arguments: str) -> None:
        """
        Assert that options are refused.
        """
        with self.assertRaises(usage.UsageError) as caught:
            self.check(*arguments)
        self.assertEqual(str(caught.exception), sentence)

    def test_good(self) -> None:
        """
        What can be is not refused, and nothing is made.
        """
        path = str(self.path)
        os.mkdir("-")
        self.addCleanup(os.rmdir, "-")
        for arguments in (
            [],
            ["--logfile", "-"],
            ["--logfile", f"{path}/file"],
            ["--logfile", f"{path}/new"],
            ["--logfile", "/dev/null"],
            ["--pidfile", f"{path}/new"],
            ["--rundir", path],
            ["--uid", str(os.getuid()), "--gid", str(os.getgid())],
            ["--uid", "0", "--gid", "0"],
            ["--uid", "0"],
            ["--gid", str(UNKNOWN)],
            ["--chroot", path],
            ["--chroot", path, "--uid", str(UNKNOWN), "--gid", "0"],
            ["--chroot", path, "--rundir", "/nosuch", "--pidfile", "/nosuch/pid"],
            ["--syslog", "--logfile", "nosuch/log"],
            ["--logger", "os.getpid", "--logfile", "nosuch/log"],
        ):
            self.check(*arguments)

    def test_asItWas(self) -> None:
        """
        To see whether this process may become another user, it is one in what is saved
        for later alone, and is as it was then.
        """
        calls: list[tuple[str, int]] = []
        other = os.getuid() + 1
        for name in ("setresuid", "setresgid"):
            self.patch(
                os,
                name,
                lambda real, effective, saved, name=name: calls.append((name, saved)),
            )
        entry = pwd.struct_passwd(("", "", other, 7, "", "", ""))
        self.patch(pwd, "getpwuid", lambda uid: entry)
        self.check("--uid", str(other))
        self.assertEqual(
            calls,
            [
                ("setresgid", 7),
                ("setresgid", os.getresgid()[2]),
                ("setresuid", other),
                ("setresuid", os.getresuid()[2]),
            ],
        )

    def test_log(self) -> None:
        """
        A log that cannot be opened is refused.
        """
        os.mkfifo(self.path / "fifo")
        for name, reason in [
            ("nosuch/log", "No such file or directory"),
            ("nosuch/../log", "No such file or directory"),
            ("file/log", "Not a directory"),
            (".", "Is a directory"),
            ("fifo", "Illegal seek"),
        ]:
            path = f"{self.path}/{name}"
            self.assertRefused(f"{reason}: --logfile {path}", "--logfile", path)

    def test_defaultLog(self) -> None:
        """
        The log of a daemon is a file by default, and not that of a process in the
        foreground.
        """
        os.mkdir("twistd.log")
        self.addCleanup(os.rmdir, "twistd.log")
        self.check()
        options = ServerOptions()
        options.parseOptions(["--pidfile="])
        options["debug"] = True  # which is in the foreground, too
        checkServerOptions(options)
        options["debug"] = False
        error = self.assertRaises(usage.UsageError, checkServerOptions, options)
        self.assertEqual(str(error), "Is a directory: --logfile twistd.log")

    def test_directories(self) -> None:
        """
        A directory that is none is refused.
        """
        for option in ("--rundir", "--chroot"):
            for name, reason in [
                ("nosuch", "No such file or directory"),
                ("file", "Not a directory"),
            ]:
                path = f"{self.path}/{name}"
                self.assertRefused(f"{reason}: {option} {path}", option, path)

    def test_pidFile(self) -> None:
        """
        A pid file that cannot be made, or read, is refused.
        """
        for name, reason in [
            ("nosuch/pid", "No such file or directory"),
            ("file/pid", "Not a directory"),
            (".", "Not a regular file"),
        ]:
            path = os.path.abspath(f"{self.path}/{name}")
            self.assertRefused(f"{reason}: --pidfile {path}", "--pidfile", path)

    def test_links(self) -> None:
        """
        A link to what is not there counts as what would be made, along all links; a
        file that is there may be replaced, in the directory of its link.
        """
        (self.path / "sub").mkdir()
        for name, target in [
            ("new", "sub/new"),
            ("sub/again", "../new"),
            ("absolute", f"{self.path.absolute()}/sub/absolute"),
            ("there", "file"),
            ("gone", "nosuch/x"),
            ("sub/gone", "../gone"),
            ("up", "nosuch/../x"),
            ("under", "file/x"),
            ("loop", "loop"),
        ]:
            (self.path / name).symlink_to(target)
        for option in ("--logfile", "--pidfile"):
            for name in ("new", "sub/again", "absolute", "there"):
                self.check(option, str((self.path / name).absolute()))
            for name, reason in [
                ("gone", "No such file or directory"),
                ("sub/gone", "No such file or directory"),
                ("up", "No such file or directory"),
                ("under", "Not a directory"),
                ("loop", "Too many levels of symbolic links"),
            ]:
                path = str((self.path / name).absolute())
                self.assertRefused(f"{reason}: {option} {path}", option, path)

    def test_fullDisk(self) -> None:
        """
        So is one for which the disk has no room.
        """
        full = partial(open, "/dev/full", "wb", 0)
        self.patch(twistdoptions, "TemporaryFile", lambda **options: full())
        path = os.path.abspath(f"{self.path}/pid")
        self.assertRefused(
            f"No space left on device: --pidfile {path}", "--pidfile", path
        )

    def test_notANumber(self) -> None:
        """
        So is one with a number that no process can have.
        """
        path = (self.path / "file").absolute()
        for number in (2**31, 10**90):
            path.write_text(str(number))
            self.assertRefused(
                f"it has not the number of a process, remove it: --pidfile {path}",
                *["--pidfile", str(path)],
            )
        path.write_text(str(2**31 - 1))
        self.check("--pidfile", str(path))

    def test_ownNumber(self) -> None:
        """
        A pid file with the number of this process was left by another.
        """
        path = (self.path / "file").absolute()
        for content in (str(os.getpid()), f"{os.getpid()}\n"):
            path.write_text(content)
            self.assertRefused(
                "the pid file was left by a server that is no more and had the number "
                f"of this process, {os.getpid()}: remove it, or start with --pidfile= "
                f"for none: --pidfile {path}",
                *["--pidfile", str(path)],
            )
        for content in ("", "x", f"{os.getpid()}0"):
            path.write_text(content)
            self.check("--pidfile", str(path))

    def test_notPermitted(self) -> None:
        """
        Who may not become another user, or have another root, is told so.
        """
        other = "0" if os.getuid() else "1"
        for call, option, value in [
            ("chroot", "--chroot", str(self.path)),
            ("setresgid", "--gid", other),
            ("setresgid", "--uid", other),
            ("setresuid", "--uid", other),
            ("setgroups", "--uid", other),
        ]:
            may = getattr(os, call)
            self.patch(os, call, notPermitted)
            self.assertRefused(
                f"Operation not permitted: {option} {value}", option, value
            )
            setattr(os, call, may)
        self.patch(os, "setresuid", notPermitted)
        self.patch(os, "setgroups", notPermitted)
        self.check("--uid", str(os.getuid()))
        self.patch(os, "setresgid", notPermitted)
        self.patch(sys, "platform", "darwin")
        self.check("--uid", other)

    def test_unknownUser(self) -> None:
        """
        A user by number who has no entry is refused, with a group, too: it is asked
        which groups he has.
        """
        sentence = f"No such user: --uid {UNKNOWN}"
        self.assertRefused(sentence, "--uid", str(UNKNOWN))
        self.assertRefused(sentence, "--uid", str(UNKNOWN), "--gid", "0")
        self.patch(os, "getuid", lambda: UNKNOWN)
        self.check("--uid", str(UNKNOWN), "--gid", "0")
        self.assertRefused(sentence, "--uid", str(UNKNOWN))

    def test_impossibleGroup(self) -> None:
        """
        A number that is no group's is refused.
        """
        self.patch(os, "setresgid", lambda real, effective, gid: gid.to_bytes(4, "big"))
        self.assertRefused(
            f"int too big to convert: --gid {2**40}", "--gid", str(2**40)
        )

    def test_jail(self) -> None:
        """
        Where it is to be a daemon, the new root needs a F{dev/null}.
        """
        sentence = f"a daemon needs a file dev/null there: --chroot {self.path}"
        options = ServerOptions()
        options.parseOptions(["--chroot", str(self.path), "--pidfile=", "--syslog"])
        error = self.assertRaises(usage.UsageError, checkServerOptions, options)
        self.assertEqual(str(error), sentence)
        (self.path / "dev").mkdir()
        (self.path / "dev" / "null").touch()
        checkServerOptions(options)

    def test_command(self) -> None:
        """
        What is refused ends a command with a sentence.
        """
        keepProcess(self.addCleanup)
        for command in ("poetry-transform", "fastpoetry --poem /etc/passwd"):
            name = command.split()[0]
            with self.assertRaises(SystemExit) as caught:
                ServerOptions().parseOptions(
                    ["--rundir", "/nosuch", *command.split(), "--port", "0"]
                )
            self.assertEqual(
                caught.exception.code,
                f"{name}: No such file or directory: --rundir /nosuch",
            )
