"""Whole contigs held out, by name or in named groups."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.errors import Problem
from genotune.genome.genome_table import GenomeTable
from genotune.genome.splits import SplitSettings
from genotune.settings import build

CONTIGS = {"chrI": 100, "chrII": 200, "chrIII": 300, "chrIV": 400}
TABLE = GenomeTable(CONTIGS)


def split(**values):
    return build(SplitSettings, {"by": "contig", "validation": ["chrI"], "test": ["chrII"], **values})


def names(fold):
    return [[list(CONTIGS)[index] for index in part] for part in fold]


def test_all_other_contigs_train_in_the_order_of_the_reference():
    settings = split(validation=["chrIII"], test=["chrII"])
    assert settings.of == "contigs"
    assert settings.problems(TABLE) == []
    assert names(settings.resolve(TABLE)) == [["chrI", "chrIV"], ["chrIII"], ["chrII"]]


def test_contigs_come_in_the_order_of_the_reference_however_they_are_named():
    assert names(split(validation=["chrIV", "chrI"]).resolve(TABLE))[1] == ["chrI", "chrIV"]


def test_training_contigs_may_be_named():
    settings = split(train=["chrIV"])
    assert settings.problems(TABLE) == []
    assert names(settings.resolve(TABLE))[0] == ["chrIV"]


@pytest.mark.parametrize(
    ("values", "path", "message"),
    [
        ({"test": ["chrI"]}, ("test", 0), "'chrI' is in validation too; a contig belongs to one split"),
        ({"train": ["chrIV", "chrII"]}, ("train", 1), "'chrII' is in test too"),
        ({"test": ["chrII", "chrII"]}, ("test", 1), "'chrII' is named twice."),
        ({"test": ["chrVI"]}, ("test", 0), "the data has no contig 'chrVI'. Did you mean 'chrI"),
        ({"test": ["II"]}, ("test", 0), "the data has no contig 'II'. Did you mean 'chrII'?"),
        ({"test": ["x"]}, ("test", 0), "the data has no contig 'x'. It has 'chrI', 'chrII' and 2 more."),
        ({"test": []}, ("test",), "no contig is named, so the split is empty. The data has 'chrI', 'chrII'"),
        ({"validation": []}, ("validation",), "no contig is named, so the split is empty."),
        ({"train": []}, ("train",), "no contig is named, so the split is empty."),
    ],
)
def test_a_fault_is_found_before_anything_is_decoded(values, path, message):
    (problem,) = split(**values).problems(TABLE)
    assert problem.path == path
    assert problem.message.startswith(message)


def test_a_split_that_leaves_nothing_to_train_on_is_a_fault():
    settings = split(validation=["chrI", "chrII"], test=["chrIII", "chrIV"])
    message = "validation and test take all 4 contigs of the data, so train is empty. Free one."
    assert settings.problems(TABLE) == [Problem((), message)]


def test_all_faults_come_at_once():
    assert len(split(validation=[], test=["chrX", "chrI"], train=["chrI"]).problems(TABLE)) == 3


def test_folds_hold_out_whole_contigs_of_all_but_test():
    settings = split()
    folds = settings.folds(TABLE, settings.resolve(TABLE), n_folds=9)
    assert sorted(names(fold)[1] for fold in folds) == [["chrI"], ["chrIII"], ["chrIV"]]
    assert all(names(fold)[2] == ["chrII"] for fold in folds)
    assert settings.notes(TABLE) == ()


NAMES = st.lists(st.sampled_from([*CONTIGS, "chrX"]), max_size=4)


@given(NAMES, NAMES, st.none() | NAMES)
def test_without_a_problem_no_contig_is_in_two_splits_and_none_is_empty(validation, test, train):
    settings = split(validation=validation, test=test, train=train)
    if settings.problems(TABLE):
        return
    splits = names(settings.resolve(TABLE))
    named = [contig for contigs in splits for contig in contigs]
    assert len(named) == len(set(named))
    assert all(splits)
    assert train is not None or set(named) == set(CONTIGS)


GROUPS = {"one": ["chrIV"], "two": ["chrI", "chrII"], "three": ["chrIII"]}


def groups(**values):
    return build(SplitSettings, {"by": "contig_group", "groups": GROUPS, "validation": "two", "test": "one", **values})


def test_a_group_validates_one_tests_and_the_others_train():
    settings = groups()
    assert settings.of == "contigs"
    assert settings.problems(TABLE) == []
    assert names(settings.resolve(TABLE)) == [["chrIII"], ["chrI", "chrII"], ["chrIV"]]
    assert settings.notes(TABLE) == ()


def test_each_group_but_that_of_test_is_held_out_in_turn_however_many_folds_are_asked_for():
    settings = groups()
    for n_folds in (2, 5):
        folds = settings.folds(TABLE, settings.resolve(TABLE), n_folds=n_folds)
        assert [names(fold) for fold in folds] == [
            [["chrIII"], ["chrI", "chrII"], ["chrIV"]],
            [["chrI", "chrII"], ["chrIII"], ["chrIV"]],
        ]


def test_contigs_in_no_group_are_left_out_with_a_note():
    settings = groups(groups={**GROUPS, "two": ["chrII"]})
    assert settings.problems(TABLE) == []
    assert names(settings.resolve(TABLE)) == [["chrIII"], ["chrII"], ["chrIV"]]
    assert settings.notes(TABLE) == ("contigs in no group of split.groups are left out of all splits: 'chrI'.",)


@pytest.mark.parametrize(
    ("values", "path", "message"),
    [
        ({"groups": {**GROUPS, "three": ["chrIII", "chrI"]}}, ("groups", "three", 1), "'chrI' is in two too; a contig"),
        ({"groups": {**GROUPS, "one": ["chrIV", "chrIV"]}}, ("groups", "one", 1), "'chrIV' is named twice."),
        (
            {"groups": {**GROUPS, "one": ["IV"]}},
            ("groups", "one", 0),
            "the data has no contig 'IV'. Did you mean 'chrIV'",
        ),
        ({"groups": {**GROUPS, "one": []}}, ("groups", "one"), "no contig is named, so the split is empty."),
        ({"validation": "too"}, ("validation",), "no group is called 'too'. Did you mean 'two'?"),
        ({"test": "x"}, ("test",), "no group is called 'x'. There is 'one', 'two' and 'three'."),
        ({"test": "two"}, ("test",), "'two' is validation too; a group belongs to one split."),
        (
            {"groups": {"one": ["chrI"], "two": ["chrII"]}},
            ("groups",),
            "found 2 groups, which validation and test take, so train is empty. Name one more.",
        ),
    ],
)
def test_a_fault_of_groups_is_found_before_anything_is_decoded(values, path, message):
    (problem,) = groups(**values).problems(TABLE)
    assert problem.path == path
    assert problem.message.startswith(message)


def test_all_faults_of_groups_come_at_once():
    settings = groups(groups={"one": ["chrI", "chrX"], "two": ["chrI"]}, test="three")
    assert [problem.path for problem in settings.problems(TABLE)] == [
        ("groups", "one", 1),
        ("groups", "two", 0),
        ("test",),
    ]
