"""
The options that say who may read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from twisted.python import usage

from fastpoetry.commands.values import count, network, rate

_Value = TypeVar("_Value")


def named(option: str, parse: Callable[[str], _Value]) -> Callable[[str], _Value]:
    """
    Have the sentence that refuses a value begin with the option.

    @param option: its name.

    @param parse: one of L{fastpoetry.commands.values}.

    @return: what does the same, but raises L{usage.UsageError}.
    """

    def coerce(text: str) -> _Value:
        try:
            return parse(text)
        except ValueError as error:
            raise usage.UsageError(f"--{option} is {error}") from error

    return coerce


class ReaderOptions(usage.Options):
    """
    Who may read, and by which proxies.
    """

    optParameters = [
        [
            "max-per-address",
            None,
            None,
            "How many readers of a /24 of IPv4, or a /56 of IPv6, are served at once; "
            "others are reset. [default: any number]",
            named("max-per-address", count),
        ],
        [
            "rate",
            None,
            None,
            "How many readers of such a network may come in how many seconds, as "
            "20/60. [default: any number]",
            named("rate", rate),
        ],
    ]

    compData = usage.Completions(
        descriptions={
            "max-per-address": "number of readers",
            "rate": "readers/seconds",
        },
        multiUse=["allow", "deny", "proxy-protocol"],
        optActions={
            "allow": usage.Completer(descr="network"),
            "deny": usage.Completer(descr="network"),
            "proxy-protocol": usage.Completer(descr="network"),
        },
    )

    def __init__(self) -> None:
        super().__init__()
        self._proxies: list[Any] = []
        self._rules: dict[Any, bool] = {}
        self._filters: dict[str, Any] | None = None

    def opt_proxy_protocol(self, net: str) -> None:
        """
        Have proxies, in this network, tell the address of each reader, by the PROXY
        protocol; nobody else is served. May be repeated.
        """
        self._proxies.append(named("proxy-protocol", network)(net))

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
        found = named(option, network)(net)
        if self._rules.setdefault(found, isAllowed) is not isAllowed:
            raise usage.UsageError(f"both --allow and --deny: {net}")

    def filters(self) -> dict[str, Any]:
        """
        @return: what all servers of the process are made with, by name.
        """
        if self._filters is None:
            self._filters = {}
            limits = self["max-per-address"], self["rate"]
            if self._proxies or self._rules or any(limits):
                # Most need none of it.
                from fastpoetry.listening.access import Access

                allow = [net for net, isAllowed in self._rules.items() if isAllowed]
                deny = [net for net in self._rules if net not in allow]
                access = Access(allow, deny, *limits)
                self._filters = {"access": access, "proxies": self._proxies}
        return self._filters
