"""
The forms of the log: text in files of a bounded size, lines for the journal of systemd,
and JSON.  Each is for C{twistd --logger fastpoetry.log.NAME}, or for a C{.tac} file:
C{application.setComponent(ILogObserver, json("poem.log"))}.

Of what Twisted does not document, L{isLogStandard} leans on C{_observers} of the global
log publisher, and on C{_observer} and C{_outFile} of its observers;
C{tests/test_daemon.py} tests each.
"""

from __future__ import annotations

import os
import signal
import sys
from getopt import GetoptError, getopt
from types import FrameType
from typing import Any

from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    eventAsText,
    globalLogPublisher,
    textFileLogObserver,
)
from twisted.scripts.twistd import ServerOptions  # type: ignore[attr-defined]

from fastpoetry.logfile import BoundedLogFile
from fastpoetry.logjson import jsonText
from fastpoetry.streams import openStandardStreams, standardOutput
from fastpoetry.text import printable

# Bytes at which a log file is rotated, and how many rotated ones are kept.
SIZE = 1_000_000
KEEP = 9

# The priorities of syslog, as sd-daemon(3) has them.
_PRIORITIES = {
    LogLevel.critical: 2,
    LogLevel.error: 3,
    LogLevel.warn: 4,
    LogLevel.info: 6,
    LogLevel.debug: 7,
}


def boundedLog(
    path: str | None = None,
    size: int = SIZE,
    keep: int = KEEP,
    reactor: Any = None,
) -> ILogObserver:
    """
    Log text to a file, as C{twistd} does, but keep only the newest rotated files.

    SIGUSR1 rotates the file.  If something else has moved the file away, such as
    C{logrotate}, SIGUSR1 begins a new one.

    @param path: the file; by default the one of C{twistd --logfile}, or C{twistd.log}.
        C{-} is standard output.  The rotated files are C{path.1}, the newest, to
        C{path.keep}.

    @param size: at how many bytes the file is rotated.

    @param keep: how many rotated files there are at most.

    @param reactor: rotates the file after a signal; by default the global one.

    @return: the observer.

    @raise SystemExit: with a sentence, when the file cannot be opened.
    """
    path = path or _logfileOption() or "twistd.log"
    return textFileLogObserver(_open(path, size, keep, reactor))


def journal() -> ILogObserver:
    """
    Log to standard output for the journal of systemd: each line begins with its
    priority, and has no time, which the journal adds.  Where standard output is not the
    journal, or C{twistd} has an option C{--logfile}, this is a L{boundedLog}.

    @return: the observer.

    @raise SystemExit: as L{boundedLog}.
    """
    stream = _open(_defaultPath())
    status = os.fstat(stream.fileno())
    if os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}":
        return FileLogObserver(stream, _journalText)
    return textFileLogObserver(stream)


def json(
    path: str | None = None,
    size: int = SIZE,
    keep: int = KEEP,
    reactor: Any = None,
) -> ILogObserver:
    """
    Log JSON, one object on each line: C{time}, C{level}, C{namespace} and C{message} of
    an event, the C{traceback} of a failure, and the event's fields.  Each reader has a
    line of its own, with its name as C{peer}.

    @param path: a file, as that of L{boundedLog}; by default the one of C{twistd
        --logfile}; without that option, C{twistd.log} of a daemon, or standard output
        in the foreground.

    @see: L{boundedLog}
    """
    stream = _open(path or _defaultPath(), size, keep, reactor)
    return FileLogObserver(stream, jsonText)


def openStreams() -> None:
    """
    Make the standard streams fit for a server: all three are open, and nobody waits for
    the log that C{twistd} writes to standard output.

    @raise SystemExit: when that is not possible.
    """
    isDaemon = _isDaemon()
    openStandardStreams(isDaemon)
    # A daemon replaces its standard output with /dev/null soon.  A copy of the old one
    # would keep a terminal or a pipe open.
    if sys.stdout is sys.__stdout__ and not isDaemon:
        sys.stdout = standardOutput()


def isLogStandard() -> bool:
    """
    @return: whether the log goes to the standard output or error of this process.
    """
    for observer in getattr(globalLogPublisher, "_observers", ()):
        # Of twist it is inside a filter.
        observer = getattr(observer, "_observer", observer)
        try:
            fd = observer._outFile.fileno()
            if any(os.path.sameopenfile(fd, standard) for standard in (1, 2)):
                return True
        except (AttributeError, OSError, ValueError):
            continue
    return False


def _twistdOptions() -> dict[str, str]:
    options = ServerOptions()
    try:
        pairs, _ = getopt(sys.argv[1:], options.shortOpt, options.longOpt)
    except GetoptError:  # this is another program
        return {}
    names = [(name.lstrip("-"), value) for name, value in pairs]
    return {options.synonyms.get(name, name): value for name, value in names}


def _logfileOption() -> str | None:
    return _twistdOptions().get("logfile")


def _isDaemon() -> bool:
    isTwistd = os.path.basename(sys.argv[0]).startswith("twistd")
    return isTwistd and not {"nodaemon", "debug"} & set(_twistdOptions())


def _defaultPath() -> str:
    return _logfileOption() or ("twistd.log" if _isDaemon() else "-")


def _open(path: str, size: int = SIZE, keep: int = KEEP, reactor: Any = None) -> Any:
    # Open a log, and have SIGUSR1 rotate it if it is a file.
    if path == "-":
        if _isDaemon():
            raise SystemExit("cannot log to standard output: a daemon has none, add -n")
        return standardOutput()
    try:
        file = BoundedLogFile(path, size, keep)
    except OSError as error:
        raise SystemExit(
            f"cannot log to {printable(path)}: {error.strerror}"
        ) from error

    def handleSignal(number: int, frame: FrameType | None) -> None:
        # Imported now: twistd makes the log before --reactor takes effect.
        from twisted.internet import reactor as default

        chosen: Any = reactor or default
        chosen.callFromThread(file.rotate)

    signal.signal(signal.SIGUSR1, handleSignal)
    return file


def _journalText(event: LogEvent) -> str:
    priority = _PRIORITIES.get(event.get("log_level"), 6)
    lines = eventAsText(event, includeTimestamp=False).splitlines()
    return "".join(f"<{priority}>{line}\n" for line in lines)
