"""
Endpoint descriptions as they are typed.  They are checked before Twisted makes anything
of them, because its parsers answer a mistake in the words of Python.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any

from twisted.internet import endpoints
from twisted.internet.abstract import isIPv6Address
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.interfaces import (
    IStreamClientEndpointStringParserWithReactor,
    IStreamServerEndpointStringParser,
)
from twisted.plugin import getPlugins

# How many bytes the path of a UNIX socket may have (unix(7)), with a NUL to end it.
MAX_PATH = 107

# The options of each kind, in the order of those that are given without their name.
SERVERS = {
    "tcp": ["port", "interface", "backlog"],
    "tcp6": ["port", "backlog", "interface"],
    "unix": ["address", "mode", "backlog", "lockfile"],
    "ssl": [
        *["port", "privateKey", "certKey", "interface", "backlog"],
        *["extraCertChain", "dhParameters"],
    ],
    "systemd": ["domain", "index", "name"],
}
CLIENTS = {
    "tcp": ["host", "port", "timeout", "bindAddress"],
    "ssl": [
        *["host", "port", "timeout", "bindAddress"],
        *["certKey", "privateKey", "caCertsDir", "hostname"],
    ],
    "tls": [
        *["host", "port", "timeout", "bindAddress"],
        *["certificate", "privateKey", "trustRoots", "endpoint"],
    ],
    "unix": ["path", "timeout", "lockfile"],
}

# Those without which there is no endpoint.
NEEDED = {"host", "port", "address", "path"}

_IPV6 = r"([0-9A-Fa-f:.]+(?:%\w+)?)"
_BARE_INTERFACE = re.compile(rf":(interface|bindAddress)={_IPV6}(?=:|$)")
_BARE_HOST = re.compile(rf"(\w+):(?:host=)?{_IPV6}:(?:port=)?(\d+)(?=:|$)")


def isWhole(text: str, least: int, most: int | None = None) -> bool:
    """
    @return: whether a text is a whole number, and between two others.
    """
    # Python reads no numbers of thousands of digits.
    isShort = text.isascii() and text.isdigit() and len(text) < 100
    return isShort and least <= int(text) and (most is None or int(text) <= most)


def portNumber(text: str, least: int = 0) -> int:
    """
    @return: the number of a TCP port.

    @raise ValueError: when the text is something else.
    """
    if not isWhole(text, least, 65535):
        raise ValueError(f"not a port number from {least} to 65535: {text}")
    return int(text)


def checkHost(text: str, encoding: str = "utf-8") -> None:
    """
    @param encoding: C{idna} for a name that is to be one of this machine, and is never
        looked up in any other way.

    @raise ValueError: when a text can be no name or address of a host.
    """
    try:
        isHost = "\0" not in text and (text.isascii() or bool(text.encode(encoding)))
    except UnicodeError:
        isHost = False
    if not isHost:
        raise ValueError(f"not a host: {text}")


def _checkInterface(text: str) -> None:
    checkHost(text, "idna")


def _checkPath(text: str) -> None:
    # A name that begins with a NUL byte has no file; another would end at it.
    if "\0" in text[1:]:
        raise ValueError(f"not the path of a UNIX socket: {text}")
    if len(os.fsencode(text)) > MAX_PATH:
        raise ValueError(f"the path of a socket has {MAX_PATH} bytes at most")


def _checkWhole(what: str, least: int, most: int) -> Callable[[str], None]:
    def check(text: str) -> None:
        if not isWhole(text, least, most):
            raise ValueError(f"not {what}: {text}")

    return check


def _checkMode(text: str) -> None:
    if not re.fullmatch("0?[0-7]{1,4}", text):
        raise ValueError(f"not a mode in octal digits: {text}")


CHECKS: dict[str, Callable[[str], Any]] = {
    "address": _checkPath,
    "backlog": _checkWhole("a number for the backlog", 0, 2**31 - 1),
    "bindAddress": _checkInterface,
    "host": checkHost,
    "interface": _checkInterface,
    "lockfile": _checkWhole("0 or 1 for the lockfile", 0, 1),
    "mode": _checkMode,
    "path": _checkPath,
    "timeout": _checkWhole("a whole number of seconds above 0", 1, 10**9),
}


def serverOptions(description: str) -> tuple[str, dict[str, str] | None]:
    """
    Take the description of a server endpoint apart.

    @return: its kind, in lower case, and its options by their names; L{None} for a kind
        that a plugin of Twisted's brings, which alone knows them.

    @raise ValueError: when this is no such description; its text is what is wrong.
    """
    if bare := _BARE_HOST.match(description):
        _checkBare(bare[2], f"{bare[1]}:{bare[3]}:interface={{}}")
    kind, options = _read(description, SERVERS, IStreamServerEndpointStringParser)
    if options and "port" in options:
        portNumber(options["port"])
    return kind, options


def clientOptions(description: str) -> tuple[str, dict[str, str] | None]:
    """
    Take the description of a client endpoint apart.

    @return: as L{serverOptions}.

    @raise ValueError: when this is no such description; its text is what is wrong.
    """
    if bare := _BARE_HOST.match(description):
        right = f"{bare[1]}:host={{}}:port={bare[3]}"
        if bare[1].lower() == "tcp":
            right += f" or [{bare[2]}]:{bare[3]}"
        _checkBare(bare[2], right)
    kind, options = _read(
        description, CLIENTS, IStreamClientEndpointStringParserWithReactor
    )
    if options and "port" in options:
        portNumber(options["port"], 1)
    if options and "endpoint" in options:
        clientOptions(options["endpoint"])
    return kind, options


def describe(kind: str, options: dict[str, str]) -> str:
    """
    @return: the description that has been taken apart, with all names.
    """
    named = (f"{name}={quoteStringArgument(value)}" for name, value in options.items())
    return ":".join([kind, *named])


def _checkBare(address: str, right: str) -> None:
    if isIPv6Address(address):
        right = right.format(quoteStringArgument(address))
        raise ValueError(f"an IPv6 address is written {right}")


def _read(
    description: str, kinds: dict[str, list[str]], parsers: Any
) -> tuple[str, dict[str, str] | None]:
    if bare := _BARE_INTERFACE.search(description):
        _checkBare(bare[2], f"{bare[1]}={{}}")
    try:
        os.fsencode(description)
        tokens = list(endpoints._tokenize(description))
        arguments, options = endpoints._parse(description)
    except UnicodeError as error:
        raise ValueError("it has a character that cannot be used") from error
    except RuntimeError as error:
        raise ValueError("nothing follows the backslash at its end") from error
    kind = arguments.pop(0).lower() if arguments else ""
    if kind not in kinds:
        if kind not in (parser.prefix.lower() for parser in getPlugins(parsers)):
            raise ValueError(f"unknown kind: {kind or repr(kind)}")
        return kind, None
    if tokens.count((endpoints._OP, "=")) > len(options):
        raise ValueError("an option is given twice")
    names = [name for name in kinds[kind] if name != "host" or name not in options]
    for name in options:
        if name not in kinds[kind]:
            raise ValueError(f"unknown option of {kind}: {name or repr(name)}")
    for name, argument in zip(names, arguments):
        if name in options:
            raise ValueError(f"the {name} is given twice")
        options[name] = argument
    if len(arguments) > len(names):
        raise ValueError(f"too many parts: {arguments[len(names)]}")
    for name in kinds[kind]:
        if name in NEEDED and not options.get(name):
            raise ValueError(f"the {name} is missing")
    for name, check in CHECKS.items():
        if name in options:
            check(options[name])
    return kind, options
