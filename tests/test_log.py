"""
Tests of L{fastpoetry.log}.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from typing import Any

from twisted.internet import reactor as globalReactor
from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from fastpoetry.log import boundedLog, journal, openStreams
from fastpoetry.streams import standardOutput
from tests.support import Reactor


class BoundedLogTests(SynchronousTestCase):
    """
    Tests of L{boundedLog}.
    """

    def setUp(self) -> None:
        """
        Make a log in a directory of its own.
        """
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.SIG_DFL)
        self.directory = self.mktemp()
        os.mkdir(self.directory)
        self.addCleanup(os.chdir, os.getcwd())
        self.path = os.path.join(self.directory, "poem.log")
        self.reactor = Reactor()

    def write(self, observer: Any, *lines: str) -> None:
        """
        Log some lines.
        """
        log = Logger(namespace="test", observer=observer)
        for line in lines:
            log.emit(LogLevel.info, "{line}", line=line)

    def files(self) -> dict[str, str]:
        """
        What is in which file.
        """
        contents = {}
        for name in os.listdir(self.directory):
            with open(os.path.join(self.directory, name)) as file:
                contents[name] = " ".join(line.split()[-1] for line in file)
        return contents

    def receive(self) -> None:
        """
        Receive the signal to rotate.
        """
        os.kill(os.getpid(), signal.SIGUSR1)
        self.reactor.advance(0)

    def test_bounded(self) -> None:
        """
        However much is logged, there are only this many files, the newest ones.
        """
        observer = boundedLog(self.path, size=1, keep=2, reactor=self.reactor)
        verifyObject(ILogObserver, observer)
        self.write(observer, *"abcdefg")
        self.assertEqual(
            self.files(), {"poem.log": "g", "poem.log.1": "f", "poem.log.2": "e"}
        )

    def test_signal(self) -> None:
        """
        SIGUSR1 rotates the file.
        """
        observer = boundedLog(self.path, reactor=self.reactor)
        self.write(observer, "old")
        self.receive()
        self.write(observer, "new")
        self.assertEqual(self.files(), {"poem.log": "new", "poem.log.1": "old"})

    def test_movedAway(self) -> None:
        """
        When the file was moved away, SIGUSR1 begins a new one.
        """
        observer = boundedLog(self.path, reactor=self.reactor)
        self.write(observer, "old")
        os.rename(self.path, self.path + "-moved")
        self.receive()
        self.write(observer, "new")
        self.assertEqual(self.files(), {"poem.log": "new", "poem.log-moved": "old"})

    def test_replaced(self) -> None:
        """
        The same holds when an empty file was put in its place.
        """
        observer = boundedLog(self.path, reactor=self.reactor)
        self.write(observer, "old")
        os.rename(self.path, self.path + "-moved")
        with open(self.path, "w"):
            pass
        self.receive()
        self.write(observer, "new")
        self.assertEqual(self.files(), {"poem.log": "new", "poem.log-moved": "old"})

    def test_globalReactor(self) -> None:
        """
        By default it is the global reactor that calls back.
        """
        calls: list[Any] = []
        self.patch(globalReactor, "callFromThread", calls.append)
        boundedLog(self.path)
        os.kill(os.getpid(), signal.SIGUSR1)
        (call,) = calls
        call()
        self.assertEqual(set(self.files()), {"poem.log", "poem.log.1"})

    def test_logfile(self) -> None:
        """
        By default the file is the one that C{twistd} was told to log to, counted from
        the directory of the start.
        """
        os.chdir(self.directory)
        for arguments, name in (
            (("-n", "--logfile", "a.log", "fastpoetry", "--poem", "-l"), "a.log"),
            (("--logfile=b.log", "-y", "fastpoetry.tac"), "b.log"),
            (("-noy", "fastpoetry.tac", "-lc.log", "--logger", "x"), "c.log"),
            (("-l", "no.log", "-l", "d.log"), "d.log"),
            (("--logf", "e.log"), "e.log"),
            (("-n", "fastpoetry", "--logfile", "no.log"), "twistd.log"),
            (("--unknown", "--logfile", "no.log"), "twistd.log"),
        ):
            self.patch(sys, "argv", ["/usr/bin/twistd", *arguments])
            observer = boundedLog(reactor=self.reactor)
            os.mkdir("elsewhere")
            os.chdir("elsewhere")
            self.write(observer, "old")
            self.receive()
            self.write(observer, "new")
            os.chdir("..")
            os.rmdir("elsewhere")
            self.directory = "."
            self.assertEqual(self.files(), {name: "new", f"{name}.1": "old"}, name)
            os.remove(name)
            os.remove(f"{name}.1")

    def test_path(self) -> None:
        """
        A path that is given comes first.
        """
        self.patch(sys, "argv", ["twistd", "-n", "--logfile", "other.log"])
        self.write(boundedLog(self.path), "line")
        self.assertEqual(self.files(), {"poem.log": "line"})

    def test_impossible(self) -> None:
        """
        A file that cannot be opened keeps C{twistd} from starting, with a sentence.
        """
        for path, sentence in (
            (f"{self.path}/no", f"cannot log to {self.path}/no: No such file or"),
            (self.directory, f"cannot log to {self.directory}: Is a directory"),
            ("/\udce9/no", "cannot log to /\\xe9/no: No such file or directory"),
        ):
            error = self.assertRaises(SystemExit, boundedLog, path)
            self.assertIn(sentence, str(error))
        self.assertIs(signal.getsignal(signal.SIGUSR1), signal.SIG_DFL)

    def test_surrogate(self) -> None:
        """
        Bytes that are no text are shown.
        """
        self.write(boundedLog(self.path), "\udce9")
        self.assertEqual(self.files(), {"poem.log": "\\udce9"})


class OutputTestCase(SynchronousTestCase):
    """
    Has a file for standard output, in a C{twistd} that stays in the foreground.
    """

    def setUp(self) -> None:
        """
        Make the file.
        """
        self.file = open(self.mktemp(), "w+")  # noqa: SIM115
        self.addCleanup(self.file.close)
        self.patch(sys, "__stdout__", self.file)
        self.patch(sys, "stdout", self.file)
        standardOutput.cache_clear()
        self.addCleanup(standardOutput.cache_clear)
        self.patch(sys, "argv", ["twistd", "-n", "fastpoetry"])

    def output(self) -> str:
        """
        What was written.
        """
        self.file.seek(0)
        return self.file.read()


class OpenStreamsTests(OutputTestCase):
    """
    Tests of L{openStreams}.
    """

    def test_foreground(self) -> None:
        """
        Standard output becomes one that nobody waits for, before C{twistd} logs there.
        """
        openStreams()
        self.assertIs(sys.stdout, standardOutput())
        openStreams()
        self.assertIs(sys.stdout, standardOutput())

    def test_debug(self) -> None:
        """
        C{--debug} is the foreground, too, and so is whatever is not C{twistd}.
        """
        for argv in (["twistd", "--debug"], ["twistd", "-nb"], ["twist"], ["-c"]):
            self.patch(sys, "argv", argv)
            self.patch(sys, "stdout", self.file)
            openStreams()
            self.assertIs(sys.stdout, standardOutput())

    def test_daemon(self) -> None:
        """
        A daemon leaves it alone, and does not hold it open.
        """
        self.patch(sys, "argv", ["/bin/twistd", "fastpoetry", "-n"])
        openStreams()
        self.assertIs(sys.stdout, self.file)

    def test_replaced(self) -> None:
        """
        What somebody else has put in its place stays.
        """
        other = io.StringIO()
        self.patch(sys, "stdout", other)
        openStreams()
        self.assertIs(sys.stdout, other)

    def test_boundedLog(self) -> None:
        """
        C{--logfile -} is standard output, for L{boundedLog}, too.
        """
        self.patch(sys, "argv", ["twistd", "-n", "--logfile", "-"])
        log = Logger(namespace="test", observer=boundedLog())
        log.info("line")
        self.assertTrue(self.output().endswith(" [test#info] line\n"))


class JournalTests(OutputTestCase):
    """
    Tests of L{journal}.
    """

    def setJournal(self, difference: int = 0) -> None:
        """
        Say that standard output is the journal, or something else.
        """
        status = os.fstat(self.file.fileno())
        name = f"{status.st_dev}:{status.st_ino + difference}"
        self.patch(os, "environ", {**os.environ, "JOURNAL_STREAM": name})

    def test_priority(self) -> None:
        """
        A line begins with its priority, and has no time.
        """
        self.setJournal()
        observer = journal()
        verifyObject(ILogObserver, observer)
        log = Logger(namespace="test", observer=observer)
        for level in LogLevel.iterconstants():
            log.emit(level, "line")
        self.assertEqual(
            self.output(),
            "<7>[test#debug] line\n"
            "<6>[test#info] line\n"
            "<4>[test#warn] line\n"
            "<3>[test#error] line\n"
            "<2>[test#critical] line\n",
        )

    def test_traceback(self) -> None:
        """
        So does every line of a traceback.
        """
        self.setJournal()
        log = Logger(namespace="test", observer=journal())
        try:
            raise ValueError("why")
        except ValueError:
            log.failure("it failed")
        lines = self.output().splitlines()
        self.assertEqual(lines[:2], ["<2>[test#critical] it failed", lines[1]])
        self.assertIn("<2>builtins.ValueError: why", lines)
        self.assertEqual({line[:3] for line in lines}, {"<2>"})

    def test_other(self) -> None:
        """
        What has no level is for information, and what has no text is no line.
        """
        self.setJournal()
        observer: Any = journal()
        observer({"log_format": "line", "log_system": "-"})
        observer({})
        self.assertEqual(self.output(), "<6>[-] line\n")

    def test_elsewhere(self) -> None:
        """
        Where standard output is not the journal, it is the text of C{twistd}.
        """
        self.setJournal(1)
        log = Logger(namespace="test", observer=journal())
        log.info("line")
        self.assertRegex(self.output(), r"^\d{4}-\S+ \[test#info\] line\n$")

    def test_daemon(self) -> None:
        """
        A daemon, which has no standard output, has a file; C{--logfile} names it.
        """
        self.setJournal()
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.SIG_DFL)
        self.addCleanup(os.chdir, os.getcwd())
        os.mkdir(directory := self.mktemp())
        os.chdir(directory)
        for arguments, name in (((), "twistd.log"), (("-n", "-l", "a.log"), "a.log")):
            self.patch(sys, "argv", ["twistd", *arguments])
            Logger(namespace="test", observer=journal()).info("line")
            with open(name) as file:
                self.assertRegex(file.read(), r"^\d{4}-\S+ \[test#info\] line\n$")
        self.assertEqual(self.output(), "")

    def test_noOutput(self) -> None:
        """
        A daemon cannot be told to log there all the same.
        """
        self.patch(sys, "argv", ["twistd", "--logfile", "-"])
        error = self.assertRaises(SystemExit, journal)
        self.assertEqual(
            str(error), "cannot log to standard output: a daemon has none, add -n"
        )
