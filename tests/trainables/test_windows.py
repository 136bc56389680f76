"""Settings of windows, and what is known of them before anything is decoded."""

import pytest
from pydantic import ValidationError

from genotune.errors import Problem
from genotune.settings import Settings, build
from genotune.store import SequenceOutline
from genotune.trainables.window_selection import n_windows, window_problems
from genotune.trainables.windows import AboveThreshold, AtPeaks, Tiles, WindowSettings

OUTLINE = SequenceOutline(16, ("cuts",), (5000, 3000, 900), n_peaks={"called": 7, "empty": 0})


class Family(Settings):
    windows: WindowSettings = Tiles()


def windows(**values):
    return build(Family, {"windows": values}).windows


def test_windows_are_tiles_unless_the_file_says_otherwise():
    assert windows(length_bp=512) == Tiles(length_bp=512)
    assert isinstance(windows(select="peaks", peaks="called"), AtPeaks)
    assert isinstance(windows(select="threshold", at=1), AboveThreshold)


@pytest.mark.parametrize("values", [{}, {"at": 1, "quantile": 0.5}])
def test_a_threshold_is_a_value_or_a_quantile(values):
    with pytest.raises(ValidationError, match="takes either `at`, a mean signal, or `quantile`"):
        windows(select="threshold", **values)


@pytest.mark.parametrize("values", [{"zero_signal": 1.0}, {"zero_signal": "some"}, {"stride_bp": 0}, {"peaks": "a"}])
def test_what_no_epoch_can_be_made_of_is_refused(values):
    with pytest.raises(ValidationError, match="windows"):
        windows(**values)


def test_settings_that_fit_have_no_problem():
    assert not window_problems(windows(length_bp=512, stride_bp=160), OUTLINE)
    assert not window_problems(windows(length_bp=512, select="peaks", peaks="called"), OUTLINE)
    assert not window_problems(windows(length_bp=512, stride_bp=160, select="threshold", at=1), OUTLINE)


@pytest.mark.parametrize(
    ("values", "key", "message"),
    [
        ({"length_bp": 500}, "length_bp", "found 500; must be a whole multiple of data.resolution_bp (16), e.g. 496"),
        ({"stride_bp": 100}, "stride_bp", "found 100; must be a whole multiple of data.resolution_bp (16), e.g. 96 or"),
        ({"length_bp": 5008}, "length_bp", "found 5008; the longest training contig has 5000 bp. Use shorter windows."),
        ({"select": "peaks", "peaks": "calld"}, "peaks", "found 'calld'; data.peaks has 'called', 'empty'. Name a set"),
        ({"select": "peaks", "peaks": "empty"}, "peaks", "found 'empty'; none of its peaks lies on a training contig."),
    ],
)
def test_every_problem_says_what_was_found_and_what_to_do(values, key, message):
    (problem,) = window_problems(windows(**values), OUTLINE)
    assert problem.path == ("windows", key)
    assert problem.message.startswith(message)


def test_a_file_without_sets_of_peaks_is_told_so():
    (problem,) = window_problems(windows(select="peaks", peaks="called"), OUTLINE._replace(n_peaks={}))
    assert problem == Problem(
        ("windows", "peaks"),
        "found 'called'; data.peaks names no set. Name a set of peaks there, or use windows.select: tiles.",
    )


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ({"length_bp": 1024, "stride_bp": 512}, 8 + 4),
        ({"length_bp": 1024, "stride_bp": 512, "balance": "undersample"}, 12),
        ({"length_bp": 1024, "stride_bp": 512, "balance": "oversample"}, 24),
        ({"select": "peaks", "peaks": "called"}, 14),
        ({"select": "peaks", "peaks": "called", "negatives": None}, 7),
        ({"select": "peaks", "peaks": "called", "negatives": None, "flanked": True}, 21),
        ({"select": "peaks", "peaks": "called", "negatives": {"ratio": 3}}, 28),
        ({"select": "peaks", "peaks": "called", "negatives": {"ratio": 3}, "balance": "undersample"}, 14),
        ({"select": "peaks", "peaks": "called", "negatives": {"ratio": 3}, "balance": "oversample"}, 42),
        ({"select": "peaks", "peaks": "called", "negatives": {"ratio": 0.01}}, 8),
        ({"select": "threshold", "at": 1, "length_bp": 1024, "stride_bp": 512}, 12),
        ({"select": "threshold", "quantile": 0.75, "length_bp": 1024, "stride_bp": 512}, 4),
    ],
)
def test_windows_are_counted_before_anything_is_decoded(values, wanted):
    assert n_windows(windows(**values), OUTLINE) == wanted
