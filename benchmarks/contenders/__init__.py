"""
The servers that are compared: what each is, what it needs, and how it is started.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.processes import findCommand

HERE = Path(__file__).parent
LOAD = HERE.parent / "load.c"

# Debian's; elsewhere the module may be built in.
NGINX_STREAM = Path("/usr/lib/nginx/modules/ngx_stream_module.so")

OURS = "fastpoetry"
FLOOR = "C floor"
NGINX = "nginx stream"
# These do what L{OURS} does: a log line per reader, a half-close, and waiting for
# the reader's end.
FLOOR_SAME = "C, same work"
GO_SAME = "Go, same work"
PLAIN_SAME = "plain Twisted, same work"

TRIVIAL = "plain Twisted"

TWISTD = "{twistd} -n --pidfile={directory}/pid --logfile={log}"
PLAIN = f"env PORT={{port}} FILE={{file}} %s {TWISTD} -y {{here}}/plain.tac"
LOOP = "{python} {here}/loop.py {port} {file}"


@dataclass(frozen=True)
class Contender:
    """
    A server.

    @ivar name: how it is called in the results.

    @ivar command: how it is started; the words in braces are those of L{fill}.

    @ivar needs: a command, or the name of a module of Python, without which it is
        missing.

    @ivar logs: whether it writes a line for each reader.

    @ivar lingers: whether it half-closes and waits for the reader's end, so that
        what the reader sends costs it nothing of the poem.
    """

    name: str
    command: str
    needs: str = ""
    logs: bool = False
    lingers: bool = False

    @property
    def missing(self) -> bool:
        """
        Whether what it needs is not there.
        """
        if not self.needs or shutil.which(self.needs):
            return False
        return importlib.util.find_spec(self.needs) is None


CONTENDERS = (
    Contender(FLOOR, "{build}/floor {port} {file} - 0", "cc"),
    Contender("C floor, log", "{build}/floor {port} {file} {log} 0", "cc", True),
    Contender("C floor, linger", "{build}/floor {port} {file} - 1", "cc", lingers=True),
    Contender(FLOOR_SAME, "{build}/floor {port} {file} {log} 1", "cc", True, True),
    Contender(
        OURS,
        TWISTD + " fastpoetry --poem {file} --port {port}",
        logs=True,
        lingers=True,
    ),
    Contender("Go", "{build}/server {port} {file} - 0", "go"),
    Contender(GO_SAME, "{build}/server {port} {file} {log} 1", "go", True, True),
    Contender(NGINX, "nginx -p {directory} -c {off}", "nginx"),
    Contender("nginx stream, log", "nginx -p {directory} -c {on}", "nginx", True),
    Contender("uvloop", LOOP + " - 0 uvloop", "uvloop"),
    Contender("uvloop, same work", LOOP + " {log} 1 uvloop", "uvloop", True, True),
    Contender("asyncio", LOOP + " - 0 asyncio"),
    Contender("asyncio, same work", LOOP + " {log} 1 asyncio", "", True, True),
    Contender(TRIVIAL, PLAIN % ""),
    Contender("plain Twisted, log", PLAIN % "LOG=1", logs=True),
    Contender(PLAIN_SAME, PLAIN % "LOG=1 LINGER=1", logs=True, lingers=True),
)
BY_NAME = {contender.name: contender for contender in CONTENDERS}


def build(directory: Path) -> None:
    """
    Compile the load, and the contenders that have to be, as far as there are
    compilers.

    @param directory: where to.

    @raise subprocess.CalledProcessError: when a compiler fails.
    """
    if shutil.which("cc"):
        for source in (LOAD, HERE / "floor.c"):
            cc = ["cc", "-O2", "-o", str(directory / source.stem), str(source)]
            subprocess.run(cc, check=True)
    if shutil.which("go"):
        go = ["go", "build", "-o", str(directory / "server"), str(HERE / "server.go")]
        subprocess.run(go, check=True)


def fill(
    contender: Contender, port: int, poem: Path, directory: Path, built: Path
) -> list[str]:
    """
    Write what the contender needs to start.

    @param port: where it is to listen.

    @param poem: the file with the poem.

    @param directory: a directory of its own; its log will be F{log} there.

    @param built: what was given to L{build}.

    @return: the command that starts it.
    """
    words = {
        "port": port,
        "file": poem,
        "directory": directory,
        "log": directory / "log",
        "build": built,
        "here": HERE,
        "python": sys.executable,
        "twistd": findCommand("twistd"),
    }
    for name, log in ("off", "off"), ("on", f"{directory}/log line"):
        words[name] = directory / name
        if contender.needs == "nginx":
            text = poem.read_text().replace("\\", "\\\\").replace('"', '\\"')
            module = f"load_module {NGINX_STREAM};" if NGINX_STREAM.exists() else ""
            config = (HERE / "nginx.conf").read_text()
            (directory / name).write_text(
                config.format(
                    modules=module, directory=directory, log=log, port=port, poem=text
                )
            )
    return contender.command.format(**words).split()
