"""
Tests of L{fastpoetry.endpoints.certificate}: how long a certificate is valid.
"""

from __future__ import annotations

import os

from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs

from fastpoetry import files
from fastpoetry.endpoints.certificate import DAY, Certificate
from tests.certificatecase import DH, END, LEAF, OTHER, CertificateTestCase
from tests.threads import noThread


class TermTests(CertificateTestCase):
    """
    Tests of how long a certificate is valid.
    """

    def start(self, days: float) -> list[tuple[LogLevel, str]]:
        """
        Start this many days before the end.

        @return: what the log has.
        """
        self.clock = Clock()
        self.clock.rightNow = 17.0  # which is no time of day
        seconds = END.timestamp() - days * DAY
        self.certificate = self.load(now=lambda: seconds + self.clock.seconds() - 17.0)
        with capturedLogs() as events:
            self.certificate.start(self.clock)
        self.addCleanup(self.certificate.stop)
        return self.lines(events)

    def day(self) -> list[tuple[LogLevel, str]]:
        """
        @return: what the log has of the next day.
        """
        with capturedLogs() as events:
            self.clock.advance(DAY)
        return self.lines(events)

    def loaded(self, end: str = "2035-06-01") -> tuple[LogLevel, str]:
        """
        @return: what the log says when it was loaded.
        """
        line = f"loaded a certificate from: {self.path}, valid until {end}"
        return LogLevel.info, line

    def expires(self, days: int) -> tuple[LogLevel, str]:
        """
        @return: what the log says this many days before.
        """
        line = f"the certificate expires in {days} days: {self.path}"
        return LogLevel.warn, line

    def expired(self) -> tuple[LogLevel, str]:
        """
        @return: what the log says afterwards.
        """
        return LogLevel.error, f"the certificate has expired: {self.path}"

    def test_start(self) -> None:
        """
        The log says until when it is valid, and no more as long as that is far away.
        """
        self.assertEqual(self.start(15.5), [self.loaded()])
        self.assertEqual(self.day(), [])

    def test_warnings(self) -> None:
        """
        From two weeks before the end on it warns each day, and then says each day that
        it has expired.
        """
        self.start(15.5)
        found = [self.day() for _ in range(18)]
        expected = [[self.expires(days)] for days in range(13, -1, -1)]
        self.assertEqual(found, [[], *expected, *[[self.expired()]] * 3])

    def test_late(self) -> None:
        """
        It does so at the start if it is that late.
        """
        self.assertEqual(self.start(3.5), [self.loaded(), self.expires(3)])
        self.assertEqual(self.start(-1), [self.loaded(), self.expired()])

    def test_printable(self) -> None:
        """
        A path that is not UTF-8 can be logged all the same.
        """
        directory = os.fsencode(os.path.abspath(self.mktemp())) + b"\xe9"
        os.mkdir(directory)
        path = os.fsdecode(directory + b"/pem")
        with open(path, "wb") as file:
            file.write(LEAF.pem() + LEAF.keyPEM())
        certificate = Certificate(path, path, now=END.timestamp)
        with capturedLogs() as events:
            certificate.start(Clock())
        for _, line in self.lines(events):
            self.assertIn(r"\xe9/pem", line)

    def test_stop(self) -> None:
        """
        When it is stopped it warns no more, once or twice, started or not.
        """
        self.load().stop()
        self.start(5)
        for _ in range(2):
            self.certificate.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.certificate.start(self.clock)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_reload(self) -> None:
        """
        A new certificate is served from then on, while connections that there are keep
        theirs; the log says so.
        """
        self.start(5)
        first = self.connect(self.certificate)
        with open(self.path, "wb") as file:
            file.write(OTHER.pem() + OTHER.keyPEM())
        with capturedLogs() as events:
            self.reload(self.certificate)
        self.assertEqual(self.lines(events), [self.loaded("2035-09-09")])
        self.assertEqual(self.served(self.certificate), ["other"])
        self.assertEqual(self.namesOf(first), ["localhost"])
        first.say(b"more")
        protocol = first.wire.tls.wrappedProtocol
        self.assertEqual(protocol.events, ["made", b"more"])
        self.assertEqual(self.day(), [])

    def test_reloadInThread(self) -> None:
        """
        While the new one is read, the old one is served.
        """
        self.start(5)
        threads = self.holdThreads()
        with open(self.path, "wb") as file:
            file.write(OTHER.pem() + OTHER.keyPEM())
        reloading = self.certificate.reload()
        self.assertEqual(self.served(self.certificate), ["localhost"])
        self.assertNoResult(reloading)
        threads.finish()
        self.assertEqual(self.served(self.certificate), ["other"])

    def test_reloadStopped(self) -> None:
        """
        What is found after it was stopped is dropped, without a word.
        """
        self.start(5)
        threads = self.holdThreads()
        with open(self.path, "wb") as file:
            file.write(OTHER.pem() + OTHER.keyPEM())
        with capturedLogs() as events:
            reloading = self.certificate.reload()
            self.certificate.stop()
            threads.finish()
        self.assertIs(self.successResultOf(reloading), None)
        self.assertEqual(self.lines(events), [])
        self.assertEqual(self.served(self.certificate), ["localhost"])

    def test_reloadWithoutThread(self) -> None:
        """
        When there is no room for a thread, the log says so.
        """
        self.start(5)
        self.patch(files, "callInThread", noThread)
        with capturedLogs() as events:
            self.successResultOf(self.certificate.reload())
        line = f"kept the old certificate: can't start new thread: {self.path}"
        self.assertEqual(self.lines(events), [(LogLevel.error, line)])

    def test_reloadAnOldOne(self) -> None:
        """
        One that ends soon is warned of at once.
        """
        self.start(5.5)
        with capturedLogs() as events:
            self.reload(self.certificate)
        self.assertEqual(self.lines(events), [self.loaded(), self.expires(5)])

    def test_reloadABadOne(self) -> None:
        """
        Of files that cannot be used one line tells, and the old certificate is served
        on, and warned of.
        """
        self.start(5.5)
        for contents in (b"", LEAF.pem(), OTHER.pem() + LEAF.keyPEM()):
            with open(self.path, "wb") as file:
                file.write(contents)
            with capturedLogs() as events:
                self.reload(self.certificate)
            ((level, line),) = self.lines(events)
            self.assertIs(level, LogLevel.error)
            self.assertTrue(line.startswith("kept the old certificate: "), line)
            self.assertTrue(line.endswith(f": {self.path}"), line)
            self.assertEqual(self.served(self.certificate), ["localhost"])
        self.assertEqual(self.day(), [self.expires(4)])

    def test_reloadBadParameters(self) -> None:
        """
        The same goes for its other files.
        """
        path = self.write(DH)
        certificate = self.load(dhFile=path)
        os.remove(path)
        with capturedLogs() as events:
            self.reload(certificate)
        line = f"kept the old certificate: No such file or directory: {path}"
        self.assertEqual(self.lines(events), [(LogLevel.error, line)])
