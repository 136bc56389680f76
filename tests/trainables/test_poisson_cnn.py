"""Settings of the CNN: what they allow, and what must go into what."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from genotune.settings import build
from genotune.store import SequenceOutline, SequenceStore
from genotune.trainables.poisson_cnn import PlateauSchedule, PoissonCNN

DATA = SequenceOutline(32, ("cuts",), (9000, 5003))


def settings(**values):
    return build(PoissonCNN, {"family": "poisson_cnn", **values})


def test_the_defaults_fit_a_source_at_32_bp():
    assert settings().problems(DATA) == []


def test_the_kind_of_a_schedule_says_which_settings_it_has():
    plateau = settings(schedule={"kind": "plateau", "patience": 3, "factor": 0.5}).schedule
    assert plateau == PlateauSchedule(patience=3, factor=0.5)
    with pytest.raises(ValidationError, match="factor"):
        settings(schedule={"kind": "cosine", "factor": 0.5})
    with pytest.raises(ValidationError, match="'cosine', 'plateau', 'constant'"):
        settings(schedule={"kind": "cosin"})


@pytest.mark.parametrize("name", ["stem_width", "kernel_width"])
def test_a_filter_without_a_middle_is_refused(name):
    with pytest.raises(ValidationError, match=r"found 4; must be odd, so that the filter has a middle, e\.g\. 5"):
        settings(**{name: 4})


@pytest.mark.parametrize(
    "values",
    [{"learning_rate": 0}, {"dropout": 1}, {"channels": 0}, {"batch_size": 0}, {"patience": 0}, {"warmup": 0.6}],
)
def test_values_out_of_bounds_are_refused(values):
    with pytest.raises(ValidationError, match=next(iter(values))):
        settings(**values)


@pytest.mark.parametrize(
    ("values", "path", "message"),
    [
        (
            {"bin_bp": 48, "windows": {"length_bp": 960}},
            ("bin_bp",),
            "multiple of data.resolution_bp (32), e.g. 32 or 64",
        ),
        ({"windows": {"length_bp": 1000}}, ("windows", "length_bp"), "multiple of bin_bp (32), e.g. 992 or 1024"),
        ({"windows": {"stride_bp": 500}}, ("windows", "stride_bp"), "multiple of data.resolution_bp (32), e.g. 480 or"),
        ({"jitter_bp": 10}, ("jitter_bp",), "found 10; must be a whole multiple of data.resolution_bp (32), e.g. 32."),
        ({"windows": {"length_bp": 16384}}, ("windows", "length_bp"), "the longest training contig has 9000 bp"),
    ],
)
def test_what_does_not_fit_the_data_is_said_with_what_would(values, path, message):
    [problem] = settings(**values).problems(DATA)
    assert problem.path == path
    assert message in problem.message


def test_all_problems_come_at_once():
    found = settings(bin_bp=48, jitter_bp=10, windows={"length_bp": 20000, "stride_bp": 500}).problems(DATA)
    assert len(found) == 5


def test_dilations_grow_until_a_filter_spans_half_of_the_window():
    assert settings(n_blocks=6).dilations() == (1, 2, 4, 8, 8, 8)
    assert settings(n_blocks=3, dilation_growth=3).dilations() == (1, 3, 8)
    assert settings(n_blocks=2, windows={"length_bp": 32, "stride_bp": 32}).dilations() == (1, 1)
    assert settings(n_blocks=3, kernel_width=1).dilations() == (1, 2, 4)


@given(
    lengths=st.lists(st.integers(1, 3000), min_size=1, max_size=4),
    length_bins=st.integers(1, 40),
    stride_bins=st.integers(1, 40),
)
def test_examples_are_counted_as_they_are_laid(lengths, length_bins, stride_bins):
    n_bins = [-(-length // 16) for length in lengths]
    store = SequenceStore(
        sequence=np.zeros(sum(n_bins) * 16, dtype=np.uint8),
        signal=np.zeros((1, sum(n_bins)), dtype=np.float32),
        offsets=np.concatenate([[0], np.cumsum(n_bins)]),
        lengths=np.array(lengths),
        contigs=tuple(map(str, range(len(lengths)))),
        tracks=("cuts",),
        resolution_bp=16,
    )
    windows = {"length_bp": length_bins * 16, "stride_bp": stride_bins * 16}
    tiles = store.tile_starts(np.arange(len(lengths)), **windows)
    data = DATA._replace(resolution_bp=16, contig_lengths=tuple(lengths))
    assert settings(bin_bp=16, windows=windows).n_examples(data) == len(tiles)
