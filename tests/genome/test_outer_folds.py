"""Nested folds: every sample is tested once, groups stay whole, and nothing of a test part trains or validates."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from genotune.errors import Problem
from genotune.genome.kinship import KinPairs
from genotune.genome.outer_folds import hold_out_part, outer_parts
from genotune.genome.sample_groups import UNKNOWN, Groups, SampleTable
from genotune.genome.splits import NESTED, SplitSettings
from genotune.settings import build

FAMILIES = SampleTable(np.repeat([f"f{index}" for index in range(20)], 5), {"site": np.repeat(list("abcd"), 25)})


def split(by="family", **values):
    return build(SplitSettings, {"by": by, "outer_folds": 4, "outer_fold": 1, "validation": 0.2, **values})


def groups_of(sizes):
    return Groups(np.repeat(np.arange(len(sizes)), sizes), tuple(f"g{index}" for index in range(len(sizes))))


@given(
    sizes=st.lists(st.integers(1, 12), min_size=4, max_size=30),
    n_unknown=st.integers(0, 5),
    n_folds=st.integers(2, 4),
    seed=st.integers(0, 99),
)
def test_each_sample_of_a_group_is_tested_once_and_its_group_with_it(sizes, n_unknown, n_folds, seed):
    whole = groups_of(sizes)
    groups = whole._replace(of_sample=np.concatenate([whole.of_sample, np.full(n_unknown, UNKNOWN)]))
    n = len(groups.of_sample)
    tested = []
    for part in range(n_folds):
        fold = hold_out_part(groups, 0.2, part=part, n_folds=n_folds, seed=seed)
        assert sorted(np.concatenate([*fold]).tolist()) == [*range(n)], "each sample is in one split"
        for one, other in ((fold.test, fold.train), (fold.test, fold.validation), (fold.validation, fold.train)):
            shared = {*groups.of_sample[one].tolist()} & {*groups.of_sample[other].tolist()}
            assert not shared - {UNKNOWN}, "a group is whole"
        assert UNKNOWN not in groups.of_sample[fold.test]
        assert UNKNOWN not in groups.of_sample[fold.validation]
        tested += fold.test.tolist()
    assert sorted(tested) == np.flatnonzero(groups.of_sample != UNKNOWN).tolist()


def test_parts_of_equal_groups_are_equal_and_validation_is_a_share_of_all_samples():
    folds = [split(outer_fold=number).resolve(FAMILIES) for number in (1, 2, 3, 4)]
    assert [[len(part) for part in fold] for fold in folds] == [[55, 20, 25]] * 4


def test_the_seed_decides_which_groups_are_tested_together():
    parts = [outer_parts(groups_of([3] * 12), n_folds=3, seed=seed).tolist() for seed in (1, 1, 2)]
    assert parts[0] == parts[1] != parts[2]


@pytest.mark.parametrize("by", ["column", "family", "kinship", "random"])
def test_every_way_to_split_samples_has_outer_folds(by):
    nobody = np.zeros(0, dtype=np.int64)
    kin = KinPairs(nobody, nobody, np.zeros(0), 5000)
    table = FAMILIES._replace(kin=lambda: kin)
    settings = [split(by, outer_fold=k, **({"column": "site"} if by == "column" else {})) for k in (1, 2, 3, 4)]
    assert by in NESTED
    assert all(one.problems(table) == [] for one in settings)
    tested = np.concatenate([one.resolve(table).test for one in settings])
    assert sorted(tested.tolist()) == [*range(100)]


def test_more_folds_than_groups_are_told():
    settings = split("column", column="site", outer_folds=5)
    message = "found 5; there are 4 groups to test, each in one fold. Ask for 4 or fewer."
    assert settings.problems(FAMILIES) == [Problem(("outer_folds",), message)]


def test_a_part_that_is_far_from_its_share_is_told():
    sizes = [60, *[2] * 20]
    table = SampleTable(np.repeat([f"f{index}" for index in range(21)], sizes), {})
    notes = [note for k in (1, 2, 3, 4) for note in split(outer_fold=k).notes(table)]
    assert "test holds 64 of 100 samples, where 0.25 of them was asked for: groups are taken whole." in " ".join(notes)


@pytest.mark.parametrize(
    ("values", "place", "message"),
    [
        ({"test": 0.2}, "test", "stands beside outer_folds, which make each part the test split of one sweep in turn."),
        ({"outer_folds": None, "test": 0.2}, "outer_fold", "says which of outer_folds is test, and there are none."),
        ({"outer_fold": None}, "outer_fold", "is missing: which of the 4 outer folds is test, from 1?"),
        ({"outer_fold": 5}, "outer_fold", "found 5; outer_folds has 4. Write one of 1 to 4."),
        ({"outer_folds": None, "outer_fold": None}, "test", "is missing: say what no trial sees (test: 0.2), or write"),
        ({"validation": ["f1"]}, "test", "outer_folds test every group in turn, so validation can't name some."),
        ({"validation": 0.8}, "test", "validation (0.8) and an outer fold (0.25) leave nothing to train on;"),
        ({"outer_folds": 1}, "outer_folds", "Input should be greater than or equal to 2"),
    ],
)
def test_a_contradiction_is_told_at_its_place(values, place, message):
    with pytest.raises(ValidationError, match=re.escape(message)) as caught:
        split(**values)
    assert [error["loc"][1] for error in caught.value.errors()] == [place]
