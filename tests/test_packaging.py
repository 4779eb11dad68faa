"""
Tests of what is packed and installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from sandbox import ROOT

PLUGIN = "twisted/plugins/fastpoetry_plugin.py"
COPIED_PLUGIN = "twisted/plugins/copied_plugin.py"
MODULES = sorted(
    str(path.relative_to(ROOT)) for path in (ROOT / "fastpoetry").rglob("*.py")
)
TWISTD = "from twisted.scripts.twistd import run; run()"
V = "--version"
SHARED = [
    *["share/man/man1/get-poetry.1", "share/man/man8/fastpoetry.8"],
    *["share/man/man8/poetry-proxy.8", "share/man/man8/poetry-transform.8"],
    *["share/zsh/site-functions/_fastpoetry", "share/zsh/site-functions/_get-poetry"],
]

# What a checkout has that is not of the project.
FOREIGN = [
    *[".*", "__pycache__", "_trial_temp*", "*.egg-info", "build", "dist", "venv"],
    *["dropin.cache", "twistd.log*", "twistd.pid"],
]

# Something that only the copy has, so that no other installation is taken for it.
COMMAND = "copied-poetry"


class PackagingTests(SynchronousTestCase):
    """
    Tests on a copy of the project.
    """

    def setUp(self) -> None:
        """
        Copy the project, with a second plugin.
        """
        self.directory = Path(self.mktemp()).resolve()
        self.copy = self.directory / "copy"
        shutil.copytree(ROOT, self.copy, ignore=shutil.ignore_patterns(*FOREIGN))
        self.writePlugin(COMMAND, COPIED_PLUGIN)

    def writePlugin(self, command: str, path: str) -> None:
        """
        Write a plugin.

        @param command: its name for C{twistd}.

        @param path: its path in the copy.
        """
        text = (ROOT / PLUGIN).read_text()
        changed = text.replace('"fastpoetry",\n)', f'"{command}",\n)')
        self.assertNotEqual(text, changed)
        plugin = self.copy / path
        plugin.parent.mkdir(parents=True, exist_ok=True)
        plugin.write_text(changed)

    def run_(self, *command: str, cwd: Path | str = "/", **environment: str) -> str:
        """
        Run a command, which must succeed.

        @param environment: what is added to it.

        @return: what it printed.
        """
        done = subprocess.run(
            command,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            env={"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1", **environment},
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def makeEnvironment(self) -> str:
        """
        Make a virtual environment with what is installed here, but no project
        that is installed editable.

        @return: its interpreter.
        """
        place = self.directory / "environment"
        venv.create(place, symlinks=True)
        (site,) = place.glob("lib/python*/site-packages")
        here = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
        (site / "here.pth").write_text("\n".join(here) + "\n")
        return str(place / "bin" / "python")

    def install(self, python: str, *arguments: str) -> None:
        """
        Install with pip into a virtual environment.
        """
        self.run_(
            *[sys.executable, "-m", "pip", "--python", python, "install", "-q"],
            *["--no-deps", "--no-build-isolation", "--force-reinstall", *arguments],
        )

    def build(self, place: str, **environment: str) -> tuple[Path, Path]:
        """
        Build without a network.

        @param place: a new directory for the archives.

        @return: the wheel and the source archive.
        """
        directory = self.directory / place
        build = [sys.executable, "-m", "build", "--no-isolation", "--outdir"]
        self.run_(*build, str(directory), str(self.copy), **environment)
        (wheel,) = directory.glob("*.whl")
        (archive,) = directory.glob("*.tar.gz")
        return wheel, archive

    def assertListed(self, python: str, cwd: Path | str = "/") -> None:
        """
        Assert that C{twistd} lists the plugin.
        """
        self.assertIn(COMMAND, self.listing(python, cwd))

    def listing(self, python: str, cwd: Path | str = "/") -> str:
        """
        @return: what C{twistd} lists.
        """
        return self.run_(python, "-c", TWISTD, "--help", cwd=cwd)

    def test_archives(self) -> None:
        """
        A wheel has all modules and the plugin, and nothing that would replace
        a part of Twisted, and the manual pages and completions; a source archive has
        the whole project.
        """
        wheel, archive = self.build("archives")
        names = zipfile.ZipFile(wheel).namelist()
        code = sorted(name for name in names if name.endswith(".py"))
        self.assertIn("fastpoetry/doors/page.html", names)
        self.assertEqual(code, sorted([*MODULES, PLUGIN, COPIED_PLUGIN]))
        shared = [name.partition(".data/data/")[2] for name in names]
        self.assertEqual(sorted(filter(None, shared)), sorted(SHARED))
        with tarfile.open(archive) as tar:
            packed = {name.partition("/")[2] for name in tar.getnames()}
        files = [path for path in self.copy.rglob("*") if path.is_file()]
        all_ = {str(path.relative_to(self.copy)) for path in files}
        self.assertIn("tests/test_packaging.py", all_)
        built = {name for name in all_ if name.startswith("fastpoetry.egg-info/")}
        self.assertEqual(all_ - built - packed, set())

    def test_reproducible(self) -> None:
        """
        Wheel and source archive have the same bytes each time, whatever the times of
        the files are.
        """
        archives = []
        for time in (1_500_000_000, 1_600_000_000):
            for path in self.copy.rglob("*"):
                os.utime(path, (time, time))
            built = self.build(f"{time}", SOURCE_DATE_EPOCH="1700000000")
            archives.append([path.read_bytes() for path in built])
        self.assertTrue(archives[0] == archives[1])
        with tarfile.open(built[1]) as tar:
            members = tar.getmembers()
        self.assertEqual({member.mtime for member in members}, {1_700_000_000})
        self.assertEqual({member.uname for member in members}, {""})

    def test_installed(self) -> None:
        """
        After C{pip install .} the plugin is found, and so are the commands, their
        manual pages and completions.
        """
        python = self.makeEnvironment()
        self.install(python, str(self.copy))
        self.assertListed(python)
        place = Path(python).parent.parent
        self.assertIn("fastpoetry ", self.run_(python, "-m", "fastpoetry", V))
        for command in ("fastpoetry", "poetry-proxy", "poetry-transform"):
            text = self.run_(str(place / "bin" / command), V)
            self.assertIn("fastpoetry ", text)
        self.assertIn("get-poetry ", self.run_(str(place / "bin" / "get-poetry"), V))
        for name in SHARED:
            self.assertTrue((place / name).is_file(), name)

    def test_cached(self) -> None:
        """
        What C{twistd} has found is kept when it has been run once, and not written
        again by those who perhaps could not.
        """
        python = self.makeEnvironment()
        self.install(python, str(self.copy))
        self.assertListed(python)
        (cache,) = Path(python).parent.parent.rglob("dropin.cache")
        before = cache.stat()
        self.assertListed(python)
        self.assertEqual(cache.stat().st_ino, before.st_ino)

    def test_upgraded(self) -> None:
        """
        A plugin that an older version had is gone with it, also when that version was
        built in the same directory.
        """
        python = self.makeEnvironment()
        self.writePlugin("older-poetry", "twisted/plugins/older_plugin.py")
        self.install(python, str(self.copy))
        self.assertIn("older-poetry", self.listing(python))
        (self.copy / "twisted/plugins/older_plugin.py").unlink()
        self.install(python, str(self.copy))
        self.assertListed(python)
        self.assertNotIn("older-poetry", self.listing(python))

    def test_removed(self) -> None:
        """
        After C{pip uninstall} there is nothing left, and C{twistd} lists no plugin.
        """
        python = self.makeEnvironment()
        self.install(python, str(self.copy))
        self.assertListed(python)
        pip = [sys.executable, "-m", "pip", "--python", python]
        self.run_(*pip, "uninstall", "-q", "-y", "fastpoetry")
        self.assertNotIn(COMMAND, self.listing(python))
        files = Path(python).parent.parent.rglob("*poetry*")
        self.assertEqual([str(path) for path in files], [])

    def test_editable(self) -> None:
        """
        The plugin is found after C{pip install -e .}.
        """
        python = self.makeEnvironment()
        self.install(python, "-e", str(self.copy))
        self.assertListed(python)

    def test_checkout(self) -> None:
        """
        The plugin is found in a checkout with the current directory on the path.
        """
        self.assertListed(self.makeEnvironment(), cwd=self.copy)
