"""
The servers that are compared: what each is, what it needs, and how it is started.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sandbox import NGINX_STREAM, findCommand
from sandbox.connections import Address
from sandbox.subject import PLAIN_TAC

HERE = Path(__file__).parent
LOAD = HERE.parent / "load.c"

# The longest poem that the configuration of nginx can have.
NGINX_MOST = 4000

OURS = "fastpoetry"
FLOOR = "C floor"
NGINX = "nginx stream"
# These do what L{OURS} does: a log line per reader, a half-close, and waiting for
# the reader's end.
FLOOR_SAME = "C, same work"
GO_SAME = "Go, same work"
PLAIN_SAME = "plain Twisted, same work"
# And these let the kernel hold no more than it does of what is not sent yet.
FLOOR_LOW = f"{FLOOR_SAME}, low water"
GO_LOW = f"{GO_SAME}, low water"
LOW_WATER = 131072

TRIVIAL = "plain Twisted"
PLAIN_LOG = f"{TRIVIAL}, log"
NGINX_LOG = f"{NGINX}, log"

# What nginx is told when it is to talk TLS.  Nobody takes up a session again.
NGINX_TLS = """\
    ssl_certificate {pem};
    ssl_certificate_key {pem};
    ssl_protocols TLSv1.3;
    ssl_session_cache off;
    ssl_session_tickets off;
    ssl_conf_command NumTickets 0;
"""

TWISTD = "{twistd} -n --pidfile={directory}/pid --logfile={log}"
PLAIN = f"env ENDPOINT={{endpoint}} FILE={{file}} %s {TWISTD} -y {{plain}}"
LOOP = "{python} {here}/loop.py {port} {file}"
C_SAME = "{build}/floor {address} {file} {log} 1"
SERVER_SAME = "{build}/server {address} {file} {log} 1"


def _nginxHasStream() -> bool:
    if NGINX_STREAM.exists() or not shutil.which("nginx"):
        return NGINX_STREAM.exists()
    told = subprocess.run(["nginx", "-V"], stderr=subprocess.PIPE, text=True).stderr
    return bool(re.search(r"--with-stream(?=\s)", told))


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
    def isMissing(self) -> bool:
        """
        Whether what it needs is not there.
        """
        if self.needs == "nginx" and not _nginxHasStream():
            return True
        if not self.needs or shutil.which(self.needs):
            return False
        return importlib.util.find_spec(self.needs) is None


CONTENDERS = (
    Contender(FLOOR, "{build}/floor {address} {file} - 0", "cc"),
    Contender("C floor, log", "{build}/floor {address} {file} {log} 0", "cc", True),
    Contender(
        "C floor, linger", "{build}/floor {address} {file} - 1", "cc", lingers=True
    ),
    Contender(FLOOR_SAME, C_SAME, "cc", True, True),
    Contender(
        OURS,
        TWISTD + " fastpoetry --poem {file} --endpoint {endpoint}",
        logs=True,
        lingers=True,
    ),
    Contender("Go", "{build}/server {address} {file} - 0", "go"),
    Contender(GO_SAME, SERVER_SAME, "go", True, True),
    Contender(NGINX, "nginx -p {directory} -c {off}", "nginx"),
    Contender(NGINX_LOG, "nginx -p {directory} -c {on}", "nginx", True),
    Contender("uvloop", LOOP + " - 0 uvloop", "uvloop"),
    Contender("uvloop, same work", LOOP + " {log} 1 uvloop", "uvloop", True, True),
    Contender("asyncio", LOOP + " - 0 asyncio"),
    Contender("asyncio, same work", LOOP + " {log} 1 asyncio", "", True, True),
    Contender(TRIVIAL, PLAIN % ""),
    Contender(PLAIN_LOG, PLAIN % "LOG=1", logs=True),
    Contender(PLAIN_SAME, PLAIN % "LOG=1 LINGER=1", logs=True, lingers=True),
)
# For a poem that is sent at once they are the same.
LOW = (
    Contender(FLOOR_LOW, f"{C_SAME} {LOW_WATER}", "cc", True, True),
    Contender(GO_LOW, f"{SERVER_SAME} {LOW_WATER}", "go", True, True),
)
BY_NAME = {contender.name: contender for contender in (*CONTENDERS, *LOW)}


def readersTalkTLS() -> bool:
    """
    @return: whether the load can: whether OpenSSL's headers are there.
    """
    cc = ["cc", "-E", "-include", "openssl/ssl.h", "-x", "c", "/dev/null"]
    quiet = subprocess.DEVNULL
    return subprocess.run(cc, stdout=quiet, stderr=quiet).returncode == 0


def build(directory: Path, isTLS: bool = False) -> None:
    """
    Compile the load, and the contenders that have to be, as far as there are
    compilers.

    @param directory: where to.

    @param isTLS: whether the load is to talk TLS, see L{readersTalkTLS}.

    @raise subprocess.CalledProcessError: when a compiler fails.
    """
    if shutil.which("cc"):
        tls = ["-DTLS", "-lssl", "-lcrypto"] if isTLS else []
        for source, more in (LOAD, tls), (HERE / "floor.c", []):
            cc = ["cc", "-O2", "-o", str(directory / source.stem), str(source)]
            subprocess.run(cc + more, check=True)
    if shutil.which("go"):
        go = ["go", "build", "-o", str(directory / "server"), str(HERE / "server.go")]
        subprocess.run(go, check=True)


def text(address: Address) -> str:
    """
    @return: an address as F{address.h} has it.
    """
    return address if isinstance(address, str) else f"{address[0]}:{address[1]}"


def fill(
    contender: Contender,
    address: Address,
    poem: Path,
    directory: Path,
    built: Path,
    pem: Path | None = None,
) -> list[str]:
    """
    Write what the contender needs to start.

    @param address: where it is to listen.

    @param poem: the file with the poem.

    @param directory: a directory of its own; its log will be F{log} there.

    @param built: what was given to L{build}.

    @param pem: a file with a key and its certificate, when it is to talk TLS.

    @return: the command that starts it.
    """
    words = {
        "address": text(address),
        "port": address[1],
        "endpoint": _endpoint(address, pem),
        "file": poem,
        "directory": directory,
        "log": directory / "log",
        "build": built,
        "here": HERE,
        "plain": PLAIN_TAC,
        "python": sys.executable,
        "twistd": findCommand("twistd"),
        "off": directory / "off",
        "on": directory / "on",
    }
    if contender.needs == "nginx":
        for name, log in ("off", "off"), ("on", f"{directory}/log line"):
            config = _nginx(str(address[1]), poem, directory, log, pem)
            (directory / name).write_text(config)
    environment = [] if pem is None else ["env", f"PEM={pem}"]
    return environment + [word.format(**words) for word in contender.command.split()]


def _endpoint(address: Address, pem: Path | None) -> str:
    """
    @return: the description of an endpoint of Twisted.
    """
    if isinstance(address, str):
        return f"unix:{address}"
    host, port = address
    if pem is None:
        return f"tcp:{port}:interface={host}"
    return f"ssl:{port}:interface={host}:privateKey={pem}:certKey={pem}"


def _nginx(port: str, poem: Path, directory: Path, log: str, pem: Path | None) -> str:
    """
    @param log: what its configuration has for C{access_log}.

    @return: the configuration of nginx.
    """
    return (
        (HERE / "nginx.conf")
        .read_text()
        .format(
            modules=f"load_module {NGINX_STREAM};" if NGINX_STREAM.exists() else "",
            directory=directory,
            log=log,
            port=port,
            poem=poem.read_text().replace("\\", "\\\\").replace('"', '\\"'),
            ssl="" if pem is None else " ssl",
            tls="" if pem is None else NGINX_TLS.format(pem=pem),
        )
    )
