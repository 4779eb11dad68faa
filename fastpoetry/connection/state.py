"""
The states of a delivery::

    WAITING --deliver()--> SENDING --end sent--> SENT --all acknowledged-->
        ACKNOWLEDGED --the reader's end, or FIN_TIMEOUT--> CLOSED

Anything else that happens to a delivery which is under way resets the connection, and
leads to CLOSED.
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
