"""Which variants kin are told from, and what becomes of duplicates and kin in two splits."""

import numpy as np
import pytest

from genotune.data import relatedness
from genotune.data.relatedness import (
    check_parted,
    common_genotypes,
    find_relatives,
    find_same,
    kin_notes,
    parted_pairs,
    repeated_samples,
)
from genotune.errors import DataError
from genotune.genome.fold import Fold
from genotune.genome.kinship import KinPairs, find_kin

IDS = np.array([[f"F{i}", f"I{i}"] for i in range(9)])


def fold(train, validation, test):
    return Fold(*(np.array(part, dtype=np.int64) for part in (train, validation, test)))


def pairs(of, *, n_variants=9000):
    first, second = (np.array([pair[side] for pair in of], dtype=np.int64) for side in (0, 1))
    return KinPairs(first, second, np.array([*of.values()], dtype=np.float64), n_variants)


class Genotypes:
    """Decodes an array, and remembers what was asked for."""

    def __init__(self, dosage):
        self.dosage = dosage
        self.asked = []

    def __call__(self, blocks):
        for block in blocks:
            self.asked += block.tolist()
            yield self.dosage[:, block]

    def find(self, order=None):
        order = np.arange(self.dosage.shape[1]) if order is None else order
        return find_relatives(self, order, n_samples=len(self.dosage))

    def choose(self, order, *, most):
        return common_genotypes(self, order, n_samples=len(self.dosage), most=most)


def draw(n_samples=12, n_variants=600, *, frequency=0.4, seed=0):
    return np.random.default_rng(seed).binomial(2, frequency, (n_samples, n_variants)).astype(np.int8)


def test_kin_are_told_from_common_well_called_variants():
    dosage = draw()
    dosage[7] = dosage[3]
    dosage[:, 100:200] = 0
    dosage[0, 100:200] = 1
    dosage[:2, 200:300] = -1
    found = Genotypes(dosage).find()
    assert found.n_variants == 400
    expected = find_kin(dosage[:, np.r_[0:100, 300:600]])
    assert found.kinship.tolist() == expected.kinship.tolist()
    assert (3, 7) in {*zip(found.first.tolist(), found.second.tolist(), strict=True)}


@pytest.mark.parametrize("counted", [0, 2])
def test_a_variant_is_common_by_its_rarer_allele(counted):
    """Of twelve samples 24 alleles: two are 0.083, one 0.042."""
    dosage = np.full((12, 300), counted, dtype=np.int8)
    dosage[0, :200] = 1
    dosage[1, :150] = 1
    assert Genotypes(dosage).find().n_variants == 150


def test_more_variants_are_tried_only_where_the_first_were_not_enough():
    order = np.random.default_rng(0).permutation(600)
    common = Genotypes(draw())
    assert common.choose(order, most=200).shape == (12, 200)
    assert {*common.asked} == {*order[:200].tolist()}
    rare = draw(frequency=0.001)
    rare[:, order[:90]] = draw()[:, order[:90]]
    rare[:, order[300:330]] = draw()[:, order[300:330]]
    genotypes = Genotypes(rare)
    assert 115 <= genotypes.choose(order, most=200).shape[1] < 200
    assert sorted(genotypes.asked) == sorted(order.tolist())
    genotypes = Genotypes(rare)
    genotypes.choose(order, most=100)
    assert {*genotypes.asked} == {*order[:100].tolist()}


def test_blocks_rise_and_are_bounded():
    blocks = relatedness.blocks_of(np.random.default_rng(0).permutation(1000), n_samples=40_000)
    assert np.concatenate(blocks).tolist() == [*range(1000)]
    assert {len(block) for block in blocks} == {200}


def test_the_same_person_is_found_by_fewer_variants():
    dosage = draw(n_variants=3000)
    dosage[7] = dosage[3]
    genotypes = Genotypes(dosage)
    found = find_same(genotypes, np.arange(3000), n_samples=12)
    assert (found.first.tolist(), found.second.tolist()) == ([3], [7])
    assert 2000 < found.n_variants <= 2048
    assert sorted(genotypes.asked) == [*range(2048)]


def test_without_variants_nobody_is_kin():
    found = Genotypes(draw(n_variants=0)).find()
    assert (len(found.first), found.n_variants, found.told) == (0, 0, -1)


def test_of_a_person_twice_the_better_called_stays():
    of = pairs({(0, 1): 0.5, (1, 2): 0.4, (3, 4): 0.5, (5, 6): 0.25})
    rates = np.array([0.97, 0.99, 0.98, 0.95, 0.95, 0.9, 0.8])
    assert repeated_samples(of, rates).tolist() == [0, 2, 4]
    assert repeated_samples(pairs({}), rates).tolist() == []


def test_pairs_in_two_splits_are_found():
    of = pairs({(0, 1): 0.5, (1, 4): 0.25, (2, 3): 0.25, (5, 8): 0.5})
    parted = parted_pairs(of, fold([0, 1, 2], [3], [4, 5]))
    assert list(zip(parted.first.tolist(), parted.second.tolist(), strict=True)) == [(1, 4), (2, 3)]


def test_duplicates_in_two_splits_are_refused():
    of = pairs({(0, 1): 0.5, (2, 4): 0.36, (3, 4): 0.5, (0, 5): 0.35})
    check_parted(of, [fold([0, 1, 5], [2, 3, 4], [6])], ids=IDS)
    message = (
        r"^2 pairs of samples are in two splits though both are one person, or twins \(kinship above 0\.354 by 9,000 "
        r"variants\): first F2 I2 and F4 I4\. A model that has seen one knows the other\. Write split: \{by: kinship, "
        r"degree: 2\} to keep kin together, or data\.drop_duplicates: true to keep one of each\.$"
    )
    with pytest.raises(DataError, match=message):
        check_parted(of, [fold([0, 1, 5], [2, 3], [4])], ids=IDS)


def test_duplicates_in_two_folds_of_the_evaluation_are_refused():
    of = pairs({(0, 1): 0.5})
    whole = fold([0, 1, 2], [3], [4])
    with pytest.raises(DataError, match=r"^1 pair of samples is in two splits .* first F0 I0 and F1 I1\."):
        check_parted(of, [whole, fold([1, 2], [0, 3], [4])], ids=IDS)


def test_a_few_variants_call_nobody_a_duplicate():
    few = pairs({(0, 4): 0.5}, n_variants=149)
    check_parted(few, [fold([0], [3], [4])], ids=IDS)
    assert kin_notes(few, fold([0], [3], [4])) == (
        "duplicates and kin were not looked for: that takes 150 common, well called autosomal variants, and there are "
        "149.",
    )


def test_a_person_is_told_of_close_kin_in_two_splits():
    of = pairs({(0, 3): 0.25, (1, 4): 0.1, (2, 4): 0.05, (0, 1): 0.25})
    parts = fold([0, 1, 2], [3], [4])
    assert kin_notes(of, parts) == (
        "pairs of kin that lie in two splits, by 9,000 variants: 1 of first degree, 1 of second degree, 1 of third "
        "degree. The score says in part how well the model knows their families. Write split: {by: kinship, degree: "
        "2}, where that leaves groups enough.",
    )
    assert ": 1 of first degree, 1 of second degree. " in kin_notes(of._replace(n_variants=2000), parts)[0]
    assert kin_notes(of, fold([0, 1, 3], [2], [])) == ()
