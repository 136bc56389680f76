"""Transforms: what they make of values, what they learn, and the way back."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from genotune.genome.track_transforms import (
    Arcsinh,
    Clip,
    FittedStep,
    Log1p,
    NoTransform,
    Scale,
    Transform,
    apply_transform,
    fit_transform,
    undo_transform,
)
from genotune.settings import build


def never(share):
    pytest.fail("no quantile was asked for")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("none", (NoTransform(),)),
        ("arcsinh", (Arcsinh(),)),
        ({"kind": "clip", "at": 30}, (Clip(at=30.0),)),
        (["scale", {"kind": "clip", "quantile": 0.99}, "log1p"], (Scale(), Clip(quantile=0.99), Log1p())),
    ],
)
def test_a_step_or_a_list_of_steps_may_be_written(written, meant):
    assert build(Transform, written) == meant


@pytest.mark.parametrize("limits", [{}, {"at": 3.0, "quantile": 0.9}])
def test_a_clip_has_one_limit(limits):
    with pytest.raises(ValidationError, match="clip takes either `at`, a value, or `quantile`"):
        build(Transform, {"kind": "clip", **limits})


def test_an_unknown_transform_is_refused():
    with pytest.raises(ValidationError, match="log2"):
        build(Transform, "log2")


def test_steps_without_effect_are_left_out():
    assert fit_transform((NoTransform(),), mean=1.0, quantile=never) == ()


def test_a_track_is_scaled_to_its_depth_by_its_training_mean():
    assert fit_transform((Scale(depth=3.0),), mean=0.5, quantile=never) == (FittedStep("scale", 6.0),)


def test_a_track_without_signal_is_not_scaled():
    assert fit_transform((Scale(depth=3.0),), mean=0.0, quantile=never) == (FittedStep("scale", 1.0),)


def test_a_quantile_is_taken_of_what_the_steps_before_have_made():
    fitted = fit_transform((Log1p(), Clip(quantile=0.9)), mean=1.0, quantile={0.9: 7.0}.__getitem__)
    assert fitted == (FittedStep("log1p"), FittedStep("clip", pytest.approx(math.log(8))))


def test_values_by_hand():
    values = np.array([0.0, 1.0, 10.0, np.nan])
    np.testing.assert_allclose(apply_transform((FittedStep("clip", 4.0),), values), [0, 1, 4, np.nan])
    np.testing.assert_allclose(apply_transform((FittedStep("scale", 2.0),), values), [0, 2, 20, np.nan])
    np.testing.assert_allclose(
        apply_transform((FittedStep("arcsinh"),), values), [0, math.log(1 + math.sqrt(2)), math.asinh(10), np.nan]
    )
    np.testing.assert_allclose(apply_transform((FittedStep("log1p"),), values), [0, math.log(2), math.log(11), np.nan])


STEPS = [FittedStep("scale", 0.25), FittedStep("arcsinh"), FittedStep("log1p")]


@given(st.lists(st.sampled_from(STEPS), max_size=3), st.lists(st.floats(0, 1e4), min_size=1, max_size=5))
def test_the_way_back_ends_where_it_began(steps, values):
    there = apply_transform(tuple(steps), np.array(values))
    np.testing.assert_allclose(undo_transform(tuple(steps), there), values, rtol=1e-9, atol=1e-9)


def test_what_was_clipped_comes_back_as_the_limit():
    steps = (FittedStep("scale", 2.0), FittedStep("clip", 4.0))
    np.testing.assert_allclose(undo_transform(steps, apply_transform(steps, np.array([1.0, 2.0, 9.0]))), [1, 2, 2])


def test_tensors_are_transformed_as_arrays_are():
    torch = pytest.importorskip("torch")
    steps = (FittedStep("scale", 2.0), FittedStep("clip", 4.0), FittedStep("log1p"), FittedStep("arcsinh"))
    values = np.array([[0.0, 0.5], [3.0, np.nan]])
    seen = apply_transform(steps, torch.from_numpy(values), torch)
    np.testing.assert_allclose(seen.numpy(), apply_transform(steps, values))
    np.testing.assert_allclose(undo_transform(steps, seen, torch).numpy(), undo_transform(steps, seen.numpy()))
