"""
The states of a delivery::

    WAITING --deliver()--> SENDING --the kernel has all of it, and the end--> SENT
        --all acknowledged--> ACKNOWLEDGED
        --the reader's end, or finTimeout seconds--> CLOSED

A connection that is lost earlier is reset, and its delivery is CLOSED.  On a transport
that cannot half-close, SENDING leads to CLOSED.
"""

from __future__ import annotations

from enum import Enum, auto


class State(Enum):
    """
    How far a delivery has come.
    """

    WAITING = auto()  # for what is to be sent
    SENDING = auto()
    SENT = auto()  # the kernel has everything, and the end
    ACKNOWLEDGED = auto()  # the reader's kernel has it all
    CLOSED = auto()
