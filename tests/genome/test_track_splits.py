"""Whole tracks held out: learn from some cell types, be tested on others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.genome.genome_table import GenomeTable
from genotune.genome.splits import SplitSettings
from genotune.settings import build

TRACKS = ("liver", "lung", "spleen", "heart")
TABLE = GenomeTable({"chrI": 100, "chrII": 200, "chrIII": 300}, tracks=TRACKS)
STRANDED = GenomeTable(
    {"chrI": 100}, tracks=("a.plus", "b.plus", "a.minus", "b.minus", "c"), strand_pairs=((0, 2), (1, 3))
)


def split(**values):
    return build(SplitSettings, {"by": "track", "validation": ["lung"], "test": ["liver"], **values})


def parts(fold):
    return [part.tolist() for part in fold.tracks], [part.tolist() for part in fold]


def test_tracks_are_split_and_every_split_has_all_contigs_which_a_note_says():
    settings = split()
    assert settings.of == "contigs"
    assert settings.problems(TABLE) == []
    assert parts(settings.resolve(TABLE)) == ([[2, 3], [1], [0]], [[0, 1, 2]] * 3)
    (note,) = settings.notes(TABLE)
    assert note.startswith("split.contigs is null, so validation and test hold regions that training saw")


def test_contigs_may_be_held_out_too():
    settings = split(contigs={"validation": ["chrIII"], "test": ["chrI"]})
    assert settings.problems(TABLE) == []
    assert parts(settings.resolve(TABLE)) == ([[2, 3], [1], [0]], [[1], [2], [0]])
    assert settings.notes(TABLE) == ()


def test_training_tracks_that_are_copied_get_a_note():
    settings = split(validation=["spleen"], contigs={"validation": ["chrIII"], "test": ["chrI"]})
    (note,) = settings.notes(TABLE)
    assert note.startswith("the training tracks don't follow each other in data.tracks, so each process that runs")


def test_tracks_come_in_the_order_of_the_store_however_they_are_named():
    fold = split(validation=["heart", "liver"], test=["lung"]).resolve(TABLE)
    assert fold.tracks.validation.tolist() == [0, 3]


@pytest.mark.parametrize(
    ("values", "path", "message"),
    [
        ({"test": ["lung"]}, ("test", 0), "'lung' is in validation too; a track belongs to one split"),
        ({"test": ["liver", "liver"]}, ("test", 1), "'liver' is named twice."),
        ({"test": ["livers"]}, ("test", 0), "the data has no track 'livers'. Did you mean 'liver'?"),
        ({"test": ["x"]}, ("test", 0), "the data has no track 'x'. It has 'liver', 'lung' and 2 more."),
        ({"test": []}, ("test",), "no track is named, so the split is empty. The data has 'liver'"),
        (
            {"contigs": {"validation": ["chrI"], "test": ["chrI"]}},
            ("contigs", "test", 0),
            "'chrI' is in validation too; a contig belongs to one split",
        ),
        (
            {"contigs": {"validation": ["chrI", "chrII"], "test": ["chrIII"]}},
            ("contigs",),
            "validation and test take all 3 contigs",
        ),
        ({"test": ["liver", "spleen", "heart"]}, (), "validation and test take all 4 tracks"),
    ],
)
def test_a_fault_is_found_before_anything_is_decoded(values, path, message):
    (problem,) = split(**values).problems(TABLE)
    assert problem.path == path
    assert problem.message.startswith(message)


def test_all_faults_come_at_once():
    settings = split(validation=["lunge"], test=["liver", "liver"], contigs={"validation": ["chrX"], "test": []})
    paths = [problem.path for problem in settings.problems(TABLE)]
    assert paths == [("validation", 0), ("test", 1), ("contigs", "validation", 0), ("contigs", "test")]


@pytest.mark.parametrize(
    ("validation", "test", "path"),
    [
        (["a.plus"], ["c"], ("validation", 0)),
        (["c", "a.minus"], ["b.plus", "b.minus"], ("validation", 1)),
        (["a.plus"], ["a.minus"], ("validation", 0)),
    ],
)
def test_the_strands_of_one_signal_are_not_parted(validation, test, path):
    (problem,) = split(validation=validation, test=test).problems(STRANDED)
    assert problem.path == path
    assert problem.message.startswith(
        ("'a.plus' and 'a.minus' are the strands", "'a.minus' and 'a.plus' are the strands")
    )
    assert problem.message.endswith("of one signal, and belong to one split: name both in validation.")


def test_the_classes_of_one_label_are_not_parted():
    table = GenomeTable(TABLE.contigs, tracks=TRACKS, kind="multiclass")
    (problem,) = split().problems(table)
    assert problem == (("by",), "the tracks are the classes of one label, so none can be held out. Split by: contig.")


def test_folds_hold_out_tracks_in_turn_and_leave_the_contigs():
    settings = split(contigs={"validation": ["chrIII"], "test": ["chrI"]})
    folds = settings.folds(TABLE, settings.resolve(TABLE), n_folds=9)
    assert sorted(parts(fold) for fold in folds) == sorted(
        ([[track for track in (1, 2, 3) if track != held_out], [held_out], [0]], [[1], [2], [0]])
        for held_out in (1, 2, 3)
    )


def test_folds_keep_strands_together():
    settings = split(validation=["a.plus", "a.minus"], test=["c"])
    assert settings.problems(STRANDED) == []
    folds = settings.folds(STRANDED, settings.resolve(STRANDED), n_folds=9)
    assert sorted(fold.tracks.validation.tolist() for fold in folds) == [[0, 2], [1, 3]]


NAMES = st.lists(st.sampled_from([*TRACKS, "kidney"]), max_size=4)


@given(NAMES, NAMES)
def test_without_a_problem_each_track_is_in_one_split_and_none_is_empty(validation, test):
    settings = split(validation=validation, test=test)
    if settings.problems(TABLE):
        return
    tracks = [part.tolist() for part in settings.resolve(TABLE).tracks]
    assert sorted(track for part in tracks for track in part) == [0, 1, 2, 3]
    assert all(tracks)
    assert all(part == sorted(part) for part in tracks)
