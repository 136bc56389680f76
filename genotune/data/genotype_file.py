"""What a file of genotypes is to everything else: who and what is in it, and something that decodes it.

A format is a module that gives a `GenotypeFile`; beyond its tables nothing needs to know which one it was.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from genotune.data.files import InputFile
from genotune.data.plink_files import BimTable, FamTable
from genotune.store import DOSAGE_STEPS, MISSING_DOSAGE, MISSING_STEPS, DosageArray, IntArray, TextArray

NO_FAMILY: Final = "0"
"""The family ID of a sample whose file gives none."""


class Decoder(ABC):
    """Decodes genotypes. It travels to other processes, so it holds paths and no open file.

    Samples and variants are counted as in the tables of its `GenotypeFile`.
    """

    is_fractional: bool = False
    """Whether dosages are given in fractions of a copy: then they are uint16, else int8."""

    is_sequential: bool = False
    """Whether variants can only be found by reading all that stand before them."""

    @property
    def dtype(self) -> np.dtype[np.int8] | np.dtype[np.uint16]:
        """Of what is decoded."""
        return np.dtype(np.uint16) if self.is_fractional else np.dtype(np.int8)

    @abstractmethod
    def decode(self, samples: IntArray, variants: IntArray) -> DosageArray:
        """(sample, variant) dosages in the code of a store, samples and variants in the order that is asked for.

        Raises:
            DataError: the file can't be read.
        """

    def decode_in_turn(self, samples: IntArray, blocks: Sequence[IntArray]) -> Iterator[DosageArray]:
        """Each block of variants as `decode` gives it; a sequential file is read once if the blocks rise.

        Raises:
            DataError: the file can't be read.
        """
        return (self.decode(samples, block) for block in blocks)


class SampleColumns(NamedTuple):
    """What a file of samples says of them beside their IDs.

    Attributes:
        columns: by name, (sample,) cells as written; the nameless column 6 of a .fam is 'phenotype'.
        places: (sample,) where each stands, e.g. 'cohort.fam:17'.
    """

    columns: Mapping[str, TextArray]
    places: Sequence[str]


@dataclass(frozen=True, eq=False)
class GenotypeFile:
    """Genotypes of a cohort, of which nothing is decoded yet.

    Attributes:
        label: what a person calls it.
        files: each input file, by its role.
        samples_label: what to call the file that lists the samples.
        variants_label: what to call the file that lists the variants.
        samples: in the order of the genotypes.
        variants: those with two alleles, in the order of the genotypes; the counted allele is named in the table.
        columns: what is said of the samples beside their IDs.
        decoder: of these samples and variants.
        notes: what a person should know though nothing is wrong.
    """

    label: str
    files: Mapping[str, InputFile]
    samples_label: str
    variants_label: str
    samples: FamTable
    variants: BimTable
    columns: SampleColumns
    decoder: Decoder
    notes: tuple[str, ...] = field(default=())

    @property
    def n_samples(self) -> int:
        """Number of samples."""
        return len(self.samples.iids)

    @property
    def n_variants(self) -> int:
        """Number of variants."""
        return len(self.variants.ids)


def as_steps(dosage: DosageArray) -> DosageArray:
    """The same dosages in steps of a copy, uint16."""
    if dosage.dtype == np.uint16:
        return dosage
    steps = dosage.astype(np.uint16)
    steps *= np.uint16(DOSAGE_STEPS)
    steps[dosage == MISSING_DOSAGE] = MISSING_STEPS
    return steps


def left_out_note(label: str, *, n_left_out: int, n_all: int) -> tuple[str, ...]:
    """What a person is told of variants with more than two alleles."""
    if not n_left_out:
        return ()
    return (f"{label}: {n_left_out:,} of {n_all:,} variants have more than two alleles; they are left out.",)


def take_variants(variants: BimTable, rows: IntArray) -> BimTable:
    """Some of the variants, in this order."""
    return BimTable(
        ids=variants.ids[rows],
        contigs=variants.contigs[rows],
        starts=variants.starts[rows],
        counted=variants.counted[rows],
        other=variants.other[rows],
    )
