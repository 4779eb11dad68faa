"""
Values that are typed on a command line, for C{twistd} and for C{get-poetry}.

There is a function for each kind of value.  It raises a C{ValueError} that says what is
wrong with the text.  L{asUsageError} and L{asArgumentError} make of that error what the
parser shows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TypeVar

from twisted.python import usage

from fastpoetry.description import isWholeNumber

_Value = TypeVar("_Value")


def positiveInteger(text: str) -> int:
    """
    @return: a whole number, 1 or more.

    @raise ValueError: when the text is something else.
    """
    if not isWholeNumber(text, 1):
        raise ValueError(f"not a whole number above 0: {text}")
    return int(text)


def seconds(text: str) -> float:
    """
    @return: a length of time in seconds, 0 or more.

    @raise ValueError: when the text is something else.
    """
    number = _number(text)
    if not 0 <= number < math.inf:
        raise ValueError(f"not a number of seconds, 0 or more: {text}")
    return number


def positiveSeconds(text: str) -> float:
    """
    @return: a length of time in seconds, above 0.

    @raise ValueError: when the text is something else.
    """
    number = _number(text)
    if not 0 < number < math.inf:
        raise ValueError(f"not a number of seconds above 0: {text}")
    return number


def _number(text: str) -> float:
    # float() also takes spaces, underscores and the digits of other scripts.
    if not re.fullmatch("[-+.0-9Ee]+", text):
        return math.nan
    try:
        return float(text)
    except ValueError:
        return math.nan


def rate(text: str) -> tuple[int, float]:
    """
    @param text: C{NUMBER/SECONDS}, such as C{20/60}.

    @return: the number, 1 or more, and the seconds, above 0.

    @raise ValueError: when the text is something else.
    """
    number, _, per = text.partition("/")
    try:
        return positiveInteger(number), positiveSeconds(per)
    except ValueError:
        raise ValueError(
            f"not a number of readers and of seconds, such as 20/60: {text}"
        ) from None


def network(text: str) -> IPv4Network | IPv6Network:
    """
    @param text: a network such as C{192.0.2.0/24}, or a single address.

    @return: the network.

    @raise ValueError: when the text is something else.
    """
    try:
        found = ip_network(text, strict=False)
    except ValueError as error:
        raise ValueError(f"not a network such as 192.0.2.0/24: {text}") from error
    first = text.partition("/")[0]
    if ip_address(first) != found.network_address:
        raise ValueError(f"not a network: {text} (write {found} or {first})")
    if getattr(found.network_address, "ipv4_mapped", None):
        raise ValueError(f"a network of IPv4 and has to be written so: {text}")
    return found


def interface(text: str) -> str:
    """
    @return: the address of a network interface.  Whether it is one is found out when a
        port is opened there.

    @raise ValueError: when the text is empty, which would mean every interface.
    """
    if not text:
        raise ValueError("no address: ''")
    return text


def transformName(text: str) -> str:
    """
    @return: the name of a transform: printable, and without a dot, which ends it on the
        wire.

    @raise ValueError: when the text is something else.
    """
    # Bytes that are not UTF-8 come as surrogates, which are not printable.
    if not text or not text.isprintable() or "." in text:
        raise ValueError(f"not the name of a transform: {text!a}")
    return text


def asUsageError(
    option: str, parse: Callable[[str], _Value]
) -> Callable[[str], _Value]:
    """
    Make a function for L{usage.Options}.

    @param option: the name of the option, with which the error begins.

    @param parse: a function that raises C{ValueError}, such as those of this module.

    @return: one that does the same, but raises L{usage.UsageError}.
    """

    def coerce(text: str) -> _Value:
        try:
            return parse(text)
        except ValueError as error:
            raise usage.UsageError(f"--{option} is {error}") from error

    return coerce


def asArgumentError(parse: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """
    Make a function for the C{type} of an argument of C{argparse}.

    @param parse: a function of this module.

    @return: one that does the same, but raises C{argparse.ArgumentTypeError}, the only
        exception whose message C{argparse} shows.
    """
    # A daemon does not need it.
    from argparse import ArgumentTypeError

    def coerce(text: str) -> _Value:
        try:
            return parse(text)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from error

    return coerce
