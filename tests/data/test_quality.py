"""What the record tells of the data."""

import numpy as np
import pytest

from genotune.data.quality import Histogram, Quality, even_edges, histogram, table_text
from genotune.data.variant_quality import variant_quality
from genotune.data.variant_statistics import Statistics


def test_a_histogram_counts_all_that_is_known():
    found = histogram(np.array([0.0, 0.1, 0.25, 0.5, 0.9, 1.0, 7.0, -3.0, np.nan]), even_edges(0, 1, 4))
    assert found == Histogram((0.0, 0.25, 0.5, 0.75, 1.0), (3, 1, 1, 3))


def test_edges_are_short_decimals():
    assert even_edges(0.9, 1, 4) == (0.9, 0.925, 0.95, 0.975, 1.0)


def test_a_table_has_a_line_for_each_count_and_bin():
    quality = Quality({"samples": {"in all": 3, "left": 2}}, {"call rate": Histogram((0.0, 0.5, 1.0), (1, 2))})
    more = quality.joined(Quality({"variants": {"in all": 9}}))
    assert table_text(more.plain) == (
        "what\tfrom\tto\tcount\nsamples: in all\t\t\t3\nsamples: left\t\t\t2\nvariants: in all\t\t\t9\n"
        "call rate\t0.0\t0.5\t1\ncall rate\t0.5\t1.0\t2\n"
    )


@pytest.mark.parametrize("n", [40, 24_000])
def test_variants_are_told_by_call_rate_frequency_and_hardy_weinberg(n):
    """Ten samples: five, four and one genotypes of a kind; none called; twice all heterozygous.

    All heterozygous has p = 2^10 / C(20, 10), a -log10 of 2.26.
    """
    two, one, none = np.resize([[5, 4, 1], [0, 0, 0], [0, 10, 0], [0, 10, 0]], (n, 3)).T
    statistics = Statistics(two, one, none, two + one + none, 2.0 * two + one, np.zeros(n))
    told = variant_quality(statistics, counts={"in all": n}, n_samples=10)
    assert told.counts == {"variants": {"in all": n}}
    rate, frequency, p = told.histograms.values()
    assert (rate.counts[0], rate.counts[-1], sum(rate.counts)) == (n / 4, 3 * n / 4, n)
    assert (frequency.counts[20], frequency.counts[28], sum(frequency.counts)) == (n / 2, n / 4, 3 * n / 4)
    assert sum(p.counts) == n
    assert p.edges[4:6] == (2.0, 2.5)
    assert p.counts[4] == n / 2
