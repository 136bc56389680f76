"""A PLINK 1 fileset as a file of genotypes: allele 1 of the .bim (column 5) is counted; bed-reader decodes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from genotune.data.files import InputFile, kept_in
from genotune.data.genotype_file import Decoder, GenotypeFile, SampleColumns
from genotune.data.plink2_tables import name_variants
from genotune.data.plink_files import check_bed, find_fileset, read_bim, read_fam
from genotune.errors import DataError
from genotune.store import MISSING_DOSAGE, DosageArray, IntArray

FAM_PHENOTYPE: Final = "phenotype"
"""What column 6 of a .fam is called."""


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
        from bed_reader import open_bed

        try:
            with open_bed(
                self.bed.path,
                iid_count=self.n_samples,
                sid_count=self.n_variants,
                num_threads=1,
                skip_format_check=True,
            ) as bed:
                # Variant by variant in memory, as they are in the file and go on from here.
                found = bed.read(index=(samples, variants), dtype="int8", order="F")
        except (OSError, ValueError) as error:
            raise DataError(f"{self.bed.label}: can't be decoded: {error}. Copy it again.") from error
        dosage: DosageArray = np.maximum(found, MISSING_DOSAGE, out=found)  # its own code is lower
        return dosage


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
