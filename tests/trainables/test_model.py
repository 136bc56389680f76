"""What all models of sequence do: predict whole contigs."""

import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from genotune.store import N_CODE, SequenceStore
from genotune.trainables.model import SequenceModel


class CodeSums(SequenceModel):
    """Predicts for each bin the sum of its codes, and in a second track that of the whole input."""

    tracks = ("bin", "input")

    def __init__(self, *, bin_bp, input_bp, crop_bp):
        self.bin_bp, self.input_bp, self.crop_bp = bin_bp, input_bp, crop_bp

    n_parameters = 0

    def predict(self, codes):
        inner = codes[:, self.crop_bp : self.input_bp - self.crop_bp].astype(np.float32)
        of_bins = inner.reshape(len(codes), -1, self.bin_bp).sum(axis=2)
        of_input = codes.sum(axis=1, dtype=np.float32)[:, None]
        return np.stack([of_bins, np.broadcast_to(of_input, of_bins.shape)], axis=1)

    def save(self, folder):
        raise NotImplementedError


def one_contig(length_bp, *, resolution_bp=4, between=0):
    """A contig of random bases, with so many bins of another contig before and after it."""
    rng = np.random.default_rng(length_bp)
    n_bins = -(-length_bp // resolution_bp)
    offsets = np.cumsum([0, between, n_bins, between])
    return SequenceStore(
        sequence=rng.integers(0, 4, offsets[-1] * resolution_bp, dtype=np.uint8),
        signal=np.zeros((1, offsets[-1]), dtype=np.float32),
        offsets=offsets,
        lengths=np.array([between * resolution_bp, length_bp, between * resolution_bp]),
        contigs=("before", "here", "after"),
        tracks=("a",),
        resolution_bp=resolution_bp,
    )


def predicted_by_bin(model, store):
    """The slow way: for each window its own input, base by base, N beyond the contig's ends."""
    codes = store.contig_sequence(1).tolist()
    stride_bp = model.input_bp - 2 * model.crop_bp
    found = []
    for first in range(0, len(codes), stride_bp):
        bases = range(first - model.crop_bp, first + stride_bp + model.crop_bp)
        window = [codes[base] if 0 <= base < len(codes) else N_CODE for base in bases]
        found.append(model.predict(np.array([window], dtype=np.uint8))[0])
    return np.concatenate(found, axis=1)[:, : -(-len(codes) // model.bin_bp)]


@given(
    length_bp=st.integers(1, 300),
    bin_bp=st.sampled_from([4, 8]),
    n_bins=st.integers(1, 6),
    crop_bins=st.integers(0, 3),
    batch=st.integers(1, 5),
)
def test_a_contig_is_predicted_as_its_windows_are_one_by_one(length_bp, bin_bp, n_bins, crop_bins, batch):
    model = CodeSums(bin_bp=bin_bp, input_bp=(n_bins + 2 * crop_bins) * bin_bp, crop_bp=crop_bins * bin_bp)
    store = one_contig(length_bp, between=3)
    np.testing.assert_array_equal(model.predict_contig(store, 1, batch=batch), predicted_by_bin(model, store))


def test_predicting_a_long_contig_makes_no_copy_of_its_sequence():
    model, store = CodeSums(bin_bp=128, input_bp=1024, crop_bp=256), one_contig(8_000_000, resolution_bp=128)
    tracemalloc.start()
    predicted = model.predict_contig(store, 1)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most - predicted.base.nbytes < 0.4 * store.sequence.nbytes
