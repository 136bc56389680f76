"""Arithmetic on windows that families share: the other strand, wider bins, means. numpy only."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from genotune.store import CodeArray, FloatArray, IntArray, SequenceStore

_COMPLEMENT: Final = np.array([3, 2, 1, 0, 4], dtype=np.uint8)
_CHUNK_BINS: Final = 1 << 18


def reverse_complement(codes: CodeArray) -> CodeArray:
    """The other strand, read from its own 5' end; N stays N.

    Args:
        codes: (..., base).
    """
    return _COMPLEMENT[codes[..., ::-1]]


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


def mean_signal(store: SequenceStore, contigs: IntArray) -> NDArray[np.float64]:
    """(track,) mean over the bins of the contigs that hold a value; NaN for a track without one. Read in chunks."""
    total = np.zeros(len(store.tracks))
    count = np.zeros(len(store.tracks), dtype=np.int64)
    for contig in contigs:
        signal = store.contig_signal(int(contig))
        for first in range(0, signal.shape[1], _CHUNK_BINS):
            chunk = signal[:, first : first + _CHUNK_BINS]
            known = ~np.isnan(chunk)
            total += np.sum(chunk, axis=1, where=known, dtype=np.float64)
            count += known.sum(axis=1)
    means = np.full(len(total), np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means
