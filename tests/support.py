"""
What the tests share: sources, threads and reactors in memory, and small helpers.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from twisted.application.service import Service
from twisted.internet.tcp import Port
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from fastpoetry.interfaces import IAbortable, IPoetrySource, IReloadable

# Sets the size of a pipe; the module fcntl has it from Python 3.10 on.
F_SETPIPE_SZ = 1031

DAY = 24 * 60 * 60

# A poem with bytes that no text has, and one of 1 MiB with all bytes.
POEM = b"one\r\ntwo\0\xff\n" * 10
BIG = bytes(range(256)) * 4096

# More than the kernels of both sides hold for a reader that takes nothing.
LONG = b"".join(b"verse %d\n" % number for number in range(500_000))


@implementer(IPoetrySource)
class StaticSource:
    """
    A source that gives what it was made with.
    """

    def __init__(self, poem: Any) -> None:
        self.poem = poem

    def getPoem(self) -> Any:
        """
        Give the poem, or raise it.
        """
        if isinstance(self.poem, Exception):
            raise self.poem
        return self.poem


@implementer(IReloadable, IAbortable)
class Recorder(Service):
    """
    A service that remembers what it was asked for.

    @ivar asked: what that was.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []

    def reload(self) -> None:
        """
        @see: L{IReloadable.reload}
        """
        self.asked.append("reload")

    def abort(self) -> None:
        """
        @see: L{IAbortable.abort}
        """
        self.asked.append("abort")


def assertRefused(
    case: SynchronousTestCase,
    parse: Callable[..., object],
    refused: Mapping[str, tuple[Sequence[str], str]],
) -> None:
    """
    Assert that what cannot be is refused in one plain sentence with the value.

    @param parse: is called with the arguments of a command.

    @param refused: by name, what is given, and what the sentence says.
    """
    for name, (arguments, sentence) in refused.items():
        with case.assertRaises(usage.UsageError, msg=name) as caught:
            parse(*arguments)
        case.assertIn(sentence, str(caught.exception), name)
        case.assertNotIn("\n", str(caught.exception), name)


def linesOf(call: Callable[..., object], *arguments: object) -> list[str]:
    """
    Call something.

    @return: the lines in the log that it makes.
    """
    with capturedLogs() as events:
        call(*arguments)
    return [formatEvent(event) for event in events]


def openDescriptors() -> set[int]:
    """
    @return: the descriptors of this process, but for the one that they are listed
        with.
    """
    listed = os.listdir("/proc/self/fd")
    return {int(one) for one in listed if os.path.lexists(f"/proc/self/fd/{one}")}


def keepProcess(addCleanup: Callable[..., Any]) -> None:
    """
    Have everything that a C{DaemonService} changes in the process as it was, when
    the test is over.

    @param addCleanup: of the test.
    """
    for name in ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGTERM", "SIGINT"):
        number = signal.Signals[name]
        addCleanup(signal.signal, number, signal.getsignal(number))
    addCleanup(setattr, sys, "excepthook", sys.excepthook)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)


def outputFile(case: SynchronousTestCase) -> TextIO:
    """
    Have a file in place of standard output until a test is over; also have SIGPIPE as
    it was then.

    @return: the file.
    """
    case.addCleanup(signal.signal, signal.SIGPIPE, signal.getsignal(signal.SIGPIPE))
    stdout = open(case.mktemp(), "w+")  # noqa: SIM115
    case.addCleanup(stdout.close)
    case.patch(sys, "stdout", stdout)
    return stdout


def socketPath(addCleanup: Callable[..., Any]) -> str:
    """
    @param addCleanup: of the test.

    @return: a path for a UNIX socket, which has to be shorter than that of a checkout
        may be.
    """
    directory = tempfile.mkdtemp(prefix="fastpoetry-")
    addCleanup(shutil.rmtree, directory)
    return os.path.join(directory, "socket")


def noSpace(*arguments: object) -> None:
    """
    Fail as a reactor or an C{epoll} that cannot register a descriptor.
    """
    raise OSError(errno.ENOSPC, "No space left on device")


def noPermission(*arguments: object) -> Any:
    """
    Fail as a call does without permission.
    """
    raise PermissionError(errno.EACCES, "Permission denied")


def writeAnd(data: bytes, *names: str) -> Callable[[Any], None]:
    """
    @param names: of methods of a transport without arguments.

    @return: a function that writes to a transport, and then calls these.
    """

    def begin(transport: Any) -> None:
        transport.write(data)
        for name in names:
            getattr(transport, name)()

    return begin


class Reactor(MemoryReactorClock):
    """
    A reactor in memory that can be called from a signal handler.
    """

    def callFromThread(self, call: Any, *arguments: Any) -> None:
        """
        Call in the next turn.
        """
        self.callLater(0, call, *arguments)


class ListeningReactor(Reactor):
    """
    A reactor in memory whose ports are real.
    """

    def adoptStreamPort(self, fileno: int, addressFamily: int, factory: Any) -> Any:
        """
        @see: L{twisted.internet.interfaces.IReactorSocket.adoptStreamPort}
        """
        port = Port._fromListeningDescriptor(self, fileno, addressFamily, factory)
        port.startListening()
        return port
