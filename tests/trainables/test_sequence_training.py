"""How the CNN learns: rates, patience, and that it does."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from genotune.scoring import score
from genotune.store import Splits
from genotune.trainables import load_model
from genotune.trainables.losses import (
    BinaryCrossEntropy,
    MeanSquaredError,
    Poisson,
    PoissonMultinomial,
    WeightedMeanSquaredError,
)
from genotune.trainables.poisson_cnn import PoissonCNN
from genotune.trainables.sequence_network import PlateauSchedule
from genotune.trainables.trainable import FitError, FitPlan
from genotune.trainables.windows import Tiles

SMALL = PoissonCNN(
    windows=Tiles(length_bp=256, stride_bp=128),
    bin_bp=16,
    channels=8,
    n_blocks=2,
    batch_size=16,
    learning_rate=1e-2,
    dropout=0.1,
)


def changed(**values):
    return SMALL.model_copy(update=values)


def fit(settings, store, splits, *, report=lambda progress: None, seed=0, max_epochs=3, resume=None):
    return settings.fit(store, splits, report=report, plan=FitPlan(seed=seed, max_epochs=max_epochs), resume=resume)


def test_the_fit_ends_when_patience_does(store, splits):
    seen = []

    def report(progress):
        seen.append(progress.epoch)
        return [0.1, 0.5, 0.4, 0.3, 0.9][progress.epoch - 1]

    fit(changed(patience=2), store, splits, report=report, max_epochs=5)
    assert seen == [1, 2, 3, 4]


@pytest.mark.parametrize("epoch", [2, 3, 4])
def test_a_resumed_fit_has_the_patience_and_the_rate_of_the_uninterrupted_one(store, splits, tmp_path, epoch):
    values = [0.5, 0.4, 0.4, 0.6, 0.1, 0.1, 0.1, 0.9]
    settings = changed(patience=3, schedule=PlateauSchedule(patience=1, factor=0.5))
    whole, again = {}, {}

    def report(progress):
        value = values[progress.epoch - 1]
        whole[progress.epoch] = progress.metrics["learning_rate"], progress.metrics["train_loss"]
        if progress.epoch == epoch:
            progress.save_state(tmp_path, value=value)
        return value

    def report_again(progress):
        again[progress.epoch] = progress.metrics["learning_rate"], progress.metrics["train_loss"]
        return values[progress.epoch - 1]

    fit(settings, store, splits, report=report, max_epochs=8)
    fit(settings, store, splits, report=report_again, max_epochs=8, resume=tmp_path)
    assert max(whole) == 7
    assert again == {number: seen for number, seen in whole.items() if number > epoch}


def test_a_fit_that_had_ended_reports_nothing_more(store, splits, tmp_path):
    def save(progress):
        progress.save_state(tmp_path, value=None)

    whole = fit(SMALL, store, splits, report=save, max_epochs=2)
    resumed = fit(SMALL, store, splits, report=lambda progress: pytest.fail("reported"), max_epochs=2, resume=tmp_path)
    codes = store.sequence[None, :256]
    np.testing.assert_array_equal(resumed.predict(codes), whole.predict(codes))


def test_another_seed_gives_another_model(store, splits):
    codes = store.sequence[None, :256]
    first, second = (fit(SMALL, store, splits, seed=seed).predict(codes) for seed in (0, 1))
    assert not np.allclose(first, second, rtol=1e-3)


def test_another_trial_in_between_changes_nothing(store, splits):
    codes = store.sequence[None, :256]
    first = fit(SMALL, store, splits, seed=0).predict(codes)
    fit(changed(channels=4), store, splits, seed=5)
    torch.rand(17)
    np.testing.assert_array_equal(fit(SMALL, store, splits, seed=0).predict(codes), first)


def test_a_planted_motif_is_learned_in_a_few_epochs(make_store, splits):
    store = make_store([80000, 20000, 20000])

    def pearson(model):
        predict = model.predict_contig
        return score(
            lambda contig: predict(store, contig),
            store,
            splits.validation,
            model_bin_bp=16,
            bin_bp=16,
            metrics=["pearson"],
        )["pearson"]

    curve = []
    fit(
        changed(dropout=0.0), store, splits, report=lambda progress: curve.append(pearson(progress.model)), max_epochs=6
    )
    assert curve[-1] > 0.8
    assert curve[-1] > curve[0]


def test_the_threads_are_those_of_the_plan(store, splits):
    before = torch.get_num_threads()
    try:
        SMALL.fit(store, splits, report=lambda progress: None, plan=FitPlan(seed=0, max_epochs=1, n_threads=2))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_reproducible_fit_asks_for_deterministic_kernels_and_the_next_one_does_not(store, splits):
    plan = FitPlan(seed=0, max_epochs=1, reproducible=True)
    SMALL.fit(store, splits, report=lambda progress: None, plan=plan)
    assert torch.are_deterministic_algorithms_enabled()
    fit(SMALL, store, splits, max_epochs=1)
    assert not torch.are_deterministic_algorithms_enabled()


def test_contigs_that_hold_no_window_are_the_users_error(store, splits):
    settings = changed(windows=Tiles(length_bp=16384, stride_bp=128))
    with pytest.raises(FitError, match="windows of 16384 bp; the longest training contig has 9000 bp"):
        fit(settings, store, splits)


@pytest.mark.parametrize("values", [{}, {"loss": PoissonMultinomial()}, {"head": "profile_total"}])
def test_a_track_below_zero_does_not_fit_a_loss_of_counts(make_store, values):
    store = make_store([3000])
    store.signal[0, 5] = -1
    with pytest.raises(FitError, match=r"track 'cuts' holds values below zero .*a bin has -16\).* or `loss: mse`"):
        fit(changed(**values), store, Splits(np.array([0]), np.array([0])))


def test_a_track_of_a_mean_below_zero_has_no_weights_by_its_mean(make_store):
    store = make_store([3000])
    store.signal[:] -= 5
    with pytest.raises(FitError, match=r"track 'cuts' holds values below zero .* a weighted_mse loss"):
        fit(changed(loss=WeightedMeanSquaredError()), store, Splits(np.array([0]), np.array([0])))


def test_a_track_that_is_zero_throughout_does_not_fit_a_loss_of_counts(make_store):
    store = make_store([3000])
    store.signal[:] = 0
    with pytest.raises(FitError, match="track 'cuts' is zero throughout the training contigs; a poisson loss"):
        fit(SMALL, store, Splits(np.array([0]), np.array([0])))


def test_a_track_below_zero_can_be_learned_by_its_squared_error(make_store):
    store = make_store([9000])
    store.signal[:] -= 1
    seen = []
    splits = Splits(np.array([0]), np.array([0]))
    model = fit(
        changed(loss=MeanSquaredError()), store, splits, report=lambda one: seen.append(one.metrics["train_loss"])
    )
    assert seen[0] > seen[-1]
    assert model.predict(store.sequence[None, :256]).min() < 0


LOSSES = [Poisson(), PoissonMultinomial(), MeanSquaredError(), WeightedMeanSquaredError()]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.kind)
@pytest.mark.parametrize("head", ["per_bin", "profile_total"])
def test_every_loss_learns_a_planted_motif(make_store, loss, head):
    store = make_store([40000, 8000], base_rate=0.01, motif_rate=2.0)
    splits = Splits(np.array([0]), np.array([1]))
    model = fit(changed(loss=loss, head=head, dropout=0.0), store, splits, max_epochs=4)
    judged = score(
        lambda contig: model.predict_contig(store, contig),
        store,
        splits.validation,
        model_bin_bp=16,
        bin_bp=16,
        metrics=["pearson"],
    )
    assert judged["pearson"] > 0.5


@pytest.mark.parametrize(("kind", "loss"), [("binary", BinaryCrossEntropy(positive_weight=None)), ("multiclass", None)])
def test_labels_are_learned_as_probabilities(make_store, kind, loss):
    store = make_store([40000, 8000], base_rate=0.0, motif_rate=50.0)
    store = replace(store, kind=kind, signal=np.minimum(store.signal, 1))
    model = fit(changed(loss=loss, dropout=0.0), store, Splits(np.array([0]), np.array([1])), max_epochs=4)
    predicted = model.predict_contig(store, 1)[0]
    positive = store.contig_signal(1)[0] >= 0.5
    assert predicted.min() >= 0
    assert predicted.max() <= 1
    assert predicted[positive].mean() > predicted[~positive].mean() + 0.3


def losses_seen(settings, store, splits, **values):
    seen = []
    fit(settings, store, splits, report=lambda progress: seen.append(progress.metrics["train_loss"]), **values)
    return seen


def test_what_lies_in_the_crop_has_no_loss(store, splits):
    """One window, cropped to its middle: the signal outside is never looked at."""
    one = replace(store, offsets=np.array([0, 16]), lengths=np.array([256]), contigs=("chr0",))
    other = replace(one, signal=one.signal.copy())
    other.signal[:, :4] += 3
    settings = changed(windows=Tiles(length_bp=256, stride_bp=256), crop_bp=64, reverse_complement=False, dropout=0.0)
    # The mean over the contig is where predictions begin, so it must not change either.
    other.signal[:, 12:16] -= other.signal[:, 12:16].mean() + 3 - one.signal[:, 12:16].mean()
    settings = settings.model_copy(update={"loss": MeanSquaredError(), "transform": None})
    splits = Splits(np.array([0]), np.array([0]))
    first, second = (losses_seen(settings, data, splits, max_epochs=1)[0] for data in (one, other))
    scale = (other.signal[:, :16].std() / one.signal[:, :16].std()) ** 2
    assert first == pytest.approx(second * scale, rel=1e-3)


def test_a_track_without_weight_teaches_nothing(make_store):
    store = make_store([9000], tracks=("a", "b"))
    other = replace(store, signal=store.signal.copy())
    other.signal[1] = other.signal[1, ::-1]
    settings, splits = changed(track_weights={"b": 0.0}), Splits(np.array([0]), np.array([0]))
    codes = store.sequence[None, :256]
    first, second = (fit(settings, data, splits).predict(codes) for data in (store, other))
    np.testing.assert_array_equal(first[:, 0], second[:, 0])


def test_averaged_weights_are_what_is_reported_and_returned(store, splits, tmp_path):
    codes = store.sequence[None, :256]
    seen = {}

    def report(progress):
        folder = tmp_path / str(progress.epoch)
        folder.mkdir()
        progress.save_state(folder)
        progress.model.save(folder)
        seen[progress.epoch] = progress.model.predict(codes)

    settings = changed(ema_decay=0.99)
    last = fit(settings, store, splits, report=report)
    np.testing.assert_array_equal(last.predict(codes), seen[3])
    np.testing.assert_array_equal(load_model(tmp_path / "2").predict(codes), seen[2])
    assert not np.allclose(fit(SMALL, store, splits).predict(codes), seen[3], rtol=1e-3)


@pytest.mark.parametrize(
    "values",
    [
        {"ema_decay": 0.9},
        {"optimiser": "sgd"},
        {"optimiser": "radam", "head": "profile_total", "loss": PoissonMultinomial()},
        {"optimiser": "adam", "normalisation": "group", "jitter_bp": 7},
        {"windows": Tiles(length_bp=256, stride_bp=64, zero_signal=0.5, balance="oversample", weight="signal")},
    ],
    ids=str,
)
def test_a_resumed_fit_is_bit_for_bit_the_uninterrupted_one(store, splits, tmp_path, values):
    def save(progress):
        if progress.epoch == 2:
            progress.save_state(tmp_path)

    codes = store.sequence[None, :256]
    whole = fit(changed(**values), store, splits, report=save, max_epochs=4)
    resumed = fit(changed(**values), store, splits, max_epochs=4, resume=tmp_path)
    np.testing.assert_array_equal(resumed.predict(codes), whole.predict(codes))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.compile imports what torch itself has deprecated
def test_a_compiled_network_learns_what_another_does(store, splits):
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    plain, compiled = (
        losses_seen(changed(compile=to, dropout=0.0), store, splits, max_epochs=2) for to in (False, True)
    )
    assert compiled == pytest.approx(plain, rel=1e-3)


@pytest.mark.gpu
def test_a_gpu_learns_what_a_cpu_does(make_store, splits):
    store = make_store([80000, 20000, 20000])
    plan = FitPlan(seed=0, max_epochs=3, device="cuda")
    on_gpu = SMALL.fit(store, splits, report=lambda progress: None, plan=plan)
    predicted = on_gpu.predict_contig(store, 2)
    on_gpu.to("cpu")
    np.testing.assert_allclose(on_gpu.predict_contig(store, 2), predicted, rtol=1e-2, atol=1e-3)
