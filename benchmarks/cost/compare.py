"""
What a poem costs: all servers, with one small poem.
"""

from __future__ import annotations

from statistics import median

from benchmarks.cost.contenders import (
    BY_NAME,
    CONTENDERS,
    FLOOR,
    GO_SAME,
    OURS,
    PLAIN_SAME,
)
from benchmarks.cost.contest import (
    Samples,
    compete,
    cost,
    ratios,
    spread,
    values,
    wrong,
)
from benchmarks.cost.ring import Ring
from benchmarks.cost.running import Running
from benchmarks.report import table

# With whom the cost of a poem is compared.
AGAINST = (FLOOR, GO_SAME, PLAIN_SAME)

POEMS = 5000


def compare(rounds: int) -> str:
    """
    Compare all contenders.

    @return: what a poem costs, how long it takes, and what has to be known to read
        that, in Markdown.
    """
    with Ring() as ring:
        servers = ring.serve(contender.name for contender in CONTENDERS)
        samples = compete(servers, rounds, POEMS)
        return "\n".join(
            [_costs(servers, samples), _others(servers, samples), _notes(samples)]
        )


def _costs(servers: list[Running], samples: Samples) -> str:
    """
    @return: what a poem costs in processor time.
    """
    against = [name for name in AGAINST if name in samples]
    head = ["", "log", "linger", "µs per poem", "user"]
    rows = []
    for server in servers:
        contender, own = server.contender, samples[server.contender.name]
        row = [
            f"**{contender.name}**" if contender.name == OURS else contender.name,
            "yes" if contender.logs else "",
            "yes" if contender.lingers else "",
            cost(own),
            f"{server.shareOfUser():.0%}",
        ]
        rows.append(row + [spread(ratios(own, samples[name])) for name in against])
    return table([*head, *(f"÷ {name}" for name in against)], rows)


def _others(servers: list[Running], samples: Samples) -> str:
    """
    @return: how long poems take, and what else there is to know.
    """
    head = ["", "poems/s", "p50, ms", "p99", "p99.9", "slowest"]
    rows = []
    for server in servers:
        own = samples[server.contender.name]
        total = sum(sample.poems for sample in own)
        rows.append(
            [
                server.contender.name,
                f"{median(values(own, 'rate')):,.0f}",
                f"{median(values(own, 'p50')):.1f}",
                f"{median(values(own, 'p99')):.1f}",
                f"{median(values(own, 'p999')):.1f}",
                f"{max(values(own, 'slowest')):.0f}",
                f"{server.process.memory(isPeak=True) / 1024:.0f}",
                f"{sum(sample.logged for sample in own) / total:.0f}",
                f"{wrong(own)} of {total:,}",
            ]
        )
    return table([*head, "memory, MiB", "log, bytes per poem", "wrong"], rows)


def _notes(samples: Samples) -> str:
    waited = median(sample.waited for own in samples.values() for sample in own)
    text = (
        "The servers waited for their core, which something else had, for "
        f"{waited:.0%} of the time in which they had work (median).\n"
    )
    missing = [f"{one.name} ({one.needs})" for one in BY_NAME.values() if one.isMissing]
    if missing:
        text += f"\nMissing, with what they need: {', '.join(missing)}.\n"
    return text
