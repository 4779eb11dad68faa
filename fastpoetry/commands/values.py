"""
Numbers that are typed on a command line.  What is no such number is refused with a
L{ValueError} that says so; whose value it is, the command line adds.
"""

from __future__ import annotations

import math
import re
from ipaddress import IPv4Network, IPv6Network, ip_network

from fastpoetry.description import isWhole


def count(text: str) -> int:
    """
    @return: a number of things, 1 or more.

    @raise ValueError: when the text is something else.
    """
    if not isWhole(text, 1):
        raise ValueError(f"not a whole number above 0: {text}")
    return int(text)


def seconds(text: str) -> float:
    """
    @return: a length of time, in seconds, 0 or more.

    @raise ValueError: when the text is something else.
    """
    number = _number(text)
    if not 0 <= number < math.inf:
        raise ValueError(f"not a number of seconds, 0 or more: {text}")
    return number


def timeout(text: str) -> float:
    """
    @return: a length of time, in seconds, above 0.

    @raise ValueError: when the text is something else.
    """
    number = _number(text)
    if not 0 < number < math.inf:
        raise ValueError(f"not a number of seconds above 0: {text}")
    return number


def network(text: str) -> IPv4Network | IPv6Network:
    """
    @return: a network of addresses; one address is one, too.

    @raise ValueError: when the text is something else.
    """
    try:
        found = ip_network(text)
    except ValueError as error:
        raise ValueError(f"not a network such as 192.0.2.0/24: {text}") from error
    if getattr(found.network_address, "ipv4_mapped", None):
        raise ValueError(f"a network of IPv4 and has to be written so: {text}")
    return found


def rate(text: str) -> tuple[int, float]:
    """
    @return: a number of things, 1 or more, and in how many seconds, above 0.

    @raise ValueError: when the text is something else.
    """
    number, _, per = text.partition("/")
    try:
        return count(number), timeout(per)
    except ValueError:
        raise ValueError(
            f"not a number for so many seconds, as 20/60: {text}"
        ) from None


def _number(text: str) -> float:
    # Python reads other digits, too, and spaces.
    if not re.fullmatch("[-+.0-9Ee]+", text):
        return math.nan
    try:
        return float(text)
    except ValueError:
        return math.nan
