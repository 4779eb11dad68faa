"""
Tests of what F{docs/security.md} says.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import Any

from twisted.python.modules import getModule
from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

from fastpoetry.commands import proxytap, tap, transformtap
from fastpoetry.commands.arguments import makeParser
from tests.pages import codes, read, rows

PAGE = read("docs/security.md")
TAPS: dict[str, Any] = {
    "fastpoetry": tap,
    "poetry-proxy": proxytap,
    "poetry-transform": transformtap,
}


def defaultOf(command: str, option: str) -> Any:
    """
    @return: what an option is if it is not given.
    """
    if command == "get-poetry":
        parser = makeParser()
        (action,) = [one for one in parser._actions if option in one.option_strings]
        return action.default
    return TAPS[command].Options()[option[2:]]


class SecurityPageTests(SynchronousTestCase):
    """
    Tests of the bounds that the page lists.
    """

    def setUp(self) -> None:
        """
        Read the tables: the bounds by their names.
        """
        self.bounds = {
            code: bound
            for _, bound, name in rows(PAGE, "what", "bound", "name")
            for code in codes(name)
        }

    def test_values(self) -> None:
        """
        Each bound has the value that the page says.
        """
        self.assertTrue(self.bounds)
        for name, bound in self.bounds.items():
            command, _, option = name.partition(" ")
            value = defaultOf(command, option) if option else namedAny(name)
            (number,) = re.findall(r"^[\d,.]+", bound)
            self.assertEqual(float(number.replace(",", "")), value, name)

    def test_all(self) -> None:
        """
        Whatever the code calls a maximum is on the page.
        """
        modules = [one.name for one in getModule("fastpoetry").walkModules()]
        names = [
            f"{module}.{name}"
            for module in modules
            for targets in re.findall(
                r"^([A-Z][\w, ]+)(?:: \w+)? = ",
                getModule(module).filePath.getContent().decode(),
                re.MULTILINE,
            )
            for name in re.findall(r"\bMAX_\w+", targets)
        ]
        self.assertGreater(len(names), 20)
        self.assertEqual([name for name in names if name not in self.bounds], [])

    def test_doors(self) -> None:
        """
        Each option that opens a door is in the table of doors.
        """
        columns = "door", "who reaches it", "what may come", "what becomes of it"
        doors = list(chain.from_iterable(codes(row[0]) for row in rows(PAGE, *columns)))
        for door in ("--port", "--udp", "--http", "--xmlrpc", "--status", "ssl:"):
            self.assertIn(door, doors)
