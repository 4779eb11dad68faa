"""
A generator is a function that can be stopped in the middle and started again.
"""

from __future__ import annotations

from collections.abc import Generator


def reciter(name: str) -> Generator[str, str, str]:
    """
    Recite two lines, listen after each, and say how it went.
    """
    print(f"  {name} begins")
    heard = yield "first line"
    print(f"  {name} hears {heard!r}")
    try:
        heard = yield "second line"
        print(f"  {name} hears {heard!r}")
    except ValueError as error:
        print(f"  {name} is told: {error}")
    return f"{name} is done"


def finish(generator: Generator[str, str, str], word: str | Exception) -> None:
    """
    Send or throw something into a generator that will end by it.
    """
    try:
        if isinstance(word, Exception):
            generator.throw(word)
        else:
            generator.send(word)
    except StopIteration as end:
        print("returned:", end.value)


def main() -> None:
    """
    Run two generators, now one, now the other.
    """
    print("a call runs nothing")
    ann, bob = reciter("Ann"), reciter("Bob")
    print("next runs to the first yield")
    print("yielded:", next(ann))
    print("yielded:", next(bob))
    print("send gives the yield its value")
    print("yielded:", ann.send("bravo"))
    print("yielded:", bob.send("louder"))
    finish(ann, "encore")
    print("throw raises at the yield")
    finish(bob, ValueError("time is up"))


if __name__ == "__main__":
    main()
