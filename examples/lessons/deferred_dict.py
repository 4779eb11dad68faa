"""
A C{DeferredDict} waits like a C{DeferredList}, for results that have names.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from fastpoetry.defer import DeferredDict


def expect(title: str, deferreds: dict[str, Deferred[Any]], **options: bool) -> None:
    """
    Print the result when it is there.
    """

    def report(result: Any) -> None:
        if isinstance(result, Failure):
            error: Any = result.value
            why = error.subFailure.getErrorMessage()
            print(f"{title}: {error.key} failed: {why}")
        elif isinstance(result, dict):
            print(f"{title}:", {key: isWell for key, (isWell, _) in result.items()})
        else:
            print(f"{title}: {result}")

    DeferredDict(deferreds, consumeErrors=True, **options).addBoth(report)


def main() -> None:
    """
    Wait for an empty dict, and for two poets in three ways.
    """
    expect("an empty dict fires at once", {})
    empty = DeferredDict({}, fireOnOneCallback=True)
    print("does it with fireOnOneCallback?", empty.called)

    for title, options in (
        ("all", {}),
        ("the first answer", {"fireOnOneCallback": True}),
        ("all or nothing", {"fireOnOneErrback": True}),
    ):
        poets: dict[str, Deferred[Any]] = {"Donne": Deferred(), "Poe": Deferred()}
        expect(title, poets, **options)
        poets["Poe"].errback(ConnectionError("refused"))
        print("Poe has failed")
        poets["Donne"].callback("Where, like a pillow on a bed")


if __name__ == "__main__":
    main()
