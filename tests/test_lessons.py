"""
Tests of the lessons in F{examples/lessons}, and of the page that walks through them.
"""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.application.service import (
    IServiceCollection,
    IServiceMaker,
    loadApplication,
)
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.daemon import DaemonService
from fastpoetry.protocol import PoetryFactory
from fastpoetry.proxy import ProxyService
from fastpoetry.server import PoetryServer
from fastpoetry.service import PoetryService
from sandbox import DEADLINE, ROOT, Sandbox

LESSONS = ROOT / "examples" / "lessons"
PAGE = ROOT / "docs" / "lessons.md"


def run(name: str) -> subprocess.CompletedProcess[str]:
    """
    Run a lesson, far from the checkout, with the package that is there.

    @raise subprocess.TimeoutExpired: when it does not end.
    """
    others = os.environ.get("PYTHONPATH")
    path = f"{ROOT}:{others}" if others else str(ROOT)
    return subprocess.run(
        [sys.executable, str(LESSONS / name)],
        capture_output=True,
        cwd="/",
        env={**os.environ, "PYTHONPATH": path},
        text=True,
        timeout=DEADLINE,
    )


class LessonTests(SynchronousTestCase):
    """
    Tests of each lesson.
    """

    maxDiff = None

    def assertPrints(self, name: str, expected: str) -> None:
        """
        Assert that a lesson prints this and nothing else, and ends well.
        """
        done = run(name)
        self.assertEqual(done.stdout, expected, done.stderr)
        self.assertEqual((done.stderr, done.returncode), ("", 0))

    def assertInOrder(self, parts: list[str], text: str) -> None:
        """
        Assert that a text has these parts, one after the other.
        """
        place = 0
        for part in parts:
            self.assertIn(part, text[place:], text)
            place = text.index(part, place) + len(part)

    def test_services(self) -> None:
        """
        Services are found, iterated, added and removed, start and stop with
        their collection, and a stop that takes a while is waited for.
        """
        self.assertPrints(
            "services.py",
            "a new service: None False\n"
            "iterated: ['sonnets', 'haiku']\n"
            "found by name: haiku\n"
            "sonnets: loaded\n"
            "haiku: loaded\n"
            "running: True\n"
            "odes: loaded\n"
            "left: ['sonnets', 'odes']\n"
            "haiku: saved\n"
            "running: False\n"
            "odes: saved\n"
            "sonnets: saved\n"
            "all is quiet\n",
        )

    def test_otherDoors(self) -> None:
        """
        The poem is the same by datagram and by XML-RPC, from one service.
        """
        self.assertPrints(
            "other_doors.py", "by datagram: True 2817\nby XML-RPC: True 2817\n"
        )

    def test_logs(self) -> None:
        """
        What was logged before the log began is in the log, in its order; so are
        errors with their tracebacks, and an error that nobody took.  Only what
        is critical is on standard error as well.
        """
        done = run("logs.py")
        self.assertEqual((done.stderr, done.returncode), ("too grave to wait\n", 0))
        self.assertInOrder(
            [
                "print is not the log\n",
                "[lesson#info] from before the log began\n",
                "[lesson#critical] too grave to wait\n",
                "[lesson#info] a format with 2 fields\n",
                "[stdout#info] now it is\n",
                "[lesson#critical] caught by except\n",
                "Traceback (most recent call last):\n",
                'int("a poem")\n',
                "ValueError: ",
                "[lesson#critical] caught by an errback\n",
                "Traceback (most recent call last):\n",
                "ValueError: ",
                "Unhandled error in Deferred:\n",
                "ValueError: nobody asked\n",
                "[lesson#info] the program goes on\n",
            ],
            done.stdout,
        )

    def test_generators(self) -> None:
        """
        Two generators take turns, each with its own state, and end by what is
        sent and thrown.
        """
        self.assertPrints(
            "generators.py",
            "a call runs nothing\n"
            "next runs to the first yield\n"
            "  Ann begins\n"
            "yielded: first line\n"
            "  Bob begins\n"
            "yielded: first line\n"
            "send gives the yield its value\n"
            "  Ann hears 'bravo'\n"
            "yielded: second line\n"
            "  Bob hears 'louder'\n"
            "yielded: second line\n"
            "  Ann hears 'encore'\n"
            "returned: Ann is done\n"
            "throw raises at the yield\n"
            "  Bob is told: time is up\n"
            "returned: Bob is done\n",
        )

    def test_inlineCallbacks(self) -> None:
        """
        A plain value does not pause, a Deferred does, a failure is raised, and
        the end fires the Deferred with what is returned or raised.
        """
        lesson = (
            "called: it runs until it has to wait\n"
            "  a plain value comes straight back: plain\n"
            "paused at the first Deferred\n"
            "  a Deferred comes back as its result: one\n"
            "paused at the second\n"
            "  a failure is raised at the yield: refused\n"
            "paused at the third\n"
        )
        self.assertPrints(
            "inline_callbacks.py",
            f"{lesson}its Deferred fired: A POEM\n"
            f"{lesson}its Deferred failed: AttributeError\n",
        )

    def test_underTheReactor(self) -> None:
        """
        Before a pause it is the caller who runs the generator, after it the
        reactor.
        """
        done = run("under_the_reactor.py")
        self.assertEqual((done.stderr, done.returncode), ("", 0))
        before, after = done.stdout.split("after the pause:\n")
        self.assertInOrder(
            ["before the pause:\n", "  main: lesson(reactor)", "  lesson: "], before
        )
        self.assertNotIn("reactor.run()", before)
        self.assertInOrder(
            [
                "  main: reactor.run()\n",
                "  run: self.mainLoop()\n",
                "  lesson: printCallers()\n",
                "raised in lesson: the lesson is over\n",
            ],
            after,
        )

    def test_oneGenerator(self) -> None:
        """
        Every fetch is counted, be it printed, refused or the cause of a bug, and
        the last stops the reactor.
        """
        self.assertPrints(
            "one_generator.py",
            "1: Cold hands, warm pen.\n"
            "still to come: 3\n"
            "2: no poem: nobody listens\n"
            "still to come: 2\n"
            "still to come: 1\n"
            "a bug: UnicodeDecodeError\n"
            "4: The sun went.\n"
            "still to come: 0\n"
            "the reactor has stopped\n",
        )

    def test_endlessGenerator(self) -> None:
        """
        The Deferred of an endless generator has no result until it is
        cancelled, which leaves nothing behind.
        """
        self.assertPrints(
            "endless_generator.py",
            "tick 1\n"
            "tick 2\n"
            "tick 3\n"
            "has it a result? False\n"
            "calls that wait: 1\n"
            "stopped at the yield, after: 3\n"
            "ended with: CancelledError\n"
            "calls that wait: 0\n",
        )

    def test_deferredList(self) -> None:
        """
        A list fires when all have fired, an empty one at once, with results in
        the order of the list, failures and other lists among them.
        """
        self.assertPrints(
            "deferred_list.py",
            "an empty list fires at once: []\n"
            "not yet\n"
            "one: [(True, 'poem')]\n"
            "not yet\n"
            "two, in the order of the list: "
            "[(True, 'fired last'), (True, 'fired first')]\n"
            "not yet\n"
            "with a failure: [(False, 'refused'), (True, 'poem')]\n"
            "not yet\n"
            "a list in a list: [(True, [(True, 'a'), (True, 'b')]), (True, 'c')]\n",
        )

    def test_deferredListErrors(self) -> None:
        """
        Only a failure that neither C{consumeErrors} nor an errback took is
        logged, once.
        """
        done = run("deferred_list_errors.py")
        self.assertEqual((done.stderr, done.returncode), ("", 0))
        self.assertEqual(done.stdout.count("Unhandled error in Deferred:"), 1)
        self.assertInOrder(
            [
                "by itself, the list leaves the failure where it was\n"
                "  fired with: [False]\n",
                "Unhandled error in Deferred:\n",
                "ConnectionError: refused\n",
                "consumeErrors takes it\n"
                "  fired with: [False]\n"
                "so does an errback after the list\n"
                "  fired with: [False]\n"
                "  own errback: refused\n"
                "after an errback the list sees no failure\n"
                "  own errback: refused\n"
                "  fired with: [True]\n",
            ],
            done.stdout,
        )

    def test_firstAnswer(self) -> None:
        """
        C{fireOnOneCallback} passes over failures, and leaves the others running
        until they are cancelled.
        """
        self.assertPrints(
            "first_answer.py",
            "after 2 s: 'a poem' from mirror 2\n"
            "still under way: 1\n"
            "after cancelling: 0\n"
            "none answers: False\n",
        )

    def test_allOrNothing(self) -> None:
        """
        C{fireOnOneErrback} fails with the first failure, and leaves the others
        running until they are cancelled.
        """
        self.assertPrints(
            "all_or_nothing.py",
            "after 2 s: part 2 failed: reset\n"
            "still under way: 1\n"
            "after cancelling: 0\n",
        )

    def test_deferredDict(self) -> None:
        """
        A dict has its results by key, and each of its options tells the key.
        """
        self.assertPrints(
            "deferred_dict.py",
            "an empty dict fires at once: {}\n"
            "Poe has failed\n"
            "all: {'Donne': True, 'Poe': False}\n"
            "Poe has failed\n"
            "the first answer: ('Where, like a pillow on a bed', 'Donne')\n"
            "all or nothing: Poe failed: refused\n"
            "Poe has failed\n",
        )


class DeploymentTests(SynchronousTestCase):
    """
    Tests of the deployments that the page shows.
    """

    def test_twoPoems(self) -> None:
        """
        F{two-poems.tac} has each poem with its own port in a collection of its
        own, and starts nothing when it is loaded.
        """
        path = str(ROOT / "examples" / "two-poems.tac")
        (top,) = IServiceCollection(loadApplication(path, "python"))
        daemon, *deployments = top
        self.assertIsInstance(daemon, DaemonService)
        found = []
        for source, server in deployments:
            self.assertIsInstance(source, PoetryService)
            self.assertIsInstance(server, PoetryServer)
            self.assertIs(server.factory.source, source)
            self.assertFalse(source.running or server.running)
            found.append((Path(source.path).resolve(), server.description))
        poetry = ROOT / "poetry"
        self.assertEqual(
            found,
            [
                (poetry / "ecstasy.txt", "tcp:10000:interface=localhost"),
                (poetry / "science.txt", "tcp:10001:interface=localhost"),
            ],
        )

    def test_proxy(self) -> None:
        """
        F{poetry-proxy.tac} is a poem server with another source.
        """
        path = str(ROOT / "examples" / "poetry-proxy.tac")
        (top,) = IServiceCollection(loadApplication(path, "python"))
        source, server = list(top)[-2:]
        self.assertIsInstance(source, ProxyService)
        self.assertIsInstance(server.factory, PoetryFactory)
        self.assertIs(server.factory.source, source)

    def test_anyExtension(self) -> None:
        """
        A deployment may be in a file of any name.
        """
        path = self.mktemp()
        shutil.copy(ROOT / "fastpoetry.tac", path)
        (top,) = IServiceCollection(loadApplication(path, "python"))
        kinds = [type(service) for service in top]
        self.assertEqual(kinds, [DaemonService, PoetryService, PoetryServer])

    def test_plugin(self) -> None:
        """
        A plugin is found whatever its file and variables are called, and the
        list of plugins is kept beside it.
        """
        text = (ROOT / "twisted" / "plugins" / "fastpoetry_plugin.py").read_text()
        text, count = re.subn(r"(?m)^\w+(?= = ServiceMaker)", "another", text, count=1)
        self.assertEqual(count, 1)
        directory = Path(self.mktemp())
        package = directory / "lesson_plugins"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "any_name.py").write_text(text)
        self.patch(sys, "path", [str(directory.resolve()), *sys.path])
        for name in ("lesson_plugins", "lesson_plugins.any_name"):
            self.addCleanup(sys.modules.pop, name)
        module = importlib.import_module("lesson_plugins")
        names = [plugin.tapname for plugin in getPlugins(IServiceMaker, module)]
        self.assertIn("fastpoetry", names)
        self.assertTrue((package / "dropin.cache").exists())

    def test_noTerminal(self) -> None:
        """
        A daemon has no terminal, and a session of its own: when the one ends in
        which it was started, it goes on.
        """
        ground = Sandbox(self.addCleanup)
        ground.writeTac()
        server = ground.daemon("-y fastpoetry.tac")
        self.assertNotEqual(os.getsid(server.pid), os.getsid(0))
        _, _, fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(") ")
        terminal = fields.split()[4]  # proc(5): tty_nr
        self.assertEqual(terminal, "0")
        server.stop()


class PageTests(SynchronousTestCase):
    """
    Tests of F{docs/lessons.md}.
    """

    def setUp(self) -> None:
        """
        Read the page.
        """
        self.page = PAGE.read_text("utf-8")

    def test_allLessons(self) -> None:
        """
        The page leads to every lesson.
        """
        for path in LESSONS.glob("*.py"):
            self.assertIn(f"examples/lessons/{path.name}", self.page)

    def test_links(self) -> None:
        """
        Every file that the page links to exists.
        """
        links = re.findall(r"\]\(\s*([^)#]+)", self.page)
        files = [link for link in links if "://" not in link]
        self.assertGreater(len(files), 0)
        for link in files:
            self.assertTrue((PAGE.parent / link).exists(), link)

    def test_tests(self) -> None:
        """
        Every test that the page names exists.
        """
        named = re.findall(r"`(test_\w+)\.(\w+)\.(test_\w+)`", self.page)
        self.assertGreater(len(named), 0)
        for module, case, method in named:
            text = (ROOT / "tests" / f"{module}.py").read_text("utf-8")
            _, _, body = text.partition(f"\nclass {case}(")
            body, _, _ = body.partition("\nclass ")
            self.assertIn(f"    def {method}(self", body, f"{module}.{case}")
