"""Small stores made on the fly."""

import numpy as np
import pytest

from genotune.store import SequenceStore, Splits

MOTIF = np.array([0, 3, 3, 2, 1, 0, 0, 1, 3], dtype=np.uint8)


def build_store(lengths, *, resolution_bp=16, tracks=("cuts",), seed=0, every_bp=160, base_rate=0.02, motif_rate=1.0):
    """Random contigs with a motif planted on either strand; counts are Poisson, and higher in the bin of a motif."""
    rng = np.random.default_rng(seed)
    sequences, signals = [], []
    for length in lengths:
        n_bins = -(-length // resolution_bp)
        codes = np.full(n_bins * resolution_bp, 4, dtype=np.uint8)
        codes[:length] = rng.integers(0, 4, length)
        rates = np.full((len(tracks), n_bins), base_rate)
        for start in rng.integers(0, length - len(MOTIF), length // every_bp):
            codes[start : start + len(MOTIF)] = MOTIF if rng.random() < 0.5 else 3 - MOTIF[::-1]
            rates[:, (start + len(MOTIF) // 2) // resolution_bp] = motif_rate
        sequences.append(codes)
        signals.append(rng.poisson(rates * resolution_bp) / resolution_bp)
    n_bins = [signal.shape[1] for signal in signals]
    return SequenceStore(
        sequence=np.concatenate(sequences),
        signal=np.concatenate(signals, axis=1).astype(np.float32),
        offsets=np.concatenate([[0], np.cumsum(n_bins)]).astype(np.int64),
        lengths=np.array(lengths, dtype=np.int64),
        contigs=tuple(f"chr{index}" for index in range(len(lengths))),
        tracks=tuple(tracks),
        resolution_bp=resolution_bp,
    )


@pytest.fixture(scope="session")
def make_store():
    return build_store


@pytest.fixture(scope="session")
def store():
    return build_store([9000, 5003, 4000])


@pytest.fixture(scope="session")
def splits():
    return Splits(train=np.array([0, 1]), validation=np.array([2]))
