"""
Tests of the manual pages, and of what zsh completes.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import shlex
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from man import generate
from sandbox import DEADLINE, ROOT, Sandbox, findCommand, quoted

PAGES = [*generate.PLUGINS, generate.GET_POETRY]

# Has TAB hit after each of some lines, and writes down what has become of them.
COMPLETE = """
fpath=({completion} $fpath)
autoload -Uz compinit && compinit -u -D
zle-line-init() {{
    for typed in {typed}; do
        BUFFER=$typed CURSOR=${{#typed}}
        zle complete-word
        print -r -- "$BUFFER" >>completed
    done
    exit
}}
zle -N zle-line-init
"""


class ManualTests(SynchronousTestCase):
    """
    Tests of the manual pages.
    """

    def test_generated(self) -> None:
        """
        What is made of the tables of options is what they are now.
        """
        for path, text in generate.generate().items():
            committed = (ROOT / path).read_text("utf-8")
            self.assertEqual(committed, text, f"{path}: python -m man.generate")

    def test_options(self) -> None:
        """
        Each option is there with its names, what follows it, its help and default.
        """
        entries = {
            entry.names[-1]: entry for entry in generate.options("man/poetry-proxy.8")
        }
        self.assertEqual(entries["--port"].names, ["-p", "--port"])
        self.assertEqual(entries["--port"].value, "port number")
        self.assertEqual(entries["--reuse-port"].value, "")
        self.assertEqual(
            entries["--fetch-timeout"],
            generate.Option(
                ["--fetch-timeout"],
                "seconds",
                "Give up on a fetch that takes longer than this many seconds. (An "
                "upstream that sends nothing has --timeout.) [default: 60.0]",
            ),
        )
        entries = {
            (entry.names or [""])[-1]: entry
            for entry in generate.options(generate.GET_POETRY)
        }
        self.assertEqual(entries[""].value, "[HOST:]PORT")
        text = "give up on a poem that is longer [default: 1073741824, 1 GiB]"
        self.assertEqual(entries["--max-length"].text, text)

    def test_shown(self) -> None:
        """
        C{man} shows each page without a warning, with all its options.
        """
        man = findCommand("man")
        for path in PAGES:
            done = subprocess.run(
                [man, "--warnings", "-E", "UTF-8", "-l", str(ROOT / path)],
                capture_output=True,
                text=True,
                timeout=DEADLINE,
                env={"PATH": os.environ["PATH"], "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""), path)
            for entry in generate.options(path):
                for name in entry.names:
                    self.assertRegex(done.stdout, rf"(?m)^ +.*{name}\b", path)

    def test_correct(self) -> None:
        """
        C{mandoc} has nothing to say about any page.
        """
        mandoc = findCommand("mandoc")
        for path in PAGES:
            done = subprocess.run(
                [mandoc, "-T", "lint", "-W", "all", str(ROOT / path)],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=DEADLINE,
            )
            self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_escaped(self) -> None:
        """
        Help that has characters of the language of manual pages is shown as it is.
        """
        text = r".x 'y' \fBz ^[ `~"
        page = '.TH X 8 2026-01-01 x "x"\n' + generate.section(
            [generate.Option(["--x"], "", text), generate.Option([], ".y", "'" + text)]
        )
        done = subprocess.run(
            [findCommand("mandoc"), "-T", "ascii", "-W", "all,stop"],
            input=page,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(text, done.stdout)
        self.assertIn("'" + text, done.stdout)


class CompletionTests(SynchronousTestCase):
    """
    Tests of the completion of zsh.
    """

    def complete(self, *typed: str) -> list[str]:
        """
        Type these lines in zsh, and TAB.

        @return: what has become of each.
        """
        zsh = findCommand("zsh")
        sandbox = Sandbox(self.addCleanup)
        directory = quoted(ROOT / "completion")
        script = COMPLETE.format(completion=directory, typed=shlex.join(typed))
        sandbox.write(".zshrc", script.encode())
        ours, theirs = pty.openpty()
        with os.fdopen(ours, "rb", 0) as terminal:
            child = subprocess.Popen(
                [zsh, "-d", "-i"],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                cwd=sandbox.path,
                start_new_session=True,
                env={
                    "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                    "HOME": str(sandbox.path),
                    "TERM": "xterm",
                    "PYTHONPATH": str(ROOT),
                },
            )
            self.addCleanup(child.wait)
            self.addCleanup(child.kill)
            os.close(theirs)
            shown = b""
            with contextlib.suppress(OSError):  # at the end
                while select.select([terminal], [], [], DEADLINE)[0]:
                    shown += terminal.read(2**16)
        completed = sandbox.path / "completed"
        self.assertTrue(completed.exists(), shown)
        return completed.read_text().splitlines()

    def test_getPoetry(self) -> None:
        """
        All options of C{get-poetry} are completed.
        """
        entries = [entry for entry in generate.commandOptions() if entry.names]
        names = [entry.names[-1] for entry in entries]
        completed = self.complete(*[f"get-poetry {name[:-1]}" for name in names])
        for name, line in zip(names, completed):
            self.assertRegex(line, f"^get-poetry {name}")
        self.assertEqual(len(completed), len(names))

    def test_values(self) -> None:
        """
        A flag is followed by another word, the value of an option by C{=} or a space.
        """
        typed = ["get-poetry --quie", "get-poetry --job", "get-poetry --jobs 3 --quie"]
        right = ["get-poetry --quiet ", "get-poetry --jobs=", f"{typed[2]}t "]
        self.assertEqual(self.complete(*typed), right)

    def test_plugins(self) -> None:
        """
        Commands that are plugins of C{twistd} are asked for their options.
        """
        typed = ["fastpoetry --reu", "poetry-proxy --up", "poetry-transform --max-me"]
        typed += ["fastpoetry --poem p", "fastpoetry -p 17 --grac"]
        right = [
            *["fastpoetry --reuse-port ", "poetry-proxy --upstream="],
            *["poetry-transform --max-memory=", "fastpoetry --poem poem.txt "],
            "fastpoetry -p 17 --grace=",
        ]
        self.assertEqual(self.complete(*typed), right)
