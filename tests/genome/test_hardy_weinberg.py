import math
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from genotune.genome.hardy_weinberg import hardy_weinberg_p


def hardy_weinberg_by_enumeration(n_two, n_one, n_none):
    """The exact p-value in fractions: each number of heterozygotes that these allele counts allow."""
    n, copies = n_two + n_one + n_none, 2 * n_two + n_one
    ways = {}
    for hets in range(copies % 2, min(copies, 2 * n - copies) + 1, 2):
        twos = (copies - hets) // 2
        ways[hets] = math.comb(n, hets) * math.comb(n - hets, twos) * 2**hets
    assert sum(ways.values()) == math.comb(2 * n, copies)
    return float(Fraction(sum(way for way in ways.values() if way <= ways[n_one]), math.comb(2 * n, copies)))


def p_of(*genotypes):
    """Of variants with these numbers of samples with two, one and no copies."""
    n_two, n_one, n_none = np.array(genotypes, dtype=np.int64).T
    return hardy_weinberg_p(n_two, n_one, n_none=n_none)


# The example of 100 samples with 21 copies of the rarer allele. Source: Wigginton et al. 2005.
WIGGINTON = {
    7: 0.000001,
    9: 0.000048,
    11: 0.000919,
    13: 0.010293,
    15: 0.069576,
    17: 0.284042,
    19: 1.0,
    21: 0.593645,
}


def test_hardy_weinberg_equals_the_example_of_its_authors():
    hets = np.array(list(WIGGINTON))
    twos = (21 - hets) // 2
    found = p_of(*zip(twos, hets, 100 - hets - twos, strict=True))
    np.testing.assert_allclose(found, list(WIGGINTON.values()), atol=5e-7)


def test_hardy_weinberg_by_hand():
    # Two samples, two copies: hets 0 by 2 of 6 ways, hets 2 by 4 of 6.
    np.testing.assert_allclose(p_of((1, 0, 1), (0, 2, 0)), [1 / 3, 1], rtol=1e-12)


def test_without_copies_or_genotypes_nothing_speaks_against_hardy_weinberg():
    np.testing.assert_array_equal(p_of((0, 0, 0), (0, 0, 9), (9, 0, 0), (0, 1, 0)), np.ones(4))


def test_of_no_variant_there_is_no_p_value():
    empty = np.empty(0, dtype=np.int64)
    assert hardy_weinberg_p(empty, empty, n_none=empty).shape == (0,)


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 60)] * 3), min_size=1, max_size=5))
def test_hardy_weinberg_equals_exact_enumeration(genotypes):
    expected = [hardy_weinberg_by_enumeration(*each) for each in genotypes]
    np.testing.assert_allclose(p_of(*genotypes), expected, rtol=1e-12)


def test_hardy_weinberg_of_many_samples_neither_overflows_nor_loses_the_tail():
    genotypes = (900, 1000, 900), (2000, 0, 1), (30, 2000, 40)
    expected = [hardy_weinberg_by_enumeration(*each) for each in genotypes]
    np.testing.assert_allclose(p_of(*genotypes), expected, rtol=1e-12)
    assert expected[1] < 1e-3


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 80))
def test_the_p_values_of_all_that_could_be_seen_are_distributed_as_they_say(n, copies):
    """Of what the allele counts allow, a p-value up to x comes with a chance of x."""
    rare = min(copies % (2 * n + 1), 2 * n - copies % (2 * n + 1))
    hets = range(rare % 2, rare + 1, 2)
    genotypes = [((rare - h) // 2, h, n - h - (rare - h) // 2) for h in hets]
    chance = [math.comb(n, h) * math.comb(n - h, twos) * 2**h / math.comb(2 * n, rare) for twos, h, _ in genotypes]
    p = p_of(*genotypes)
    for x in p:
        np.testing.assert_allclose(sum(np.array(chance)[p <= x * (1 + 1e-9)]), x, rtol=1e-9)


def test_which_allele_is_counted_does_not_matter():
    rng = np.random.default_rng(0)
    one, two, three = rng.integers(0, 500, (3, 50))
    np.testing.assert_array_equal(hardy_weinberg_p(one, two, n_none=three), hardy_weinberg_p(three, two, n_none=one))


def test_half_a_million_samples_are_tested_to_many_digits():
    """Beside the sum of all chances in their logarithms, term by term."""
    from scipy.special import gammaln, logsumexp

    genotypes = (30_000, 187_000, 283_000), (100, 16_000, 483_900), (120_000, 260_000, 120_000)
    expected = []
    for n_two, n_one, n_none in genotypes:
        rare, n = 2 * n_two + n_one, n_two + n_one + n_none
        hets = np.arange(rare % 2, rare + 1, 2)
        twos = (rare - hets) // 2
        logs = hets * np.log(2) - gammaln(hets + 1) - gammaln(twos + 1) - gammaln(n - hets - twos + 1)
        seen = logs[(n_one - rare % 2) // 2]
        expected.append(logsumexp(logs[logs <= seen + 1e-7]) - logsumexp(logs))
    np.testing.assert_allclose(np.log(p_of(*genotypes)), expected, rtol=1e-7)
    assert 1e-300 < p_of(*genotypes).min() < 1e-100
