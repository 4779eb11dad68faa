"""
The options that say who may read.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from twisted.python import usage

from fastpoetry.commands.values import asUsageError, network, positiveInteger, rate

if TYPE_CHECKING:
    from fastpoetry.listening.access import Access


class ReaderOptions(usage.Options):
    """
    Who may read, and through which proxies.
    """

    optParameters: list[list[Any]] = [
        [
            "max-per-address",
            None,
            None,
            "How many readers of a /24 of IPv4, or a /56 of IPv6, are served at once; "
            "others are reset. [default: any number]",
            asUsageError("max-per-address", positiveInteger),
        ],
        [
            "rate",
            None,
            None,
            "How many readers of a /24 of IPv4, or a /56 of IPv6, may connect in how "
            "many seconds, such as 20/60. [default: any number]",
            asUsageError("rate", rate),
        ],
    ]

    compData = usage.Completions(
        multiUse=["allow", "deny", "proxy-protocol"],
        optActions={
            "max-per-address": usage.Completer(descr="number of readers"),
            "rate": usage.Completer(descr="readers/seconds"),
            "allow": usage.Completer(descr="network"),
            "deny": usage.Completer(descr="network"),
            "proxy-protocol": usage.Completer(descr="network"),
        },
    )

    def __init__(self) -> None:
        super().__init__()
        self["proxy-protocol"] = []
        self._rules: dict[Any, bool] = {}

    def opt_proxy_protocol(self, net: str) -> None:
        """
        Serve only proxies in this network, which tell the address of each reader by
        the PROXY protocol. May be repeated.
        """
        self["proxy-protocol"].append(asUsageError("proxy-protocol", network)(net))

    def opt_allow(self, net: str) -> None:
        """
        Let only this network read. May be repeated.
        """
        self._addRule("allow", net, True)

    def opt_deny(self, net: str) -> None:
        """
        Do not let this network read; of several networks the smallest counts. May be
        repeated.
        """
        self._addRule("deny", net, False)

    def _addRule(self, option: str, net: str, isAllowed: bool) -> None:
        found = asUsageError(option, network)(net)
        if self._rules.setdefault(found, isAllowed) is not isAllowed:
            raise usage.UsageError(f"both --allow and --deny: {net}")

    @cached_property
    def access(self) -> Access | None:
        """
        Who may read from the servers of this process.  They share it, since they count
        readers together.  Without any of these options it is C{None}.
        """
        limits = self["max-per-address"], self["rate"]
        if not (self["proxy-protocol"] or self._rules or any(limits)):
            return None
        # Loaded only for those who ask for it.
        from fastpoetry.listening.access import Access

        allow = [net for net, isAllowed in self._rules.items() if isAllowed]
        deny = [net for net, isAllowed in self._rules.items() if not isAllowed]
        return Access(allow, deny, *limits)
