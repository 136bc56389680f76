"""Widths and numbers of bins, by hand."""

import numpy as np
import pytest

from genotune.store import SequenceOutline
from genotune.trainables.bins import bin_means, bin_problems, bins_apart, n_bins_taken, resolved_bin_bp

OUTLINE = SequenceOutline(4, ("cuts",), (9000,))


@pytest.mark.parametrize(("resolution_bp", "bin_bp"), [(1, 32), (10, 40), (16, 32), (32, 32), (128, 128)])
def test_without_a_width_bins_are_the_stores_but_not_finer_than_32_bp(resolution_bp, bin_bp):
    assert resolved_bin_bp(None, resolution_bp=resolution_bp) == bin_bp
    assert resolved_bin_bp(64, resolution_bp=resolution_bp) == 64


def test_so_many_bins_apart_are_at_most_so_many():
    assert [bins_apart(n, max_bins=50) for n in (0, 1, 50, 51, 100, 101)] == [1, 1, 1, 2, 2, 3]


def test_bins_are_whole_and_do_not_pass_from_a_contig_to_the_next():
    outline = SequenceOutline(16, ("cuts",), (100, 90, 33))  # 7, 6 and 3 stored bins
    assert n_bins_taken(outline, bin_bp=16, max_bins=100) == 16
    assert n_bins_taken(outline, bin_bp=48, max_bins=100) == 2 + 2 + 1
    assert n_bins_taken(outline, bin_bp=None, max_bins=100) == 3 + 3 + 1
    assert n_bins_taken(outline, bin_bp=16, max_bins=7) == 6  # every third


def test_what_does_not_fit_is_said():
    assert bin_problems(OUTLINE, bin_bp=None, k=4, gap_bp=28) == []
    [problem] = bin_problems(OUTLINE, bin_bp=6, k=4)
    assert problem.path == ("bin_bp",)
    assert "whole multiple of data.resolution_bp (4), e.g. 4 or 8" in problem.message
    [problem] = bin_problems(OUTLINE, bin_bp=4, k=5, gap_bp=2)
    assert (problem.path, problem.message) == (("k",), "found 5; no such k-mer fits a bin of 4 bp. Use a smaller k.")


def test_a_gap_that_does_not_fit_is_said():
    [problem] = bin_problems(OUTLINE, bin_bp=32, k=4, gap_bp=29)
    assert problem.path == ("gap_bp",)
    assert problem.message == "found 29; a 4-mer with it is longer than a bin (32 bp). Use at most 28."
    [problem] = bin_problems(OUTLINE, bin_bp=32, k=1, gap_bp=3)
    assert problem.path == ("gap_bp",)
    assert problem.message == "found 3; a single base (k: 1) has no middle. Use 0, or a larger k."


def test_a_bin_mean_with_a_nan_in_it_is_nan():
    signal = np.array([[1, 3, np.nan, 4, 5, 7]], dtype=np.float32)
    np.testing.assert_array_equal(bin_means(signal, 2), [[2, np.nan, 6]])
    np.testing.assert_array_equal(bin_means(signal, 1), signal)
