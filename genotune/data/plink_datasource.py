"""Blocks of variants of a file of genotypes: decoded, as statistics or as dosages, as a Ray Dataset or here."""

import functools
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import ray
from ray.data.block import BlockMetadata
from ray.data.datasource import Datasource, ReadTask

from genotune.columns import DOSAGE, VARIANT
from genotune.data.genotype_file import Decoder
from genotune.data.variant_statistics import Statistics, TrainingSets, joint_statistics
from genotune.store import DosageArray, IntArray

_BLOCK_BYTES: Final = 8_000_000
"""Of dosages; statistics take some twenty times as much while they are reckoned."""

_MOST_TASKS: Final = 1000
_COLUMNS_AT_ONCE: Final = 256


@dataclass(frozen=True)
class BlockReader(ABC):
    """Reads blocks of variants of chosen samples.

    Attributes:
        decoder: of the file.
        samples: (sample,) rows that are read, in this order.
    """

    decoder: Decoder
    samples: IntArray

    @abstractmethod
    def as_table(self, variants: IntArray, dosage: DosageArray) -> pa.Table:
        """One row for each of these variants, whose dosages (sample, variant) are given."""

    @property
    @abstractmethod
    def row_nbytes(self) -> int:
        """Bytes of a row."""

    def blocks(self, variants: IntArray) -> list[IntArray]:
        """The variants in parts, none of which takes much memory to decode."""
        n = max(1, _BLOCK_BYTES // max(1, len(self.samples) * self.decoder.dtype.itemsize))
        return [variants[first : first + n] for first in range(0, len(variants), n)]

    def table(self, variants: IntArray) -> pa.Table:
        """One row for each of these variants.

        Raises:
            DataError: the file can't be read.
        """
        return self.as_table(variants, self.decode(variants))

    def tables(self, blocks: Sequence[IntArray]) -> Iterator[pa.Table]:
        """A table of each block, in their order; never more than one is decoded at once.

        Raises:
            DataError: the file can't be read.
        """
        for block, dosage in zip(blocks, self.decoder.decode_in_turn(self.samples, blocks), strict=True):
            yield self.as_table(block, dosage)

    def decode(self, variants: IntArray) -> DosageArray:
        """(sample, variant) dosages in the code of a store.

        Raises:
            DataError: the file can't be read.
        """
        return self.decoder.decode(self.samples, variants)


@dataclass(frozen=True)
class StatisticsReader(BlockReader):
    """Columns: variant, and each of `Statistics` on each set of training samples.

    Attributes:
        sets: of training samples among these.
    """

    sets: TrainingSets

    def as_table(self, variants: IntArray, dosage: DosageArray) -> pa.Table:
        """See `BlockReader.as_table`."""
        found = joint_statistics(dosage, self.sets)
        columns = {
            _column(name, index): values for index, one in enumerate(found) for name, values in one._asdict().items()
        }
        return pa.table({VARIANT: variants, **columns})

    @property
    def row_nbytes(self) -> int:
        """See `BlockReader.row_nbytes`."""
        return 8 * (1 + len(self.sets.widths) * len(Statistics._fields))

    def statistics(self, table: pa.Table, index: int) -> Statistics:
        """Of the variants of a table on the set of this index."""
        return Statistics(*(table[_column(name, index)].to_numpy() for name in Statistics._fields))


@dataclass(frozen=True)
class DosageReader(BlockReader):
    """Columns: variant, dosage (a list of int8 or uint16, sample by sample)."""

    def as_table(self, variants: IntArray, dosage: DosageArray) -> pa.Table:
        """See `BlockReader.as_table`."""
        rows = np.ascontiguousarray(dosage.T)
        return pa.table({VARIANT: variants, DOSAGE: pa.FixedSizeListArray.from_arrays(rows.ravel(), rows.shape[1])})

    @property
    def row_nbytes(self) -> int:
        """See `BlockReader.row_nbytes`."""
        return 8 + len(self.samples) * self.decoder.dtype.itemsize


def _column(name: str, index: int) -> str:
    return f"{name}_{index + 1}"


def rows_of(table: pa.Table) -> Iterator[tuple[IntArray, DosageArray]]:
    """Variants and their dosages (variant, sample) in a table of `DosageReader`, as views of its buffers."""
    for batch in table.to_batches():
        dosage = batch[DOSAGE]
        n_samples = dosage.type.list_size
        yield batch[VARIANT].to_numpy(), dosage.flatten().to_numpy(zero_copy_only=True).reshape(-1, n_samples)


def fill_columns(dosage: DosageArray, columns: IntArray, rows: DosageArray) -> None:
    """Write variants (variant, sample) into the columns of (sample, variant) dosages.

    A few at a time: what is written of a sample then still lies in the cache when its next variants come.
    """
    for first in range(0, len(columns), _COLUMNS_AT_ONCE):
        some = columns[first : first + _COLUMNS_AT_ONCE]
        is_run = some[-1] - some[0] == len(some) - 1 and (np.diff(some) == 1).all()
        where = slice(int(some[0]), int(some[-1]) + 1) if is_run else some
        dosage[:, where] = rows[first : first + _COLUMNS_AT_ONCE].T


class VariantDatasource(Datasource):
    """Blocks of variants, each read by a task of its own or a few of them together."""

    def __init__(self, reader: BlockReader, variants: IntArray) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._row_nbytes = reader.row_nbytes
        self._blocks = reader.blocks(variants)
        # A file that is only read from its start is read once, by one.
        self._most_tasks = 1 if reader.decoder.is_sequential else _MOST_TASKS
        # Once for all tasks: the samples and their basis may be large.
        self._reader = ray.put(reader)

    @property
    def n_tasks(self) -> int:
        """Read tasks that make sense."""
        return max(1, min(len(self._blocks), _MOST_TASKS, self._most_tasks))

    def estimate_inmemory_data_size(self) -> int:
        """Bytes of all rows."""
        return sum(map(len, self._blocks)) * self._row_nbytes

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """About as many tasks as asked for, each over consecutive blocks."""
        del data_context
        n_tasks = max(1, min(parallelism, len(self._blocks), self._most_tasks))
        edges = np.linspace(0, len(self._blocks), n_tasks + 1).astype(int)
        tasks = []
        for first, last in itertools.pairwise(edges):
            part = self._blocks[first:last]
            n_rows = sum(map(len, part))
            metadata = BlockMetadata(
                num_rows=n_rows, size_bytes=n_rows * self._row_nbytes, input_files=None, exec_stats=None
            )
            read = functools.partial(_read, self._reader, part)
            tasks.append(ReadTask(read, metadata, per_task_row_limit=per_task_row_limit))
        return tasks


def _read(reader: Any, blocks: Sequence[IntArray]) -> Iterator[pa.Table]:
    here: BlockReader = ray.get(reader)
    return here.tables(blocks)
