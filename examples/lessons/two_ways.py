"""
One client written twice: with callbacks, and as one generator.  It fetches a poem, and
has it transformed; if that fails, it keeps the poem as it is.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet.defer import Deferred, fail, inlineCallbacks, succeed
from twisted.python.failure import Failure


def fetch(server: int) -> Deferred[str]:
    """
    Pretend to fetch a poem.  Nobody listens at the second server.
    """
    if server == 2:
        return fail(ConnectionError("nobody listens"))
    return succeed(f"POEM {server}")


def transform(poem: str) -> Deferred[str]:
    """
    Pretend to have a poem transformed.  The third is refused.
    """
    return fail(ValueError("refused")) if "3" in poem else succeed(poem.lower())


def withCallbacks(server: int) -> Deferred[str]:
    """
    Three functions.  What two of them need is an argument, or in a closure.
    """

    def fetched(poem: str) -> Deferred[str]:
        def keep(failure: Failure) -> str:
            failure.trap(ValueError)
            print("  not transformed:", failure.value)
            return poem

        return transform(poem).addErrback(keep)

    def failed(failure: Failure) -> Failure:
        print("  not fetched:", failure.value)
        return failure

    return fetch(server).addCallbacks(fetched, failed)


@inlineCallbacks
def inOneGenerator(server: int) -> Generator[Any, Any, str]:
    """
    The same from top to bottom, with C{try} and C{except}.
    """
    try:
        poem: str = yield fetch(server)
    except ConnectionError as error:
        print("  not fetched:", error)
        raise
    try:
        poem = yield transform(poem)
    except ValueError as error:
        print("  not transformed:", error)
    return poem


def main() -> None:
    """
    Run both with three servers.
    """
    for client in (withCallbacks, inOneGenerator):
        print(client.__name__)
        for server in (1, 2, 3):
            shown = client(server).addCallback(print, "from server", server)
            shown.addErrback(lambda failure: print("failed:", failure.value))


if __name__ == "__main__":
    main()
