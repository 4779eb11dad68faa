"""
A link with a delay: C{python -m sandbox.delay FD FD SECONDS} passes packets
between two TUN devices, each after this many seconds, until standard input ends.
"""

from __future__ import annotations

import os
import select
import sys
import time
from collections import deque

BATCH = 64  # packets of one device before the other has a turn
HELD = 20_000  # packets under way; any more are lost


def main(first: int, second: int, seconds: float) -> None:
    """
    Pass packets until standard input ends.

    @param first, second: the descriptors of the devices.

    @param seconds: how long each packet takes.
    """
    other = {first: second, second: first}
    held: deque[tuple[float, int, bytes]] = deque()
    poll = select.poll()
    poll.register(0, select.POLLIN)
    for device in other:
        os.set_blocking(device, False)
        poll.register(device, select.POLLIN)
    while True:
        wait = None
        if held:
            wait = max(0.0, held[0][0] - time.monotonic()) * 1000
        for ready, _ in poll.poll(wait):
            if ready not in other:
                return
            due = time.monotonic() + seconds
            try:
                for _ in range(BATCH):
                    packet = os.read(ready, 2048)
                    if len(held) < HELD:
                        held.append((due, other[ready], packet))
            except BlockingIOError:
                continue
        now = time.monotonic()
        while held and held[0][0] <= now:
            _, device, packet = held.popleft()
            try:
                os.write(device, packet)
            except OSError:
                continue  # lost: the device has no room, or is down


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
