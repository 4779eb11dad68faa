"""
Tests of what F{docs/compatibility.md} says.
"""

from __future__ import annotations

import ast
import inspect
import warnings
from typing import Any

from twisted.python.modules import getModule
from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.commands import proxytap, tap, transformtap
from fastpoetry.commands.arguments import makeParser
from fastpoetry.connection import outcome
from fastpoetry.connection.outcome import Outcome
from fastpoetry.figures import FIGURES
from tests.pages import codes, read, rows

PAGE = read("docs/compatibility.md")

# What could be called in 1.0, and with which arguments.
PUBLISHED = {
    "fastpoetry.protocol.PoetryFactory": "source timeout reactor progress",
    "fastpoetry.service.PoetryService": "poetry_file",
    "fastpoetry.server.PoetryServer": (
        "description factory maxConnections grace reusePort reactor"
    ),
    "fastpoetry.client.getPoetry": (
        "endpoint timeout connectTimeout maxLength received reactor"
    ),
    "fastpoetry.client.PoetryFetchError": "address reason received",
    "fastpoetry.client.parseAddress": "text",
    "fastpoetry.client.clientEndpoint": "reactor text timeout",
    "fastpoetry.proxy.ProxyService": (
        "upstream maxAge timeout connectTimeout maxLength reactor"
    ),
    "fastpoetry.transform.TransformService": "transforms",
    "fastpoetry.transform.TransformFactory": (
        "service timeout maxLength reactor progress"
    ),
    "fastpoetry.transform.TransformProxy": (
        "endpoint timeout connectTimeout maxLength reactor"
    ),
    "fastpoetry.daemon.DaemonService": "reactor",
    "fastpoetry.log.boundedLog": "path size keep reactor",
}
# Those of them that are of no effect any more.
WITHOUT_EFFECT = {"progress"}


def argumentsOf(name: str) -> list[str]:
    """
    @return: the names of the arguments of a callable.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        parameters = inspect.signature(namedAny(name)).parameters.values()
    kinds = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
    return [one.name for one in parameters if one.kind not in kinds]


def optionsOf(command: str) -> set[str]:
    """
    @return: all options of a command.
    """
    if command == "get-poetry":
        return set(makeParser()._option_string_actions)
    taps: dict[str, Any] = {
        "fastpoetry": tap,
        "poetry-proxy": proxytap,
        "poetry-transform": transformtap,
    }
    options = taps[command].Options()
    return {f"--{name.rstrip('=')}" for name in options.longOpt} | {
        f"-{letter}" for letter in options.shortOpt.replace(":", "")
    }


def linesOfLog() -> set[tuple[str, str]]:
    """
    @return: what the code has the log say, each with its level.
    """
    found = {
        (outcome.GOT_NOTHING, "info"),
        (outcome.GOT_PART, "info"),
        (outcome.GAVE_UP, "warn"),
    }
    for module in getModule("fastpoetry").walkModules():
        for node in ast.walk(ast.parse(module.filePath.getContent())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("info", "warn", "error")
                and ast.unparse(node.func.value).endswith("_log")
            ):
                found |= {
                    (one.value, node.func.attr)
                    for one in ast.walk(node.args[0])
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)
                }
    return found


class CompatibilityPageTests(SynchronousTestCase):
    """
    Tests that the page has what there is.
    """

    def test_names(self) -> None:
        """
        The names that are to stay are there, and have these arguments.
        """
        table = rows(PAGE, "name", "arguments")
        self.assertTrue(table)
        for name, arguments in table:
            there = [
                one for one in argumentsOf(codes(name)[0]) if one not in WITHOUT_EFFECT
            ]
            self.assertEqual(codes(arguments), there, name)

    def test_interfaces(self) -> None:
        """
        What is to be provided is what the page says.
        """
        table = rows(PAGE, "interface", "methods")
        self.assertTrue(table)
        for name, methods in table:
            self.assertEqual(codes(methods), list(namedAny(codes(name)[0])), name)

    def test_published(self) -> None:
        """
        Whatever could be called in 1.0 can be called so.
        """
        for name, arguments in PUBLISHED.items():
            self.assertLessEqual(set(arguments.split()), set(argumentsOf(name)), name)

    def test_moved(self) -> None:
        """
        What has another name now is found by both, and with a warning by the old one.
        """
        table = rows(PAGE, "in 1.0", "now")
        self.assertTrue(table)
        for old, new in table:
            with warnings.catch_warnings(record=True) as caught:
                warnings.resetwarnings()
                self.assertIs(namedAny(codes(old)[0]), namedAny(codes(new)[0]))
            self.assertEqual({one.category for one in caught}, {FutureWarning})

    def test_options(self) -> None:
        """
        Each command has the options that the page lists, and no others.
        """
        table = rows(PAGE, "command", "options")
        self.assertEqual(len(table), 4)
        for command, options in table:
            there = optionsOf(codes(command)[0])
            self.assertEqual(sorted(codes(options)), sorted(there), command)

    def test_log(self) -> None:
        """
        The lines of the log are those of the code, and none that may be waited for,
        a warning or an error, is missing.
        """
        table = {(codes(line)[0], level) for line, level in rows(PAGE, "line", "level")}
        there = linesOfLog()
        self.assertEqual(table - there, set())
        self.assertEqual({one for one in there - table if one[1] != "info"}, set())

    def test_outcomes(self) -> None:
        """
        Reasons of a reader that has not all of a poem are those of the code.
        """
        page = " ".join(PAGE.split())
        start = page.index("`{why}` of a reader is one of these")
        said = set(codes(page[start : page.index(".", start)])) - {"{why}"}
        elsewhere = {Outcome.GAVE_UP, Outcome.REFUSED}  # these have lines of their own
        self.assertEqual({one.value for one in set(Outcome) - elsewhere}, said)

    def test_figures(self) -> None:
        """
        The figures are those of the code.
        """
        names = [codes(row[0])[0] for row in rows(PAGE, "figure", "labels")]
        self.assertEqual(sorted(FIGURES), sorted(names))
