import numpy as np
import pytest

from genotune.data.store_builder import StoreBuilder
from genotune.data.stretches import Decoded


def test_pieces_go_to_their_places_in_any_order():
    builder = StoreBuilder({"a": 10, "b": 3, "c": 4}, tracks=["t"], resolution_bp=5)
    # The second begins on b and holds c too: contigs follow each other.
    both = Decoded(1, 0, np.full(10, 2, dtype=np.uint8), np.array([[3.0, 4.0]], dtype=np.float32))
    tail = Decoded(0, 5, np.full(5, 1, dtype=np.uint8), np.array([[2.0]], dtype=np.float32))
    head = Decoded(0, 0, np.full(5, 0, dtype=np.uint8), np.array([[1.0]], dtype=np.float32))
    for piece in (both, tail, head):
        builder.put(piece)
    assert (builder.n_filled, builder.n_bins) == (4, 4)
    store = builder.finish()
    assert store.signal.tolist() == [[1.0, 2.0, 3.0, 4.0]]
    assert store.sequence.tolist() == [0] * 5 + [1] * 5 + [2] * 10


def test_a_store_with_bins_left_empty_is_a_defect():
    builder = StoreBuilder({"a": 10}, tracks=["t"], resolution_bp=5)
    with pytest.raises(AssertionError, match="0 of 2 bins were filled"):
        builder.finish()
