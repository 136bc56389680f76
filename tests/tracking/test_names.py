"""How values and names of ours are written in MLflow."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genotune.tracking.names import SWEEP, RunKey, flat_params, key_of, metric_key, trial_key, value_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.001, "0.001"),
        (64, "64"),
        (64.0, "64.0"),
        (True, "true"),
        (None, "null"),
        ("tiles", "tiles"),
        ([1, 2], "[1, 2]"),
    ],
)
def test_a_value_keeps_its_type_as_text(value, text):
    assert value_text(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_comes_back_exactly(value):
    assert json.loads(value_text(value)) == value


def test_text_that_is_too_long_is_cut_and_says_so():
    assert len(value_text("a" * 9000)) == 5000
    assert value_text("a" * 9000).endswith("a…")


def test_nested_params_get_dotted_names_and_an_empty_mapping_stays_seen():
    params = {"windows": {"length_bp": 1024, "more": {"jitter": 0.5}}, "k": 5, "extra": {}}
    assert flat_params(params) == {"windows.length_bp": "1024", "windows.more.jitter": "0.5", "k": "5", "extra": "{}"}


def test_a_metric_of_an_oddly_named_track_gets_letters_that_mlflow_takes():
    assert metric_key("validation.pearson.H3K27ac (rep#1)") == "validation.pearson.H3K27ac _rep_1_"


@pytest.mark.parametrize("key", [SWEEP, trial_key(7), RunKey("baseline", "ridge")])
def test_a_run_is_known_again_by_its_tags(key):
    assert key_of(key.tags) == key


def test_a_run_of_somebody_else_is_none_of_ours():
    assert key_of({"mlflow.runName": "x"}) is None
