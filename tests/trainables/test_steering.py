"""Rates and patience, as the objective's values steer them."""

import math

import numpy as np
import pytest

from genotune.trainables.poisson_cnn import PoissonCNN
from genotune.trainables.sequence_network import ConstantSchedule, CosineSchedule, PlateauSchedule
from genotune.trainables.steering import Steering, learning_rate_at


def changed(**values):
    return PoissonCNN().model_copy(update=values)


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
