"""Targets of bins, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from genotune.genome.track_transforms import Arcsinh, Clip, FittedStep, Scale
from genotune.trainables.bin_targets import classes_of, labels_of, total_targets

MEANS = np.array([[0.5, 1.0], [1.5, 0.0], [4.0, -2.0]], dtype=np.float32)


def test_totals_are_means_times_the_width(make_store):
    targets = total_targets(make_store([320], tracks=("a", "b")), MEANS, bin_bp=10, transform=None)
    np.testing.assert_allclose(targets.values, MEANS * 10)
    assert targets.transforms == ((), ())


def test_each_track_is_seen_as_the_store_says_unless_all_are_seen_alike(make_store):
    store = replace(make_store([320], tracks=("a", "b")), transforms=((Arcsinh(),), (Scale(depth=3.0),)))
    targets = total_targets(store, MEANS, bin_bp=10, transform=None)
    np.testing.assert_allclose(targets.values[:, 0], np.arcsinh([5, 15, 40]), rtol=1e-6)
    # The mean of b is -1/3: no depth that it could be scaled to.
    np.testing.assert_allclose(targets.values[:, 1], [10, 0, -20])
    alike = total_targets(store, MEANS, bin_bp=10, transform=[Scale(depth=4.0)])
    np.testing.assert_allclose(alike.values[:, 0], [10, 30, 80])
    none = total_targets(store, MEANS, bin_bp=10, transform=())
    np.testing.assert_allclose(none.values, MEANS * 10)


def test_what_a_transform_takes_from_the_data_it_takes_from_each_track(make_store):
    store = make_store([320], tracks=("a", "b"))
    targets = total_targets(store, MEANS, bin_bp=10, transform=[Clip(quantile=0.5)])
    assert targets.transforms == ((FittedStep("clip", 15.0),), (FittedStep("clip", 0.0),))
    np.testing.assert_allclose(targets.values, [[5, 0], [15, 0], [15, -20]])


def test_means_are_left_as_they_are(make_store):
    before = MEANS.copy()
    total_targets(make_store([320], tracks=("a", "b")), MEANS, bin_bp=1, transform=[Arcsinh()])
    np.testing.assert_array_equal(MEANS, before)


def test_a_bin_is_positive_from_half_of_its_bases_on():
    np.testing.assert_array_equal(labels_of(np.array([[0.49, 0.5], [1, 0]], np.float32)), [[0, 1], [1, 0]])
    thirds = np.float32(1 / 3) * np.float32(1.5)
    assert labels_of(np.array([[thirds]]))[0, 0] == 1


@pytest.mark.parametrize(
    ("shares", "expected"), [([0.4, 0.3], 0), ([0.5, 0.2], 1), ([0.1, 0.9], 2), ([0.6, 0.6], 1), ([0.55, 0.7], 2)]
)
def test_the_class_of_a_bin_is_the_track_with_the_largest_share_or_none(shares, expected):
    assert classes_of(np.array([shares], dtype=np.float32))[0] == expected
