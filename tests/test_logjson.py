"""
Tests of L{fastpoetry.log.json}, and of L{fastpoetry.logjson} that makes its lines.
"""

from __future__ import annotations

import math
import os
import signal
import sys
from json import loads
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.logger import ILogObserver, Logger, LogLevel, globalLogPublisher
from zope.interface.verify import verifyObject

from fastpoetry.connection.delivery import DeliveryProtocol
from fastpoetry.log import json
from fastpoetry.protocol import PoetryFactory
from tests.support import Reactor, StaticSource
from tests.test_log import OutputTestCase


class Unprintable:
    """
    What cannot be shown.
    """

    def __repr__(self) -> str:
        raise ValueError("no")

    @property
    def name(self) -> str:
        """
        As a level has.
        """
        raise AttributeError


class Named:
    """
    What is shown with its address.
    """


class JSONTests(OutputTestCase):
    """
    Tests of L{json}.
    """

    def setUp(self) -> None:
        """
        Make an observer.
        """
        super().setUp()
        self.observer: Any = json()
        self.log = Logger(namespace="test", observer=self.observer)

    def entries(self) -> list[dict[str, Any]]:
        """
        What was logged.
        """
        text = self.output()
        self.assertTrue(text.isascii())

        def refuse(constant: str) -> None:
            raise ValueError(f"not JSON: {constant}")

        return [loads(line, parse_constant=refuse) for line in text.splitlines()]

    def fields(self, **fields: Any) -> dict[str, Any]:
        """
        @return: what became of the fields of an event.
        """
        self.log.info("text", **fields)
        entry = self.entries()[-1]
        for name in ("time", "level", "namespace"):
            entry.pop(name)
        self.assertEqual(entry.pop("message"), "text")
        return entry

    def test_entry(self) -> None:
        """
        An event is an object on a line of its own.
        """
        verifyObject(ILogObserver, self.observer)
        self.observer(
            {
                "log_time": 1234567890.5,
                "log_level": LogLevel.warn,
                "log_namespace": "test",
                "log_format": "{count} \u8a69\nof {kind}",
                "count": 3,
                "kind": "verse",
            }
        )
        self.assertEqual(
            self.entries(),
            [
                {
                    "time": "2009-02-13T23:31:30.500000+00:00",
                    "level": "warn",
                    "namespace": "test",
                    "message": "3 \u8a69\nof verse",
                    "count": 3,
                    "kind": "verse",
                }
            ],
        )

    def test_values(self) -> None:
        """
        What JSON has a form for is kept, and what it does not is text.
        """
        fields = {"list": [1, None, True, {"a": 1.5}], "text": "\udce9", "big": 2**80}
        self.assertEqual(self.fields(**fields), fields)
        circle: list[Any] = []
        circle.append(circle)
        self.assertEqual(
            self.fields(
                bytes=b"a\xff",
                infinite=math.inf,
                circle=circle,
                inner=[LogLevel.info],
                keys={(1, 2): 3},
            ),
            {
                "bytes": "a\\xff",
                "infinite": "inf",
                "circle": "[[...]]",
                "inner": ["<LogLevel=info>"],
                "keys": "{(1, 2): 3}",
            },
        )

    def test_objects(self) -> None:
        """
        An object is named, without its address.
        """
        self.assertEqual(
            self.fields(one=Named(), some={Named()}),
            {
                "one": "<tests.test_logjson.Named object>",
                "some": "{<tests.test_logjson.Named object>}",
            },
        )

    def test_names(self) -> None:
        """
        A field with the name of one of ours is kept beside it.
        """
        self.assertEqual(self.fields(message=3, time=4), {"message_": 3, "time_": 4})

    def test_failure(self) -> None:
        """
        The traceback of a failure is a field.
        """
        try:
            raise ValueError("why")
        except ValueError:
            self.log.failure("it failed")
        (entry,) = self.entries()
        self.assertEqual((entry["level"], entry["message"]), ("critical", "it failed"))
        self.assertIn("Traceback", entry["traceback"])
        self.assertIn("ValueError: why", entry["traceback"])

    def test_anything(self) -> None:
        """
        There is a line for whatever is logged.
        """
        bad = Unprintable()
        events: tuple[dict[Any, Any], ...] = (
            {},
            {"log_format": "{a} {b}", "a": 1},
            {"log_format": "{bad}", "bad": bad},
            {"log_format": 3, "log_time": "now", "log_level": 4, "log_namespace": b"x"},
            {"log_time": math.nan, "log_failure": bad, "log_level": bad},
            {"log_time": 1e300, 3: 4, None: bad},
            {"log_system": bad, "huge": 10**5000, "peers": 3},
            {"peers": []},
            {"peers": [bad]},
        )
        for event in events:
            before = len(self.entries())
            self.observer(event)
            self.assertEqual(len(self.entries()), before + 1, event)

    def test_legacy(self) -> None:
        """
        What Twisted itself logs the old way has no field twice.
        """
        self.observer(
            {
                "log_namespace": "log_legacy",
                "log_format": "{log_text}",
                "log_text": "starting",
                "message": ("starting",),
                "time": 1.0,
                "system": "-",
                "isError": 0,
            }
        )
        self.assertEqual(
            self.entries(),
            [
                {
                    "time": None,
                    "level": None,
                    "namespace": "log_legacy",
                    "message": "starting",
                    "system": "-",
                    "isError": 0,
                }
            ],
        )

    def test_readers(self) -> None:
        """
        Readers who come together have a line each.
        """

        class Transport:
            def __init__(self, port: int) -> None:
                self.port = port

            def getPeer(self) -> IPv4Address:
                return IPv4Address("TCP", "127.0.0.1", self.port)

        deliveries: list[Any] = []
        for port in (1, 2, 3):
            delivery = DeliveryProtocol()
            delivery.size = 7
            delivery.transport = Transport(port)
            deliveries.append(delivery)
        factory = PoetryFactory(StaticSource(b"a poem\n"), reactor=Reactor())
        globalLogPublisher.addObserver(self.observer)
        self.addCleanup(globalLogPublisher.removeObserver, self.observer)
        factory.logBegun(deliveries)
        self.assertEqual(
            [
                (entry["message"], entry["peer"], entry["size"], entry["poem"])
                for entry in self.entries()
            ],
            [
                (
                    f"sending 7 bytes of poetry to 127.0.0.1:{port}",
                    f"127.0.0.1:{port}",
                    7,
                    "<tests.support.StaticSource object>",
                )
                for port in (1, 2, 3)
            ],
        )
        self.assertNotIn("peers", self.output())


class JSONFileTests(OutputTestCase):
    """
    Where L{json} writes to.
    """

    def setUp(self) -> None:
        """
        Make a directory.
        """
        super().setUp()
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.SIG_DFL)
        self.addCleanup(os.chdir, os.getcwd())
        directory = self.mktemp()
        os.mkdir(directory)
        os.chdir(directory)

    def write(self, *arguments: str, path: str | None = None) -> dict[str, int]:
        """
        Log a line twice, with a signal to rotate in between.

        @param arguments: those of C{twistd}.

        @return: how many lines there are in which file, and in standard output.
        """
        self.patch(sys, "argv", ["twistd", *arguments])
        reactor = Reactor()
        signal.signal(signal.SIGUSR1, lambda number, frame: None)
        log = Logger(namespace="test", observer=json(path, reactor=reactor))
        log.info("one")
        os.kill(os.getpid(), signal.SIGUSR1)
        reactor.advance(0)
        log.info("two")
        counts = {"-": self.output().count("\n")}
        for name in sorted(os.listdir()):
            with open(name) as file:
                counts[name] = len(file.readlines())
            os.remove(name)
        return counts

    def test_foreground(self) -> None:
        """
        In the foreground, it is standard output.
        """
        self.assertEqual(self.write("-n"), {"-": 2})

    def test_daemon(self) -> None:
        """
        A daemon has a file, which SIGUSR1 rotates.
        """
        self.assertEqual(self.write(), {"-": 0, "twistd.log": 1, "twistd.log.1": 1})

    def test_logfile(self) -> None:
        """
        With C{--logfile}, either has that.
        """
        for arguments in (("-n", "-l", "a.log"), ("-l", "a.log")):
            self.assertEqual(self.write(*arguments), {"-": 0, "a.log": 1, "a.log.1": 1})
        self.assertEqual(self.write("-n", "-l", "-"), {"-": 2})

    def test_path(self) -> None:
        """
        In a C{.tac} the file can be named.
        """
        self.assertEqual(
            self.write("-l", "a.log", path="b.log"), {"-": 0, "b.log": 1, "b.log.1": 1}
        )

    def test_noOutput(self) -> None:
        """
        A daemon has no standard output.
        """
        self.assertRaises(SystemExit, self.write, "--logfile", "-")
