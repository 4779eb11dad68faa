"""
What a server does under faults.  There is a module for each group of faults.  Its
function C{rows} makes them, at the plain composition and at ours, and yields the rows
of the table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from unittest import SkipTest

from sandbox import findCommand
from sandbox.link import Link
from sandbox.network import LOOPBACK, TLS, UNIX, Loopback
from sandbox.subject import BIG, KINDS, OURS

HUGE = BIG + BIG


@dataclass
class Scale:
    """
    How much is tried.

    @ivar isQuick: whether a tenth is enough.

    @ivar isFull: whether the largest counts are tried, too.

    @ivar link: the link with a delay, if it could be made.
    """

    isQuick: bool = False
    isFull: bool = False
    link: Link | None = None

    def count(self, number: int) -> int:
        """
        @return: this many, or a tenth.
        """
        return max(1, number // 10) if self.isQuick else number

    @property
    def networks(self) -> list[Loopback]:
        """
        All TCP networks.
        """
        return [LOOPBACK] if self.link is None else [LOOPBACK, self.link]

    @property
    def allNetworks(self) -> list[Loopback]:
        """
        All TCP networks, UNIX sockets, and TLS.
        """
        return [*self.networks, UNIX, TLS]


def tries(count: int, networks: list[Loopback]) -> str:
    """
    @return: the words for this many tries on each of these networks.
    """
    return "; ".join(f"{count:,} {network.where}" for network in networks)


def together(
    measure: Callable[[Loopback, str], tuple[str, bool]],
    networks: list[Loopback],
    kind: str,
) -> tuple[str, bool]:
    """
    Make a fault on several networks.

    @param measure: makes the fault on a network at a kind of server; returns what
        comes of it in words, and whether that is what ours promises.

    @param kind: of the server, see L{running}.

    @return: the words, once if they are the same for all networks, and whether the
        promise is kept on each.
    """
    kept = True
    where: dict[str, list[str]] = {}
    for network in networks:
        said, isKept = measure(network, kind)
        where.setdefault(said, []).append(network.name)
        kept = kept and isKept
    if len(where) == 1:
        return next(iter(where)), kept
    named = (f"{_list(names)}: {said}" for said, names in where.items())
    return "; ".join(named), kept


def _list(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def compare(measure: Callable[[str], tuple[str, bool]]) -> tuple[dict[str, str], bool]:
    """
    Make a fault for each kind of server.

    @param measure: makes the fault at a kind of server; returns what comes of it in
        words, and whether that is what ours promises.

    @return: the words, by kind, and whether ours keeps its promise.
    """
    results = {kind: measure(kind) for kind in KINDS}
    return {kind: said for kind, (said, _) in results.items()}, results[OURS][1]


def isMissing(command: str) -> bool:
    """
    @return: whether a command is not installed.
    """
    try:
        findCommand(command)
    except (SkipTest, AssertionError):
        return True
    return False


def never() -> bool:
    """
    The condition of a wait that only its time ends.
    """
    return False
