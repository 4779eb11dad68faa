"""
Readers who are slow, and honest.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from benchmarks.faults import Scale, never
from benchmarks.faults.row import Row, say
from sandbox.crowd import Crowd
from sandbox.manners import Manners
from sandbox.network import LOOPBACK, TLS, UNIX, Loopback
from sandbox.subject import BIG, OURS, PLAIN, running

RATES = (1000, 3000, 10_000, 30_000)  # bytes a second
BUFFERS = (4096, 16_384, 65_536, None)  # bytes; None: the system's own
TIMEOUTS = (10, 60)

# How many bytes are read at most before the reader's kernel acknowledges more
# (see silences() in window.py; rounded up), by receive buffer: where a
# segment has 65,483 bytes, and where it has 1,448.
SILENT = {4096: 8000, 16_384: 30_000, 65_536: 140_000, None: 140_000}
SILENT_AFAR = dict.fromkeys(BUFFERS, 9500)

# On a UNIX socket, how many are in one piece, of which the kernel counts the memory.
SILENT_UNIX: dict[int | None, int] = {None: 37_000}

# Over TLS, a reader takes a record of up to 16 KiB, however little it reads of it.
SILENT_TLS = {buffer: size + 17_000 for buffer, size in SILENT.items()}


def rows(scale: Scale) -> Iterator[Row]:
    """
    A poem of 5 MB, read slowly for minutes, then to its end as fast as it comes.
    """
    seconds = 20 if scale.isQuick else 200
    with ExitStack() as stack:

        def begin(kind: str, options: str, network: Loopback) -> _Group:
            subject = stack.enter_context(running(kind, BIG, options, network))
            buffers: Sequence[int | None] = (None,) if network is UNIX else BUFFERS
            return _Group(stack.enter_context(subject.readers()), buffers)

        plain = [begin(PLAIN, "", network) for network in scale.allNetworks]
        ours = [
            [begin(OURS, f"--timeout {t}", network) for network in scale.allNetworks]
            for t in TIMEOUTS
        ]
        everybody = [*plain, *itertools.chain(*ours)]
        _runTogether(everybody, seconds)
        for group in everybody:
            group.hurry()
        _runTogether(everybody, 200)

        for timeout, groups in zip(TIMEOUTS, ours):
            for network, reference, group in zip(scale.allNetworks, plain, groups):
                which = "" if network is UNIX else "; by receive buffer"
                cells = {PLAIN: reference.describe(), OURS: group.describe()}
                yield Row(
                    f"slow readers {network.where}, `--timeout {timeout}`",
                    f"{', '.join(f'{rate:,}' for rate in RATES)} bytes/s for "
                    f"{seconds} s, then fast{which}",
                    cells,
                    group.keeps(timeout, network),
                )


class _Group:
    """
    A slow reader of each kind, at one server.
    """

    def __init__(self, crowd: Crowd, buffers: Sequence[int | None]) -> None:
        self.crowd = crowd
        self._buffers = buffers
        self.readers = {
            (buffer, rate): crowd.add(
                1, Manners(readsPerSecond=rate, receiveBuffer=buffer)
            )[0]
            for buffer in buffers
            for rate in RATES
        }

    def hurry(self) -> None:
        """
        Let those who are left read as they can.
        """
        for reader in self.readers.values():
            reader.manners.readsPerSecond = None

    def describe(self) -> str:
        """
        @return: who was served, by receive buffer.
        """
        outcomes = self.crowd.outcomes()
        if len(outcomes) == 1:
            return say(outcomes)
        words = []
        for buffer in self._buffers:
            cut = [
                f"{rate:,} {self.readers[buffer, rate].outcome or 'hung'}"
                for rate in RATES
                if self.readers[buffer, rate].outcome != "whole"
            ]
            name = "the system's" if buffer is None else f"{buffer:,}"
            which = f"{name}: " if len(self._buffers) > 1 else ""
            words.append(which + (", ".join(cut) or "all whole"))
        return "; ".join(words)

    def keeps(self, timeout: int, network: Loopback) -> bool:
        """
        Whether everybody was served whose kernel acknowledges something within
        the deadline.
        """
        known = {LOOPBACK: SILENT, UNIX: SILENT_UNIX, TLS: SILENT_TLS}
        silent = known.get(network, SILENT_AFAR)
        return all(
            reader.outcome == "whole"
            for (buffer, rate), reader in self.readers.items()
            if silent[buffer] < rate * timeout
        )


def _runTogether(groups: list[_Group], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and any(len(group.crowd) for group in groups):
        for group in groups:
            group.crowd.run(0, until=never)
