"""
Faults, a module for each group.  Each has a function C{rows} that makes them, for
the plain composition and for ours, and gives the rows of the table.
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

    @ivar quick: whether it is only to be seen that everything runs.

    @ivar full: whether the largest counts are tried, too.

    @ivar link: the link with a delay, where it can be had.
    """

    quick: bool = False
    full: bool = False
    link: Link | None = None

    def count(self, number: int) -> int:
        """
        @return: how many to try.
        """
        return max(1, number // 10) if self.quick else number

    @property
    def networks(self) -> list[Loopback]:
        """
        All TCP networks.
        """
        return [LOOPBACK] if self.link is None else [LOOPBACK, self.link]

    @property
    def doors(self) -> list[Loopback]:
        """
        All TCP networks, UNIX sockets, and TLS.
        """
        return [*self.networks, UNIX, TLS]


def tries(count: int, networks: list[Loopback]) -> str:
    """
    @return: that so many are tried on each of these networks.
    """
    return "; ".join(f"{count:,} {network.where}" for network in networks)


def together(
    measure: Callable[[Loopback, str], tuple[str, bool]],
    networks: list[Loopback],
    kind: str,
) -> tuple[str, bool]:
    """
    Make a fault on several networks.

    @param measure: is given the network and the kind of server; says what comes of
        the fault, and whether that is what ours promises.

    @return: what is said, once where it is the same for all, and whether ours keeps
        its promise everywhere.
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

    @param measure: is given the kind; says what comes of the fault, and whether
        that is what ours promises.

    @return: what is said, by kind, and whether ours keeps its promise.
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
    What never happens.
    """
    return False
