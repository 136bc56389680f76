"""What networks learn to give: totals as they see them, and the way back."""

import tracemalloc

import numpy as np
import pytest
import torch

from genotune.genome.track_transforms import Arcsinh, Clip, FittedStep, Log1p, Scale
from genotune.store import SequenceStore
from genotune.trainables.targets import Targets, track_statistics
from genotune.trainables.trainable import FitError

CONTIGS = np.array([0, 1])


def changed(store, **values):
    return type(store)(**{**vars(store), **values})


def totals_of(store, track, *, bin_bp):
    factor = bin_bp // store.resolution_bp
    totals = []
    for contig in CONTIGS:
        signal = store.contig_signal(contig)[track].astype(np.float64)
        totals += [signal[i : i + factor].mean() * bin_bp for i in range(0, len(signal) // factor * factor, factor)]
    return np.array([total for total in totals if not np.isnan(total)])


@pytest.fixture(scope="module")
def two(make_store):
    store = make_store([9000, 5003, 4000], tracks=("a", "b"))
    signal = store.signal.copy()
    signal[1, 30:50] = np.nan
    return changed(store, signal=signal)


@pytest.mark.parametrize("bin_bp", [16, 48])
def test_statistics_are_those_of_the_training_contigs_bins(two, bin_bp):
    found = track_statistics(two, CONTIGS, bin_bp=bin_bp, transform=None)
    for track in range(2):
        totals = totals_of(two, track, bin_bp=bin_bp)
        assert found.mean[track] == pytest.approx(totals.mean(), rel=1e-5)
        assert found.deviation[track] == pytest.approx(totals.std(), rel=1e-4)
        assert found.minimum[track] == totals.min()


def test_the_other_contigs_change_nothing(two):
    signal = two.signal.copy()
    signal[:, two.offsets[2] :] += 100
    transform = (Clip(quantile=0.9), Scale(depth=2.0))
    first, second = (
        track_statistics(store, CONTIGS, bin_bp=32, transform=transform) for store in (two, changed(two, signal=signal))
    )
    assert first.transforms == second.transforms
    np.testing.assert_array_equal(first.mean, second.mean)


def test_a_clip_learns_its_quantile_and_a_scale_its_factor(two):
    found = track_statistics(two, CONTIGS, bin_bp=32, transform=(Scale(depth=2.0), Clip(quantile=0.9), Log1p()))
    for track, steps in enumerate(found.transforms):
        totals = totals_of(two, track, bin_bp=32)
        scale, clip, log = steps
        assert scale.value == pytest.approx(2 * 32 / totals.mean(), rel=1e-5)
        assert clip.value == pytest.approx(np.quantile(totals, 0.9) * scale.value, rel=1e-5)
        assert log.kind == "log1p"
        seen = np.log1p(np.minimum(totals * scale.value, clip.value))
        assert found.mean[track] == pytest.approx(seen.mean(), rel=1e-5)


def test_without_a_transform_of_its_own_each_track_has_that_of_the_data(two):
    store = changed(two, transforms=((Arcsinh(),), ()))
    assert track_statistics(store, CONTIGS, bin_bp=16, transform=None).transforms == ((FittedStep("arcsinh"),), ())
    assert track_statistics(store, CONTIGS, bin_bp=16, transform=()).transforms == ((), ())


def test_statistics_are_kept_for_the_next_trial(two):
    first = track_statistics(two, CONTIGS, bin_bp=32, transform=(Log1p(),))
    assert track_statistics(two, CONTIGS.copy(), bin_bp=32, transform=(Log1p(),)) is first


def test_a_track_without_a_value_is_named(two):
    signal = two.signal.copy()
    signal[1, : two.offsets[2]] = np.nan
    with pytest.raises(FitError, match="track 'b' holds no value on the training contigs; leave it out"):
        track_statistics(changed(two, signal=signal), CONTIGS, bin_bp=16, transform=None)


STEPS = [(), (FittedStep("log1p"),), (FittedStep("scale", 3.0), FittedStep("arcsinh"))]


@pytest.mark.parametrize("steps", STEPS)
def test_targets_and_back_are_the_signal_itself(steps):
    signal = torch.tensor([[[0.0, 0.5, 1.0, 3.0], [1.0, 1.0, 2.0, 4.0]]])
    targets = Targets("signal", 32, (steps, ()))
    seen = targets.of_signal(signal, resolution_bp=16)
    back = targets.to_signal(seen)
    np.testing.assert_allclose(back, [[[0.25, 2.0], [1.0, 3.0]]], rtol=1e-6)
    if not steps:
        np.testing.assert_allclose(seen, [[[8.0, 64.0], [32.0, 96.0]]])


def test_a_bin_with_an_unknown_part_is_unknown():
    signal = torch.tensor([[[0.5, float("nan"), 1.0, 3.0]]])
    seen = Targets("signal", 32, ((),)).of_signal(signal, resolution_bp=16)
    np.testing.assert_array_equal(seen, [[[np.nan, 64.0]]])


def test_labels_are_shares_and_stay_so():
    shares = torch.tensor([[[0.0, 1.0, 0.25, 0.25]]])
    targets = Targets("binary", 32, ())
    np.testing.assert_array_equal(targets.of_signal(shares, resolution_bp=16), [[[0.5, 0.25]]])
    np.testing.assert_array_equal(targets.to_signal(shares), shares)


def test_statistics_of_a_whole_store_cost_no_memory_of_its_size():
    n_bins = 4_000_000
    store = SequenceStore(
        sequence=np.zeros(n_bins * 4, dtype=np.uint8),
        signal=np.ones((1, n_bins), dtype=np.float32),
        offsets=np.array([0, n_bins]),
        lengths=np.array([n_bins * 4]),
        contigs=("chr1",),
        tracks=("cuts",),
        resolution_bp=4,
    )
    tracemalloc.start()
    try:
        track_statistics(store, np.array([0]), bin_bp=8, transform=(Log1p(),))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < store.nbytes / 4
