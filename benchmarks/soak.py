"""
Run our server among readers of all kinds for a long time::

    python -m benchmarks.soak [--minutes N]

Every second a few readers come who read, stall, talk, leave and reset; every few
seconds the poem is replaced.  In the end descriptors and memory have to be back
where they began, with no reader cut and no traceback.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections import Counter
from dataclasses import replace

from benchmarks.faults import never
from benchmarks.table import say
from sandbox.manners import Manners
from sandbox.subject import BIG, OURS, Subject, running

POEMS = BIG[:2_000_000], BIG[:1:-2][:2_000_000]

# So many of each come every second.
EVERY_SECOND = [
    (5, Manners()),
    (2, Manners(readsPerSecond=1_000_000)),
    (1, Manners(readsPerSecond=0)),
    (2, Manners(says=b"x" * 2**16, readsPerSecond=2_000_000)),
    (1, Manners(saysPerSecond=10**6, readsPerSecond=1_000_000)),
    (2, Manners(halfCloses=True)),
    (2, Manners(leavesAt=0)),
    (2, Manners(leavesAt=500_000, resets=True)),
    (1, Manners(staysFor=6)),
]
ENDS = {"whole", "left"}
TIMEOUT = 5  # seconds, for those who stall
RELOADS = 3  # seconds between two
LINES = 12  # of the table, beside the first and the last


def figures(subject: Subject, seconds: float, readers: int) -> str:
    """
    @return: a line of the table.
    """
    return (
        f"| {seconds:.0f} s | {readers:,} | {subject.descriptors()} | "
        f"{subject.memory() / 1024:.1f} MiB | {len(subject.server.log):,} bytes | "
        f"{subject.processorTime():.1f} s |"
    )


def soak(seconds: float) -> bool:
    """
    Run for so long, and print how it goes.

    @return: whether everything came back to where it began.
    """
    print("| after | readers | descriptors | memory | log | processor time |")
    print("| --- | --- | --- | --- | --- | --- |")
    outcomes: Counter[str] = Counter()
    stalled: Counter[str] = Counter()
    with running(OURS, POEMS[0], f"--timeout {TIMEOUT}") as subject:
        path = subject.sandbox.path / "poem.txt"
        with subject.readers(POEMS[1]) as crowd:
            crowd.add(20)  # so that what is needed once is there
            crowd.run(30)
            idle = subject.descriptors()
            print(figures(subject, 0, 0), flush=True)
            start = time.monotonic()
            rounds, memory = 0, 0
            while time.monotonic() - start < seconds:
                for count, manners in EVERY_SECOND:
                    crowd.add(count, replace(manners))
                crowd.run(1, until=never)
                rounds += 1
                if rounds % RELOADS == 0:
                    poem = POEMS[rounds // RELOADS % 2]
                    subject.sandbox.write("new.txt", poem).replace(path)
                    subject.server.signal(signal.SIGHUP)
                if rounds == max(1, int(seconds / 5)):
                    memory = subject.memory()  # by now, all kinds are there
                if rounds % max(1, int(seconds / LINES)) == 0:
                    after = time.monotonic() - start
                    print(figures(subject, after, len(crowd.readers)), flush=True)
            crowd.run(60)
            for reader in crowd.readers:
                kind = stalled if reader.manners.readsPerSecond == 0 else outcomes
                kind.update(crowd.outcomes([reader]))
        subject.waitFor(lambda: subject.descriptors() <= idle)
        after = time.monotonic() - start
        print(figures(subject, after, len(crowd.readers)))
        print(f"\nstalled: {say(stalled)}; the others: {say(outcomes)}")
        wrong = subject.flaws()
        if subject.descriptors() > idle:
            wrong.append("descriptors are left")
        if subject.memory() > 1.25 * memory:
            wrong.append("memory has grown")
        if set(stalled) != {"reset"} or not set(outcomes) <= ENDS:
            wrong.append("readers were not served")
        if subject.named() > len(crowd.readers):
            wrong.append("more names in the log than readers")
        subject.server.stop()
    print(", ".join(wrong) or "all came back to where it began")
    return not wrong


def main() -> int:
    """
    Run the command.

    @return: its exit status.
    """
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    parser = argparse.ArgumentParser("python -m benchmarks.soak")
    parser.add_argument("--minutes", type=float, default=1)
    return 0 if soak(parser.parse_args().minutes * 60) else 1


if __name__ == "__main__":
    sys.exit(main())
