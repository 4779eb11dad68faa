"""
How many callbacks there are in a generator, and in how many orders those of three
generators can run.
"""

from __future__ import annotations

from collections.abc import Generator
from itertools import permutations

from twisted.internet.defer import Deferred, inlineCallbacks


@inlineCallbacks
def client(
    name: str, fetched: Deferred[None], transformed: Deferred[None], pieces: list[str]
) -> Generator[Deferred[None], None, None]:
    """
    Wait twice, as client 7.0 does, and note each piece that runs.
    """
    pieces.append(name)
    yield fetched
    pieces.append(name)
    yield transformed
    pieces.append(name)


def run(order: tuple[str, ...]) -> str:
    """
    Start the clients A, B and C, and fire their Deferreds in this order.

    @return: the names of the clients, in the order in which pieces of them ran.
    """
    pieces: list[str] = []
    waiting: dict[str, list[Deferred[None]]] = {}
    for name in "ABC":
        fetched, transformed = Deferred[None](), Deferred[None]()
        client(name, fetched, transformed, pieces)
        waiting[name] = [fetched, transformed]
    for name in order:
        waiting[name].pop(0).callback(None)
    return "".join(pieces)


def main() -> None:
    """
    Try all orders.
    """
    possible = {run(order) for order in permutations("AABBCC")}
    print("one of them:", min(possible))
    print("pieces of each client:", min(possible).count("A"))
    print("orders, if any piece could be next:", len(set(permutations("AAABBBCCC"))))
    print("orders that there are:", len(possible))
    print("how they begin:", {pieces[:3] for pieces in possible})


if __name__ == "__main__":
    main()
