"""
The forms of the log: text in files that do not fill the disk, what the journal of
systemd reads, and JSON.  Each is for C{twistd --logger fastpoetry.log.NAME}, or for a
C{.tac}: C{application.setComponent(ILogObserver, json("poem.log"))}.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from datetime import datetime, timezone
from getopt import GetoptError, getopt
from json import dumps
from types import FrameType
from typing import Any

from twisted.logger import (
    FileLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    eventAsText,
    formatEvent,
    globalLogPublisher,
    textFileLogObserver,
)
from twisted.python.reflect import safe_str
from twisted.scripts.twistd import ServerOptions  # type: ignore[attr-defined]

from fastpoetry.logfile import BoundedLogFile
from fastpoetry.streams import openStandardStreams, standardOutput
from fastpoetry.text import printable

SIZE = 1_000_000
KEEP = 9

# Those of syslog (sd-daemon(3)).
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
    Log to a file as C{twistd} does, but delete the oldest of the rotated files.

    SIGUSR1 rotates the file; when something else has moved it away, such as
    C{logrotate}, SIGUSR1 begins a new one.

    @param path: the file; the rotated ones are C{path.1}, which is the newest, to
        C{path.keep}.  By default it is the one of C{twistd --logfile}, or
        F{twistd.log}; C{-} is standard output.

    @param size: a file of so many bytes is rotated.

    @param keep: how many rotated files there are at most.

    @param reactor: what calls back after a signal; by default the global one.

    @return: the observer.

    @raise SystemExit: with a sentence, when the file cannot be opened.
    """
    path = path or _logfileOption() or "twistd.log"
    return textFileLogObserver(_open(path, size, keep, reactor))


def journal() -> ILogObserver:
    """
    Log to standard output, each line with the priority that the journal of systemd
    understands, and without a time, which the journal has itself.  Where standard
    output is not the journal, or C{twistd} has a file for its log, it is a
    L{boundedLog}.

    @return: the observer.

    @raise SystemExit: as that of L{boundedLog}.
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
    Log a JSON object a line: its C{time}, C{level}, C{namespace} and C{message}, the
    C{traceback} of a failure, and the fields of the event.  Each reader has a line of
    its own, with its name as C{peer}.

    @param path: a file, as that of L{boundedLog}; by default as C{twistd} has it: the
        one of C{--logfile}, or F{twistd.log}, or in the foreground standard output.

    @see: L{boundedLog}
    """
    stream = _open(path or _defaultPath(), size, keep, reactor)
    return FileLogObserver(stream, _jsonText)


def openStreams() -> None:
    """
    Make the standard streams ones of a server: all are open, and nobody waits for
    the log that C{twistd} writes to standard output.

    @raise SystemExit: when that is not possible.
    """
    isDaemon = _isDaemon()
    openStandardStreams(isDaemon)
    # A daemon has it on /dev/null soon, and must not hold what it was before.
    if sys.stdout is sys.__stdout__ and not isDaemon:
        sys.stdout = standardOutput()


def isLogStandard() -> bool:
    """
    @return: whether the log goes to the standard output or error of this process.
    """
    # What knows it has no public name in Twisted.  A filter is what twist has.
    for observer in getattr(globalLogPublisher, "_observers", ()):
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
    except GetoptError:  # it is another program
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

    def onSignal(number: int, frame: FrameType | None) -> None:
        # Not before the signal: a log is made before --reactor has its effect.
        from twisted.internet import reactor as default

        caller: Any = reactor or default
        caller.callFromThread(file.rotate)

    signal.signal(signal.SIGUSR1, onSignal)
    return file


def _journalText(event: LogEvent) -> str:
    priority = _PRIORITIES.get(event.get("log_level"), 6)
    lines = eventAsText(event, includeTimestamp=False).splitlines()
    return "".join(f"<{priority}>{line}\n" for line in lines)


def _jsonText(event: LogEvent) -> str:
    return "".join(f"{_jsonObject(one)}\n" for one in _eachReader(event))


def _eachReader(event: LogEvent) -> Iterator[LogEvent]:
    peers = event.get("peers")
    if not (peers and isinstance(peers, (list, tuple))):
        yield event
        return
    others = {name: value for name, value in event.items() if name != "peers"}
    for peer in peers:
        yield {**others, "peer": peer}


def _jsonObject(event: LogEvent) -> str:
    # The events of twisted.python.log have their text and time as fields, too.
    skipped = ("message", "time") if "isError" in event else ()
    entry = {
        "time": _utc(event.get("log_time")),
        "level": getattr(event.get("log_level"), "name", None),
        "namespace": event.get("log_namespace"),
        "message": formatEvent(event),
    }
    failure = event.get("log_failure")
    if failure is not None:
        entry["traceback"] = _traceback(failure)
    for name, value in event.items():
        if not (str(name).startswith("log_") or name in skipped):
            entry[f"{name}_" if name in entry else str(name)] = value
    fields = [f"{dumps(name)}: {_jsonValue(value)}" for name, value in entry.items()]
    return "{" + ", ".join(fields) + "}"


def _utc(seconds: Any) -> str | None:
    try:
        time = datetime.fromtimestamp(seconds, timezone.utc)
    except (TypeError, ValueError, OverflowError, OSError):
        return None
    return time.isoformat(timespec="microseconds")


def _traceback(failure: Any) -> str:
    try:
        return str(failure.getTraceback())
    except Exception:  # it runs code of others
        return safe_str(failure)


def _jsonValue(value: Any) -> str:
    try:
        return dumps(value, allow_nan=False, default=_text)
    except Exception:  # a number without an end, a list in itself, ...
        return dumps(_text(value))


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    # Where an object is in memory tells nobody anything.
    return re.sub(r"( at)? 0x[0-9a-fA-F]{6,}", "", safe_str(value))
