"""
When a C{DeferredList} fires, and with what.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.python.failure import Failure


def readable(result: Any) -> Any:
    """
    @return: a result with the text of each failure in the place of the failure.
    """
    if isinstance(result, (list, tuple)):
        return type(result)(readable(part) for part in result)
    return result.getErrorMessage() if isinstance(result, Failure) else result


def expect(title: str, *deferreds: Deferred[Any]) -> None:
    """
    Print the results when all have fired.
    """
    fired: Deferred[Any] = DeferredList(deferreds, consumeErrors=True)
    fired.addCallback(lambda results: print(f"{title}: {readable(results)}"))


def main() -> None:
    """
    Make lists, and fire what is in them.
    """
    expect("an empty list fires at once")

    only, first, last, bad, good, outer = (Deferred[str]() for _ in range(6))
    expect("one", only)
    print("not yet")
    only.callback("poem")

    expect("two, in the order of the list", first, last)
    last.callback("fired first")
    print("not yet")
    first.callback("fired last")

    expect("with a failure", bad, good)
    bad.errback(ConnectionError("refused"))
    print("not yet")
    good.callback("poem")

    inner: Deferred[Any] = DeferredList([succeed("a"), succeed("b")])
    expect("a list in a list", inner, outer)
    print("not yet")
    outer.callback("c")


if __name__ == "__main__":
    main()
