"""
A generator as a sequence: a C{for} runs it, or C{next}, which is the same by hand.
"""

from __future__ import annotations

from collections.abc import Iterator


def lines() -> Iterator[str]:
    """
    Recite two lines.
    """
    print("  clears the throat")
    yield "first line"
    print("  takes a breath")
    yield "second line"
    print("  bows")


def main() -> None:
    """
    Run two generators to the end.
    """
    print("a for takes what is yielded")
    for line in lines():
        print(line)

    print("by hand")
    generator = lines()
    while True:
        try:
            line = next(generator)
        except StopIteration:
            print("StopIteration: it has returned")
            break
        print(line)


if __name__ == "__main__":
    main()
