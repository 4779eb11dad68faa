"""
Errors, addresses and what a peer has written, in words that can be printed.
"""

from __future__ import annotations

import errno
import os
import re
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.error import CannotListenError, ConnectError, ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

# C0, DEL and C1; other ends of lines; characters that change the direction of a text.
CONTROL = "[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]"
_CONTROL = re.compile(CONTROL)

# Surrogates that stand for no byte.
_LONE = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def explain(error: BaseException | None) -> str:
    """
    Describe an error in a few words.

    @param error: an error of Python, Twisted or OpenSSL.

    @return: the words, without a full stop.
    """
    assert error is not None  # the annotations of Failure allow it
    if isinstance(error, ConnectError) and isinstance(error.osError, int):
        if error.osError < 0 and error.args:  # an error of getaddrinfo, in its words
            return str(error.args[0])
        return os.strerror(error.osError)
    if isQueueFull(error):
        return os.strerror(errno.EAGAIN)
    if error.args and isinstance(error.args[0], Failure):
        return explain(error.args[0].value)
    if isinstance(error, CannotListenError):
        cause = error.socketError  # an OSError or a sentence
        return getattr(cause, "strerror", None) or str(cause)
    if isinstance(error, OSError) and error.strerror:
        # An error of a FilesystemLock has two file names.  Neither helps the operator.
        isNamed = error.filename is not None and error.filename2 is None
        return f"{error.strerror}: {error.filename}" if isNamed else error.strerror
    if error.args and isinstance(error.args[0], list):
        # OpenSSL has a list of errors, each with its library, function and reason;
        # service_identity has one of the names that the certificate does not have.
        if not all(isinstance(each, tuple) for each in error.args[0]):
            return "the certificate is for another name"
        return ", ".join(": ".join(filter(None, each)) for each in error.args[0])
    if error.__context__ is not None and not str(error):
        return explain(error.__context__)
    return str(error).rstrip(".") or type(error).__name__


def isQueueFull(error: BaseException) -> bool:
    """
    @return: whether this is Twisted's error for a UNIX socket whose queue is full.  It
        takes C{EAGAIN} for a connection that is under way, and C{epoll} then says that
        there is none.
    """
    reason = error.args[0] if isinstance(error, ConnectError) else None
    return isinstance(reason, Failure) and bool(reason.check(ConnectionDone))


def showControl(match: re.Match[str]) -> str:
    """
    @return: a control character that a pattern has found as C{^[} or C{\\u009b}.
    """
    code = ord(match[0])
    return f"^{chr(code ^ 64)}" if code < 128 else f"\\u{code:04x}"


def printable(text: str) -> str:
    """
    Make a text of a peer's, or one that was typed, printable in one line.

    @return: the text with control characters and ends of lines as C{^[} or C{\\u009b},
        and what is not UTF-8 as C{\\xe9} or C{\\ud800}.  (Python has surrogates for it,
        which no log can write.)
    """
    encoded = _LONE.sub(showControl, text).encode("utf-8", "surrogateescape")
    return _CONTROL.sub(showControl, encoded.decode("utf-8", "backslashreplace"))


def brief(text: str, maxLength: int = 500) -> str:
    """
    @param maxLength: how many characters it may have.

    @return: the text made L{printable}; of a longer one the beginning and the end.
    """
    text = printable(text)
    half = (maxLength - len(" ... ")) // 2
    return text if len(text) <= maxLength else f"{text[:half]} ... {text[-half:]}"


def peerName(address: IAddress | None) -> str:
    """
    Name the address of a peer, or of a server, for the log.

    @return: C{HOST:PORT}, with brackets around an IPv6 host, or the path of a UNIX
        socket.
    """
    host = getattr(address, "host", None)
    if host is not None:
        port = address.port  # type: ignore[union-attr]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(address, UNIXAddress):
        name = os.fsdecode(address.name or b"")
        return printable(name) or "a reader of this machine"
    return str(address)


def hostPort(address: Any) -> tuple[str, int] | None:
    """
    @return: the host and port of an address, to be compared; C{None} for a UNIX
        socket, whose address has nothing to compare.
    """
    host = getattr(address, "host", None)
    # A port of both families writes an address of IPv4 in another way.
    return host and (host.removeprefix("::ffff:"), address.port)
