"""
The options of C{twistd} itself about files, directories and users, checked beforehand.
When one is wrong, C{twistd} would end with a traceback, or leave a daemon that hangs.
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
    Check what C{twistd} is going to do, without doing it.

    @param options: those of C{twistd}.

    @raise usage.UsageError: when something would fail; its text is one sentence.
    """
    isForeground = options["nodaemon"] or options["debug"]
    log, isOtherLog = options["logfile"], options["logger"] or options["syslog"]
    if not isOtherLog and log != "-" and (log or not isForeground):
        log = log or "twistd.log"
        with _naming("logfile", log):
            _checkLog(log)
    chroot, rundir, pidfile = (options[key] for key in ("chroot", "rundir", "pidfile"))
    if chroot is None:
        with _naming("rundir", rundir):
            os.stat(os.path.join(rundir, "."))
    else:
        with _naming("chroot", chroot):
            os.stat(os.path.join(chroot, "."))
            os.chroot("/")  # changes nothing, but needs the same privilege
        if not isForeground and not os.path.lexists(f"{chroot}/dev/null"):
            raise usage.UsageError(
                f"a daemon needs a file dev/null there: --chroot {chroot}"
            )
    if pidfile:
        with _naming("pidfile", pidfile):
            _checkPIDFile(pidfile)
            if chroot is None:  # else it is written in another directory
                _checkWritable(pidfile, b"%d" % os.getpid())
    if sys.platform == "linux":
        with _naming("gid", options["gid"]):
            _checkGroup(options["gid"])
        with _naming("uid", options["uid"]):
            _checkUser(options["uid"], options["gid"], chroot is not None)


@contextmanager
def _naming(option: str, value: object) -> Iterator[None]:
    # When something fails, name the option and its value.
    try:
        yield
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise usage.UsageError(f"{reason}: --{option} {value}") from error


def _checkLog(path: str) -> None:
    # Check that a log file can be opened as Twisted does, without making one.
    try:
        with open(path, "rb+", 0) as file:
            file.seek(0, os.SEEK_END)
    except FileNotFoundError:
        _checkWritable(path)


def _checkWritable(path: str, content: bytes = b"") -> None:
    # Check that a file can be made in the directory of path, and written, without
    # making that one.  To open a link to what is not there makes what it leads to.
    while os.path.islink(path) and not os.path.exists(path):
        path = os.path.join(os.path.dirname(path), os.readlink(path))
    directory = os.path.dirname(path) or "."
    os.stat(directory)  # TemporaryFile() takes nosuch/.. for a directory
    with TemporaryFile(dir=directory, buffering=0) as file:
        file.write(content)


def _checkPIDFile(path: str) -> None:
    # Check that the file can be read, and does not have the number of this process,
    # left by a server that has died.  twistd takes the number of any living process for
    # a running server.
    with suppress(FileNotFoundError), openRegular(path) as file:
        # What is not a number, twistd refuses in a sentence.
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


def _checkGroup(gid: int | None) -> None:
    # Check that this process may change its group.
    if gid is not None:
        *_, saved = os.getresgid()
        os.setresgid(-1, -1, gid)
        os.setresgid(-1, -1, saved)


def _checkUser(uid: int | None, gid: int | None, isJailed: bool) -> None:
    # Check that this process may become another user, and that the user is known to the
    # system where twistd has to look up the user's groups.
    if uid is None:
        return
    isOther = uid != os.getuid()
    if not isJailed and (isOther or gid is None):
        try:
            user = pwd.getpwuid(uid)
        except KeyError as error:
            raise usage.UsageError(f"No such user: --uid {uid}") from error
        _checkGroup(user.pw_gid if gid is None else gid)
    if isOther:
        os.setgroups(os.getgroups())
        *_, saved = os.getresuid()
        os.setresuid(-1, -1, uid)
        os.setresuid(-1, -1, saved)
