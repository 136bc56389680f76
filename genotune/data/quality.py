"""What a sweep's record tells of the quality of its data: how many each filter took, and histograms. Never an ID."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from genotune.store import Values

QUALITY_FILE: Final = "quality.tsv"
"""What the table is called in the sweep's folder and in the record."""


class Histogram(NamedTuple):
    """How often values lie between two edges; the last bin holds its upper edge too.

    Attributes:
        edges: (bin + 1,) rising.
        counts: (bin,).
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Quality(NamedTuple):
    """Counts and histograms of the samples and variants of a sweep.

    Attributes:
        counts: by what was counted ('samples', 'variants'), how many there were, and what each filter took of them.
        histograms: by what they are of.
    """

    counts: Mapping[str, Mapping[str, int]] = {}
    histograms: Mapping[str, Histogram] = {}

    def joined(self, other: "Quality") -> "Quality":
        """All of both."""
        return Quality({**self.counts, **other.counts}, {**self.histograms, **other.histograms})

    @property
    def plain(self) -> Mapping[str, Any]:
        """As values of JSON."""
        histograms = {name: histogram._asdict() for name, histogram in self.histograms.items()}
        return {"counts": {name: dict(counts) for name, counts in self.counts.items()}, "histograms": histograms}


def histogram(values: Values, edges: Sequence[float]) -> Histogram:
    """Of values within the edges; what lies outside counts in the outermost bin, what is NaN not at all."""
    known = np.clip(values[np.isfinite(values)], edges[0], edges[-1])
    counts, _ = np.histogram(known, bins=np.asarray(edges))
    return Histogram(tuple(float(edge) for edge in edges), tuple(counts.tolist()))


def even_edges(first: float, last: float, n_bins: int) -> tuple[float, ...]:
    """Edges of bins of one width, as short decimals."""
    return tuple(np.round(np.linspace(first, last, n_bins + 1), 6).tolist())


def table_text(plain: Mapping[str, Any]) -> str:
    """A quality in plain values as a table: what, from, to, count; tabs between."""
    lines: list[Iterable[object]] = [("what", "from", "to", "count")]
    for name, counts in plain["counts"].items():
        lines += [(f"{name}: {what}", "", "", count) for what, count in counts.items()]
    for name, one in plain["histograms"].items():
        edges = one["edges"]
        lines += [(name, *row) for row in zip(edges[:-1], edges[1:], one["counts"], strict=True)]
    return "".join("\t".join(map(str, line)) + "\n" for line in lines)
