"""
Tests of what is packed and installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parent.parent
PLUGIN = "twisted/plugins/fastpoetry_plugin.py"
COPIED_PLUGIN = "twisted/plugins/copied_plugin.py"
MODULES = sorted(
    str(path.relative_to(ROOT)) for path in (ROOT / "fastpoetry").rglob("*.py")
)
TWISTD = "from twisted.scripts.twistd import run; run()"

# Something that only the copy has, so that no other installation is taken for it.
COMMAND = "copied-poetry"


class PackagingTests(SynchronousTestCase):
    """
    Tests on a copy of the project.
    """

    def setUp(self) -> None:
        """
        Copy the project, with another name for its plugin and command.
        """
        self.directory = Path(self.mktemp()).resolve()
        self.copy = self.directory / "copy"
        self.copy.mkdir(parents=True)
        for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md"):
            shutil.copy(ROOT / name, self.copy)
        for name in ("LICENSE", "NEWS.md", "fastpoetry.tac"):
            shutil.copy(ROOT / name, self.copy)
        for name in ("fastpoetry", "poetry", "twisted"):
            ignored = shutil.ignore_patterns("__pycache__", "dropin.cache")
            shutil.copytree(ROOT / name, self.copy / name, ignore=ignored)
        plugin = (self.copy / PLUGIN).rename(self.copy / COPIED_PLUGIN)
        text = plugin.read_text()
        changed = text.replace('"fastpoetry",\n)', f'"{COMMAND}",\n)')
        self.assertNotEqual(text, changed)
        plugin.write_text(changed)

    def run_(self, *command: str, cwd: Path | str = "/") -> str:
        """
        Run a command, which must succeed.

        @return: what it printed.
        """
        done = subprocess.run(
            command,
            cwd=cwd,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            env={"PATH": "/usr/bin:/bin", "PIP_NO_INDEX": "1"},
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

    def assertListed(self, python: str, cwd: Path | str = "/") -> None:
        """
        Assert that C{twistd} lists the plugin.
        """
        listing = self.run_(python, "-c", TWISTD, "--help", cwd=cwd)
        self.assertIn(COMMAND, listing)

    def test_archives(self) -> None:
        """
        A wheel has all modules and the plugin, and nothing that would replace
        a part of Twisted; a source archive has what the wheel is built of, the
        C{.tac} and the poems.
        """
        build = [sys.executable, "-m", "build", "--no-isolation", "--outdir"]
        self.run_(*build, str(self.directory), str(self.copy))
        (wheel,) = self.directory.glob("*.whl")
        names = zipfile.ZipFile(wheel).namelist()
        code = sorted(name for name in names if name.endswith(".py"))
        self.assertEqual(code, [*MODULES, COPIED_PLUGIN])
        self.assertIn("fastpoetry/doors/page.html", names)
        (archive,) = self.directory.glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            names = [name.partition("/")[2] for name in tar.getnames()]
        for name in [*MODULES, COPIED_PLUGIN, "fastpoetry.tac", "poetry/ecstasy.txt"]:
            self.assertIn(name, names)

    def test_installed(self) -> None:
        """
        The plugin is found after C{pip install .}.
        """
        python = self.makeEnvironment()
        self.install(python, str(self.copy))
        self.assertListed(python)

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
