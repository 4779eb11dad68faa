"""
Endpoint descriptions as they are typed.  They are checked before Twisted parses them,
since its parsers report a mistake in the words of Python.
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

# How many bytes the path of a UNIX socket may have besides the NUL that ends it, by
# unix(7).
MAX_PATH = 107

_CONNECT = ["host", "port", "timeout", "bindAddress"]

# The options of each kind of endpoint, in the order in which they can be given without
# their names.
SERVERS = {
    "tcp": ["port", "interface", "backlog"],
    "tcp6": ["port", "backlog", "interface"],
    "unix": ["address", "mode", "backlog", "lockfile"],
    "ssl": [
        "port",
        "privateKey",
        "certKey",
        "interface",
        "backlog",
        "extraCertChain",
        "dhParameters",
    ],
    "systemd": ["domain", "index", "name"],
}
CLIENTS = {
    "tcp": _CONNECT,
    "ssl": [*_CONNECT, "certKey", "privateKey", "caCertsDir", "hostname"],
    "tls": [*_CONNECT, "certificate", "privateKey", "trustRoots", "endpoint"],
    "unix": ["path", "timeout", "lockfile"],
}

# The options that must be given.
NEEDED = {"host", "port", "address", "path"}

# Addresses of IPv6 whose colons are not escaped.  Twisted would take each colon for the
# end of an option.
_IPV6 = r"([0-9A-Fa-f:.]+(?:%\w+)?)"
_BARE_INTERFACE = re.compile(rf":(interface|bindAddress)={_IPV6}(?=:|$)")
_BARE_HOST = re.compile(rf"(\w+):(?:host=)?{_IPV6}:(?:port=)?(\d+)(?=:|$)")


def isWholeNumber(text: str, least: int, most: int | None = None) -> bool:
    """
    @return: whether a text is a whole number in ASCII digits, from C{least} to C{most}.
    """
    # int() refuses thousands of digits.
    isShort = text.isascii() and text.isdigit() and len(text) < 100
    return isShort and least <= int(text) and (most is None or int(text) <= most)


def portNumber(text: str, least: int = 0) -> int:
    """
    @param least: the lowest number that is allowed.

    @return: the number of a TCP port.

    @raise ValueError: when the text is something else.
    """
    if not isWholeNumber(text, least, 65535):
        raise ValueError(f"not a port number from {least} to 65535: {text}")
    return int(text)


def checkHost(text: str, encoding: str = "utf-8") -> None:
    """
    Check the name or the address of a host.

    @param encoding: how the resolver encodes a name.  For that of an interface it is
        C{idna}.

    @raise ValueError: when the text can be neither.
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
    # An abstract socket, whose name begins with a NUL byte, has no file.  Elsewhere the
    # kernel would see the end of the path there.
    if "\0" in text[1:]:
        raise ValueError(f"not the path of a UNIX socket: {text}")
    if len(os.fsencode(text)) > MAX_PATH:
        raise ValueError(f"the path of a socket has {MAX_PATH} bytes at most")


def _checkWholeNumber(what: str, least: int, most: int) -> Callable[[str], None]:
    def check(text: str) -> None:
        if not isWholeNumber(text, least, most):
            raise ValueError(f"not {what}: {text}")

    return check


def _checkMode(text: str) -> None:
    if not re.fullmatch("0?[0-7]{1,4}", text):
        raise ValueError(f"not a mode in octal digits: {text}")


CHECKS: dict[str, Callable[[str], Any]] = {
    "address": _checkPath,
    "backlog": _checkWholeNumber("a number for the backlog", 0, 2**31 - 1),
    "bindAddress": _checkInterface,
    "host": checkHost,
    "interface": _checkInterface,
    "lockfile": _checkWholeNumber("0 or 1 for the lockfile", 0, 1),
    "mode": _checkMode,
    "path": _checkPath,
    "timeout": _checkWholeNumber("a whole number of seconds above 0", 1, 10**9),
}


def serverOptions(description: str) -> tuple[str, dict[str, str] | None]:
    """
    Parse the description of a server endpoint.

    @return: its kind, in lower case, and its options by their names.  For the kind of a
        plugin they are C{None}, since only the plugin knows them.

    @raise ValueError: when the description is wrong; its text says why.
    """
    if bare := _BARE_HOST.match(description):
        _checkBare(bare[2], f"{bare[1]}:{bare[3]}:interface={{}}")
    kind, options = _read(description, SERVERS, IStreamServerEndpointStringParser)
    if options and "port" in options:
        portNumber(options["port"])
    return kind, options


def clientOptions(description: str) -> tuple[str, dict[str, str] | None]:
    """
    Parse the description of a client endpoint.

    @return: as L{serverOptions}.

    @raise ValueError: when the description is wrong; its text says why.
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
    @return: the description of an endpoint of this kind, with the names of all options.
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
    # Parse a description as Twisted does, and check every option.
    if bare := _BARE_INTERFACE.search(description):
        _checkBare(bare[2], f"{bare[1]}={{}}")
    try:
        os.fsencode(description)
        # These are private: DescriptionTests.test_right tests them.
        tokens = list(endpoints._tokenize(description))
        arguments, options = endpoints._parse(description)
    except UnicodeError as error:
        raise ValueError("it has a character that cannot be used") from error
    except RuntimeError as error:
        raise ValueError("nothing follows the backslash at its end") from error
    kind = arguments.pop(0).lower() if arguments else ""
    if kind not in kinds:
        if kind not in (parser.prefix.lower() for parser in getPlugins(parsers)):
            isPort = isWholeNumber(description, 0)
            hint = f", a port is written tcp:{kind}" if isPort else ""
            raise ValueError(f"unknown kind: {kind or repr(kind)}{hint}")
        return kind, None
    if tokens.count((endpoints._OP, "=")) > len(options):
        raise ValueError("an option is given twice")
    for name in options:
        if name not in kinds[kind]:
            raise ValueError(f"unknown option of {kind}: {name or repr(name)}")
    _addArguments(options, arguments, kinds[kind])
    for name in kinds[kind]:
        if name in NEEDED and not options.get(name):
            raise ValueError(f"the {name} is missing")
    for name, check in CHECKS.items():
        if name in options:
            check(options[name])
    return kind, options


def _addArguments(
    options: dict[str, str], arguments: list[str], names: list[str]
) -> None:
    # Those without a name.  As in Twisted, a host that has one is not among them.
    names = [name for name in names if name != "host" or name not in options]
    for name, argument in zip(names, arguments):
        if name in options:
            raise ValueError(f"the {name} is given twice")
        options[name] = argument
    if len(arguments) > len(names):
        raise ValueError(f"too many parts: {arguments[len(names)]}")
