"""Stretches of bigWigs and their FASTA as a Ray Dataset: one row a stretch, named columns, decoded by read tasks."""

import functools
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from genotune.columns import CONTIG, SEQUENCE, SIGNAL, START
from genotune.data.ray_reading import read_tables
from genotune.data.source import Progress
from genotune.data.store_builder import StoreBuilder
from genotune.data.stretches import Decoded, Decoder, Stretch

_MOST_TASKS = 1000


class BigWigDatasource(Datasource):
    """A row a stretch: contig (index of its first), start, sequence (list of uint8), signal (list of float32).

    The signal is that of one track after the other.
    """

    def __init__(self, decoder: Decoder, stretches: Sequence[Stretch]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._decoder = decoder
        self._stretches = stretches

    def estimate_inmemory_data_size(self) -> int:
        """Bytes of all rows."""
        return sum(self._nbytes(stretch) for stretch in self._stretches)

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """About as many tasks as asked for, each over consecutive stretches."""
        del data_context
        n_tasks = max(1, min(parallelism, len(self._stretches)))
        edges = np.linspace(0, len(self._stretches), n_tasks + 1).astype(int)
        tasks = []
        for first, last in itertools.pairwise(edges.tolist()):
            part = self._stretches[first:last]
            size = sum(self._nbytes(stretch) for stretch in part)
            metadata = BlockMetadata(num_rows=len(part), size_bytes=size, input_files=None, exec_stats=None)
            read = functools.partial(_read, self._decoder, part)
            tasks.append(ReadTask(read, metadata, per_task_row_limit=per_task_row_limit))
        return tasks

    def _nbytes(self, stretch: Stretch) -> int:
        return stretch.n_bins * (self._decoder.resolution_bp + 4 * _n_tracks(self._decoder, stretch))


def gather(
    decoder: Decoder, stretches: Sequence[Stretch], *, into: StoreBuilder, progress: Progress | None = None
) -> None:
    """Read the stretches as a Ray Dataset and put them into the store as they come.

    Raises:
        DataError: a file is damaged.
    """
    n_blocks = min(len(stretches), _MOST_TASKS)
    for block in read_tables(BigWigDatasource(decoder, stretches), n_blocks=n_blocks):
        for piece in _pieces(block, _n_tracks(decoder, stretches[0])):
            into.put(piece)
        if progress is not None:
            progress(into.n_filled, into.n_bins)


def _n_tracks(decoder: Decoder, stretch: Stretch) -> int:
    return len(decoder.tracks) + len(stretch.parts[0].labels)


def _read(decoder: Decoder, stretches: Sequence[Stretch]) -> Iterator[pa.Table]:
    for piece in decoder.decode(stretches):
        yield pa.table(
            {
                CONTIG: pa.array([piece.contig], type=pa.int32()),
                START: pa.array([piece.start], type=pa.int64()),
                SEQUENCE: _as_list(piece.codes),
                SIGNAL: _as_list(piece.signal.ravel()),
            }
        )


def _as_list(values: np.typing.NDArray[Any]) -> pa.ListArray:
    """One row that holds all values; nothing is copied."""
    return pa.ListArray.from_arrays(pa.array([0, values.size], type=pa.int32()), pa.array(values))


def _pieces(block: pa.Table, n_tracks: int) -> Iterator[Decoded]:
    """The rows of a block, as views of its buffers."""
    for batch in block.to_batches():
        contigs, starts = batch[CONTIG].to_numpy(), batch[START].to_numpy()
        codes, signal = _flat(batch[SEQUENCE]), _flat(batch[SIGNAL])
        for row in range(batch.num_rows):
            yield Decoded(int(contigs[row]), int(starts[row]), codes[row], signal[row].reshape(n_tracks, -1))


def _flat(column: pa.ListArray) -> list[np.typing.NDArray[Any]]:
    values, offsets = column.values.to_numpy(zero_copy_only=True), column.offsets.to_numpy()
    return [values[first:last] for first, last in itertools.pairwise(offsets)]
