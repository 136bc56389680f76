"""What a sweep's record tells of the variants of a fileset, by training samples alone."""

from collections.abc import Mapping
from typing import Final

import numpy as np

from genotune.data.quality import Quality, even_edges, histogram
from genotune.data.variant_statistics import Statistics
from genotune.genome.hardy_weinberg import hardy_weinberg_p

_CALL_RATE_EDGES: Final = even_edges(0.9, 1, 40)
_FREQUENCY_EDGES: Final = even_edges(0, 1, 40)
_P_EDGES: Final = even_edges(0, 20, 40)


def variant_quality(statistics: Statistics, *, counts: Mapping[str, int], n_samples: int) -> Quality:
    """Histograms of call rate, allele frequency and Hardy-Weinberg p-values before any filter, and the filters' counts.

    Args:
        statistics: of all variants, on training samples.
        counts: what each filter took.
        n_samples: training samples.
    """
    exact = hardy_weinberg_p(statistics.n_two, statistics.n_one, n_none=statistics.n_none)
    p_values = np.maximum(exact, np.finfo(np.float64).tiny)
    return Quality(
        {"variants": counts},
        {
            "call rate of variants": histogram(statistics.n_known / n_samples, _CALL_RATE_EDGES),
            "frequency of the counted allele": histogram(statistics.frequency, _FREQUENCY_EDGES),
            "Hardy-Weinberg -log10 p of variants": histogram(-np.log10(p_values), _P_EDGES),
        },
    )
