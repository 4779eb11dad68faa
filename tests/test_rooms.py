"""
Tests of what docs/architecture.md says of the rooms: which may import which, and how
much there is to read.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sandbox import ROOT

PACKAGE = Path(ROOT) / "fastpoetry"

# From the top down: a room imports itself, and those after it.  A module of the package
# itself that is in none of the first rows is a helper.
ROOMS = [
    {"fastpoetry.__main__", "fastpoetry.commands"},
    {"fastpoetry.doors"},
    {
        "fastpoetry.anthology",
        "fastpoetry.client",
        "fastpoetry.daemon",
        "fastpoetry.protocol",
        "fastpoetry.proxy",
        "fastpoetry.server",
        "fastpoetry.service",
        "fastpoetry.transform",
        "fastpoetry.transformclient",
        "fastpoetry.transformprotocol",
        "fastpoetry.transformrequest",
        "fastpoetry.upstream",
    },
    {"fastpoetry.listening"},
    {"fastpoetry.endpoints"},
    {"fastpoetry.connection"},
]

# These know nothing of one another.
APART = ["client", "protocol", "service", "transform"]

# What is loaded only when it is asked for.
FILTERS = ["access.py", "filters.py", "nets.py", "proxyheader.py"]

# Lines of code of the way of a poem, and lines of a file, a class and a function.
MOST_CODE = 1300
MOST_OF_FILE = 250
MOST_OF_CLASS = 150
MOST_OF_FUNCTION = 40
MOST_OF_TEST_FILE = 500

# A private function of more lines of code says what it is for.
SHORT = 12

Definition = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def nameOf(path: Path) -> str:
    """
    @return: the name of the module in a file.
    """
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# All modules but the front, which imports what it names.
MODULES = {nameOf(path): path for path in PACKAGE.rglob("*.py")}
del MODULES["fastpoetry"]


def importsOf(path: Path) -> Iterator[str]:
    """
    @return: the modules of this package that a module imports, at any time.
    """
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for each in node.names:
                full = f"{node.module}.{each.name}"
                yield full if full in MODULES else node.module
        elif isinstance(node, ast.Import):
            yield from (each.name for each in node.names)


def roomOf(name: str) -> int:
    """
    @return: the number of the room of a module, from the top down.
    """
    parts = {name, name.rpartition(".")[0]}
    found = [number for number, room in enumerate(ROOMS) if parts & room]
    return found[0] if found else len(ROOMS)


def codeOf(node: ast.AST, text: list[str]) -> set[int]:
    """
    @return: the lines of code of a module, class or function: not the empty ones, the
        comments, and the docstrings.
    """
    first = getattr(node, "lineno", 1)
    last = getattr(node, "end_lineno", len(text))
    code = {
        number
        for number in range(first, last + 1)
        if text[number - 1].strip() and not text[number - 1].strip().startswith("#")
    }
    for each in ast.walk(node):
        if isinstance(each, (ast.Module, *Definition)):
            begin = each.body[0]
            if ast.get_docstring(each) is not None:
                assert begin.end_lineno is not None
                code -= set(range(begin.lineno, begin.end_lineno + 1))
    return code


class ImportTests(SynchronousTestCase):
    """
    Tests of who imports whom.
    """

    def setUp(self) -> None:
        """
        Read all modules.
        """
        self.imports = {
            name: {each for each in importsOf(path) if each in MODULES} - {name}
            for name, path in MODULES.items()
        }

    def test_down(self) -> None:
        """
        No module imports one of a room above its own.
        """
        up = [
            (name, each)
            for name, others in self.imports.items()
            for each in others
            if roomOf(each) < roomOf(name)
        ]
        self.assertEqual(up, [])

    def test_circle(self) -> None:
        """
        No module imports itself by others.
        """
        left = dict(self.imports)
        while leaves := [name for name in left if not left[name] & left.keys()]:
            for name in leaves:
                del left[name]
        self.assertEqual(left, {})

    def test_apart(self) -> None:
        """
        The service, the protocol, the client and the transforms do not import one
        another.
        """
        names = {f"fastpoetry.{each}" for each in APART}
        for name in names:
            self.assertEqual(self.imports[name] & names, set(), name)

    def test_sandbox(self) -> None:
        """
        Tests and benchmarks do not import one another, and what both need imports
        neither.  The package imports none of the three.
        """
        tops = {"benchmarks", "sandbox", "tests"}
        allowed = {name: {name, "sandbox"} for name in ("benchmarks", "tests")}
        allowed.update(sandbox={"sandbox"}, fastpoetry=set())
        for name, others in allowed.items():
            for path in (Path(ROOT) / name).rglob("*.py"):
                found = {each.partition(".")[0] for each in importsOf(path)}
                self.assertLessEqual(found & tops, others, path)


class SizeTests(SynchronousTestCase):
    """
    Tests of how much there is to read.
    """

    def test_way(self) -> None:
        """
        The way of a poem is read in an hour.
        """
        paths = [Path(ROOT) / "fastpoetry.tac"]
        paths += [PACKAGE / f"{each}.py" for each in ("service", "protocol", "server")]
        paths += (PACKAGE / "connection").glob("*.py")
        listening = (PACKAGE / "listening").glob("*.py")
        paths += [path for path in listening if path.name not in FILTERS]
        texts = [path.read_text("utf-8") for path in paths]
        lines = [len(codeOf(ast.parse(text), text.splitlines())) for text in texts]
        self.assertLessEqual(sum(lines), MOST_CODE)

    def test_definitions(self) -> None:
        """
        Files, classes and functions of the package are short.
        """
        long = []
        for path in MODULES.values():
            text = path.read_text("utf-8")
            lines = text.splitlines()
            if len(lines) > MOST_OF_FILE:
                long.append(f"{path}: {len(lines)}")
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, Definition):
                    isClass = isinstance(node, ast.ClassDef)
                    code = len(codeOf(node, lines))
                    if code > (MOST_OF_CLASS if isClass else MOST_OF_FUNCTION):
                        long.append(f"{path}: {node.name}: {code}")
        self.assertEqual(long, [])

    def test_private(self) -> None:
        """
        Private functions that are not short say what they are for: in a docstring, or a
        comment at their beginning.
        """
        silent = []
        for path in MODULES.values():
            text = path.read_text("utf-8")
            lines = text.splitlines()
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    before = lines[node.body[0].lineno - 2].strip()
                    isSaid = ast.get_docstring(node) or before.startswith("#")
                    if len(codeOf(node, lines)) > SHORT and not isSaid:
                        silent.append(f"{path}: {node.name}")
        self.assertEqual(silent, [])

    def test_tests(self) -> None:
        """
        No file of tests is long.
        """
        for path in (Path(ROOT) / "tests").glob("*.py"):
            with path.open(encoding="utf-8") as file:
                self.assertLessEqual(len(list(file)), MOST_OF_TEST_FILE, path.name)
