"""Blocks of variants of a PLINK .bed: decoded by bed-reader, as statistics or as dosages, as a Ray Dataset or here."""

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
from genotune.data.files import InputFile
from genotune.data.variant_statistics import Statistics, TraitBasis, block_statistics
from genotune.errors import DataError
from genotune.store import MISSING_DOSAGE, DosageArray, IntArray

_BLOCK_BYTES: Final = 8_000_000
"""Of dosages; statistics take some twenty times as much while they are reckoned."""

_MOST_TASKS: Final = 1000
_BED_MISSING: Final = -127
"""bed-reader's code of a missing genotype in int8."""


@dataclass(frozen=True)
class BlockReader(ABC):
    """Reads blocks of variants of chosen samples.

    Attributes:
        bed: the file.
        n_samples: of the fileset.
        n_variants: of the fileset.
        samples: (sample,) rows that are read, in this order.
    """

    bed: InputFile
    n_samples: int
    n_variants: int
    samples: IntArray

    @abstractmethod
    def table(self, variants: IntArray) -> pa.Table:
        """One row for each of these variants."""

    @property
    @abstractmethod
    def row_nbytes(self) -> int:
        """Bytes of a row."""

    def blocks(self, variants: IntArray) -> list[IntArray]:
        """The variants in parts, none of which takes much memory to decode."""
        n = max(1, _BLOCK_BYTES // max(1, len(self.samples)))
        return [variants[first : first + n] for first in range(0, len(variants), n)]

    def decode(self, variants: IntArray) -> DosageArray:
        """(sample, variant) dosages; MISSING_DOSAGE where not called.

        Raises:
            DataError: the file can't be read.
        """
        from bed_reader import open_bed

        try:
            with open_bed(
                self.bed.path,
                iid_count=self.n_samples,
                sid_count=self.n_variants,
                num_threads=1,
                skip_format_check=True,
            ) as bed:
                found = bed.read(index=(self.samples, variants), dtype="int8", order="C")
        except (OSError, ValueError) as error:
            raise DataError(f"{self.bed.label}: can't be decoded: {error}. Copy it again.") from error
        found[found == _BED_MISSING] = MISSING_DOSAGE
        dosage: DosageArray = found
        return dosage


@dataclass(frozen=True)
class StatisticsReader(BlockReader):
    """Columns: variant, n_two, n_one, n_none, association. See `Statistics`.

    Attributes:
        basis: of the trait, on the same samples.
    """

    basis: TraitBasis

    def table(self, variants: IntArray) -> pa.Table:
        """See `BlockReader.table`."""
        return pa.table({VARIANT: variants, **block_statistics(self.decode(variants), self.basis)._asdict()})

    @property
    def row_nbytes(self) -> int:
        """See `BlockReader.row_nbytes`."""
        return 8 * (1 + len(Statistics._fields))


@dataclass(frozen=True)
class DosageReader(BlockReader):
    """Columns: variant, dosage (a list of int8, sample by sample)."""

    def table(self, variants: IntArray) -> pa.Table:
        """See `BlockReader.table`."""
        dosage = np.ascontiguousarray(self.decode(variants).T)
        return pa.table({VARIANT: variants, DOSAGE: pa.FixedSizeListArray.from_arrays(dosage.ravel(), dosage.shape[1])})

    @property
    def row_nbytes(self) -> int:
        """See `BlockReader.row_nbytes`."""
        return 8 + len(self.samples)


def rows_of(table: pa.Table) -> Iterator[tuple[IntArray, DosageArray]]:
    """Variants and their dosages (variant, sample) in a table of `DosageReader`, as views of its buffers."""
    for batch in table.to_batches():
        dosage = batch[DOSAGE]
        n_samples = dosage.type.list_size
        yield batch[VARIANT].to_numpy(), dosage.flatten().to_numpy(zero_copy_only=True).reshape(-1, n_samples)


class VariantDatasource(Datasource):
    """Blocks of variants, each read by a task of its own or a few of them together."""

    def __init__(self, reader: BlockReader, variants: IntArray) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._row_nbytes = reader.row_nbytes
        self._blocks = reader.blocks(variants)
        # Once for all tasks: the samples and their basis may be large.
        self._reader = ray.put(reader)

    @property
    def n_tasks(self) -> int:
        """Read tasks that make sense."""
        return max(1, min(len(self._blocks), _MOST_TASKS))

    def estimate_inmemory_data_size(self) -> int:
        """Bytes of all rows."""
        return sum(map(len, self._blocks)) * self._row_nbytes

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        """About as many tasks as asked for, each over consecutive blocks."""
        del data_context
        n_tasks = max(1, min(parallelism, len(self._blocks)))
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
    for block in blocks:
        yield here.table(block)
