"""How the CNN learns: rates, patience, and that it does."""

import math

import numpy as np
import pytest
import torch

from genotune.errors import DataError
from genotune.scoring import score
from genotune.store import Splits
from genotune.trainables.poisson_cnn import (
    ConstantSchedule,
    CosineSchedule,
    PlateauSchedule,
    PoissonCNN,
    WindowSettings,
)
from genotune.trainables.poisson_cnn_training import Steering, learning_rate_at
from genotune.trainables.trainable import FitPlan

SMALL = PoissonCNN(
    windows=WindowSettings(length_bp=256, stride_bp=128),
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


def rates(settings, *, n_steps=100, lowered=0):
    return [learning_rate_at(step, settings, n_steps=n_steps, lowered=lowered) for step in range(n_steps)]


def test_the_rate_rises_in_a_line_then_falls_along_a_cosine():
    values = rates(changed(learning_rate=1.0, warmup=0.2, schedule=CosineSchedule()))
    assert values[:20] == pytest.approx(np.arange(1, 21) / 20)
    assert values[20] == 1
    assert values[60] == pytest.approx(0.5)
    assert values[99] == pytest.approx(0.5 * (1 + math.cos(math.pi * 79 / 80)))
    assert 0 < values[99] < 0.001


def test_without_warm_up_the_first_step_has_the_full_rate():
    assert rates(changed(learning_rate=0.3, warmup=0.0, schedule=CosineSchedule()))[0] == 0.3


def test_a_plateau_lowers_the_rate_by_its_factor():
    plateau = changed(learning_rate=1.0, warmup=0.0, schedule=PlateauSchedule(factor=0.1))
    assert set(rates(plateau)) == {1.0}
    assert rates(plateau, lowered=2)[50] == pytest.approx(0.01)


def test_a_constant_rate_stays():
    assert set(rates(changed(learning_rate=0.5, warmup=0.0, schedule=ConstantSchedule()))) == {0.5}


def steered(values, *, plateau=None):
    steering = Steering()
    for value in values:
        steering = steering.after(value, plateau=plateau)
    return steering


def test_staleness_counts_epochs_since_the_best():
    assert steered([0.1, 0.3, 0.2, 0.3]) == Steering(best=0.3, stale=2, waited=2)
    assert steered([0.1, 0.3, 0.2, 0.4]) == Steering(best=0.4)


def test_what_is_no_number_is_no_improvement_and_what_was_not_measured_changes_nothing():
    assert steered([math.nan, math.nan]) == Steering(stale=2, waited=2)
    assert steered([0.5, math.nan, None]) == Steering(best=0.5, stale=1, waited=1)


def test_a_plateau_waits_again_after_it_has_lowered_the_rate():
    plateau = PlateauSchedule(patience=2)
    assert steered([0.5, 0.4, 0.4], plateau=plateau) == Steering(best=0.5, stale=2, waited=0, lowered=1)
    assert steered([0.5, 0.4, 0.4, 0.4, 0.4], plateau=plateau).lowered == 2
    assert steered([0.5, 0.4, 0.4, 0.6], plateau=plateau) == Steering(best=0.6, lowered=1)


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
    settings = changed(windows=WindowSettings(length_bp=16384, stride_bp=128))
    with pytest.raises(DataError, match=r"hold no window of 16384 bp\. Use shorter windows"):
        fit(settings, store, splits)


def test_a_track_below_zero_is_the_users_error(make_store):
    store = make_store([3000])
    store.signal[:] = -1
    with pytest.raises(DataError, match="track 'cuts' has a negative mean"):
        fit(SMALL, store, Splits(np.array([0]), np.array([0])))


@pytest.mark.gpu
def test_a_gpu_learns_what_a_cpu_does(make_store, splits):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    store = make_store([80000, 20000, 20000])
    plan = FitPlan(seed=0, max_epochs=3, device="cuda")
    on_gpu = SMALL.fit(store, splits, report=lambda progress: None, plan=plan)
    predicted = on_gpu.predict_contig(store, 2)
    on_gpu.to("cpu")
    np.testing.assert_allclose(on_gpu.predict_contig(store, 2), predicted, rtol=1e-2, atol=1e-3)
