"""
The options that say who may read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.python import usage

from fastpoetry.commands.values import count, network, rate

_Value = TypeVar("_Value")


def _parsed(option: str, parse: Callable[[str], _Value], text: str) -> _Value:
    try:
        return parse(text)
    except ValueError as error:
        raise usage.UsageError(f"--{option} is {error}") from error


class ReaderOptions(usage.Options):
    """
    Who may read, and by which proxies.
    """

    compData = usage.Completions(
        multiUse=["allow", "deny", "proxy-protocol"],
        optActions={
            "allow": usage.Completer(descr="network"),
            "deny": usage.Completer(descr="network"),
            "proxy-protocol": usage.Completer(descr="network"),
            "max-per-address": usage.Completer(descr="number of readers"),
            "rate": usage.Completer(descr="readers/seconds"),
        },
    )

    def __init__(self) -> None:
        super().__init__()
        self._proxies: list[Any] = []
        self._rules: dict[Any, bool] = {}
        self._limits: dict[str, Any] = {}
        self._filters: dict[str, Any] | None = None

    def opt_proxy_protocol(self, net: str) -> None:
        """
        Have proxies, in this network, tell the address of each reader, by the PROXY
        protocol; nobody else is served. May be repeated.
        """
        self._proxies.append(_parsed("proxy-protocol", network, net))

    def opt_allow(self, net: str) -> None:
        """
        Let this network read, and nobody else. May be repeated.
        """
        self._addRule("allow", net, True)

    def opt_deny(self, net: str) -> None:
        """
        Do not let this network read; of several the smallest counts. May be repeated.
        """
        self._addRule("deny", net, False)

    def _addRule(self, option: str, net: str, isAllowed: bool) -> None:
        found = _parsed(option, network, net)
        if self._rules.setdefault(found, isAllowed) is not isAllowed:
            raise usage.UsageError(f"both --allow and --deny: {net}")

    def opt_max_per_address(self, number: str) -> None:
        """
        How many readers of a /24 of IPv4, or a /56 of IPv6, are served at once; others
        are reset. [default: any number]
        """
        self._limits["maxPerAddress"] = _parsed("max-per-address", count, number)

    def opt_rate(self, number: str) -> None:
        """
        How many readers of such a network may come in how many seconds, as 20/60.
        [default: any number]
        """
        self._limits["rate"] = _parsed("rate", rate, number)

    def filters(self) -> dict[str, Any]:
        """
        @return: what all servers of the process are made with, by name.
        """
        if self._filters is None:
            self._filters = {}
            if self._proxies or self._rules or self._limits:
                # Most need none of it.
                from fastpoetry.listening.access import Access

                allow = [net for net, isAllowed in self._rules.items() if isAllowed]
                deny = [net for net in self._rules if net not in allow]
                access = Access(allow, deny, **self._limits)
                self._filters = {"access": access, "proxies": self._proxies}
        return self._filters
