"""
What a poem costs over TLS.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from statistics import median

from OpenSSL import SSL

from benchmarks.cost.contenders import (
    GO_SAME,
    NGINX,
    NGINX_LOG,
    NGINX_MOST,
    OURS,
    PLAIN_LOG,
    TRIVIAL,
    readersTalkTLS,
)
from benchmarks.cost.contest import compete, cost, ratios, spread, values, wrong
from benchmarks.cost.ring import SMALL, Ring
from benchmarks.cost.sizes import poemsOf, readersOf
from benchmarks.report import table
from sandbox.certificate import P256, RSA

NAMES = (OURS, TRIVIAL, PLAIN_LOG, GO_SAME, NGINX, NGINX_LOG)
AGAINST = (TRIVIAL, PLAIN_LOG, GO_SAME, NGINX)

# A load has no more poems than this: a handshake is dear to the readers, too.
MOST = 1000
MOST_SINGLE = 300


@dataclass(frozen=True)
class Load:
    """
    What is asked of all contenders.

    @ivar key: what their certificate is made for.

    @ivar size: of the poem.

    @ivar readers: how many there are at once.
    """

    key: str
    size: int
    readers: int

    def __str__(self) -> str:
        """
        What it is, in words.
        """
        many = (
            "one reader at a time" if self.readers == 1 else f"{self.readers} at once"
        )
        return f"{self.key}, {self.size:,} bytes, {many}"

    @property
    def poems(self) -> int:
        """
        How many poems each sends in a round.
        """
        return min(poemsOf(self.size), MOST_SINGLE if self.readers == 1 else MOST)


LOADS = (
    *(Load(key, SMALL, readers) for readers in (64, 1) for key in (P256, RSA)),
    *(Load(P256, size, readersOf(size)) for size in (65_536, 1_000_000)),
)


def tls(rounds: int) -> str:
    """
    Send poems over TLS.

    @return: what they cost, and how long they take, in Markdown.
    """
    if not readersTalkTLS():
        return "Missing: the headers of OpenSSL, which the readers need.\n"
    return "\n".join([*(_table(load, rounds) for load in LOADS), _libraries()])


def _table(load: Load, rounds: int) -> str:
    """
    @return: what one load costs.
    """
    names = [n for n in NAMES if load.size <= NGINX_MOST or n not in (NGINX, NGINX_LOG)]
    with Ring(key=load.key) as ring:
        servers = ring.serve(names, ring.poem(load.size))
        samples = compete(servers, rounds, load.poems, load.readers)
    against = [name for name in AGAINST if name in samples]
    rows = []
    for name, own in samples.items():
        row = [name, f"{median(values(own, 'tickets')):.0f}", cost(own)]
        row += [spread(ratios(own, samples[other])) for other in against]
        rows.append([*row, spread(values(own, "p50"), ".2f"), wrong(own)])
    head = [str(load), "tickets", "µs per poem", *(f"÷ {name}" for name in against)]
    return table([*head, "p50, ms", "wrong"], rows)


def _libraries() -> str:
    """
    @return: whose TLS is whose.
    """
    python = SSL.OpenSSL_version(SSL.OPENSSL_VERSION).decode().split()[1]
    told = subprocess.run(["openssl", "version"], stdout=subprocess.PIPE, text=True)
    (system,) = re.findall(r"^OpenSSL (\S+)", told.stdout)
    return f"Python has OpenSSL {python}, nginx and the readers {system}, Go its own.\n"
