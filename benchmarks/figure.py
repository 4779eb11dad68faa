"""
Figures that are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def drawing(path: Path, height: float) -> Iterator[Any]:
    """
    Draw into a file, with the legend above what is drawn.

    @param height: in inches.

    @return: the axes.
    """
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "fastpoetry"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, height), layout="constrained")
    yield axes
    figure.legend(loc="outside upper center", ncols=3)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
