"""
The states of a delivery.  On TCP they are what the kernel's own states mean::

    WAITING --deliver()--> SENDING --end sent--> ENDED --all acknowledged-->
        ACKNOWLEDGED --the reader's end, or FIN_TIMEOUT--> CLOSED

Whatever else happens leads to CLOSED by a reset.
"""

from __future__ import annotations

from enum import Enum, auto


class State(Enum):
    """
    How far a delivery has come.
    """

    WAITING = auto()  # for what is to be sent
    SENDING = auto()
    ENDED = auto()  # the kernel has everything, and the end
    ACKNOWLEDGED = auto()  # the reader's kernel has it all
    CLOSED = auto()
