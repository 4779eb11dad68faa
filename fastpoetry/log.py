"""
A log that does not fill the disk.
"""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import Any

from twisted.logger import ILogObserver, textFileLogObserver
from twisted.python.logfile import LogFile


def boundedLog(
    path: str = "twistd.log",
    size: int = 1_000_000,
    keep: int = 9,
    reactor: Any = None,
) -> ILogObserver:
    """
    Log to a file as C{twistd} does, but delete the oldest of the rotated files.
    Use it as C{twistd --logger fastpoetry.log.boundedLog}, or in a C{.tac} as
    C{application.setComponent(ILogObserver, boundedLog("poem.log"))}.

    SIGUSR1 rotates the file; when something else has moved it away, such as
    C{logrotate}, SIGUSR1 begins a new one.

    @param path: the file; the rotated ones are C{path.1}, which is the newest, to
        C{path.keep}.

    @param size: a file of so many bytes is rotated.

    @param keep: how many rotated files there are at most.

    @param reactor: what calls back after a signal; by default the global one.

    @return: the observer.

    @raise OSError: when the file cannot be opened.
    """
    file: Any = LogFile.fromFullPath(path, size, maxRotatedFiles=keep)

    def rotate() -> None:
        try:
            isOurs = os.path.samestat(os.stat(file.path), os.fstat(file._file.fileno()))
        except FileNotFoundError:
            isOurs = False
        if isOurs:
            file.rotate()
        else:
            file.reopen()

    def onSignal(number: int, frame: FrameType | None) -> None:
        # Not before the signal: a log is made before --reactor has its effect.
        from twisted.internet import reactor as default

        caller: Any = reactor or default
        caller.callFromThread(rotate)

    signal.signal(signal.SIGUSR1, onSignal)
    return textFileLogObserver(file)
