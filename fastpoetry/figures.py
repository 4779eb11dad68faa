"""
The figures of a process as text, in the format that Prometheus reads:
U{version 0.0.4<https://prometheus.io/docs/instrumenting/exposition_formats/>}.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastpoetry.interfaces import IHasFigures
from fastpoetry.text import printable

# All figures: the type of each, and its meaning.
FIGURES = {
    "fastpoetry_datagrams_total": ("counter", "Questions by UDP, by their outcome."),
    "fastpoetry_http_responses_total": ("counter", "Answers, by their code."),
    "fastpoetry_poem_bytes": ("gauge", "The length of the poem that is loaded."),
    "fastpoetry_poems_total": ("counter", "Poems sent, by what became of each."),
    "fastpoetry_readers": ("gauge", "Connections that are open."),
    "fastpoetry_readers_limit": ("gauge", "How many connections may be open."),
    "fastpoetry_readers_refused_total": ("counter", "Readers who may not read."),
    "fastpoetry_sent_bytes_total": ("counter", "Bytes that readers have taken."),
    "process_start_time_seconds": ("gauge", "When the process started, since 1970."),
}

# In the value of a label.  The format has an escape for the end of a line, too, but
# printable() leaves none.
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\""})


def exposition(services: Iterable[Any]) -> str:
    """
    Write the figures of services.  Figures with the same name and labels are added up.

    @param services: those that provide L{IHasFigures} have figures, and so does the
        C{access} of a server.

    @return: the lines.
    """
    samples: dict[tuple[str, str], float] = {}
    sources = (
        source
        for service in services
        for source in (service, getattr(service, "access", None))
    )
    for source in dict.fromkeys(sources):  # servers may share an access
        if IHasFigures.providedBy(source):
            for name, labels, value in source.figures():
                pairs = (
                    f'{label}="{printable(text).translate(_ESCAPES)}"'
                    for label, text in sorted(labels.items())
                )
                key = name, ",".join(pairs)
                samples[key] = samples.get(key, 0) + value
    lines = []
    for name in sorted({name for name, _ in samples}):
        kind, meaning = FIGURES[name]
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
        for (each, given), value in samples.items():
            if each == name:
                lines.append(
                    f"{name}{{{given}}} {value}" if given else f"{name} {value}"
                )
    return "".join(f"{line}\n" for line in lines)
