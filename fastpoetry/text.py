"""
Errors and addresses in a few words, for people.
"""

from __future__ import annotations

import os
import re

from twisted.internet.address import UNIXAddress
from twisted.internet.error import CannotListenError, ConnectError
from twisted.internet.interfaces import IAddress


def explain(error: BaseException | None) -> str:
    """
    Say in a few words what is the matter.

    @param error: an error of Python's, Twisted's or OpenSSL's.

    @return: the words, without a full stop.
    """
    assert error is not None  # which the annotations of Failure allow
    if isinstance(error, ConnectError) and isinstance(error.osError, int):
        if error.osError < 0 and error.args:  # the words of getaddrinfo
            return str(error.args[0])
        return os.strerror(error.osError)
    if isinstance(error, CannotListenError):
        cause = error.socketError  # or a sentence
        return getattr(cause, "strerror", None) or str(cause)
    if isinstance(error, OSError) and error.strerror:
        # Twisted's lock is a link, which has two names and is nobody's concern.
        isNamed = error.filename is not None and error.filename2 is None
        return f"{error.strerror}: {error.filename}" if isNamed else error.strerror
    if error.args and isinstance(error.args[0], list):
        # OpenSSL's, each with its library, function and reason.
        return ", ".join(": ".join(filter(None, each)) for each in error.args[0])
    if error.__context__ is not None and not str(error):
        return explain(error.__context__)
    # Python begins with the function that was called with what somebody has typed.
    text = re.sub(r"^\S+\(\):? (got an )?", "", str(error))
    return text.rstrip(".") or type(error).__name__


def printable(text: str) -> str:
    """
    Make something printable that may have the name of a file in it.

    @param text: what Python made of bytes that need not be UTF-8 (surrogates, which
        no log can write).

    @return: the same with such bytes as C{\\xe9}.
    """
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def peerName(address: IAddress | None) -> str:
    """
    Name a peer for the log.

    @return: C{HOST:PORT}, with brackets around an IPv6 host, or for something
        else than TCP, what its address calls itself.
    """
    host = getattr(address, "host", None)
    if host is not None:
        port = address.port  # type: ignore[union-attr]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(address, UNIXAddress) and not address.name:
        return "a reader of this machine"
    return str(address)
