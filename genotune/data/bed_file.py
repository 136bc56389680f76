"""A PLINK 1 fileset as a file of genotypes: allele 1 of the .bim (column 5) is counted."""

import functools
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from genotune.data.files import InputFile, kept_in
from genotune.data.genotype_file import Decoder, GenotypeFile, SampleColumns
from genotune.data.plink2_tables import name_variants
from genotune.data.plink_files import BED_MAGIC, check_bed, find_fileset, read_bim, read_fam
from genotune.errors import DataError
from genotune.store import MISSING_DOSAGE, CodeArray, DosageArray, IntArray

FAM_PHENOTYPE: Final = "phenotype"
"""What column 6 of a .fam is called."""

_DECODED_AT_ONCE: Final = 1 << 20
"""Dosages, of samples that nobody asked for too; a cache holds them."""


@dataclass(frozen=True)
class BedDecoder(Decoder):
    """Decodes a .bed.

    Attributes:
        bed: the file.
        n_samples: of the fileset.
        n_variants: of the fileset.
    """

    bed: InputFile
    n_samples: int
    n_variants: int

    def decode(self, samples: IntArray, variants: IntArray) -> DosageArray:
        """See `Decoder.decode`."""
        # Variant by variant in memory, as they are in the file and go on from here.
        found = np.empty((len(variants), len(samples)), dtype=np.int8)
        is_everyone = np.array_equal(samples, np.arange(self.n_samples))
        n_at_once = max(1, _DECODED_AT_ONCE // max(1, self.n_samples))
        try:
            with self.bed.path.open("rb", buffering=0) as bed:
                for first in range(0, len(variants), n_at_once):
                    part = slice(first, first + n_at_once)
                    codes = _unpacked(self._packed(bed, variants[part]))
                    if is_everyone:
                        found[part] = codes[:, : self.n_samples]
                    else:
                        np.take(codes, samples, axis=1, out=found[part])
        except OSError as error:
            raise DataError(f"{self.bed.label}: can't be decoded: {error}. Copy it again.") from error
        return found.T

    def _packed(self, bed: BinaryIO, variants: IntArray) -> CodeArray:
        """(variant, byte) as in the file, with a byte of zeros at the end of each where their number is odd.

        Raises:
            OSError: the file ends before the last of them.
        """
        n_bytes = (self.n_samples + 3) // 4
        packed = np.zeros((len(variants), n_bytes + n_bytes % 2), dtype=np.uint8)
        starts = np.flatnonzero(np.diff(variants, prepend=-2) != 1)
        for start, stop in itertools.pairwise([*starts.tolist(), len(variants)]):
            bed.seek(len(BED_MAGIC) + int(variants[start]) * n_bytes)
            n_wanted = (stop - start) * n_bytes
            content = bed.read(n_wanted)
            if len(content) < n_wanted:
                raise OSError(f"it ends before variant {variants[stop - 1] + 1:,} does")
            packed[start:stop, :n_bytes] = np.frombuffer(content, dtype=np.uint8).reshape(stop - start, n_bytes)
        return packed


@functools.cache
def _eight_dosages() -> NDArray[np.uint64]:
    """(65536,) of two bytes of a .bed, their eight dosages side by side, a byte each.

    Source: PLINK 1.9 documentation, .bed: two bits a genotype from the lowest on; 00 two copies of allele 1, 10 one,
    11 none, 01 missing.
    """
    dosages = np.array([2, MISSING_DOSAGE, 1, 0], dtype=np.int8)
    pairs = np.arange(1 << 16)[:, None] >> np.arange(0, 16, 2) & 3
    table: NDArray[np.uint64] = dosages[pairs].view(np.uint64)[:, 0]
    return table


def _unpacked(packed: CodeArray) -> NDArray[np.int8]:
    """(variant, sample) dosages of (variant, byte), an even number of bytes; a few more samples than there are."""
    dosages: NDArray[np.int8] = _eight_dosages()[packed.view("<u2")].view(np.int8)
    return dosages


def open_bed_file(folder: Path, label: str) -> GenotypeFile:
    """The fileset that a spec in this folder names so.

    Raises:
        DataError: with every fault of its three files, one a line.
    """
    faults: list[str] = []
    fam, bim = None, None
    fileset = find_fileset(folder, label)
    with kept_in(faults):
        fam = read_fam(fileset.fam)
    with kept_in(faults):
        bim = read_bim(fileset.bim)
    if fam is not None and bim is not None:
        with kept_in(faults):
            check_bed(fileset.bed, n_samples=len(fam.iids), n_variants=len(bim.ids), fileset=fileset)
    if faults or fam is None or bim is None:
        raise DataError("\n".join(faults))
    return GenotypeFile(
        label=fileset.bed.label,
        files={"genotypes": fileset.bed, "variants": fileset.bim, "samples": fileset.fam},
        samples_label=fileset.fam.label,
        variants_label=fileset.bim.label,
        samples=fam,
        variants=name_variants(bim),
        columns=SampleColumns({FAM_PHENOTYPE: fam.phenotypes}, _places(fileset.fam)),
        decoder=BedDecoder(fileset.bed, len(fam.iids), len(bim.ids)),
    )


def _places(file: InputFile) -> list[str]:
    """Where each sample of a .fam stands."""
    with file.path.open(encoding="utf-8-sig") as text:
        return [f"{file.label}:{line}" for line, cells in enumerate(text, start=1) if cells.strip(" \t\n")]
