"""
How readers behave, or misbehave.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Manners:
    """
    How a reader behaves.

    @ivar says: what it sends as soon as it is connected.

    @ivar saysFirst: whether it reads only when all of that is sent.

    @ivar saysPerSecond: how many bytes it sends a second, without end.

    @ivar saysAt: after how many bytes read it sends C{says}, in place of at once.

    @ivar halfCloses: whether it half-closes when it has said what it C{says}: over
        TLS with a close_notify, and nothing else.

    @ivar bareEnd: whether it half-closes below TLS, without a close_notify, then.

    @ivar greetings: how many of its two parts of TLS's handshake it sends before it
        falls silent, or leaves if it C{leavesAt} some point: 0 or 1; L{None} for
        one who sends both.

    @ivar readsPerSecond: how many bytes it reads a second, at the most; 0 for one
        that reads nothing, L{None} for one that reads as it can.

    @ivar leavesAt: after how many bytes read it closes.

    @ivar resets: whether it leaves with a reset.

    @ivar staysFor: how many seconds it keeps the connection after the end.

    @ivar receiveBuffer: the size of the kernel's buffer for it, in bytes, where
        that is not the system's own.
    """

    says: bytes = b""
    saysFirst: bool = False
    saysPerSecond: int = 0
    saysAt: int = 0
    halfCloses: bool = False
    bareEnd: bool = False
    greetings: int | None = None
    readsPerSecond: float | None = None
    leavesAt: int | None = None
    resets: bool = False
    staysFor: float = 0.0
    receiveBuffer: int | None = None


# They read slowly, in bytes a second, so that a part of the poem is with the
# server as long as possible.
PACE = 8_000_000

TALKERS = {
    "says nothing": Manners(readsPerSecond=PACE),
    "sends 1 byte at once": Manners(says=b"x", readsPerSecond=PACE),
    "sends 64 KiB at once": Manners(says=b"x" * 2**16, readsPerSecond=PACE),
    "sends 1 MB/s all the time": Manners(saysPerSecond=10**6, readsPerSecond=PACE),
    "sends in the middle of reading": Manners(
        says=b"x", saysAt=2_000_000, readsPerSecond=PACE
    ),
    "half-closes at once, then reads": Manners(halfCloses=True, readsPerSecond=PACE),
    "sends 64 KiB and half-closes": Manners(
        says=b"x" * 2**16, halfCloses=True, readsPerSecond=PACE
    ),
    "sends 8 MB before it reads": Manners(says=b"x" * 8_000_000, saysFirst=True),
}

# Over TLS, who half-closes sends a close_notify.  Some end the connection below.
TALKERS_BELOW_TLS = {
    "half-closes without close_notify, then reads": Manners(
        halfCloses=True, bareEnd=True, readsPerSecond=PACE
    ),
    "sends 64 KiB and half-closes without close_notify": Manners(
        says=b"x" * 2**16, halfCloses=True, bareEnd=True, readsPerSecond=PACE
    ),
}

LEAVERS = {
    "closes at once": Manners(leavesAt=0),
    "resets at once": Manners(leavesAt=0, resets=True),
    "closes in the middle": Manners(leavesAt=2_000_000),
    "resets in the middle": Manners(leavesAt=2_000_000, resets=True),
    "half-closes at once, then closes": Manners(halfCloses=True, leavesAt=100_000),
    "half-closes at once, then resets": Manners(
        halfCloses=True, leavesAt=100_000, resets=True
    ),
}

# What only those can do who come by TLS.
LEAVERS_IN_HANDSHAKE = {
    "closes before its handshake": Manners(leavesAt=0, greetings=0),
    "resets before its handshake": Manners(leavesAt=0, greetings=0, resets=True),
    "closes in its handshake": Manners(leavesAt=0, greetings=1),
    "resets in its handshake": Manners(leavesAt=0, greetings=1, resets=True),
}
