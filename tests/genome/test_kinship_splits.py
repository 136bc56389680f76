"""Samples that a chain of kin joins are in one split."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from genotune.genome.kinship import FARTHEST, KinPairs
from genotune.genome.splits import SampleTable, SplitSettings
from genotune.settings import build

DEGREES = (0.5, 0.25, 0.125, 0.0625)


def split(**values):
    return build(SplitSettings, {"by": "kinship", "validation": 0.2, "test": 0.2, **values})


def table(pairs, *, n_samples=20, n_variants=9000, farthest=FARTHEST):
    """Samples of whom {(first, second): degree} are kin."""
    first, second = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    kin = KinPairs(first, second, np.array([DEGREES[degree] for degree in pairs.values()]), n_variants, farthest)
    return SampleTable(np.full(n_samples, "0"), {}, lambda: kin)


def only(problems):
    [problem] = problems
    return problem


def test_more_samples_than_pairs_can_be_looked_at_are_refused_before_any_is_decoded():
    def decode():
        raise AssertionError("nobody may be asked")

    problem = only(split().problems(SampleTable(np.full(100_001, "0"), {}, decode)))
    assert problem.path == ("by",)
    assert problem.message.startswith("found 100,001 samples; every pair of them would be held against each other")
    assert "up to 100,000. Tell kin with another tool (KING, or plink2 --make-king-table)" in problem.message
    assert problem.message.endswith("split by: column.")


@given(
    st.lists(st.tuples(st.integers(0, 39), st.integers(0, 39), st.integers(0, 3)), max_size=25),
    st.integers(1, 3),
    st.integers(0, 5),
)
def test_no_pair_of_that_degree_is_parted(ends, degree, seed):
    pairs = {(a, b): d for a, b, d in ends if a < b}
    samples, settings = table(pairs, n_samples=40), split(degree=degree, seed=seed)
    if settings.problems(samples):
        return
    fold = settings.resolve(samples)
    assert sorted(np.concatenate([*fold]).tolist()) == [*range(40)]
    assert all(map(len, fold))
    for (a, b), d in pairs.items():
        if d <= degree:
            assert sum({a, b} <= {*part.tolist()} for part in fold) == 1


def test_a_degree_joins_nearer_pairs_and_parts_farther_ones():
    samples = table({(0, 1): 0, (1, 2): 1, (2, 3): 2, (3, 4): 3}, n_samples=8)
    joined = [split(degree=degree).groups(samples).tolist() for degree in (1, 2, 3)]
    assert joined == [[0, 0, 0, 1, 2, 3, 4, 5], [0, 0, 0, 0, 1, 2, 3, 4], [0, 0, 0, 0, 0, 1, 2, 3]]


def test_people_without_kin_are_no_fault():
    samples = table({})
    assert split().problems(samples) == []
    assert [len(part) for part in split().resolve(samples)] == [12, 4, 4]


def test_a_person_is_told_of_pairs_and_groups():
    samples = table({(0, 1): 0, (1, 2): 1, (4, 5): 1, (7, 8): 3})
    assert split().notes(samples)[0] == (
        "9,000 autosomal variants were decoded to tell who is related; pairs of samples: 1 of duplicates, 2 of first "
        "degree, 1 of third degree. Chains of kin up to the second degree make 17 groups of 20 samples, the largest "
        "of 3."
    )


def test_degrees_that_so_few_variants_cannot_tell_are_not_counted():
    samples = table({(0, 1): 1, (7, 8): 3}, n_variants=2000)
    assert "pairs of samples: 1 of first degree. " in split().notes(samples)[0]


def test_one_group_of_nearly_all_is_refused_and_a_nearer_degree_proposed():
    chain = {(i, i + 1): 2 for i in range(15)}
    samples = table(chain | {(0, 1): 1})
    problem = only(split().problems(samples))
    assert problem.path == ("degree",)
    assert problem.message == (
        "chains of kin up to the second degree join 16 of the 20 samples in one group, which leaves 20% to hold out, "
        "where validation and test ask for 40%. Ask for degree: 1, or split by: column, with a column that close "
        "relatives share."
    )
    assert split(degree=1).problems(samples) == []
    assert split(validation=0.1, test=0.1).problems(samples) == []


def test_where_no_nearer_degree_does_only_a_column_is_proposed():
    samples = table({(i, i + 1): 1 for i in range(19)})
    assert only(split().problems(samples)).message.endswith(
        " Split by: column, with a column that close relatives share."
    )


def test_two_groups_are_too_few():
    samples = table({(0, 1): 1}, n_samples=3)
    assert only(split().problems(samples)).message == (
        "found 2 groups of kin; at least 3 are needed, one each to train, to validate and to test."
    )


@pytest.mark.parametrize(("n_variants", "nearer"), [(1999, "Ask for degree: 1, or split"), (499, "Split")])
def test_too_few_variants_are_refused(n_variants, nearer):
    problem = only(split().problems(table({}, n_variants=n_variants)))
    assert problem.message == (
        f"found {n_variants:,} common, well called autosomal variants; 2,000 are needed to tell kin of the second "
        f"degree from strangers. {nearer} by: column, with a column that close relatives share."
    )


def test_too_many_pairs_are_refused():
    problem = only(split(degree=3).problems(table({(0, 1): 1}, farthest=1)))
    assert problem.message.startswith("more pairs than can be kept are kin of the third degree or nearer; few samples")
    assert "Ask for degree: 1, or" in problem.message


def test_groups_of_kin_have_no_names():
    with pytest.raises(ValidationError, match=r"test"):
        split(test=["0"])


@pytest.mark.parametrize("degree", [0, 4])
def test_a_degree_is_one_of_three(degree):
    with pytest.raises(ValidationError, match=r"degree"):
        split(degree=degree)


def test_who_does_not_ask_for_kin_decodes_nothing():
    def refuse():
        raise AssertionError("asked")

    samples = SampleTable(np.array([f"f{index // 2}" for index in range(20)]), {}, refuse)
    settings = build(SplitSettings, {"by": "family", "validation": 0.2, "test": 0.2})
    assert settings.problems(samples) == []
    settings.resolve(samples)
    settings.notes(samples)
