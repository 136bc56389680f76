"""What the families that learn from bins one by one share of their settings: widths, numbers, what doesn't fit."""

from typing import Final

from genotune.errors import Problem
from genotune.store import FloatArray, SequenceOutline
from genotune.trainables.trainable import multiple_problems

_SMALLEST_BIN_BP: Final = 32


def resolved_bin_bp(bin_bp: int | None, *, resolution_bp: int) -> int:
    """Width of a predicted bin: as set, else the store's resolution, or as many of them as make 32 bp."""
    return bin_bp or -(-_SMALLEST_BIN_BP // resolution_bp) * resolution_bp


def bins_apart(n_bins: int, *, max_bins: int) -> int:
    """Of so many training bins every how manieth is taken, so that at most `max_bins` are."""
    return max(1, -(-n_bins // max_bins))


def n_bins_taken(outline: SequenceOutline, *, bin_bp: int | None, max_bins: int) -> int:
    """Bins that are learned from, as far as all hold a value; the rest at a contig's end that makes no bin is not."""
    factor = resolved_bin_bp(bin_bp, resolution_bp=outline.resolution_bp) // outline.resolution_bp
    n_bins = sum(-(-length // outline.resolution_bp) // factor for length in outline.contig_lengths)
    return -(-n_bins // bins_apart(n_bins, max_bins=max_bins))


def bin_problems(outline: SequenceOutline, *, bin_bp: int | None, k: int, gap_bp: int = 0) -> list[Problem]:
    """Widths that don't go into each other."""
    width_bp = resolved_bin_bp(bin_bp, resolution_bp=outline.resolution_bp)
    found = multiple_problems(("bin_bp",), width_bp, of=outline.resolution_bp, name="data.resolution_bp")
    if k > width_bp:
        found.append(Problem(("k",), f"found {k}; no such k-mer fits a bin of {width_bp} bp. Use a smaller k."))
    elif gap_bp and k == 1:
        found.append(Problem(("gap_bp",), f"found {gap_bp}; a single base (k: 1) has no middle. Use 0, or a larger k."))
    elif k + gap_bp > width_bp:
        message = f"found {gap_bp}; a {k}-mer with it is longer than a bin ({width_bp} bp). Use at most {width_bp - k}."
        found.append(Problem(("gap_bp",), message))
    return found


def bin_means(signal: FloatArray, factor: int) -> FloatArray:
    """Mean of each `factor` bins in a row; NaN if one of them is.

    Args:
        signal: (..., bin), a whole multiple of `factor`.
        factor: bins that become one.

    Returns:
        (..., bin / factor).
    """
    if factor == 1:
        return signal
    means: FloatArray = signal.reshape(*signal.shape[:-1], -1, factor).mean(axis=-1)
    return means
