"""
What C{twistd} was told about its own files, directories and users.  Where that cannot
be, it ends in a traceback, or as a daemon not at all; so it is looked at beforehand.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile

from twisted.application.app import ServerOptions
from twisted.python import usage

from fastpoetry.files import openRegular


def checkServerOptions(options: ServerOptions) -> None:
    """
    Look at everything that C{twistd} is going to do, without doing it.

    @param options: its own.

    @raise usage.UsageError: when something of it would fail; its text is one sentence.
    """
    isForeground = options["nodaemon"] or options["debug"]
    log, isOtherLog = options["logfile"], options["logger"] or options["syslog"]
    if not isOtherLog and log != "-" and (log or not isForeground):
        log = log or "twistd.log"
        with _naming("logfile", log):
            _openLog(log)
    chroot, rundir, pidfile = (options[key] for key in ("chroot", "rundir", "pidfile"))
    if chroot is None:
        with _naming("rundir", rundir):
            os.stat(os.path.join(rundir, "."))
    else:
        with _naming("chroot", chroot):
            os.stat(os.path.join(chroot, "."))
            os.chroot("/")  # where we are
        if not isForeground and not os.path.lexists(f"{chroot}/dev/null"):
            raise usage.UsageError(
                f"a daemon needs a file dev/null there: --chroot {chroot}"
            )
    if pidfile:
        with _naming("pidfile", pidfile):
            _readPIDFile(pidfile)
            if chroot is None:  # or it is another directory that it is written in
                _createIn(pidfile, b"%d" % os.getpid())
    if sys.platform == "linux":
        with _naming("gid", options["gid"]):
            _becomeGroup(options["gid"])
        with _naming("uid", options["uid"]):
            _becomeUser(options["uid"], options["gid"], chroot is not None)


@contextmanager
def _naming(option: str, value: object) -> Iterator[None]:
    """
    Name the option, and its value, that something fails with.
    """
    try:
        yield
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise usage.UsageError(f"{reason}: --{option} {value}") from error


def _openLog(path: str) -> None:
    """
    Open a log file as Twisted does, but make none.
    """
    try:
        with open(path, "rb+", 0) as file:
            file.seek(0, os.SEEK_END)
    except FileNotFoundError:
        _createIn(path)


def _createIn(path: str, content: bytes = b"") -> None:
    """
    See that a file can be made in the directory of another, and written.
    """
    with TemporaryFile(dir=os.path.dirname(path) or ".", buffering=0) as file:
        file.write(content)


def _readPIDFile(path: str) -> None:
    """
    See that nobody who is no more had our process number: of every pid file with the
    number of a process that lives, C{twistd} says that a server is running.
    """
    with suppress(FileNotFoundError), openRegular(path) as file:
        # What is no number, twistd refuses in a sentence.
        content = file.read(100).strip()
        if content.isdigit() and int(content) >= 2**31:
            raise usage.UsageError(
                f"it has not the number of a process, remove it: --pidfile {path}"
            )
        if content == b"%d" % os.getpid():
            raise usage.UsageError(
                f"the pid file was left by a server that is no more and had the "
                f"number of this process, {os.getpid()}: remove it, or start with "
                f"--pidfile= for none: --pidfile {path}"
            )


def _becomeGroup(gid: int | None) -> None:
    """
    See that this process may have another group.
    """
    if gid is not None:
        *_, saved = os.getresgid()
        os.setresgid(-1, -1, gid)
        os.setresgid(-1, -1, saved)


def _becomeUser(uid: int | None, gid: int | None, isJailed: bool) -> None:
    """
    See that this process may become another user, who is known where his groups are
    asked for.
    """
    if uid is None:
        return
    isOther = uid != os.getuid()
    if not isJailed and (isOther or gid is None):
        try:
            user = pwd.getpwuid(uid)
        except KeyError as error:
            raise usage.UsageError(f"No such user: --uid {uid}") from error
        _becomeGroup(user.pw_gid if gid is None else gid)
    if isOther:
        os.setgroups(os.getgroups())
        *_, saved = os.getresuid()
        os.setresuid(-1, -1, uid)
        os.setresuid(-1, -1, saved)
