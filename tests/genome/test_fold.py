"""What of the data each split holds."""

import numpy as np

from genotune.genome.fold import Fold, TrackFold

MEMBERS = tuple(np.array([index]) for index in range(3))
TRACKS = TrackFold(*(np.array([index]) for index in (5, 6, 7)))


def test_to_go_through_a_fold_is_to_go_through_its_members():
    fold = Fold(*MEMBERS, tracks=TRACKS)
    assert [part.tolist() for part in fold] == [[0], [1], [2]]
    assert {name: part.tolist() for name, part in fold.members.items()} == {
        "train": [0],
        "validation": [1],
        "test": [2],
    }


def test_all_splits_have_all_tracks_unless_those_are_split_too():
    fold = Fold(*MEMBERS)
    assert fold.tracks_of("test") is None
    assert fold.splits.tracks is None


def test_a_trial_sees_neither_the_members_nor_the_tracks_of_test():
    splits = Fold(*MEMBERS, tracks=TRACKS).splits
    assert (splits.train.tolist(), splits.validation.tolist()) == ([0], [1])
    assert [part.tolist() for part in splits.tracks] == [[5], [6]]
    assert Fold(*MEMBERS, tracks=TRACKS).tracks_of("test").tolist() == [7]
