import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from genotune.errors import Problem
from genotune.genome.splits import ContigSplits, SplitSettings
from genotune.settings import build

CONTIGS = {"chrI": 100, "chrII": 200, "chrIII": 300, "chrIV": 400}


def split(**values):
    return build(SplitSettings, {"by": "contig", "validation": ["chrI"], "test": ["chrII"], **values})


def test_all_other_contigs_train_in_the_order_of_the_reference():
    settings = split(validation=["chrIII"], test=["chrII"])
    assert settings.of == "contigs"
    assert settings.problems(CONTIGS) == []
    assert settings.resolve(CONTIGS) == ContigSplits(("chrI", "chrIV"), ("chrIII",), ("chrII",))


def test_training_contigs_may_be_named():
    settings = split(train=["chrIV"])
    assert settings.problems(CONTIGS) == []
    assert settings.resolve(CONTIGS).train == ("chrIV",)


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
    (problem,) = split(**values).problems(CONTIGS)
    assert problem.path == path
    assert problem.message.startswith(message)


def test_a_split_that_leaves_nothing_to_train_on_is_a_fault():
    settings = split(validation=["chrI", "chrII"], test=["chrIII", "chrIV"])
    message = "validation and test take all 4 contigs of the data, so train is empty. Free one."
    assert settings.problems(CONTIGS) == [Problem((), message)]


def test_all_faults_come_at_once():
    assert len(split(validation=[], test=["chrX", "chrI"], train=["chrI"]).problems(CONTIGS)) == 3


def test_a_split_is_by_contig_column_family_or_at_random():
    with pytest.raises(ValidationError, match="'contig', 'column', 'family', 'random'"):
        split(by="chance")


NAMES = st.lists(st.sampled_from([*CONTIGS, "chrX"]), max_size=4)


@given(NAMES, NAMES, st.none() | NAMES)
def test_without_a_problem_no_contig_is_in_two_splits_and_none_is_empty(validation, test, train):
    settings = split(validation=validation, test=test, train=train)
    if settings.problems(CONTIGS):
        return
    splits = settings.resolve(CONTIGS)
    named = [contig for contigs in splits for contig in contigs]
    assert len(named) == len(set(named))
    assert all(splits)
    assert train is not None or set(named) == set(CONTIGS)
