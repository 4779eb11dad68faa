"""
How readers behave, or misbehave.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Manners:
    """
    How a reader behaves.

    @ivar says: what it sends, as soon as it is connected.

    @ivar saysFirst: whether it begins to read only after it has sent all of that.

    @ivar saysPerSecond: how many bytes it sends a second, without end.

    @ivar saysAt: how many bytes it reads before it sends C{says}.

    @ivar halfCloses: whether it half-closes after it has sent C{says}.  Over TLS it
        does so with a close_notify, and leaves TCP open.

    @ivar bareEnd: whether it half-closes TCP instead, without a close_notify.

    @ivar greetings: how many of its two messages of the TLS handshake it sends (0 or
        1) before it falls silent, or leaves if it C{leavesAt} some point; C{None} for
        both, and no silence.

    @ivar readsPerSecond: how many bytes a second it reads at most; 0 to read nothing,
        C{None} to read as fast as it can.

    @ivar leavesAt: how many bytes it reads before it closes; C{None} to stay.

    @ivar resets: whether it leaves with a reset.

    @ivar staysFor: how many seconds it keeps the connection after the end.

    @ivar receiveBuffer: its C{SO_RCVBUF}, in bytes; C{None} for the system's default.
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


# Talkers read slowly, so that the server still holds a part of the poem when they talk.
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

# Readers over TLS that half-close TCP, without a close_notify.
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

# What only a reader over TLS can do.
LEAVERS_IN_HANDSHAKE = {
    "closes before its handshake": Manners(leavesAt=0, greetings=0),
    "resets before its handshake": Manners(leavesAt=0, greetings=0, resets=True),
    "closes in its handshake": Manners(leavesAt=0, greetings=1),
    "resets in its handshake": Manners(leavesAt=0, greetings=1, resets=True),
}
