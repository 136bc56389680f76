"""A store of tracks, filled as stretches of it are read."""

from collections.abc import Mapping, Sequence

import numpy as np

from genotune.data.stretches import Decoded, n_bins
from genotune.store import N_CODE, SequenceStore


class StoreBuilder:
    """A store that is filled stretch by stretch, in any order."""

    def __init__(self, contigs: Mapping[str, int], *, tracks: Sequence[str], resolution_bp: int) -> None:
        counts = [n_bins(length, resolution_bp) for length in contigs.values()]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.n_filled = 0
        self._store = SequenceStore(
            sequence=np.full(offsets[-1] * resolution_bp, N_CODE, dtype=np.uint8),
            signal=np.full((len(tracks), offsets[-1]), np.nan, dtype=np.float32),
            offsets=offsets,
            lengths=np.array(list(contigs.values()), dtype=np.int64),
            contigs=tuple(contigs),
            tracks=tuple(tracks),
            resolution_bp=resolution_bp,
        )

    @property
    def n_bins(self) -> int:
        """Bins of the whole store."""
        return int(self._store.offsets[-1])

    def put(self, piece: Decoded) -> None:
        """Copy a stretch to its place."""
        first = int(self._store.offsets[piece.contig]) + piece.start // self._store.resolution_bp
        count = piece.signal.shape[1]
        base = first * self._store.resolution_bp
        self._store.sequence[base : base + piece.codes.size] = piece.codes
        self._store.signal[:, first : first + count] = piece.signal
        self.n_filled += count

    def finish(self) -> SequenceStore:
        """The store, once every stretch was put."""
        assert self.n_filled == self.n_bins, f"{self.n_filled} of {self.n_bins} bins were filled"
        return self._store
