"""A PLINK 2 fileset as a file of genotypes: the alternate allele is counted; pgenlib decodes. Phase isn't used."""

import functools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from genotune.data.files import InputFile, kept_in, locate
from genotune.data.genotype_file import Decoder, GenotypeFile, left_out_note, take_variants
from genotune.data.pgen_header import PgenHeader, read_pgen_header
from genotune.data.plink2_tables import Pvar, read_psam, read_pvar
from genotune.errors import DataError
from genotune.store import DOSAGE_STEPS, MISSING_DOSAGE, MISSING_STEPS, DosageArray, IntArray

PGEN_ENDINGS: Final = (".pgen", ".pvar", ".pvar.zst", ".psam")

_PGEN_MISSING: Final = -9
_STEM: Final = re.compile(r"\.(pgen|pvar|pvar\.zst|psam)$")
_TORN: Final = "The fileset is torn: copy all three files again."


class Pfileset(NamedTuple):
    """The three files of a PLINK 2 fileset."""

    pgen: InputFile
    pvar: InputFile
    psam: InputFile


@dataclass(frozen=True, eq=False)
class PgenDecoder(Decoder):
    """Decodes a .pgen.

    Attributes:
        pgen: the file.
        is_fractional: some of its dosages are in fractions of a copy.
        rows: (variant,) where each variant stands in it; None: all stand there in order.
        allele_ends: (variant of the file + 1,) where the alleles of each begin in a list of all; None: each has two.
    """

    pgen: InputFile
    is_fractional: bool = False
    rows: IntArray | None = None
    allele_ends: IntArray | None = None

    def decode(self, samples: IntArray, variants: IntArray) -> DosageArray:
        """See `Decoder.decode`."""
        rows = variants if self.rows is None else self.rows[variants]
        # pgenlib takes samples in rising order, each once.
        rising, place = np.unique(samples, return_inverse=True)
        shape = (len(rows), len(rising))
        if not len(rows) or not len(rising):
            return np.empty((len(samples), len(rows)), dtype=self.dtype)
        try:
            reader = self._open()
            reader.change_sample_subset(rising.astype(np.uint32))
            found = self._read(reader, rows.astype(np.uint32), shape)
        except (OSError, RuntimeError, AssertionError) as error:
            raise DataError(f"{self.pgen.label}: can't be decoded: {_words(error)}. Copy it again.") from error
        dosage: DosageArray = found.T if len(rising) == len(samples) and _is_rising(samples) else found[:, place].T
        return dosage

    def _read(self, reader: Any, rows: Any, shape: tuple[int, int]) -> Any:
        """(variant, sample) dosages in the code of a store."""
        if not self.is_fractional:
            whole = np.empty(shape, dtype=np.int8)
            reader.read_list(rows, whole)
            whole[whole == _PGEN_MISSING] = MISSING_DOSAGE
            return whole
        copies = np.empty(shape, dtype=np.float32)
        reader.read_dosages_list(rows, copies)
        is_missing = copies == _PGEN_MISSING
        # Multiples of a step already: nothing is rounded.
        copies *= DOSAGE_STEPS
        copies[is_missing] = MISSING_STEPS
        return copies.astype(np.uint16)

    def _open(self) -> Any:
        path = self.pgen.path
        facts = path.stat()
        ends = None if self.allele_ends is None else self.allele_ends.astype(np.uintp).tobytes()
        return _opened(str(path), (facts.st_ino, facts.st_size, facts.st_mtime_ns), ends)


@functools.lru_cache(maxsize=1)
def _opened(path: str, version: tuple[int, int, int], allele_ends: bytes | None) -> Any:
    """A reader, which is kept: to open one reads the whole header."""
    import pgenlib

    del version  # a file that was changed is opened anew
    ends = None if allele_ends is None else np.frombuffer(allele_ends, dtype=np.uintp)
    return pgenlib.PgenReader(path.encode(), allele_idx_offsets=ends)


def open_pgen_file(folder: Path, label: str) -> GenotypeFile:
    """The PLINK 2 fileset that a spec in this folder names so.

    Raises:
        DataError: with every fault of its three files, one a line.
    """
    files, faults = find_pfileset(folder, label), list[str]()
    header, psam, pvar = None, None, None
    with kept_in(faults):
        header = read_pgen_header(files.pgen)
    with kept_in(faults):
        psam = read_psam(files.psam)
    with kept_in(faults):
        pvar = read_pvar(files.pvar)
    if header is not None:
        faults += _misfits(files, header, n_samples=psam and len(psam[0].iids), n_variants=pvar and len(pvar.n_alleles))
    if faults or header is None or psam is None or pvar is None:
        raise DataError("\n".join(faults))
    fam, columns = psam
    rows = np.flatnonzero(pvar.n_alleles == 2)
    if not len(rows):
        raise DataError(f"{files.pvar.label}: all variants have more than two alleles; none is left to learn from.")
    return GenotypeFile(
        label=files.pgen.label,
        files={"genotypes": files.pgen, "variants": files.pvar, "samples": files.psam},
        samples_label=files.psam.label,
        variants_label=files.pvar.label,
        samples=fam,
        variants=take_variants(pvar.table, rows),
        columns=columns,
        decoder=_decoder(files.pgen, header, pvar, rows),
        notes=left_out_note(files.pvar.label, n_left_out=len(pvar.n_alleles) - len(rows), n_all=len(pvar.n_alleles)),
    )


def find_pfileset(folder: Path, label: str) -> Pfileset:
    """The three files that a spec names by one of them, or by what their names share.

    Raises:
        DataError: some are missing.
    """
    stem = _STEM.sub("", label)
    pgen, psam = (locate(folder, f"{stem}{ending}") for ending in (".pgen", ".psam"))
    pvars = [locate(folder, f"{stem}{ending}") for ending in (".pvar", ".pvar.zst")]
    pvar = next((file for file in pvars if file.path.is_file()), None)
    missing = [file.label for file in (pgen, psam) if not file.path.is_file()]
    missing += [] if pvar else [pvars[0].label]
    if missing or pvar is None:
        raise DataError(
            f"{', '.join(missing)}: no such file{'s' * (len(missing) > 1)}; a PLINK 2 fileset is three files: "
            f"{pgen.label}, {pvars[0].label} (or {pvars[1].label}), {psam.label}. Looked in {pgen.path.parent}."
        )
    return Pfileset(pgen, pvar, psam)


def _decoder(pgen: InputFile, header: PgenHeader, pvar: Pvar, rows: IntArray) -> PgenDecoder:
    if len(rows) == header.n_variants:
        return PgenDecoder(pgen, header.is_fractional)
    ends = np.concatenate([[0], np.cumsum(pvar.n_alleles)])
    return PgenDecoder(pgen, header.is_fractional, rows, ends)


def _misfits(files: Pfileset, header: PgenHeader, *, n_samples: int | None, n_variants: int | None) -> list[str]:
    """What the tables say against the header."""
    faults = []
    if n_samples is not None and n_samples != header.n_samples:
        faults.append(f"{files.pgen.label}: holds {header.n_samples} samples, {files.psam.label} lists {n_samples}.")
    if n_variants is not None and n_variants != header.n_variants:
        faults.append(f"{files.pgen.label}: holds {header.n_variants} variants, {files.pvar.label} lists {n_variants}.")
    return [f"{fault} {_TORN}" for fault in faults]


def _is_rising(samples: IntArray) -> bool:
    return bool((np.diff(samples) > 0).all())


def _words(error: Exception) -> str:
    """What pgenlib says, which may be bytes."""
    said = error.args[0] if error.args else type(error).__name__
    return (said.decode(errors="replace") if isinstance(said, bytes) else str(said)).strip().rstrip(".")
